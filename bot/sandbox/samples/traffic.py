"""People who use the sample services, so that proxies have something to count. Judges nothing that comes back."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_AT_ONCE = 64
_TIMEOUT = 10.0
_OUTAGE_PAUSE = 0.2


async def drive(addresses: Mapping[str, str], *, rate: float, stop: asyncio.Event) -> None:
    """Ask every address for its page ``rate`` times a second, evenly, until ``stop`` is set.

    ``addresses`` are base URLs by any name, read again each time, so they may change meanwhile. A service that is
    slow gets at most 64 requests at a time in all; what would be more is left out, not saved up.
    """
    if rate <= 0:
        await stop.wait()
        return
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
    async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as group:
        under_way: set[asyncio.Task[None]] = set()
        clock = asyncio.get_running_loop().time
        due = clock()
        while not stop.is_set():
            for address in tuple(addresses.values()):
                if len(under_way) < _MOST_AT_ONCE:
                    visit = group.create_task(_visit(session, address))
                    under_way.add(visit)
                    visit.add_done_callback(under_way.discard)
            # After a stall the missed visits are not made up for.
            due = max(due + 1 / rate, clock())
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await stop.wait()
        for visit in under_way:
            visit.cancel()


async def _visit(session: aiohttp.ClientSession, address: str) -> None:
    try:
        async with session.get(address) as answer:
            await answer.read()
    except (aiohttp.ClientError, TimeoutError, OSError):
        await asyncio.sleep(_OUTAGE_PAUSE)
