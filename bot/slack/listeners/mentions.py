"""``@Deployment Architect checkout v1.2 staging``: the same words in a thread, where slash commands do not work."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bot.domain.actor import Door
from bot.slack.doors import Caller
from bot.slack.replies import InPlace

if TYPE_CHECKING:
    from slack_bolt.async_app import AsyncApp

    from bot.ports.messages import Messages
    from bot.slack.desk import Desk, Forms
    from bot.slack.listeners.once import Once

_MENTION = re.compile(r"^\s*<@[A-Z0-9]+(\|[^>]*)?>\s*[:,]?\s*")


def register(app: AsyncApp, *, desk: Desk, once: Once, forms: Forms, messages: Messages) -> None:
    """Listen to mentions, and to direct messages, which need none."""

    async def heard(body: dict[str, Any], event: dict[str, Any]) -> None:
        if event.get("bot_id") or event.get("subtype") or not event.get("user"):
            return

        async def act(act_id: str) -> None:
            channel, thread = event["channel"], event.get("thread_ts")
            about = await messages.find(channel, thread) if thread else None
            caller = Caller(
                user=event["user"],
                team=event.get("user_team") or event.get("team") or body.get("team_id"),
                channel=channel,
                act=act_id,
                door=Door.MENTION,
                thread=thread,
                about=about.deployment if about else None,
            )
            reply = InPlace(client=app.client, channel=channel, user=event["user"], thread=thread)
            text = _MENTION.sub("", event.get("text") or "")
            await desk.say(text or "help", caller, reply, forms=forms)

        once.begin(body, act)

    app.event("app_mention")(heard)

    async def direct(body: dict[str, Any], event: dict[str, Any]) -> None:
        if event.get("channel_type") == "im":
            await heard(body, event)

    app.event("message")(direct)
