"""The world in which the authorisation matrix is played: one bot, and what is prepared for people to try.

Must not decide who may do what: that is `matrix_rows`'s. It looks at the bot's database and never writes to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import sqlite3
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from matrix_rows import CHIEF, ROLLS, SECOND, STUCK, WAITS, Rows, Somebody
from world import CHANNEL, World, until

from bot.domain.actor import Door
from bot.sandbox import eyes
from bot.sandbox.model import Message, MessageRef, View, ViewRef
from bot.slack.names import ActionId, ButtonValue

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from matrix_ways import Act

    from bot.domain.deployment import Deployment
    from bot.sandbox.model import Button, Receipt, Seen

T = TypeVar("T")

ENVIRONMENTS = ("staging", "production")
_AWAY = asyncio.Lock()
"""One artifact at a time is out of its place."""


@dataclass(frozen=True)
class Subject:
    """What an act is about: a deployment, a lock, a freeze or an exception."""

    id: str = ""
    number: int = 0
    button: Button | None = None
    """Where it is pressed, as somebody else sees it."""
    view: View | None = None
    """The form or the Home tab, as somebody else has it before them."""
    step: int = -1
    """Of a rollout: where it was then."""
    snoozes: int = 0
    """How often its rollback had been put off by then."""


def _speaks_of(button: Button, step: int) -> bool:
    """Whether it was drawn when the rollout was at that step; most buttons name none."""
    value = ButtonValue.decode(button.value) if step >= 0 else None
    return value is None or value.step in {None, step}


@dataclass(kw_only=True)
class Stage:
    """The world with the bot, and what people can do in it."""

    world: World
    rows: Rows

    # Looking.

    def ask(self, query: str, values: Sequence[str] | Mapping[str, str] = ()) -> list[tuple[Any, ...]]:
        """Rows of the bot's database."""
        file = f"file:{self.world.folder}/deployments.sqlite?mode=ro"
        with contextlib.closing(sqlite3.connect(file, uri=True)) as database:
            return database.execute(query, values).fetchall()

    def picture(self) -> dict[str, object]:
        """Everything that an act could change: the rows of all tables, and what the platform was told to do."""
        # Not when it was told of: that goes on in the background.
        columns = {"deployments": "id, phase, version, rank, turn, body", "notices": "key"}
        tables = ("deployments", "events", "ballots", "locks", "freezes", "schedules", "overrides", "notices")
        found: dict[str, object] = {
            table: self.ask(f"SELECT {columns.get(table, '*')} FROM {table} ORDER BY 1") for table in tables
        }
        found["audit"] = self.ask("SELECT sequence FROM audit ORDER BY 1")
        for journal in sorted((self.world.folder / "platform").glob("places/*/journal.jsonl")):
            found[journal.parent.name] = journal.read_text()
        return found

    async def active(self, service: str, environment: str) -> list[Deployment]:
        """What is under way there, the oldest first."""
        found = [d for d in await self.world.under_way() if (d.service, d.environment) == (service, environment)]
        return sorted(found, key=lambda deployment: deployment.number)

    async def one(self, deployment_id: str) -> Deployment:
        """The deployment of that id."""
        for service in (STUCK, WAITS, ROLLS):
            for found in await self.world.deployments(service):
                if found.id == deployment_id:
                    return found
        raise AssertionError(f"there is no deployment {deployment_id}")

    def heard(self, who: Somebody, *, but: Sequence[Seen] = ()) -> list[str]:
        """What somebody reads that they alone see, the oldest first; without what they had read already."""
        # What is edited is read anew, and not in the place where it was: counting lines would not do.
        had = frozenset(but)
        return [" ".join(one.text.split()) for one in self.seen(who) if one not in had]

    def seen(self, who: Somebody) -> list[Seen]:
        """What somebody has before them that they alone see."""
        found = eyes.can_see(self.world.server.workspace, who.person)
        return [one for one in found if one.where in {"ephemeral", "dm", "modal"}]

    # Acting, as the operators do to prepare something.

    async def command(self, who: Somebody, text: str) -> None:
        await self.world.command(who.person, text)

    async def order(self, service: str, environment: str, more: str = "v1.0", *, phase: str) -> Subject:
        """A new deployment of the first operator, once it is in that phase."""
        before = {d.id for d in await self.active(service, environment)}
        await self.command(CHIEF, f"{service} {environment} {more}")

        async def there() -> Deployment | None:
            new = [d for d in await self.active(service, environment) if d.id not in before]
            return new[0] if new and new[0].phase == phase else None

        made = await until(there, what=f"a deployment of {service} in {environment} that is {phase}")
        return Subject(made.id, made.number)

    async def approve(self, subject: Subject, *, phase: str) -> None:
        await self.command(SECOND, f"approve #{subject.number}")

        async def there() -> bool:
            return (await self.one(subject.id)).phase == phase

        await until(there, what=f"#{subject.number} {phase}")

    async def button(
        self, who: Somebody, action: ActionId, about: str, *, answer_to: str = "", step: int = -1
    ) -> Button:
        """The newest such button of somebody that carries ``about``; it may be in the answer to a command."""
        earlier = {button.container for button in self.buttons(who, action, about)} if answer_to else set()
        if answer_to:
            await self.command(who, answer_to)

        def there() -> Button | None:
            found = (one for one in self.buttons(who, action, about) if one.container not in earlier)
            return next((one for one in found if _speaks_of(one, step)), None)

        return await self.wait(there, f"{action} about {about} for {who.what}")

    def buttons(self, who: Somebody, action: ActionId, about: str) -> list[Button]:
        found = self.world.server.hands.visible_buttons(who.person)
        return [one for one in found if one.action_id == action and about in (one.value or "") and one.where != "home"]

    async def home(self, who: Somebody, action: ActionId, about: str, *, step: int = -1) -> Button:
        """A button on the Home tab that somebody opens now."""
        await self.world.server.hands.open_home(who.person)

        def there() -> Button | None:
            found = (b for b in self.world.server.hands.visible_buttons(who.person) if b.where == "home")
            mine = (b for b in found if b.action_id == action and about in (b.value or ""))
            return next((b for b in mine if _speaks_of(b, step)), None)

        return await self.wait(there, f"{action} about {about} on the Home tab of {who.what}")

    async def opened(self, who: Somebody, callback: str) -> View:
        """The form that somebody has before them, taken off their screen."""

        def there() -> View | None:
            view = self.world.server.hands.modal(who.person)
            return view if view is not None and view.body.get("callback_id") == callback else None

        view = await self.wait(there, f"the form {callback} for {who.what}")
        self.world.server.workspace.close_modals(who.person)
        return view

    async def wait(self, look: Callable[[], T | None], what: str, *, within: float = 30.0) -> T:
        try:
            found = await self.world.server.workspace.wait_for(look, within)
        except TimeoutError:
            raise AssertionError(f"there is no {what}\n{self.world.log_tail()}") from None
        assert found is not None
        return found

    async def press(self, who: Somebody, button: Button) -> Receipt:
        receipt = await self.world.click(who.person, button)
        assert receipt.acked, receipt.error
        return receipt

    # Giving somebody what somebody else has before them: as if they had opened it while they were allowed to.

    def hand_over(self, subject: Subject, who: Somebody) -> Subject:
        ws, button, view = self.world.server.workspace, subject.button, subject.view
        if view is not None and button is None:
            body = copy.deepcopy(view.body)
            mine = View(ws.new_id("V"), who.person, body, view.hash, "", values=copy.deepcopy(view.values))
            mine.root_id = mine.id
            ws.views[mine.id] = mine
            ws.modals.setdefault(who.person, []).append(mine)
            return Subject(subject.id, subject.number, view=mine)
        if button is None:
            return subject
        container = button.container
        if view is not None:
            home = View(ws.new_id("V"), who.person, copy.deepcopy(view.body), view.hash, "")
            home.root_id = home.id
            ws.views[home.id] = ws.homes[who.person] = home
            place: MessageRef | ViewRef = ViewRef(home.id)
        else:
            assert isinstance(container, MessageRef)
            owner = next(
                person for person in ws.people if ws.find_message(container.channel, container.ts, person) is not None
            )
            found = ws.find_message(container.channel, container.ts, owner)
            assert found is not None
            shown = Message(CHANNEL, ws.next_ts(), found.user, found.text, copy.deepcopy(found.blocks), is_bot=True)
            shown.ephemeral_for = who.person
            ws.whisper(shown)
            place = MessageRef(CHANNEL, shown.ts, None, True)
        return Subject(subject.id, subject.number, replace(button, container=place))

    # The matrix.

    async def do(self, act: Act, subject: Subject, who: Somebody, environment: str) -> list[str]:
        """Do it as somebody; what the act itself was answered with at once."""
        hands, words = self.world.server.hands, act.words.format(n=subject.number, e=environment)
        if act.door is Door.COMMAND:
            await self.command(who, words)
        elif act.door is Door.MENTION:
            receipt = await hands.say(who.person, f"<@U0BOT> {words}", channel=CHANNEL)
            assert receipt.acked, receipt.error
        elif act.door is Door.FORM:
            mine = self.hand_over(subject, who).view
            assert mine is not None
            receipt = await hands.submit(
                who.person, mine.id, {k: v.format(e=environment) for k, v in act.fields.items()}
            )
            return list(receipt.errors.values())
        else:
            button = self.hand_over(subject, who).button
            assert button is not None
            await self.press(who, button)
        return []

    async def refused(
        self, act: Act, subject: Subject, who: Somebody, environment: str, wanted: Collection[str]
    ) -> None:
        """Try it as somebody who may not; fails unless they are told why."""
        before = self.seen(who)
        told = await self.do(act, subject, who, environment)

        def answered() -> str | None:
            texts = [*told, *self.heard(who, but=before)]
            return next((text for text in texts if all(part in text for part in wanted)), None)

        try:
            await self.world.server.workspace.wait_for(answered, 15)
        except TimeoutError:
            heard = [*told, *self.heard(who, but=before)]
            raise AssertionError(f"{who.what} should be told {wanted}, and reads {heard}") from None
        self.world.server.workspace.close_modals(who.person)

    async def allowed(self, act: Act, subject: Subject, who: Somebody, environment: str) -> None:
        """Do it as somebody who may; fails unless it takes effect."""
        before = self.seen(who)
        told = await self.do(act, subject, who, environment)

        async def happened() -> object:
            return await act.happened(self, subject, who, environment)

        try:
            await until(happened, within=20, what="an effect")
        except AssertionError:
            heard = [*told, *self.heard(who, but=before)]
            raise AssertionError(f"{who.what} may do it, and nothing came of it: {heard}") from None
        assert not [text for text in told + self.heard(who, but=before) if "Not allowed" in text]
        self.world.server.workspace.close_modals(who.person)

    async def tidy(self) -> None:
        """Nothing waits, is locked or is frozen any more, and in each environment one deployment needs attention.

        A rollout in steps stays where it is: the next act may be about it too.
        """
        deeds = [("unlock", scope) for (scope,) in self.ask("SELECT scope FROM locks WHERE ended_at IS NULL")]
        deeds += [("unfreeze", scope) for (scope,) in self.ask("SELECT scope FROM freezes WHERE ended_at IS NULL")]
        stuck = {d.id for d in await self.world.under_way() if d.phase == "needs_attention"}
        waiting = [d for d in await self.world.under_way() if d.id not in stuck and d.service != ROLLS]
        await asyncio.gather(
            *(self.command(CHIEF, f"{verb} {scope.replace('@', ' ')}") for verb, scope in deeds),
            *(self.command(CHIEF, f"abort #{deployment.number}") for deployment in waiting),
        )

        for (override,) in self.ask("SELECT id FROM overrides WHERE kind = 'break_glass' AND reviewed_at IS NULL"):
            await self.press(SECOND, await self.button(SECOND, ActionId.REVIEW, override))

        async def quiet() -> bool:
            left = [d for d in await self.world.under_way() if d.phase != "needs_attention" and d.service != ROLLS]
            busy = (
                "SELECT 1 FROM locks WHERE ended_at IS NULL",
                "SELECT 1 FROM freezes WHERE ended_at IS NULL",
                "SELECT 1 FROM deployments WHERE phase = 'rolling_back'",
                "SELECT 1 FROM schedules WHERE ended_at IS NULL",  # given back after its deployment has ended
                "SELECT 1 FROM overrides WHERE kind = 'break_glass' AND used_by IS NOT NULL AND reviewed_at IS NULL",
            )
            return not left and not any(self.ask(query) for query in busy)

        await until(quiet, what=f"rest\n{self.world.log_tail()}")
        await asyncio.gather(*(self.stick(environment) for environment in ENVIRONMENTS))

    async def begin(self, version: str, environment: str) -> None:
        """Let a version of the one service begin there."""
        made = await self.order(STUCK, environment, f"{version} force", phase="awaiting_approval")
        await self.command(SECOND, f"approve #{made.number}")

    async def stick(self, environment: str) -> None:
        """See to it that v1.2 of the one service runs, and that a deployment over it could not be put back."""
        if any(d.phase == "needs_attention" for d in await self.active(STUCK, environment)):
            return
        world = self.world

        async def runs() -> object:
            place = await world.placement(STUCK, environment)
            return place is not None and place.deployment is not None and place.release.version == "v1.2"

        if not await runs():
            await self.begin("v1.2", environment)
            await until(runs, what=f"v1.2 in {environment}\n{world.log_tail()}")

            async def idle() -> bool:
                return not await self.active(STUCK, environment)

            await until(idle, what=f"an end of it in {environment}")
        await self.begin("v1.4", environment)

        async def phase() -> str | None:
            found = await self.active(STUCK, environment)
            return found[0].phase if found else None

        async def verifying() -> bool:
            return await phase() == "verifying"

        await until(verifying, what=f"v1.4 under way in {environment}\n{world.log_tail()}")
        artifact = world.folder / "artifacts" / STUCK / "v1.2"
        async with _AWAY:
            away = artifact.rename(world.folder / "away")
            try:
                (found,) = await self.active(STUCK, environment)
                await self.command(CHIEF, f"abort #{found.number}")

                async def stuck() -> bool:
                    return await phase() == "needs_attention"

                await until(stuck, what=f"v1.4 stuck in {environment}\n{world.log_tail()}")
            finally:
                away.rename(artifact)
