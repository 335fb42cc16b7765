"""How a client reaches the fake: the `ClusterAccess` that the product's own clusters also build, with fixed answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from integrations._shared.kube.access import Access

    from .server import KubeServer


@dataclass
class StaticAccess:
    """Always the same token; counts how often a fresh one was asked for."""

    server: KubeServer
    token: str
    name: str = "main"
    refreshed: int = 0

    async def access(self, *, fresh: bool = False) -> Access:
        from integrations._shared.kube.access import Access

        self.refreshed += fresh
        authority = self.server.authority
        return Access(server=self.server.url, ca=authority.pem if authority else None, token=self.token, expires=None)
