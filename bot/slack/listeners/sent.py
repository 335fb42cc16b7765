"""A form that was sent: refused in the form while it is still open, else answered where that is possible.

Slack closes a form, or shows what is wrong with it, within three seconds. What takes longer goes on without the form.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.domain.actor import Door
from bot.domain.errors import RequestRefused
from bot.slack.doors import Caller
from bot.slack.listeners.press import team_of
from bot.slack.replies import dialog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from slack_bolt.async_app import AsyncAck

    from bot.slack.doors import Reception, Reply
    from bot.slack.listeners.once import Once
    from bot.slack.render.message import Message

_TIME = 2.2
"""Seconds, of the three that Slack gives for an answer."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One form that was sent. ``body`` is what Slack delivered."""

    body: dict[str, Any]

    @property
    def view(self) -> dict[str, Any]:
        """The form with what is in it."""
        found: dict[str, Any] = self.body["view"]
        return found

    @property
    def caller(self) -> Caller:
        """Who sent it. However often they do, it is one order."""
        return Caller(
            user=self.body["user"]["id"],
            team=team_of(self.body),
            channel=None,
            act=f"view:{self.view['id']}",
            door=Door.FORM,
        )

    async def settle(
        self,
        ack: AsyncAck,
        act: Callable[[], Awaitable[Message | None]],
        *,
        once: Once,
        reception: Reception,
        reply: Reply,
        errors: Callable[[RequestRefused], Mapping[str, str]],
        shown: bool = False,
    ) -> None:
        """Do what the form asks for; a refusal is shown in it as ``errors`` says.

        ``act`` may come back with an answer: it takes the form's place if ``shown``, and else goes to ``reply``.
        """
        outcome: asyncio.Future[Message | RequestRefused | None] = asyncio.get_running_loop().create_future()
        gone = False

        async def piece(_: str) -> None:
            async def do() -> None:
                try:
                    answer = await act()
                except RequestRefused as refusal:
                    if gone:
                        raise
                    outcome.set_result(refusal)
                    return
                if answer is not None and shown and not gone:
                    outcome.set_result(answer)
                    return
                if not outcome.done():
                    outcome.set_result(None)
                if answer is not None:
                    await reply(answer)

            await reception.answering(do, reply)
            if not outcome.done():
                outcome.set_result(None)  # the answer went to `reply`

        once.begin(self.body, piece)
        await asyncio.wait({outcome}, timeout=_TIME)
        gone = True
        found = outcome.result() if outcome.done() else None
        if isinstance(found, RequestRefused):
            await ack(response_action="errors", errors=dict(errors(found)))
        elif found is not None:
            await ack(response_action="update", view=dialog(found))
        else:
            await ack()
