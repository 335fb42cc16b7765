"""Replicas over one real store: each with a ledger of its own, and what it counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from bot.api.metrics import Metrics
from bot.domain.actor import BOT
from bot.engine.ledger import Ledger
from bot.engine.telemetry import Telemetry
from bot.store.overview import StoredOverview

if TYPE_CHECKING:
    from unit.engine.engine_world import World

    from bot.domain.deployment import Deployment
    from bot.domain.lifecycle import Phase
    from bot.ports.deployments import Deployments

MINUTE = timedelta(minutes=1)


@dataclass
class Replica:
    """One process. It begins at zero, whatever is in the store."""

    world: World
    over: Any = None
    """Stands between the ledger and the store, if something has to."""
    metrics: Metrics = field(default_factory=Metrics)
    telemetry: Telemetry = field(init=False)
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        store = self.world.store
        deployments: Deployments = self.over or store.deployments
        self.telemetry = Telemetry(
            instruments=self.metrics,
            displays=self.metrics,
            overview=StoredOverview(store.database),
            catalogs=self.world,
            now=lambda: self.world.time,
            fresh=0.0,
        )
        self.ledger = Ledger(deployments=self.telemetry.watching(deployments), now=lambda: self.world.time)

    async def takes(self, deployment: Deployment, *phases: Phase) -> Deployment:
        """Through these phases, one each minute of the world's clock; each act has the phase's name for its key."""
        for phase in phases:
            self.world.time += MINUTE
            deployment = await self.ledger.advance(deployment.id, phase, actor=BOT, key=f"{phase}")
        return deployment

    def get(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)

    def sum(self, name: str, **labels: str) -> float:
        """Of all series that have these labels among theirs."""
        return sum(
            sample.value
            for family in self.metrics.registry.collect()
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )
