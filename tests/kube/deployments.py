"""What rolls Deployments in a test: the Deployment and ReplicaSet controllers and the kubelets, together.

Either step by step (`round`, `settle`, or each of them by itself) with a clock that only `advance` moves, or by
itself at a pace: ``async with DeploymentController(server, pace=0.02):``. What images do is told by words in their
names: "missing" (ImagePullBackOff), "crash" (CrashLoopBackOff with logs), "huge" (Unschedulable), "unready" (its
probe fails), "noconfig" (CreateContainerConfigError); or by `behaves`, for references that are digests.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from .clock import Clock
from .kubelet import Kubelet
from .replicasets import ReplicaSets
from .rolling import Deployments

if TYPE_CHECKING:
    from .server import KubeServer


class DeploymentController:
    """``pace``: seconds between two rounds. ``second``: how long a simulated one lasts; None: only by `advance`."""

    def __init__(self, server: KubeServer, *, pace: float = 0.02, second: float | None = None) -> None:
        self.server, self.pace = server, pace
        self.clock = Clock(second)
        server.registry.now = self.clock.now
        self.deployments = Deployments(server, self.clock)
        self.replicasets = ReplicaSets(server, self.clock)
        self.kubelet = Kubelet(server, self.clock).setup()
        self._running: asyncio.Task[None] | None = None

    def behaves(self, image: str, how: str) -> None:
        """Images whose reference holds ``image`` are "missing", "crash", "huge", "unready", "noconfig" or "well"."""
        self.kubelet.behaves(image, how)
        self.server.store.wake()

    def round(self) -> bool:
        """Everybody once; whether anything was written."""
        return any([self.deployments.tick(), self.replicasets.tick(), self.kubelet.tick()])

    def settle(self, rounds: int = 200) -> None:
        """Rounds until nothing is left to do."""
        for _ in range(rounds):
            if not self.round():
                return
        raise AssertionError(f"still not settled after {rounds} rounds")

    def advance(self, seconds: float) -> None:
        """Let time pass; what is due by then is done in the next round."""
        self.clock.advance(seconds)
        self._moved = True
        self.server.store.wake()

    _moved = False

    def start(self) -> None:
        """Go on by itself, at the pace."""
        if self._running is None:
            self._running = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stand still; `start` goes on."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
            self._running = None

    async def _run(self) -> None:
        store = self.server.store
        while True:
            seen = len(store.changes)
            if self.round():
                await asyncio.sleep(self.pace)
                continue
            wait = max(self.clock.second, self.pace) if self.clock.second else None
            await store.news(seen, wait, self._is_moved)
            self._moved = False

    def _is_moved(self) -> bool:
        return self._moved

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
