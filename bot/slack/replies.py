"""How an answer gets back: over the act's own address, in a thread, in a dialog, directly, or aloud to a channel."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slack_sdk.errors import SlackApiError
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.slack.render import blocks
from bot.slack.trouble import TROUBLE, brief, code_of, insistently

if TYPE_CHECKING:
    from slack_sdk.web.async_client import AsyncWebClient

    from bot.slack.doors import Reply
    from bot.slack.render.message import Message

log = logging.getLogger(__name__)

_PATIENCE = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between tries: an answer is worth a short outage, not more."""
_ALT = 1_000
"""Characters of a picture's text alternative that Slack keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ByAddress:
    """Over the ``response_url`` that came with the act: works even where the bot is no member."""

    url: str
    instead: bool = False
    """Take the place of the message whose button was pressed; for one that only its presser sees."""

    async def __call__(self, message: Message) -> None:
        """Show it to the caller alone."""
        webhook = AsyncWebhookClient(self.url, timeout=10)
        for pause in (*_PATIENCE, None):
            try:
                answer = await webhook.send(
                    text=message.text,
                    blocks=message.blocks,
                    response_type="ephemeral",
                    replace_original=self.instead,
                )
                if answer.status_code < 400 or (400 <= answer.status_code < 500 and answer.status_code != 429):
                    return
            except TROUBLE:
                if pause is None:
                    raise
            if pause is not None:
                await asyncio.sleep(pause)


@dataclass(frozen=True, slots=True, kw_only=True)
class InPlace:
    """As an ephemeral message in a channel or a thread."""

    client: AsyncWebClient
    channel: str
    user: str
    thread: str | None = None

    async def __call__(self, message: Message) -> None:
        """Show it to the caller alone."""
        await insistently(
            lambda: self.client.chat_postEphemeral(
                channel=self.channel,
                user=self.user,
                thread_ts=self.thread,
                text=message.text,
                blocks=message.blocks,
            ),
            within=sum(_PATIENCE),
        )


def dialog(message: Message) -> dict[str, Any]:
    """An answer as a view that has only to be closed."""
    return {
        "type": "modal",
        "title": blocks.plain("Deployments"),
        "close": blocks.plain("Close"),
        "blocks": message.blocks,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Directly:
    """As a direct message: where nothing else is open any more, such as after a form."""

    client: AsyncWebClient
    user: str

    async def __call__(self, message: Message) -> None:
        """Show it to the caller alone."""
        opened = await self.client.conversations_open(users=self.user)
        await self.client.chat_postMessage(
            channel=opened["channel"]["id"], text=message.text, blocks=message.blocks, unfurl_links=False
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OnTop:
    """As a small dialog, where there is no channel to answer in: the Home tab. Too late for that, directly."""

    client: AsyncWebClient
    trigger: str
    user: str

    async def __call__(self, message: Message) -> None:
        """Show it to the caller alone."""
        try:
            await self.client.views_open(trigger_id=self.trigger, view=dialog(message))
        except SlackApiError as error:
            log.info("there is no dialog for an answer any more: %s", code_of(error))
            await Directly(client=self.client, user=self.user)(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class InDialog:
    """In the dialog in which the button was pressed."""

    client: AsyncWebClient
    view_id: str
    user: str

    async def __call__(self, message: Message) -> None:
        """Show it to the caller alone."""
        try:
            await self.client.views_update(view_id=self.view_id, view=dialog(message))
        except SlackApiError as error:
            log.info("the dialog for an answer is gone: %s", code_of(error))
            await Directly(client=self.client, user=self.user)(message)


@dataclass(frozen=True, slots=True)
class Posted:
    """Where a public answer is."""

    channel: str
    thread: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Aloud:
    """To everybody in the channel, because it concerns everybody; where the bot may not speak, to the caller alone."""

    client: AsyncWebClient
    channel: str | None
    thread: str | None
    alone: Reply

    async def __call__(self, message: Message) -> None:
        """Show it to everybody there."""
        await self.post(message)

    async def post(self, message: Message) -> Posted | None:
        """Where it was posted; None when it was not, and then the caller was told alone.

        Tried once only: of an answer that was lost nobody knows whether the channel has seen it.
        """
        if self.channel is not None:
            try:
                answer = await self.client.chat_postMessage(
                    channel=self.channel,
                    thread_ts=self.thread,
                    text=message.text,
                    blocks=message.blocks,
                    unfurl_links=False,
                )
                return Posted(str(answer["channel"]), self.thread or str(answer["ts"]))
            except TROUBLE as error:
                log.info("nothing can be said aloud in %s: %s", self.channel, brief(error))
        await self.alone(message)
        return None

    async def show(self, posted: Posted, name: str, content: bytes, *, title: str, alt: str) -> None:
        """Put a picture into the thread of an answer. Without it the answer is true as well."""
        try:
            await self.client.files_upload_v2(
                content=content,
                filename=name,
                title=title,
                alt_txt=alt[:_ALT],
                channel=posted.channel,
                thread_ts=posted.thread,
            )
        except TROUBLE as error:
            log.warning("the picture %s could not be shown: %s", name, brief(error))
