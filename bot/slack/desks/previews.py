"""Previews: opened, listed, closed. What comes of one is told by notices, not from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.errors import RequestRefused
from bot.domain.when import read_duration
from bot.slack.render import previews

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.domain.grammar import ClosePreviewIntent, PreviewIntent
    from bot.engine.showing import Showing
    from bot.slack.doors import Caller, Reception, Reply
    from bot.slack.render.message import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewDesk:
    """The desk for previews."""

    showing: Showing | None
    reception: Reception
    changed: Callable[[], None]
    """Called when there is something to tell."""

    async def open(self, intent: PreviewIntent, caller: Caller, reply: Reply) -> None:
        """Have a version brought to the preview of a pull request."""
        wish = await self._there().open(
            intent.service,
            intent.version,
            number=intent.number,
            requester=await self.reception.member(caller),
            act=caller.act,
            keep=None if intent.keep is None else read_duration(intent.keep),
        )
        self.changed()
        await reply(previews.begun(wish.release, wish.number, wish.until))

    async def close(self, intent: ClosePreviewIntent, caller: Caller, reply: Reply) -> None:
        """Delete the preview of a pull request."""
        requester = await self.reception.member(caller)
        gone = await self._there().close(intent.service, number=intent.number, requester=requester)
        self.changed()
        await reply(previews.closed(gone))

    async def close_one(self, identity: str, where: str, caller: Caller) -> Message:
        """The button *Close*, for the preview that its presser saw."""
        service, _, number = where.partition(":")
        if not number.isascii() or not number.isdecimal() or len(number) > 9:
            raise RequestRefused("This button carries nothing that the bot knows.", hint="Say previews once more.")
        requester = await self.reception.member(caller)
        gone = await self._there().close(service, number=int(number), requester=requester, identity=identity)
        self.changed()
        return previews.closed(gone)

    async def all(self, reply: Reply) -> None:
        """Tell which there are."""
        await reply(previews.listed(await self.showing.all() if self.showing else []))

    def _there(self) -> Showing:
        if self.showing is None:
            raise RequestRefused("There are no previews here.", hint="An operator can describe them in the catalog.")
        return self.showing
