"""How an answer gets back to one person: over the act's own address, in a thread, or on top of the Home tab."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.slack.render import blocks
from bot.slack.trouble import TROUBLE, insistently

if TYPE_CHECKING:
    from slack_sdk.web.async_client import AsyncWebClient

    from bot.slack.render.message import Message

_PATIENCE = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between tries: an answer is worth a short outage, not more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ByAddress:
    """Over the ``response_url`` that came with the act: works even where the bot is no member."""

    url: str

    async def __call__(self, message: Message) -> None:
        """Show it to the caller alone."""
        webhook = AsyncWebhookClient(self.url, timeout=10)
        for pause in (*_PATIENCE, None):
            try:
                answer = await webhook.send(
                    text=message.text, blocks=message.blocks, response_type="ephemeral", replace_original=False
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


@dataclass(frozen=True, slots=True, kw_only=True)
class OnTop:
    """As a small dialog, where there is no channel to answer in: the Home tab."""

    client: AsyncWebClient
    trigger: str

    async def __call__(self, message: Message) -> None:
        """Show it to the caller alone."""
        view: dict[str, Any] = {
            "type": "modal",
            "title": blocks.plain("Deployments"),
            "close": blocks.plain("Close"),
            "blocks": message.blocks,
        }
        await self.client.views_open(trigger_id=self.trigger, view=view)
