"""A press of a button as Slack delivers it: who pressed what, where it stands, and how its presser is answered."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.domain.actor import Door
from bot.slack.doors import Caller
from bot.slack.names import ActionId
from bot.slack.render import blocks as b
from bot.slack.replies import ByAddress, InDialog, InPlace, OnTop
from bot.slack.trouble import TROUBLE, brief

if TYPE_CHECKING:
    from slack_sdk.web.async_client import AsyncWebClient

    from bot.slack.doors import Reply
    from bot.slack.names import ButtonValue, IdValue, OrderValue

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Press:
    """One press."""

    client: AsyncWebClient
    body: dict[str, Any]

    @property
    def action(self) -> ActionId:
        """The button."""
        return ActionId(self._action["action_id"])

    @property
    def value(self) -> ButtonValue | OrderValue | IdValue | None:
        """What it carries; None when that is nothing that the bot knows."""
        return self.action.carries.decode(self._action.get("value"))

    @property
    def user(self) -> str:
        """Who pressed it."""
        return str(self.body["user"]["id"])

    @property
    def channel(self) -> str:
        """Where its message is; empty for a view."""
        return str((self.body.get("channel") or {}).get("id") or "")

    @property
    def message(self) -> str:
        """The ``ts`` of its message; empty for a view."""
        return str((self.body.get("container") or {}).get("message_ts") or "")

    @property
    def trigger(self) -> str:
        """What a form can be opened with, within three seconds."""
        return str(self.body.get("trigger_id") or "")

    @property
    def in_dialog(self) -> bool:
        """Whether it stands in a dialog, on top of which another form is pushed."""
        return (self.body.get("view") or {}).get("type") == "modal"

    @property
    def whispered(self) -> bool:
        """Whether only its presser sees its message."""
        return bool((self.body.get("container") or {}).get("is_ephemeral"))

    def caller(self, act: str) -> Caller:
        """Its presser, at the door that they pressed it at."""
        door = Door.BUTTON if self.channel else Door.FORM if self.in_dialog else Door.HOME
        return Caller(
            user=self.user,
            team=team_of(self.body),
            channel=self.channel or None,
            act=act,
            door=door,
            trigger=self.trigger or None,
        )

    @property
    def place(self) -> str:
        """Names the button where it stands: two presses of it by one person are one order."""
        container = self.body.get("container") or {}
        where = container.get("message_ts") or container.get("view_id") or ""
        return f"{self._action['action_id']}:{self.channel}:{where}:{self.user}"

    def reply(self, *, instead: bool = False) -> Reply:
        """How to answer its presser; ``instead``: in place of a message that only they see."""
        if not self.channel:
            if self.in_dialog:
                return InDialog(client=self.client, view_id=str(self.body["view"]["id"]), user=self.user)
            return OnTop(client=self.client, trigger=self.trigger, user=self.user)
        url, thread = self.body.get("response_url"), self._thread
        replaces = instead and self.whispered
        if url and (replaces or thread is None):
            return ByAddress(url=url, instead=replaces)
        return InPlace(client=self.client, channel=self.channel, user=self.user, thread=thread)

    async def settle(self, line: str) -> None:
        """Take the buttons of its message away and say what came of it; ``line`` is mrkdwn, escaped already."""
        message = self.body.get("message") or {}
        if not self.channel or self.whispered or not message.get("ts"):
            return
        kept = [block for block in message.get("blocks") or [] if block.get("type") != "actions"]
        try:
            await self.client.chat_update(
                channel=self.channel,
                ts=message["ts"],
                text=str(message.get("text") or line),
                blocks=[*kept, b.context(line)],
            )
        except TROUBLE as error:
            log.info("a message keeps its old buttons: %s", brief(error))

    @property
    def _thread(self) -> str | None:
        message = self.body.get("message") or self.body.get("container") or {}
        thread = message.get("thread_ts")
        return str(thread) if thread and thread != self.message else None

    @property
    def _action(self) -> dict[str, Any]:
        found: dict[str, Any] = self.body["actions"][0]
        return found


def team_of(body: dict[str, Any]) -> str | None:
    """The workspace of who does something."""
    user = body.get("user") or {}
    found = user.get("team_id") or (body.get("team") or {}).get("id")
    return str(found) if found else None
