"""People who use the sample services, so that proxies have something to count. Judges nothing that comes back.

Where another version answers than a moment ago, more of them come: a canary gets enough of them to be judged within
seconds, and a laptop is not kept busy all the time.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_AT_ONCE = 64
_TIMEOUT = 10.0
_OUTAGE_PAUSE = 0.2
_CURIOUS = 45.0
"""Seconds for which more people come after another version was seen."""
_CURIOUS_RATE = 60.0
"""Requests a second that a place then gets: enough to tell 8 % of errors from 2 % in a canary of 20 % within 6 s."""
_CURIOUS_IN_ALL = 100.0
"""Requests a second that all such places share: about a fifth of a core."""


@dataclass(slots=True)
class _Place:
    """One address, and when it is next asked."""

    due: float
    version: str | None = None
    curious_until: float = 0.0

    def saw(self, version: str | None, now: float) -> None:
        """Somebody was answered by ``version``."""
        if version is None:
            return
        if self.version not in (None, version):
            self.curious_until = now + _CURIOUS
        self.version = version


async def drive(addresses: Mapping[str, str], *, rate: float, stop: asyncio.Event) -> None:
    """Ask every address for its page ``rate`` times a second, evenly, until ``stop`` is set.

    One that has just begun to answer as another version is asked more often for a while, if that is more.
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
        places: dict[str, _Place] = {}
        while not stop.is_set():
            now = clock()
            places = {address: places.get(address) or _Place(due=now) for address in addresses.values()}
            curious = sum(place.curious_until > now for place in places.values())
            for address, place in places.items():
                if place.due > now:
                    continue
                if len(under_way) < _MOST_AT_ONCE:
                    visit = group.create_task(_visit(session, address, place))
                    under_way.add(visit)
                    visit.add_done_callback(under_way.discard)
                more = min(_CURIOUS_RATE, _CURIOUS_IN_ALL / curious) if place.curious_until > now else 0.0
                # After a stall the missed visits are not made up for.
                place.due = max(place.due + 1 / max(rate, more), now)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(min((place.due for place in places.values()), default=now + 1 / rate)):
                    await stop.wait()
        for visit in under_way:
            visit.cancel()


async def _visit(session: aiohttp.ClientSession, address: str, place: _Place) -> None:
    try:
        async with session.get(address) as answer:
            await answer.read()
            place.saw(answer.headers.get("X-Served-By"), asyncio.get_running_loop().time())
    except (aiohttp.ClientError, TimeoutError, OSError):
        await asyncio.sleep(_OUTAGE_PAUSE)
