"""Spans to Datadog's agent, by ddtrace's own OpenTelemetry provider. Where it is, `DD_TRACE_AGENT_URL` says.

ddtrace is a whole agent of many products; all that is wanted here is its tracer. Nothing is patched, and what it would
do besides (its own telemetry, remote configuration, signal handlers, a log handler) stays off unless it was asked for.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from integrations.tracing.spans import SERVICE, our_version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.trace import Link, Span

_OFF = {
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    "DD_REMOTE_CONFIGURATION_ENABLED": "false",
    "DD_CRASHTRACKING_ENABLED": "false",
    "DD_TRACE_STARTUP_LOGS": "false",
    "DD_TRACE_LOG_STREAM_HANDLER": "false",
}
_FLUSH = 1.0
"""Seconds for which closing waits for the agent."""


class Datadog:
    """ddtrace's provider, and the few things that Datadog has and OpenTelemetry has not."""

    def __init__(self, *, replica: str) -> None:
        for name, value in {**_OFF, "DD_SERVICE": SERVICE, "DD_VERSION": our_version()}.items():
            os.environ.setdefault(name, value)
        # Not in the main thread: there ddtrace puts handlers of its own in place of those for SIGTERM and SIGINT.
        importing = threading.Thread(target=_import, name="importing ddtrace")
        importing.start()
        importing.join()
        from ddtrace import config
        from ddtrace.opentelemetry import TracerProvider

        self._service = config.service or SERVICE
        self._version = config.version
        self._replica = replica
        self.tracer = TracerProvider().get_tracer("deployment_architect", our_version())

    def root(self, name: str, *, identity: SpanContext, start: int, links: Sequence[Link]) -> Span:
        """Begin a span without a parent that has the ids of ``identity``."""
        # A parent without an id of its own gives the trace, and leaves the span the first of it.
        above = SpanContext(identity.trace_id, 0, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
        context = set_span_in_context(NonRecordingSpan(above), Context())
        span = self.tracer.start_span(name, context=context, start_time=start, links=links)
        _inner(span).span_id = identity.span_id
        return span

    def tag(self, span: Span, tags: Mapping[str, str | int | float | bool]) -> None:
        """Set tags. To ddtrace ``service.name`` and ``service.version`` are who tells of it, which must stay us."""
        inner = _inner(span)
        for name, value in tags.items():
            if name in {"service.name", "service.version"}:
                inner.set_tag(name, str(value))
            else:
                span.set_attribute(name, value)
        inner.service = self._service
        if self._version:
            inner.set_tag("version", self._version)
        inner.set_tag("replica", self._replica)
        # What ddtrace groups by, together with the name; without it that would be the kind of the span.
        inner.set_tag("operation.name", "deploy" if inner.parent_id in {None, 0} else "deploy.step")

    def close(self) -> None:
        """Send what is left."""
        from ddtrace.trace import tracer

        tracer.shutdown(timeout=_FLUSH)
        # An agent that takes a connection and says nothing keeps ddtrace's sender for 20 s, and ddtrace the process.
        with contextlib.suppress(Exception):  # of another version of ddtrace: then it takes that long to end
            atexit.unregister(import_module("ddtrace.internal._threads")._at_exit)  # noqa: SLF001 - no public way
            runtime = import_module("ddtrace.internal.native_runtime").get_native_runtime()
            import_module("ddtrace.internal.atexit").unregister(runtime._atexit)  # noqa: SLF001 - no public way


def _import() -> None:
    import ddtrace.opentelemetry  # noqa: F401 - for what importing it does


def _inner(span: Span) -> Any:
    """ddtrace's own span under the one of OpenTelemetry, which cannot say everything."""
    return span._ddspan  # type: ignore[attr-defined]  # noqa: SLF001 - there is no public way to it
