"""What the local platform's own proxies count, as a metric source. Starts and changes nothing that is deployed.

There is no language: a query is one of four words. Each is about the release that is asked for and no other, told by
its digest and version, on whichever track it serves.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from itertools import accumulate
from operator import add
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from bot.domain.errors import ProviderError, ProviderRejected
from bot.domain.metric import Point
from integrations._shared.numbers import moment, moments, no_data, now, reading
from integrations.local.agent.stats import BOUNDS_MS, percentile
from integrations.local.client import PROVIDER, AgentClient, NotThere

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from bot.domain.metric import Reading, Subject
    from integrations.local.options import LocalMetricsOptions


class _Counted(NamedTuple):
    """What was counted in some seconds."""

    requests: int
    errors: int
    seconds: float
    buckets: tuple[int, ...]


_NOTHING = _Counted(0, 0, 0.0, (0,) * (len(BOUNDS_MS) + 1))

QUERIES: dict[str, Callable[[_Counted], float | None]] = {
    "error_share": lambda counted: counted.errors / counted.requests,
    "latency": lambda counted: 1000 * counted.seconds / counted.requests,
    "p95": lambda counted: percentile(counted.buckets, 0.95),
    "requests": lambda counted: float(counted.requests),
}
"""The share of answers of 500 and above, or none, from 0 to 1; the mean and the 95th percentile of the time that an
answer took, in milliseconds; and how many there were. Never asked about no request at all."""


class LocalMetrics:
    """A `MetricSource` that asks the agent of one root folder. It remembers a quarter of an hour, and no restart."""

    def __init__(self, options: LocalMetricsOptions) -> None:
        self._options = options
        self._client = AgentClient(options.root)

    async def read(self, query: str, *, subject: Subject, window: float, at: datetime | None = None) -> Reading:
        """See `MetricSource`. Counts whole seconds within the window only, so nothing from before it is in the number.

        ``samples`` are the requests. Where there was none there is no data, also for ``requests``.
        """
        number = _query(query)
        when = at or now()
        end = when.timestamp()
        begin = end - _window(window)
        past = await self._past(subject, begin, end)
        if past is None:
            return no_data(f"nothing of {subject.service} was ever deployed in {subject.environment}", at=when)
        counted = past.between(begin, end)
        if counted.requests:
            value = number(counted)
            assert value is not None, "there were requests"
            return reading(value, at=when, samples=counted.requests)
        if end < past.since:
            known = f"{moment(past.since):%H:%M:%S} UTC"
            return no_data(f"the proxy counts since {known} and knows nothing of the past before that", at=when)
        why = f"{subject.version} got no request in {subject.environment} within {window:g} s"
        return no_data(why, at=when, samples=0)

    async def series(
        self, query: str, *, subject: Subject, window: float, since: datetime, until: datetime, step: float
    ) -> Sequence[Point]:
        """See `MetricSource`. Points are a second apart at least in what they are made of, whatever the step is."""
        number = _query(query)
        whole = _window(window)
        times = moments(since, until, step, provider=PROVIDER)
        past = await self._past(subject, since.timestamp() - whole, until.timestamp())
        if past is None:
            return [Point(at=when, value=None) for when in times]
        points = []
        for when in times:
            counted = past.between(when.timestamp() - whole, when.timestamp())
            points.append(Point(at=when, value=number(counted) if counted.requests else None))
        return points

    async def _past(self, subject: Subject, since: float, until: float) -> _Past | None:
        """What the proxy knows of a release; None when it has never had any of the service."""
        path = f"/places/{quote(subject.service, safe='')}/{quote(subject.environment, safe='')}/recent"
        query = {
            "digest": subject.digest,
            "version": subject.version,
            "since": f"{since:.6f}",
            "until": f"{until:.6f}",
        }
        try:
            answer = await self._client.get(path, query=query, timeout=self._options.timeout)
        except NotThere:
            return None
        try:
            return _Past(answer)
        except (KeyError, IndexError, TypeError, ValueError):
            pass
        raise ProviderError(
            f"The agent of {self._options.root} did not answer what was asked; is it the agent?", provider=PROVIDER
        )


class _Past:
    """The seconds that the agent told of, summed up so that any stretch of them is one subtraction."""

    def __init__(self, answer: object) -> None:
        if not isinstance(answer, dict) or not isinstance(answer["rows"], list):
            raise TypeError("an object with rows was expected")
        self.since = float(str(answer["since"]))
        self._seconds: list[int] = [int(row["second"]) for row in answer["rows"]]
        self._sums = list(accumulate((_counted(row) for row in answer["rows"]), _plus, initial=_NOTHING))

    def between(self, begin: float, end: float) -> _Counted:
        """What was counted in the seconds that begin from ``begin`` to ``end``."""
        first, last = bisect_left(self._seconds, begin), bisect_right(self._seconds, end)
        low, high = self._sums[first], self._sums[max(first, last)]
        return _Counted(
            high.requests - low.requests,
            high.errors - low.errors,
            high.seconds - low.seconds,
            tuple(more - less for more, less in zip(high.buckets, low.buckets, strict=True)),
        )


def _counted(row: dict[str, object]) -> _Counted:
    buckets = list(_NOTHING.buckets)
    found = row["buckets"]
    if not isinstance(found, list):
        raise TypeError("a list of buckets was expected")
    for index, number in found:
        buckets[index] = int(number)
    return _Counted(int(str(row["requests"])), int(str(row["errors"])), float(str(row["seconds"])), tuple(buckets))


def _plus(one: _Counted, other: _Counted) -> _Counted:
    return _Counted(
        one.requests + other.requests,
        one.errors + other.errors,
        one.seconds + other.seconds,
        tuple(map(add, one.buckets, other.buckets)),
    )


def _query(query: str) -> Callable[[_Counted], float | None]:
    found = QUERIES.get(query)
    if found is None:
        raise ProviderRejected(
            f"The local proxy does not know the query {query[:60]!r}; it knows {', '.join(QUERIES)}.", provider=PROVIDER
        )
    return found


def _window(window: float) -> float:
    if not (math.isfinite(window) and window >= 1):
        raise ProviderRejected("The local proxy counts whole seconds: a window has at least one.", provider=PROVIDER)
    return window
