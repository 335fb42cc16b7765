"""One client for each cluster of a process, made when a target first needs it. Imports no client before that."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from bot.domain.errors import ConfigurationError
from integrations import registry

if TYPE_CHECKING:
    from bot.domain.catalog import Catalog, ProviderRef
    from integrations._shared.kube.api import Kube


class Cluster(NamedTuple):
    """A cluster as a catalog describes it."""

    name: str
    reference: ProviderRef


@dataclass(kw_only=True)
class SharedClusters:
    """The clients, by what the catalog calls their clusters and how they are reached.

    After a reload of the catalog, what has stayed the same keeps its client and its connections. The others are kept
    to the end of the process too, for deployments that have begun before: without anybody who asks, they hold none.
    """

    _clients: dict[str, Kube] = field(default_factory=dict, repr=False)

    def of(self, catalog: Catalog, target: ProviderRef) -> Cluster | None:
        """The cluster that a target runs on, None when it runs on none; raises `ConfigurationError`."""
        if not registry.TARGETS.is_clustered(target.kind):
            return None
        name = str(target.options.get("cluster"))
        if name not in catalog.clusters:
            raise ConfigurationError(f"The configuration describes no cluster {name!r}.")
        return Cluster(name, catalog.clusters[name])

    def kube(self, cluster: Cluster) -> Kube:
        """The client of a cluster; raises `ConfigurationError`."""
        key = f"{cluster.name} {cluster.reference}"
        if key not in self._clients:
            from integrations._shared.kube.api import Kube

            self._clients[key] = Kube(registry.build_cluster(cluster.reference, name=cluster.name))
        return self._clients[key]

    async def version(self, catalog: Catalog, name: str) -> str:
        """What the cluster that the catalog calls ``name`` says it is; raises `DeploymentArchitectError`."""
        answer = await self.kube(Cluster(name, catalog.clusters[name])).get("/version") or {}
        return str(answer.get("gitVersion") or "of an unknown version")[:60]

    async def close(self) -> None:
        """Close every connection."""
        while self._clients:
            _, client = self._clients.popitem()
            await client.close()
