"""Makes readings and points of what metric sources answer. What is no number becomes no data, with why."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from bot.domain.errors import ProviderRejected
from bot.domain.metric import Point, Reading

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_POINTS = 11_000
"""As many as Prometheus answers at most, and more than any picture shows."""


class Bucket(NamedTuple):
    """A number about a stretch of time, in seconds since the epoch."""

    start: float
    end: float
    value: float | None


def now() -> datetime:
    """The present moment, in UTC."""
    return datetime.now(UTC)


def moment(seconds: float) -> datetime:
    """Seconds since the epoch as a time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def reading(value: float, *, at: datetime, samples: float | None = None, why: str = "") -> Reading:
    """``value`` as a reading; no data when it is NaN or infinite."""
    if math.isnan(value):
        reason = "the answer is NaN, as when nothing is divided by nothing"
        return Reading(value=None, at=at, samples=samples, why=reason)
    if math.isinf(value):
        reason = "the answer is infinite, as when something is divided by nothing"
        return Reading(value=None, at=at, samples=samples, why=reason)
    return Reading(value=value, at=at, samples=samples, why=why)


def no_data(why: str, *, at: datetime, samples: float | None = None) -> Reading:
    """The reading that there is none, and why."""
    return Reading(value=None, at=at, samples=samples, why=why)


def moments(since: datetime, until: datetime, step: float, *, provider: str) -> list[datetime]:
    """Every ``step`` seconds from ``since`` to ``until``; raises `ProviderRejected` for no span or too long a one."""
    span = (until - since).total_seconds()
    if not (span >= 0 and math.isfinite(step) and step > 0):
        raise ProviderRejected(
            "A series needs a step above zero and an end that is not before its start.", provider=provider
        )
    if span / step > MOST_POINTS - 1:
        raise ProviderRejected(f"A series has {MOST_POINTS} points at most; ask with a longer step.", provider=provider)
    return [since + timedelta(seconds=step * index) for index in range(int(span / step) + 1)]


def resampled(buckets: Iterable[Bucket], at: Iterable[datetime], *, step: float) -> list[Point]:
    """For each moment the mean of the buckets that ended in the ``step`` before it, or the longer one around it."""
    known = [bucket for bucket in buckets if bucket.value is not None and math.isfinite(bucket.value)]
    points = []
    for when in at:
        t = when.timestamp()
        ended = [b.value for b in known if t - step < b.end <= t and b.value is not None]
        around = [b.value for b in known if b.start < t <= b.end and b.value is not None]
        chosen = ended or around
        points.append(Point(at=when, value=fmean(chosen) if chosen else None))
    return points
