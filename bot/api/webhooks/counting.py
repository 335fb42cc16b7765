"""Counts alerts for whoever reads the metrics. No label has a value that comes from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter

from bot.domain.alert import AlertOutcome, AlertSource

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class AlertCounts:
    """`bot.ports.alerts.Counts` as a metric."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._counter = Counter(
            "alerts_received_total",
            "What others told of alerts, by what became of it.",
            ["source", "outcome"],
            registry=registry,
        )
        for source in AlertSource:
            for outcome in AlertOutcome:
                self._counter.labels(source.value, outcome.value)

    def counted(self, source: AlertSource, outcome: AlertOutcome, number: int = 1) -> None:
        """So many more."""
        self._counter.labels(source.value, outcome.value).inc(number)
