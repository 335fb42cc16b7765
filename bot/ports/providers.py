"""How the engine comes by the target and the images of a service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from bot.domain.catalog import Catalog
    from bot.domain.ids import EnvironmentName, ServiceName
    from bot.ports.images import Images
    from bot.ports.metrics import MetricSource
    from bot.ports.target import Target


class Providers(Protocol):
    """Builds providers when they are first needed and keeps them. Raises `ConfigurationError` for unknown kinds."""

    def target(self, catalog: Catalog, service: ServiceName, environment: EnvironmentName) -> Target:
        """Where the service runs in that environment."""

    def images(self, catalog: Catalog, service: ServiceName) -> Images:
        """Where the service's versions come from."""

    def metrics(self, catalog: Catalog, name: str) -> MetricSource:
        """The metric source that the catalog calls by that name."""


class CatalogSource(Protocol):
    """The configuration, now and as it was."""

    def current(self) -> Catalog:
        """The last good configuration."""

    async def at(self, revision: str) -> Catalog:
        """The configuration of that revision; raises `ConfigurationError` if it is gone."""
