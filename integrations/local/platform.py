"""A look at everything that one root folder runs, for the demo, its pages and tests. Not used by deployments."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from integrations.local.client import AgentClient, NotThere
from integrations.local.files import Root

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from integrations.local.wire import JournalEntry, PlaceStatus, VersionStats


class LocalPlatform:
    """A client of the agent of ``root``. Every method but `stop_all` starts the agent when it does not run.

    All methods raise `ProviderError`.
    """

    def __init__(self, root: Path) -> None:
        self._root = Root(root)
        self._client = AgentClient(root)

    async def places(self) -> Sequence[PlaceStatus]:
        """Every service in every environment that was ever deployed."""
        return cast("list[PlaceStatus]", await self._client.get("/places"))

    async def status(self, service: str, environment: str) -> PlaceStatus | None:
        """What runs of ``service`` in ``environment``; None when nothing was ever deployed there."""
        try:
            return cast("PlaceStatus", await self._client.get(f"/places/{service}/{environment}"))
        except NotThere:
            return None

    async def address(self, service: str, environment: str) -> str | None:
        """The proxy, ``http://127.0.0.1:PORT``, the same for good; None when nothing was ever deployed."""
        status = await self.status(service, environment)
        return status["address"] if status is not None else None

    async def stats(self, service: str, environment: str) -> Mapping[str, VersionStats]:
        """Requests, errors and latency by version since the agent started."""
        try:
            answer = await self._client.get(f"/places/{service}/{environment}/stats")
        except NotThere:
            return {}
        return cast("dict[str, VersionStats]", answer)

    async def journal(self, service: str, environment: str) -> Sequence[JournalEntry]:
        """The operations that were applied, each once, oldest first."""
        try:
            answer = await self._client.get(f"/places/{service}/{environment}/journal")
        except NotThere:
            return []
        return cast("list[JournalEntry]", answer)

    async def stop_all(self) -> None:
        """Stop every instance, every proxy and the agent. What ran comes back when the agent is next started."""
        if self._client.running() is None and not self._root.places.is_dir():
            return
        # Without a running agent there may still be instances, which only an agent can find.
        agent = await self._client.ensure()
        await self._client.post("/stop", {}, timeout=60.0)
        await self._client.gone(agent, timeout=10.0)

    async def start(self, *, faults: bool = False) -> None:
        """Start the agent unless it runs; with ``faults`` it makes trouble on request."""
        await self._client.ensure(faults=faults)

    async def faults(
        self, *, before: float = 0.0, after: float = 0.0, fail: int = 0, drop: int = 0, read: float = 0.0
    ) -> None:
        """Trouble from now on, for an agent that was started to make it: delay mutations, fail or drop the next few,
        be late with what the proxies count. See `wire.Faults`.
        """
        trouble = {"before": before, "after": after, "fail": fail, "drop": drop, "read": read}
        await self._client.post("/test/delay", trouble)
