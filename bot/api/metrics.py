"""The bot's own metrics as Prometheus reads them. Names, labels and buckets are here and nowhere else.

Must not have a label whose values people can make up: no user, no version, no deployment.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from bot.domain.lifecycle import ACTIVE, FINAL, Phase
from bot.ports.telemetry import Change, Wait

if TYPE_CHECKING:
    from collections.abc import Collection

    from bot.domain.ids import EnvironmentName, ServiceName
    from bot.ports.telemetry import Kind, Standing

STATUSES = tuple(sorted(FINAL - {Phase.ROLLING_BACK, Phase.ROLLED_BACK}))
"""How a deployment's own work can end. Being taken back later is not of it."""
PHASES = tuple(sorted(ACTIVE))
_DURATION = (1, 5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600)
_WAIT = (1, 5, 15, 60, 300, 900, 1800, 3600, 14400, 43200, 86400)
_REACTION = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_LAG = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


@dataclass(kw_only=True)
class Metrics:
    """`bot.ports.telemetry.Instruments` and `Displays` of one process. They begin at zero with it."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    _known: set[Kind] = field(default_factory=set)
    _counted: set[Kind] = field(default_factory=set)
    """Those that have counted something, which must not vanish before the process does."""
    _shown: set[EnvironmentName] = field(default_factory=set)
    _changing: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        # As many series again for which nobody has a question: what counts from zero needs no date of birth.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the one function of the client without types
        registry, place, where = self.registry, ["service", "environment"], ["environment"]
        self._ended = Counter(
            "deployments_total",
            "Deployments whose own work ended, rollbacks among them, by how it ended.",
            [*place, "strategy", "status"],
            registry=registry,
        )
        self._duration = Histogram(
            "deployment_duration_seconds",
            "From when the lock was taken for a change until the deployment's own work ended.",
            place,
            buckets=_DURATION,
            registry=registry,
        )
        self._changes = Counter(
            "deployment_changes_total",
            "What became of changes, as the change failure rate counts them: no rollbacks, nothing that was stopped.",
            [*place, "outcome"],
            registry=registry,
        )
        self._active = Gauge(
            "active_deployments",
            "Deployments whose work is not over, waiting ones among them. The same on every replica.",
            where,
            registry=registry,
        )
        self._phases = Gauge(
            "deployments_in_phase", "The active deployments by phase.", [*where, "phase"], registry=registry
        )
        self._oldest = Gauge(
            "deployments_in_phase_oldest_seconds",
            "For how long the one has been in its phase that has been in it for longest; 0 without any.",
            [*where, "phase"],
            registry=registry,
        )
        self._waits = {
            Wait.QUEUE: Histogram(
                "deployment_queue_wait_seconds", "In the queue, each time.", where, buckets=_WAIT, registry=registry
            ),
            Wait.APPROVAL: Histogram(
                "deployment_approval_wait_seconds",
                "Waiting for people to approve, each time.",
                where,
                buckets=_WAIT,
                registry=registry,
            ),
            Wait.LOCK: Histogram(
                "deployment_lock_hold_seconds",
                "For how long the lock was held, each time.",
                where,
                buckets=_WAIT,
                registry=registry,
            ),
            Wait.ROLLBACK: Histogram(
                "rollback_reaction_seconds",
                "From a person's word until the target had taken the first change on the way back.",
                where,
                buckets=_REACTION,
                registry=registry,
            ),
        }
        self._publisher = Gauge(
            "slack_publisher_lag_seconds",
            "For how long Slack has not shown the oldest change that it does not show; 0 when it shows all.",
            registry=registry,
        )
        self._replicas = Gauge("replicas_alive", "Replicas whose heart beats, in the database.", registry=registry)
        self._read = Gauge(
            "database_read_timestamp_seconds",
            "When this replica last read how things stand; the gauges of deployments are of then.",
            registry=registry,
        )
        self._lag = Histogram(
            "event_loop_lag_seconds",
            "How much later than asked the event loop came, looked at twice a second.",
            buckets=_LAG,
            registry=registry,
        )
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)

    def know(self, kinds: Collection[Kind], *, only: bool = False) -> None:
        """See `Instruments`."""
        if not only and all(kind in self._known for kind in kinds):
            return
        with self._changing:
            wanted = set(kinds)
            for kind in wanted - self._known:
                self._begin(kind)
            self._known |= wanted
            if only:
                kept = wanted | self._counted
                self._forget(self._known - kept, kept)
                self._known &= kept

    def ended(self, kind: Kind, status: Phase, *, seconds: float | None) -> None:
        """See `Instruments`."""
        self._counted.add(kind)
        self._ended.labels(*kind, status.value).inc()
        if seconds is not None:
            self._duration.labels(kind.service, kind.environment).observe(seconds)

    def decided(self, service: ServiceName, environment: EnvironmentName, change: Change) -> None:
        """See `Instruments`."""
        self._changes.labels(service, environment, change.value).inc()

    def waited(self, what: Wait, environment: EnvironmentName, *, seconds: float) -> None:
        """See `Instruments`."""
        self._waits[what].labels(environment).observe(seconds)

    def stands(self, standing: Standing) -> None:
        """See `Displays`. Sets every number, the zeros too: nothing is left of what was before."""
        known = {kind.environment for kind in self._known}
        active = dict.fromkeys(known | {environment for environment, _ in standing.crowds}, 0)
        for environment in active:
            for phase in PHASES:
                crowd = standing.crowds.get((environment, phase))
                active[environment] += crowd.count if crowd else 0
                self._phases.labels(environment, phase.value).set(crowd.count if crowd else 0)
                age = (standing.at - crowd.since).total_seconds() if crowd else 0.0
                self._oldest.labels(environment, phase.value).set(max(0.0, age))
            self._active.labels(environment).set(active[environment])
        for environment in self._shown - active.keys():
            self._active.remove(environment)
            for phase in PHASES:
                self._phases.remove(environment, phase.value)
                self._oldest.remove(environment, phase.value)
        self._shown = set(active)
        lag = (standing.at - standing.untold_since).total_seconds() if standing.untold_since else 0.0
        self._publisher.set(max(0.0, lag))
        self._replicas.set(standing.replicas)
        self._read.set(standing.at.timestamp())

    def lagged(self, seconds: float) -> None:
        """See `Displays`."""
        self._lag.observe(seconds)

    def _begin(self, kind: Kind) -> None:
        for status in STATUSES:
            self._ended.labels(*kind, status.value)
        self._duration.labels(kind.service, kind.environment)
        for change in Change:
            self._changes.labels(kind.service, kind.environment, change.value)
        for waits in self._waits.values():
            waits.labels(kind.environment)

    def _forget(self, gone: Collection[Kind], kept: Collection[Kind]) -> None:
        for kind in gone:
            for status in STATUSES:
                self._ended.remove(*kind, status.value)
        for place in {kind[:2] for kind in gone} - {kind[:2] for kind in kept}:
            self._duration.remove(*place)
            for change in Change:
                self._changes.remove(*place, change.value)
        for environment in {kind.environment for kind in gone} - {kind.environment for kind in kept}:
            for waits in self._waits.values():
                waits.remove(environment)
