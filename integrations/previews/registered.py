"""The types of previews that there are, and those that a catalog describes. Imports no client before one is needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from bot.domain.errors import ConfigurationError
from integrations.clusters.shared import Cluster
from integrations.registry import Entry, Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bot.domain.catalog import Catalog, ProviderRef
    from bot.domain.ids import ServiceName
    from bot.ports.previews import Previews
    from integrations.clusters.shared import SharedClusters

PREVIEWS: Registry[Previews] = Registry(
    "preview",
    MappingProxyType(
        {
            "kubernetes": Entry(
                options="integrations.previews.options:PreviewsOptions",
                factory="integrations.previews.previews:build",
                extra="kubernetes",
                needs=("kubernetes",),
                uses_cluster=True,
            ),
        }
    ),
)


@dataclass(kw_only=True)
class SharedPreviews:
    """A `PreviewSource`: each kind of previews once in a process, on the clients that targets use too."""

    clusters: SharedClusters
    _built: dict[str, Previews] = field(default_factory=dict, repr=False)

    def of(self, catalog: Catalog, service: ServiceName) -> Previews | None:
        """The previews that a service has a part in; None when it has none. Raises `ConfigurationError`."""
        for name, reference in catalog.previews.items():
            services = reference.options.get("services")
            if isinstance(services, dict) and service in services:
                return self._one(catalog, name, reference)
        return None

    def every(self, catalog: Catalog) -> Sequence[Previews]:
        """All that the configuration describes, each once. Raises `ConfigurationError`."""
        return [self._one(catalog, name, reference) for name, reference in catalog.previews.items()]

    def _one(self, catalog: Catalog, name: str, reference: ProviderRef) -> Previews:
        if not PREVIEWS.is_clustered(reference.kind):
            return self._kept(f"{name} {reference}", lambda: PREVIEWS.build(reference))
        called = str(reference.options.get("cluster"))
        if called not in catalog.clusters:
            raise ConfigurationError(f"The configuration describes no cluster {called!r}.")
        cluster = Cluster(called, catalog.clusters[called])
        return self._kept(
            f"{name} {reference} {cluster}", lambda: PREVIEWS.build(reference, kube=self.clusters.kube(cluster))
        )

    def _kept(self, key: str, build: Callable[[], Previews]) -> Previews:
        if key not in self._built:
            self._built[key] = build()
        return self._built[key]
