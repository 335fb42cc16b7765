"""Spans of deployments, spoken in the OpenTelemetry API, to an OpenTelemetry collector or to Datadog's agent.

Nothing of theirs is imported before `build.build_traces` is called, no library is patched, and no global tracer is set.
"""

from __future__ import annotations
