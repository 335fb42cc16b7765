"""Asks a New Relic account by NRQL, and tells it of deployments. One row with one number is an answer."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from bot.domain.errors import ProviderError, ProviderRejected
from integrations._shared.numbers import Bucket, moments, no_data, now, reading, resampled
from integrations.newrelic.nerdgraph import NerdGraph
from integrations.newrelic.nrql import PROVIDER, filled, is_plain, nrql, spanned

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bot.domain.metric import Point, Reading, Subject
    from integrations.newrelic.options import NewRelicOptions

_MOST_BUCKETS = 366
_SLACK = timedelta(minutes=5)
_NOT_VALUES = {"samples", "beginTimeSeconds", "endTimeSeconds", "inspectedCount"}
_CREATE = (
    "mutation($event: ChangeTrackingCreateEventInput!) "
    "{ changeTrackingCreateEvent(changeTrackingEvent: $event) { changeTrackingEvent { changeTrackingId } } }"
)


class NewRelic:
    """A `MetricSource` that speaks NRQL, and `SupportsMarkers` by change tracking."""

    def __init__(self, options: NewRelicOptions) -> None:
        self._options = options
        self._api = NerdGraph(options)

    async def read(self, query: str, *, subject: Subject, window: float, at: datetime | None = None) -> Reading:
        """See `MetricSource`. A column named ``samples`` says how many events the number was reckoned from."""
        until = at or now()
        since = until - timedelta(seconds=window)
        rows = await self._api.rows(nrql(query, subject=subject, window=window, since=since, until=until))
        if not rows:
            return no_data("the query gives no rows", at=until)
        if len(rows) > 1:
            raise ProviderRejected(f"The query gives {len(rows)} rows and must give one.", provider=PROVIDER)
        samples = _number(rows[0].get("samples"))
        if samples == 0:
            return no_data("no event matches the query", at=until, samples=0)
        value = _value(rows[0])
        if value is None:
            return no_data("the answer is null, as when no event matches", at=until, samples=samples)
        return reading(value, at=until, samples=samples)

    async def series(
        self, query: str, *, subject: Subject, window: float, since: datetime, until: datetime, step: float
    ) -> Sequence[Point]:
        """See `MetricSource`. Each point is about the ``step`` before it, longer where New Relic has no finer ones."""
        times = moments(since, until, step, provider=PROVIDER)
        size = max(1, math.ceil(step), math.ceil((until - since).total_seconds() / _MOST_BUCKETS))
        begin = since - timedelta(seconds=size)
        rows = await self._api.rows(nrql(query, subject=subject, window=window, since=begin, until=until, buckets=size))
        buckets = []
        for row in rows:
            start, end = _number(row.get("beginTimeSeconds")), _number(row.get("endTimeSeconds"))
            if start is None or end is None:
                raise ProviderError("The answer of New Relic has no times in it.", provider=PROVIDER)
            empty = _number(row.get("samples")) == 0
            buckets.append(Bucket(start, end, None if empty else _value(row)))
        return resampled(buckets, times, step=step)

    async def mark(
        self, *, subject: Subject, operation: str, began: datetime, ended: datetime | None, text: str, succeeded: bool
    ) -> None:
        """See `SupportsMarkers`. One event when it begins and one when it has ended, grouped by ``operation``.

        New Relic cannot take an event once only, so what is there already is looked up first; an event that is younger
        than its indexing may come twice.
        """
        outcome = "began" if ended is None else "succeeded" if succeeded else "failed"
        if await self._is_marked(operation, outcome, began=began):
            return
        event = {
            "categoryAndTypeData": {
                "categoryFields": {"deployment": {"version": subject.version}},
                "kind": {"category": "Deployment", "type": "Basic"},
            },
            "entitySearch": {"query": filled(self._options.entity, subject=subject, window=1)},
            "timestamp": round((ended or began).timestamp() * 1000),
            "groupId": operation,
            "shortDescription": f"{subject.service} {subject.version}: {outcome}",
            "description": text[:4000],
            "customAttributes": {
                "service": subject.service,
                "environment": subject.environment,
                "digest": subject.digest,
                "track": subject.track.value,
                "phase": outcome,
            },
        }
        data = await self._api.call(_CREATE, {"event": event})
        match data:
            case {"changeTrackingCreateEvent": {"changeTrackingEvent": {"changeTrackingId": str()}}}:
                return
        raise ProviderError("New Relic did not say whether it took the deployment.", provider=PROVIDER)

    async def _is_marked(self, operation: str, outcome: str, *, began: datetime) -> bool:
        if not is_plain(operation):
            return False
        seen = f"SELECT count(*) FROM ChangeTrackingEvent WHERE groupId = '{operation}' AND phase = '{outcome}'"  # noqa: S608 - both are plain: no quote ends
        try:
            rows = await self._api.rows(spanned(seen, since=began - _SLACK, until=now() + _SLACK))
            return bool(rows) and bool(_value(rows[0]))
        except ProviderError:
            # A deployment shown twice is better than one that is not shown.
            return False


def build(*, options: NewRelicOptions) -> NewRelic:
    """The source that ``options`` describe. Reaches for nothing yet."""
    return NewRelic(options)


def _value(row: dict[str, Any]) -> float | None:
    """The one number of a row; raises `ProviderRejected` when there are more, or none that is a number."""
    columns = {name: value for name, value in row.items() if name not in _NOT_VALUES}
    if len(columns) != 1:
        names = ", ".join(sorted(columns)) or "nothing"
        raise ProviderRejected(f"The query must select one number, and selects {names}.", provider=PROVIDER)
    [(name, value)] = columns.items()
    while isinstance(value, dict) and len(value) == 1:
        [value] = value.values()  # a percentile is told under its number
    if value is None:
        return None
    number = _number(value)
    if number is None:
        raise ProviderRejected(f"The query selects {name}, which is no single number.", provider=PROVIDER)
    return number


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None
