"""What the people of a script do: commands, mentions, clicks, forms, the Home tab.

Everything goes through `Hands`, as one person, with what that person can see. Waiting for what follows is not here.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from bot.sandbox.model import MessageRef, SandboxError
from bot.sandbox.script.lines import (
    DEFAULT_CHANNEL,
    Click,
    Command,
    Direct,
    Mention,
    OpenHome,
    PersonDeed,
    Remember,
    Submit,
)
from bot.sandbox.script.problems import listed, nearest

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.sandbox.model import Button, Receipt, ViewRef
    from bot.sandbox.script.transcript import Transcript
    from bot.sandbox.script.witness import Witness
    from bot.sandbox.script.world import DeploymentFeed, Hands, Workspace

T = TypeVar("T")

PATIENCE = 10.0  # seconds that an expected text, a button, a modal or a thread is given to appear


class Missed(Exception):
    """A line did not hold: why, and what there was instead. Caught by the player, never seen outside."""

    def __init__(self, why: str, *details: str) -> None:
        super().__init__(why)
        self.why = why
        self.details = details


@dataclass(slots=True)
class Deed:
    """A person's line as it was done.

    `look` and `since` stand just before it (what this person had seen, the newest deployment event), `clicked` is
    the deployment that the pressed button's message is about, `declined` says that a confirm dialog was cancelled.
    """

    line: PersonDeed
    user: str
    look: int
    since: int
    clicked: str | None = None
    declined: bool = False


async def appears(workspace: Workspace, look: Callable[[], T | None], seconds: float) -> T | None:
    """What `look` finds now or after a change of the workspace; None when that takes longer than `seconds`."""
    try:
        return await workspace.wait_for(look, max(seconds, 0.0))
    except TimeoutError:
        return None


@dataclass(frozen=True, slots=True)
class People:
    """The hands of everybody in the script."""

    hands: Hands
    workspace: Workspace
    feed: DeploymentFeed
    witness: Witness
    transcript: Transcript
    remembered: dict[tuple[str, str], Button] = field(default_factory=dict)
    """What each person keeps in mind, by label."""

    async def begin(self, line: PersonDeed) -> Deed:
        """Take down where everything stands before the line, and print it."""
        user = self.workspace.person(line.who).id
        self.transcript.typed(line)
        return Deed(line, user, self.witness.look(), await self.feed.marker())

    async def do(self, deed: Deed) -> None:
        """Do it. Raises Missed, or SandboxError where the workspace refuses it."""
        line = deed.line
        match line:
            case Command():
                # Whatever goes wrong, Slack tells this person, so it is seen like any other answer.
                await self.hands.command(line.who, line.command, line.text, channel=line.channel)
            case Mention():
                await self._mention(line)
            case Direct():
                direct = self.workspace.direct([deed.user])
                self._said(await self.hands.say(line.who, line.text, channel=direct.id))
            case Click():
                await (self._click_old(line, deed) if line.old else self._click(line, deed))
            case Remember():
                self.remembered[line.who, line.label] = await self._find(line, line.who)
            case Submit():
                await self._submit(line)
            case OpenHome():
                self._said(await self.hands.open_home(line.who))

    def _said(self, receipt: Receipt) -> None:
        """Remark what Slack shows in the bot's place. It fails no line: a script may want just that."""
        if receipt.error:
            self.transcript.told(f"Slack: {receipt.error}")

    async def _mention(self, line: Mention) -> None:
        text = f"<@{self.workspace.bot_user}> {line.text}"
        if not line.in_thread:
            self._said(await self.hands.say(line.who, text, channel=DEFAULT_CHANNEL))
            return
        found = await appears(self.workspace, lambda: self._newest_message(line.who), PATIENCE)
        if found is None:
            raise Missed(f"the bot has said nothing that @{line.who} can see: there is no thread to answer in")
        root = found.thread_ts or found.ts
        self._said(await self.hands.say(line.who, text, channel=found.channel, thread_ts=root))

    def _newest_message(self, who: str) -> MessageRef | None:
        self.witness.look()
        return self.witness.newest_bot_message(who)

    async def _click(self, line: Click, deed: Deed) -> None:
        button = await self._find(line, line.who)
        others = [(who, await self._find(line, who)) for who in line.others]
        if line.cancel and button.confirm is None:
            raise Missed("the button asks for no confirmation that could be cancelled")
        if button.confirm is not None:
            self.transcript.told(f"{_dialog(button.confirm)} {'cancelled' if line.cancel else 'accepted'}")
        if line.cancel:
            deed.declined = True
            return
        deed.clicked = self._deployment_of(button, deed.user)
        pressed = [(line.who, button), *others]
        _taken(*await asyncio.gather(*(self._press(who, one) for who, one in pressed)))

    async def _press(self, who: str, button: Button) -> Receipt:
        return await self.hands.click(
            who, container=button.container, action_id=button.action_id, block_id=button.block_id
        )

    async def _click_old(self, line: Click, deed: Deed) -> None:
        button = self.remembered.get((line.who, line.label))
        if button is None:
            raise Missed(f"@{line.who} remembers no such button", f'@{line.who} remembers "{line.label}" comes first')
        deed.clicked = self._deployment_of(button, deed.user)
        _taken(await self.hands.click_old(line.who, button))

    async def _find(self, line: Click | Remember, who: str) -> Button:
        """The button that is meant, as soon as this person sees it."""
        button = await appears(self.workspace, lambda: self._button(line, who), PATIENCE)
        if button is not None:
            return button
        labels = list(dict.fromkeys(button.label for button in self._buttons(line, who)))
        near = nearest(line.label, labels)
        in_sight = listed([f"“{label}”" for label in labels]) if labels else "none"
        meant = f"; did you mean “{near}”?" if near else ""
        where = f" in {line.place}" if line.place else ""
        raise Missed(f"@{who} sees no such button{where}{meant}", f"buttons in sight: {in_sight}")

    def _button(self, line: Click | Remember, who: str) -> Button | None:
        return next((button for button in self._buttons(line, who) if button.label == line.label), None)

    def _buttons(self, line: Click | Remember, who: str) -> list[Button]:
        return [button for button in self.hands.visible_buttons(who) if line.place in {None, button.where}]

    def _deployment_of(self, button: Button, user: str) -> str | None:
        """The deployment that the button's message, or the first message of its thread, says it is about."""
        ref = button.container
        if not isinstance(ref, MessageRef):
            return None
        for ts in (ref.ts, ref.thread_ts):
            message = self.workspace.find_message(ref.channel, ts, user) if ts else None
            payload = (message.metadata or {}).get("event_payload") if message else None
            if isinstance(payload, dict) and isinstance(found := payload.get("deployment_id"), str):
                return found
        return None

    async def _submit(self, line: Submit) -> None:
        modal = await appears(self.workspace, lambda: self._modal(line.who), PATIENCE)
        if modal is None:
            raise Missed(f"no modal is open before @{line.who}")
        receipt = await self._fill(line, modal)
        if not receipt.acked and not receipt.errors:
            raise Missed(f"the bot did not take the form: {receipt.error or 'no answer in time'}")
        for where, error in receipt.errors.items():
            self.transcript.told(f"{where}: {error}")

    async def _fill(self, line: Submit, modal: ViewRef) -> Receipt:
        """Submit the modal; one that opened as "loading" gets its fields later, so a refused form is tried again."""
        deadline = time.monotonic() + PATIENCE
        while True:
            before = self.workspace.seq
            modal = self._modal(line.who) or modal
            try:
                return await self.hands.submit(line.who, modal.view_id, line.values)
            except SandboxError as refused:
                changed = await appears(self.workspace, self._newer(before), deadline - time.monotonic())
                if not changed:
                    raise Missed(str(refused)) from None

    def _newer(self, seq: int) -> Callable[[], bool]:
        return lambda: self.workspace.seq > seq

    def _modal(self, who: str) -> ViewRef | None:
        self.witness.look()
        modal = self.witness.modal(who)
        return None if modal is None or isinstance(modal.ref, MessageRef) else modal.ref


def _taken(*receipts: Receipt) -> None:
    """Raises Missed for a click that the bot did not take."""
    for receipt in receipts:
        if not receipt.acked:
            raise Missed(f"the bot did not take the click: {receipt.error or 'no answer in time'}")


def _dialog(confirm: dict[str, object]) -> str:
    """A confirm dialog on one line."""
    texts = [confirm.get("title"), confirm.get("text")]
    plain = [str(text.get("text", "")) if isinstance(text, dict) else str(text or "") for text in texts]
    return f"confirm “{' '.join(' '.join(plain).split())}”"
