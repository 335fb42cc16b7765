"""Asks Datadog for numbers and for its monitors, and tells it of deployments."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from statistics import fmean
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from datadog_api_client.v1.api.events_api import EventsApi
from datadog_api_client.v1.api.metrics_api import MetricsApi
from datadog_api_client.v1.model.event_alert_type import EventAlertType
from datadog_api_client.v1.model.event_create_request import EventCreateRequest
from datadog_api_client.v2.api.dora_metrics_api import DORAMetricsApi
from datadog_api_client.v2.model.dora_deployment_request import DORADeploymentRequest
from datadog_api_client.v2.model.dora_deployment_request_attributes import DORADeploymentRequestAttributes
from datadog_api_client.v2.model.dora_deployment_request_data import DORADeploymentRequestData

from bot.domain.errors import ProviderError, ProviderRejected
from integrations._shared.failures import told
from integrations._shared.numbers import Bucket, moments, no_data, now, reading, resampled
from integrations.datadog.api import NAME, Api, as_dict, unreadable
from integrations.datadog.monitors import read_monitors
from integrations.datadog.query import MONITOR, PROVIDER, tagged

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bot.domain.metric import Point, Reading, Subject
    from integrations.datadog.options import DatadogOptions

_PRESENT = 10.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DORA_ID = re.compile(r"[A-Za-z0-9_.:-]{16,128}")
_REDUCE: Mapping[str, Callable[[list[float]], float]] = MappingProxyType(
    {"mean": fmean, "sum": math.fsum, "max": max, "min": min, "last": lambda values: values[-1]}
)


class Datadog:
    """A `MetricSource` whose queries are Datadog's, or ``monitor:`` and tags; and `SupportsMarkers`."""

    def __init__(self, options: DatadogOptions) -> None:
        self._options = options
        self._api = Api(options)

    async def read(self, query: str, *, subject: Subject, window: float, at: datetime | None = None) -> Reading:
        """See `MetricSource`. The points of the window are reduced to one as the options say.

        A query that begins with ``monitor:`` tells how many monitors with those tags alert now.
        """
        text = tagged(query, subject=subject, window=window)
        when = now()
        if text.startswith(MONITOR):
            if at is not None and (when - at).total_seconds() > _PRESENT:
                return no_data("a monitor tells nothing about the past", at=at)
            return await read_monitors(self._api, text.removeprefix(MONITOR).strip(), at=when)
        until = at or when
        buckets = await self._buckets(text, until - timedelta(seconds=window), until)
        if not buckets:
            return no_data(f"no series, or no bucket that lies wholly within {window:g} s", at=until)
        values = [bucket.value for bucket in buckets if bucket.value is not None and math.isfinite(bucket.value)]
        if not values:
            return no_data("every point of the window is null", at=until)
        return reading(float(_REDUCE[self._options.reduce](values)), at=until)

    async def series(
        self, query: str, *, subject: Subject, window: float, since: datetime, until: datetime, step: float
    ) -> Sequence[Point]:
        """See `MetricSource`. The points are Datadog's own buckets; monitors have no past, so theirs have no value."""
        times = moments(since, until, step, provider=PROVIDER)
        text = tagged(query, subject=subject, window=window)
        if text.startswith(MONITOR):
            return resampled((), times, step=step)
        return resampled(await self._buckets(text, since - timedelta(seconds=step), until), times, step=step)

    async def mark(
        self, *, subject: Subject, operation: str, began: datetime, ended: datetime | None, text: str, succeeded: bool
    ) -> None:
        """See `SupportsMarkers`. An event when it begins and when it has ended; a DORA deployment if it succeeded.

        DORA takes the same ``operation`` once. Events of one operation are shown as one group.
        """
        if ended is not None and succeeded and self._options.dora:
            # First what can be repeated, so that a failure here leaves no event behind that would come twice.
            await self._deployed(subject, operation, began, ended)
        outcome = "began" if ended is None else "succeeded" if succeeded else "failed"
        kind = {"began": EventAlertType.INFO, "succeeded": EventAlertType.SUCCESS, "failed": EventAlertType.ERROR}
        event = EventCreateRequest(
            title=f"Deployment of {subject.service} {subject.version} to {subject.environment}: {outcome}"[:500],
            text=text[:4000] or outcome,
            alert_type=kind[outcome],
            aggregation_key=operation[:100],
            date_happened=round((ended or began).timestamp()),
            source_type_name="deployment-architect",
            tags=[
                f"service:{subject.service}",
                f"env:{subject.environment}",
                f"version:{subject.version}",
                f"track:{subject.track.value}",
                f"outcome:{outcome}",
            ],
        )
        await self._api.call(EventsApi, "create_event", body=event)

    async def _deployed(self, subject: Subject, operation: str, began: datetime, ended: datetime) -> None:
        identity = operation if _DORA_ID.fullmatch(operation) else sha256(operation.encode()).hexdigest()
        attributes = DORADeploymentRequestAttributes(
            id=identity,
            service=subject.service,
            env=subject.environment,
            version=subject.version,
            started_at=_nanoseconds(began),
            finished_at=_nanoseconds(ended),
        )
        body = DORADeploymentRequest(data=DORADeploymentRequestData(attributes=attributes))
        await self._api.call(DORAMetricsApi, "create_dora_deployment", body=body)

    async def _buckets(self, query: str, since: datetime, until: datetime) -> list[Bucket]:
        """The buckets of the one series of ``query`` that lie wholly between the two times, oldest first."""
        start, end = math.floor(since.timestamp()), math.ceil(until.timestamp())
        found = await self._api.call(MetricsApi, "query_metrics", _from=start, to=end, query=query)
        answer = as_dict(found)
        if answer.get("status") != "ok" or answer.get("error"):
            # Such an answer has the status 200 all the same.
            said = told(str(answer.get("error") or answer.get("message") or "it does not say why"))
            raise ProviderError(f"{NAME} could not answer the query: {said}.", provider=PROVIDER, retryable=True)
        series = answer.get("series")
        if not isinstance(series, list):
            raise unreadable()
        if not series:
            return []
        if len(series) > 1:
            raise ProviderRejected(f"The query gives {len(series)} series and must give one.", provider=PROVIDER)
        match series[0]:
            case {"pointlist": [*pairs], **rest}:
                points = sorted(map(_point, pairs), key=lambda point: point[0])
                length = _length(points, rest.get("interval"))
            case _:
                raise unreadable()
        buckets = [Bucket(at, at + length, value) for at, value in points]
        # The first bucket may have begun before the window, and the last one is not full yet.
        return [bucket for bucket in buckets if bucket.start >= start and bucket.end <= until.timestamp()]


def build(*, options: DatadogOptions) -> Datadog:
    """The source that ``options`` describe. Reaches for nothing yet."""
    return Datadog(options)


def _point(pair: Any) -> tuple[float, float | None]:
    match pair:
        case [int() | float() as milliseconds, int() | float() | None as value]:
            return milliseconds / 1000, None if value is None else float(value)
    raise unreadable()


def _length(points: list[tuple[float, float | None]], interval: object) -> float:
    """Seconds in a bucket: as declared, or less where the points say so; endless when nothing tells."""
    # The client calls the interval milliseconds and the server sends seconds.
    declared = [float(interval)] if isinstance(interval, int | float) and interval > 0 else []
    return min([later[0] - earlier[0] for earlier, later in pairwise(points)] + declared, default=math.inf)


def _nanoseconds(when: datetime) -> int:
    # No float has room for the nanoseconds since 1970.
    return (when - _EPOCH) // timedelta(microseconds=1) * 1_000
