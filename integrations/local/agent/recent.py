"""What the proxy counted in the last quarter of an hour, second by second and release by release.

For metrics: whole seconds, so that what is asked about a window never has anything in it from before the window.
Judges nothing, and is gone with the agent.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

from integrations.local.agent.stats import BOUNDS_MS

if TYPE_CHECKING:
    from collections.abc import Callable

    from integrations.local.wire import RecentAnswer

KEPT = 900
"""Seconds of the past."""
RELEASES = 8
"""How many releases are kept apart; of more, those that got a request last."""


@dataclass(slots=True)
class _Second:
    """What ended within one second."""

    number: int
    requests: int = 0
    errors: int = 0
    seconds: float = 0.0
    buckets: dict[int, int] = field(default_factory=dict)


class Recent:
    """The last quarter of an hour of one place."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._since = clock()
        self._releases: dict[tuple[str, str], deque[_Second]] = {}

    def count(self, release: tuple[str, str], *, seconds: float, error: bool) -> None:
        """One request to ``release`` (digest and version) that took ``seconds`` and ended now."""
        now = int(self._clock())
        kept = self._releases.get(release)
        if kept is None:
            if len(self._releases) >= RELEASES:
                del self._releases[min(self._releases, key=lambda one: self._releases[one][-1].number)]
            kept = self._releases[release] = deque(maxlen=KEPT)
        # A clock that was set back goes on with the second that it had come to.
        if not kept or kept[-1].number < now:
            kept.append(_Second(now))
        second = kept[-1]
        second.requests += 1
        second.seconds += seconds
        second.errors += error
        bucket = bisect_left(BOUNDS_MS, seconds * 1000)
        second.buckets[bucket] = second.buckets.get(bucket, 0) + 1

    def rows(self, release: tuple[str, str], *, since: float, until: float) -> RecentAnswer:
        """The seconds that begin between ``since`` and ``until``, which are seconds since the epoch."""
        oldest = max(ceil(since), int(self._clock()) - KEPT + 1)
        return {
            "since": max(self._since, self._clock() - KEPT),
            "rows": [
                {
                    "second": second.number,
                    "requests": second.requests,
                    "errors": second.errors,
                    "seconds": round(second.seconds, 6),
                    "buckets": sorted(second.buckets.items()),
                }
                for second in self._releases.get(release, ())
                if oldest <= second.number <= until
            ],
        }
