"""The change feed: everything that happens in the workspace, in order, for those who wait for it.

Waiters sleep on a future until something is published; nothing here polls.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from bot.sandbox.model import Change

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bot.sandbox.model import Message, View

KEPT = 20_000


class Feed:
    """Numbered changes, the last `KEPT` of them at hand."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: deque[Change] = deque(maxlen=KEPT)
        self._waiters: set[asyncio.Future[None]] = set()
        self.seq = 0

    def publish(
        self,
        kind: str,
        *,
        channel: str | None = None,
        user: str | None = None,
        message: Message | None = None,
        view: View | None = None,
        **extra: Any,
    ) -> Change:
        self.seq += 1
        change = Change(self.seq, kind, self._clock(), channel, user, message, view, extra)
        self._kept.append(change)
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        return change

    def since(self, seq: int) -> list[Change]:
        """What is kept of the changes after `seq`, oldest first."""
        missing = self.seq - seq
        if missing <= 0:
            return []
        if missing >= len(self._kept):
            return list(self._kept)
        newest_first = reversed(self._kept)
        return [next(newest_first) for _ in range(missing)][::-1]

    async def changed(self, seq: int) -> None:
        """Return once something newer than `seq` has been published."""
        while self.seq <= seq:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)

    async def changes(self, since: int) -> AsyncIterator[Change]:
        """Every change after `since`, for ever; whoever falls behind by more than `KEPT` misses the oldest."""
        while True:
            for change in self.since(since):
                since = change.seq
                yield change
            await self.changed(since)
