"""The port of traces in terms of the OpenTelemetry API, whoever implements that.

A deployment's trace, and the span that is the deployment itself, have ids reckoned from the deployment's. So a span can
belong to one that is told by another process, later: when the deployment is over. Every span is kept: there are few.
"""

from __future__ import annotations

import threading
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Protocol

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from opentelemetry.trace import Span as OtelSpan
    from opentelemetry.trace import Tracer

    from bot.domain.ids import DeploymentId

    Tags = Mapping[str, str | int | float | bool]

SERVICE = "deployment-architect"
"""Who tells of deployments."""
ROOT = "deploy"
"""The name of the span that is the deployment itself."""
_WITHIN_ONE = 200
"""Spans that one step may hold, so that a check of many hours makes no trace that nobody can open."""
_PATIENCE = 1.5
"""Seconds that closing may take, whatever becomes of what was not sent yet."""


def our_version() -> str:
    """The version of the bot; that of a folder that was never installed is not known."""
    try:
        return version(SERVICE)
    except PackageNotFoundError:
        return "unknown"


class Provider(Protocol):
    """An implementation of the OpenTelemetry API, and what is beyond that API."""

    tracer: Tracer

    def root(self, name: str, *, identity: SpanContext, start: int, links: Sequence[Link]) -> OtelSpan:
        """Begin a span without a parent that has the ids of ``identity``; ``start`` is in nanoseconds since 1970."""

    def tag(self, span: OtelSpan, tags: Tags) -> None:
        """Set tags. Those that say what is deployed must not rename who tells of it."""

    def close(self) -> None:
        """Send what is left; may take as long as it likes."""


class OpenTelemetryTraces:
    """Spans told to a `Provider`."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def begin(self, deployment: DeploymentId, name: str, *, tags: Tags) -> Going:
        """A step of the deployment begins."""
        return Going(self._provider, name, _under(NonRecordingSpan(identity(deployment))), SpanKind.INTERNAL, tags)

    def past(
        self,
        deployment: DeploymentId,
        name: str,
        *,
        began: datetime,
        ended: datetime,
        tags: Tags,
        error: str | None,
    ) -> None:
        """Something of the deployment is over that nobody told when it began."""
        context = _under(NonRecordingSpan(identity(deployment)))
        span = self._provider.tracer.start_span(name, context=context, start_time=_nanoseconds(began))
        self._end(span, tags, error, ended)

    def whole(
        self,
        deployment: DeploymentId,
        *,
        began: datetime,
        ended: datetime,
        tags: Tags,
        error: str | None,
        taking_back: DeploymentId | None,
    ) -> None:
        """The deployment itself is over."""
        links = [Link(identity(taking_back))] if taking_back else []
        span = self._provider.root(ROOT, identity=identity(deployment), start=_nanoseconds(began), links=links)
        self._end(span, tags, error, ended)

    def close(self) -> None:
        """Send what is left, for a moment, and take no more."""
        # A daemon: an agent that takes a connection and says nothing must not keep the process.
        closing = threading.Thread(target=self._provider.close, name="closing traces", daemon=True)
        closing.start()
        closing.join(_PATIENCE)

    def _end(self, span: OtelSpan, tags: Tags, error: str | None, ended: datetime) -> None:
        self._provider.tag(span, tags)
        _judge(span, error)
        span.end(_nanoseconds(ended))


class Going:
    """A span that goes on."""

    def __init__(self, provider: Provider, name: str, context: Context, kind: SpanKind, tags: Tags) -> None:
        self._provider = provider
        self._span = provider.tracer.start_span(name, context=context, kind=kind)
        self._tags = tags
        self._within = 0
        provider.tag(self._span, tags)

    def begin(self, name: str, *, tags: Tags) -> Going | Untold:
        """Something that is asked of others begins within it."""
        self._within += 1
        if self._within > _WITHIN_ONE:
            return Untold()
        return Going(self._provider, name, _under(self._span), SpanKind.CLIENT, {**self._tags, **tags})

    def end(self, *, tags: Tags, error: str | None) -> None:
        """It is over."""
        left_out = self._within - _WITHIN_ONE
        self._provider.tag(self._span, {**tags, "deployment.spans_left_out": left_out} if left_out > 0 else tags)
        _judge(self._span, error)
        self._span.end()


class Untold:
    """A span of which nobody hears, because there were enough of its kind."""

    def begin(self, name: str, *, tags: Tags) -> Untold:  # noqa: ARG002 - a span as good as any
        """Nor of what is within it."""
        return self

    def end(self, *, tags: Tags, error: str | None) -> None:
        """It is over."""


def identity(deployment: DeploymentId) -> SpanContext:
    """The ids of the deployment's trace and of the span that is the deployment itself; always the same."""
    digest = sha256(f"deployment {deployment}".encode()).digest()
    return SpanContext(
        trace_id=int.from_bytes(digest[:16], "big") or 1,
        span_id=int.from_bytes(digest[16:24], "big") or 1,
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )


def _under(span: OtelSpan) -> Context:
    return set_span_in_context(span, Context())


def _judge(span: OtelSpan, error: str | None) -> None:
    if error is not None:
        span.set_status(Status(StatusCode.ERROR, error))


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1000
