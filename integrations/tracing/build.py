"""Chooses where spans go. Imports only what the choice needs, and says what to install where that is missing."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from bot.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from bot.ports.tracing import Traces

_NEEDS = {
    "otlp": ("tracing", ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")),
    "datadog": ("ddtrace", ("ddtrace", "opentelemetry")),
}


def build_traces(kind: str, *, replica: str) -> Traces | None:
    """Where spans go: ``otlp``, ``datadog`` or ``off``, nowhere.

    Raises `ConfigurationError` when packages that it needs are missing.
    """
    if kind == "off":
        return None
    extra, modules = _NEEDS[kind]
    for module in modules:
        if not _is_there(module):
            raise ConfigurationError(
                f"TRACING={kind} needs the package {module!r}, which is not installed; "
                f"install it: pip install 'deployment-architect[{extra}]'"
            )
    from integrations.tracing.spans import OpenTelemetryTraces

    if kind == "datadog":
        from integrations.tracing.datadog import Datadog

        return OpenTelemetryTraces(Datadog(replica=replica))
    from integrations.tracing.otlp import Otlp

    return OpenTelemetryTraces(Otlp(replica=replica))


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
