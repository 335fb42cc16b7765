"""What a listener does after it has acknowledged: kept referenced, bounded, waited for at shutdown.

Bolt holds no reference to a listener that runs on after its acknowledgement, so such work could vanish at any moment.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Coroutine

log = logging.getLogger(__name__)


class Work:
    """A set of running pieces of work, at most ``at_once`` of them at a time."""

    def __init__(self, *, at_once: int = 16) -> None:
        self._running: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(at_once)

    def begin(self, piece: Coroutine[object, object, None]) -> None:
        """Run a piece of work in the background; what it raises is logged."""
        running = asyncio.ensure_future(self._run(piece))
        self._running.add(running)
        running.add_done_callback(self._running.discard)

    async def _run(self, piece: Coroutine[object, object, None]) -> None:
        async with self._places:
            try:
                await piece
            except Exception:
                log.exception("work for a person failed")

    async def drain(self, *, within: float) -> None:
        """Wait until everything is done, but at most ``within`` seconds; then stop the rest."""
        if self._running:
            await asyncio.wait(self._running, timeout=within)
        for running in tuple(self._running):
            running.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
