"""The catalog's providers, built when they are first needed. Must not decide what is deployed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.domain.errors import ConfigurationError
from bot.domain.gate import Door
from integrations import registry
from integrations.clusters.shared import SharedClusters

if TYPE_CHECKING:
    from bot.domain.catalog import Catalog
    from bot.domain.ids import EnvironmentName, ServiceName
    from bot.ports.gates import Gates
    from bot.ports.images import Images
    from bot.ports.metrics import MetricSource
    from bot.ports.target import Target


@dataclass(kw_only=True)
class RegisteredProviders:
    """Builds the catalog's providers when they are first needed and keeps them while their options stay."""

    _targets: dict[str, Target] = field(default_factory=dict)
    _images: dict[str, Images] = field(default_factory=dict)
    _metrics: dict[str, MetricSource] = field(default_factory=dict)
    clusters: SharedClusters = field(default_factory=SharedClusters)
    gates: Gates | None = None
    """What platforms that ask the bot were allowed; without it such targets can only be looked at."""
    door: Door = field(default_factory=Door)

    def target(self, catalog: Catalog, service: ServiceName, environment: EnvironmentName) -> Target:
        """Where the service runs in that environment."""
        reference = catalog.service(service).targets[environment]
        cluster = self.clusters.of(catalog, reference)
        key = f"{service}@{environment} {reference} {cluster}"
        if key not in self._targets:
            kube = self.clusters.kube(cluster) if cluster else None
            self._targets[key] = registry.build_target(
                reference, service=service, environment=environment, kube=kube, gates=self.gates, door=self.door
            )
        return self._targets[key]

    def images(self, catalog: Catalog, service: ServiceName) -> Images:
        """Where the service's versions come from."""
        reference = catalog.service(service).images
        key = f"{service} {reference}"
        if key not in self._images:
            self._images[key] = registry.build_images(reference, service=service)
        return self._images[key]

    def metrics(self, catalog: Catalog, name: str) -> MetricSource:
        """The metric source that the catalog calls by that name."""
        reference = catalog.metrics.get(name)
        if reference is None:
            raise ConfigurationError(f"The configuration names no metric source {name!r}.")
        key = f"{name} {reference}"
        if key not in self._metrics:
            self._metrics[key] = registry.build_metrics(reference)
        return self._metrics[key]
