"""Requests, errors and latency of each version, as the proxy saw them. Counts only, judges nothing."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from integrations.local.wire import VersionStats

BOUNDS_MS: tuple[float, ...] = (
    0.5, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768,
    1_000, 1_500, 2_000, 3_000, 4_000, 6_000, 8_000, 12_000, 16_000, 30_000, 60_000,
)  # fmt: skip
_SLOT = 5.0
_SLOTS = 12


@dataclass(slots=True)
class _Slot:
    """What happened within a few seconds."""

    number: int
    requests: int = 0
    errors: int = 0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_MS) + 1))


class Counter:
    """The numbers of one version."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._requests = 0
        self._errors = 0
        self._connect_failures = 0
        self._seconds = 0.0
        self._buckets = [0] * (len(BOUNDS_MS) + 1)
        self._slots: deque[_Slot] = deque(maxlen=_SLOTS)

    def count(self, *, seconds: float, error: bool, connect_failure: bool = False) -> None:
        """One request that took ``seconds``; an ``error`` is an answer of 500 and above, or none."""
        slot = self._slot()
        bucket = bisect_left(BOUNDS_MS, seconds * 1000)
        self._requests += 1
        self._seconds += seconds
        self._buckets[bucket] += 1
        slot.requests += 1
        slot.buckets[bucket] += 1
        if error:
            self._errors += 1
            slot.errors += 1
        if connect_failure:
            self._connect_failures += 1

    def _slot(self) -> _Slot:
        number = int(self._clock() / _SLOT)
        if not self._slots or self._slots[-1].number != number:
            self._slots.append(_Slot(number))
        return self._slots[-1]

    def snapshot(self, *, in_flight: int) -> VersionStats:
        """The numbers now."""
        oldest = int(self._clock() / _SLOT) - _SLOTS
        recent = [slot for slot in self._slots if slot.number > oldest]
        histogram = [sum(column) for column in zip(*(slot.buckets for slot in recent), strict=True)]
        total = 0
        cumulative: dict[str, int] = {}
        for bound, number in zip((*BOUNDS_MS, float("inf")), self._buckets, strict=True):
            total += number
            cumulative["+Inf" if bound == float("inf") else f"{bound:g}"] = total
        return {
            "requests": self._requests,
            "errors": self._errors,
            "connect_failures": self._connect_failures,
            "in_flight": in_flight,
            "seconds": self._seconds,
            "buckets": cumulative,
            "recent_requests": sum(slot.requests for slot in recent),
            "recent_errors": sum(slot.errors for slot in recent),
            "p50_ms": percentile(histogram, 0.5),
            "p90_ms": percentile(histogram, 0.9),
            "p99_ms": percentile(histogram, 0.99),
        }


def percentile(histogram: Sequence[int], part: float) -> float | None:
    """Milliseconds that ``part`` of the requests stayed within, interpolated; None without requests."""
    total = sum(histogram)
    if not total:
        return None
    rank = part * total
    below = 0
    for index, number in enumerate(histogram):
        if number and below + number >= rank:
            low = BOUNDS_MS[index - 1] if index else 0.0
            high = BOUNDS_MS[index] if index < len(BOUNDS_MS) else BOUNDS_MS[-1]
            return round(low + (high - low) * (rank - below) / number, 3)
        below += number
    return BOUNDS_MS[-1]
