"""What a test does in a cluster beside the bot, in the same words for the stand-in and for a real API server.

`FakeHands` writes past HTTP, so that the stand-in's log holds only what the bot asked; `RealHands` has a connection of
its own and a field manager for everybody that it plays. Neither knows what the objects are for.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from bot.domain.errors import ProviderTimeout, ProviderUnavailable
from integrations._shared.kube.errors import Conflict, NotFound
from integrations._shared.kube.names import path_to
from integrations._shared.kube.transport import Transport

from .resources import BY_PLURAL

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from integrations._shared.kube.access import ClusterAccess

    from .resources import Object
    from .server import KubeServer

PATIENCE = 240.0
"""Seconds that anything on a real cluster may take: nodes pull images, and control planes are busy."""


class Hands(ABC):
    """Everything in one namespace. Kinds are called by their plurals."""

    namespace: str
    patience: float

    @abstractmethod
    async def make(self, kind: str, wanted: Mapping[str, Any]) -> Object:
        """As it was made."""

    @abstractmethod
    async def find(self, kind: str, name: str) -> Object | None:
        """As it is now; None where there is none."""

    @abstractmethod
    async def all(self, kind: str) -> list[Object]:
        """All of a kind."""

    @abstractmethod
    async def change(
        self, kind: str, name: str, patch: Mapping[str, Any] | Callable[[Object], Object], *,
        manager: str = "kubectl-edit", status: bool = False,
    ) -> Object:  # fmt: skip
        """Write as ``manager``: a merge patch, or the whole object that a function makes of what is there."""

    @abstractmethod
    async def delete(self, kind: str, name: str) -> None:
        """Have it deleted, and its dependents after it. It may take a while."""

    @abstractmethod
    async def until(self, holds: Callable[[], Awaitable[object]]) -> None:
        """Wait for something to be so. Raises TimeoutError."""

    async def get(self, kind: str, name: str) -> Object:
        """Raises KeyError where there is none."""
        found = await self.find(kind, name)
        if found is None:
            raise KeyError(f"{kind} {self.namespace}/{name}")
        return found

    async def gone(self, kind: str, name: str) -> None:
        """Delete it and wait until it is away."""
        await self.delete(kind, name)

        async def away() -> bool:
            return await self.find(kind, name) is None

        await self.until(away)


class FakeHands(Hands):
    """On the stand-in in this process."""

    def __init__(self, server: KubeServer, namespace: str = "shop", *, patience: float = 20.0) -> None:
        self.server, self.namespace, self.patience = server, namespace, patience

    async def make(self, kind: str, wanted: Mapping[str, Any]) -> Object:
        return self.server.add(kind, self.namespace, wanted)

    async def find(self, kind: str, name: str) -> Object | None:
        return self.server.find(kind, self.namespace, name)

    async def all(self, kind: str) -> list[Object]:
        return self.server.all(kind, self.namespace)

    async def change(
        self, kind: str, name: str, patch: Mapping[str, Any] | Callable[[Object], Object], *,
        manager: str = "kubectl-edit", status: bool = False,
    ) -> Object:  # fmt: skip
        return self.server.change(kind, self.namespace, name, patch, manager=manager, status=status)

    async def delete(self, kind: str, name: str) -> None:
        self.server.delete(kind, self.namespace, name)

    async def until(self, holds: Callable[[], Awaitable[object]]) -> None:
        store = self.server.store
        async with asyncio.timeout(self.patience):
            while True:
                seen = len(store.changes)
                if await holds():
                    return
                await store.news(seen)


class RealHands(Hands):
    """On any API server, over the wire."""

    def __init__(self, access: ClusterAccess, namespace: str) -> None:
        self.namespace, self.patience = namespace, PATIENCE
        self._transport = Transport(access, timeout=30.0)

    def path(self, kind: str, name: str = "", subresource: str = "") -> str:
        resource = BY_PLURAL[kind]
        space = self.namespace if resource.namespaced else None
        return path_to(resource.api_version, kind, namespace=space, name=name, subresource=subresource)

    async def make(self, kind: str, wanted: Mapping[str, Any]) -> Object:
        resource = BY_PLURAL[kind]
        body = {"apiVersion": resource.api_version, "kind": resource.kind, **wanted}
        query = {"fieldManager": "kubectl-create"}
        return (await self._transport.send("POST", self.path(kind), query=query, body=body)).json()

    async def find(self, kind: str, name: str) -> Object | None:
        try:
            return (await self._transport.send("GET", self.path(kind, name))).json()
        except NotFound:
            return None

    async def all(self, kind: str) -> list[Object]:
        found = (await self._transport.send("GET", self.path(kind))).json()
        return list(found.get("items") or [])

    async def change(
        self, kind: str, name: str, patch: Mapping[str, Any] | Callable[[Object], Object], *,
        manager: str = "kubectl-edit", status: bool = False,
    ) -> Object:  # fmt: skip
        path, query = self.path(kind, name, "status" if status else ""), {"fieldManager": manager}
        if not callable(patch):
            media = "application/merge-patch+json"
            return (await self._transport.send("PATCH", path, query=query, body=patch, kind=media)).json()
        while True:  # controllers write there too
            with suppress(Conflict):
                wanted = patch(await self.get(kind, name))
                return (await self._transport.send("PUT", path, query=query, body=wanted)).json()

    async def delete(self, kind: str, name: str, *, uid: str | None = None) -> None:
        body: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        with suppress(NotFound):
            await self._transport.send("DELETE", self.path(kind, name), body=body)

    async def until(self, holds: Callable[[], Awaitable[object]]) -> None:
        async with asyncio.timeout(self.patience):
            while True:
                with suppress(ProviderUnavailable, ProviderTimeout):
                    if await holds():
                        return
                await asyncio.sleep(0.2)

    async def knows(self, kind: str) -> bool:
        """Whether the server has such objects."""
        try:
            await self.all(kind)
        except NotFound:
            return False
        return True

    async def close(self) -> None:
        await self._transport.close()
