"""The slash command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.domain.actor import Door
from bot.slack.doors import Caller
from bot.slack.names import COMMAND
from bot.slack.replies import ByAddress

if TYPE_CHECKING:
    from slack_bolt.async_app import AsyncAck, AsyncApp

    from bot.slack.desk import Desk, Forms
    from bot.slack.listeners.once import Once


def register(app: AsyncApp, *, desk: Desk, once: Once, forms: Forms) -> None:
    """Listen to ``/deploy``."""

    async def command(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()

        async def act(act_id: str) -> None:
            caller = Caller(
                user=body["user_id"],
                team=body.get("team_id"),
                channel=body["channel_id"],
                act=act_id,
                door=Door.COMMAND,
                trigger=body.get("trigger_id"),
            )
            reply = ByAddress(url=body["response_url"])
            await desk.say(body.get("text") or "", caller, reply, forms=forms)

        once.begin(body, act)

    app.command(COMMAND)(command)
