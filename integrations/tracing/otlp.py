"""Spans to an OpenTelemetry collector, by OTLP over HTTP. Where it is, the SDK's own variables say (`OTEL_EXPORTER_…`).

Must not log a collector that is away over and over: one line when it stops taking spans, one when it takes them again.
"""

from __future__ import annotations

import contextlib
import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from integrations.tracing.spans import SERVICE, our_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Link, Span, SpanContext

log = logging.getLogger(__name__)

_TIMEOUT = 2.0
"""Seconds that one export may take, every try of it together."""
_EVERY = 1000.0
"""Milliseconds between two exports: what a process that dies takes along."""
_QUEUE = 2048
"""Spans that wait for a collector; beyond that the oldest are lost."""


class Otlp:
    """The SDK's provider with an exporter that nobody has to wait for."""

    def __init__(self, *, replica: str) -> None:
        # It says everything twice and at length; what matters `_Patient` says.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        mine = {"service.name": SERVICE, "service.version": our_version(), "service.instance.id": replica}
        self._ids = _Ids()
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=Resource.create(mine),
            shutdown_on_exit=False,
            id_generator=self._ids,
        )
        self._exporter = _Patient(OTLPSpanExporter(timeout=_TIMEOUT))
        self._provider.add_span_processor(
            BatchSpanProcessor(
                self._exporter, max_queue_size=_QUEUE, schedule_delay_millis=_EVERY, max_export_batch_size=512
            )
        )
        self.tracer = self._provider.get_tracer("deployment_architect", our_version())

    def root(self, name: str, *, identity: SpanContext, start: int, links: Sequence[Link]) -> Span:
        """Begin a span without a parent that has the ids of ``identity``."""
        with self._ids.being(identity):
            return self.tracer.start_span(name, context=Context(), start_time=start, links=links)

    def tag(self, span: Span, tags: Mapping[str, str | int | float | bool]) -> None:
        """Set tags. Who tells of it is the resource's, which no tag can change."""
        span.set_attributes(dict(tags))

    def close(self) -> None:
        """Send what is left."""
        self._exporter.closing = True
        self._provider.shutdown()


class _Ids(RandomIdGenerator):
    """Random ids, but for a span that must have certain ones."""

    def __init__(self) -> None:
        self._wanted: ContextVar[SpanContext | None] = ContextVar("ids wanted", default=None)

    @contextlib.contextmanager
    def being(self, identity: SpanContext) -> Iterator[None]:
        """What begins within it has the ids of ``identity``."""
        token = self._wanted.set(identity)
        try:
            yield
        finally:
            self._wanted.reset(token)

    def generate_trace_id(self) -> int:
        wanted = self._wanted.get()
        return super().generate_trace_id() if wanted is None else wanted.trace_id

    def generate_span_id(self) -> int:
        wanted = self._wanted.get()
        return super().generate_span_id() if wanted is None else wanted.span_id


class _Patient(SpanExporter):
    """An exporter whose failures are said once, and which does not go on for long once it is to close."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        self._away = False
        self.closing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self.closing and self._away:
            return SpanExportResult.FAILURE
        result = self._inner.export(spans)
        away = result is not SpanExportResult.SUCCESS
        if away and not self._away:
            log.warning("the collector of spans takes none, so they are lost until it does; deployments go on")
        elif self._away and not away:
            log.info("the collector takes spans again")
        self._away = away
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._inner.force_flush(timeout_millis)
