"""Where Flagger is tested: the stand-in with its simulator, or a real cluster that has it and can reach this machine.

TEST_GATES is the address of this machine as the cluster sees it, TEST_FLAGGER_SPEC (JSON) what a Canary there must have
to split traffic, such as its provider: neither can be found out. Without them the tests are left out and say so.
"""

from __future__ import annotations

import asyncio
import json
import os
from abc import ABC, abstractmethod
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from bot.domain.ids import OperationId
from integrations._shared.kube.api import Kube
from integrations.flagger.observing import Pace
from integrations.flagger.target import FlaggerTarget, key_of

from . import flagger_world, real
from .flagger_world import CHECKOUT, OPTIONS, Served
from .hands import PATIENCE, FakeHands, Hands, RealHands
from .manifests import canary, deployment
from .rolling_places import pulled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bot.domain.gate import Gate, Hook
    from bot.domain.release import Release
    from bot.domain.rollout import Handle, Outcome, Progress
    from integrations.flagger.options import FlaggerOptions

    from .resources import Object

GATES = os.environ.get("TEST_GATES", "")
SPEC = os.environ.get("TEST_FLAGGER_SPEC", "")
INTERVAL = float(os.environ.get("TEST_FLAGGER_INTERVAL", "10"))
"""Seconds between two rounds of Flagger; it takes nothing below ten for an interval."""
_TAKEN_UP = 60.0
"""Seconds in which Flagger says that it has seen a Canary."""
_has_controller: dict[str, bool] = {}


class FlaggerPlace(ABC):
    """A namespace with the Canary checkout in it, v1 as its primary, the bot's gates, and the target that is tested."""

    bad = "v9-missing"

    def __init__(self, hands: Hands, kube: Kube, gates: Served, options: FlaggerOptions) -> None:
        self.hands, self.kube, self.served, self.options = hands, kube, gates, options
        self.v1, self.v2, self.v3 = self.release("v1"), self.release("v2"), self.release("v3")

    def release(self, version: str) -> Release:
        return flagger_world.release(version)

    @abstractmethod
    def pace(self, **given: Any) -> Pace: ...

    def target(self, **pace: Any) -> FlaggerTarget:
        """As a process that has just begun has it."""
        gates, door = self.served.gates, self.served.door
        target = FlaggerTarget(options=self.options, service=CHECKOUT, kube=self.kube, gates=gates, door=door)
        target.pace = self.pace(**pace)
        return target

    async def seen(self, target: FlaggerTarget, handle: Handle) -> tuple[list[Progress], Outcome]:
        """All that is told on the way, and the end."""
        return await flagger_world.seen(target, handle, 3 * PATIENCE)

    async def step(self, percent: int, *, turn: int = 1) -> Outcome:
        target, operation = self.target(), OperationId(f"d1-weight{percent}-{turn}")
        handle = await target.set_weight(release=self.v2, percent=percent, operation=operation)
        return (await self.seen(target, handle))[1]

    async def promote(self) -> Outcome:
        target = self.target()
        handle = await target.promote(release=self.v2, operation=OperationId("d1-promote-9"))
        return (await self.seen(target, handle))[1]

    async def image(self, name: str = "checkout") -> str:
        found = await self.hands.get("deployments", name)
        return str(found["spec"]["template"]["spec"]["containers"][0]["image"])

    async def template(self) -> Object:
        return dict((await self.hands.get("deployments", "checkout"))["spec"]["template"])

    async def canary(self) -> Object:
        return await self.hands.get("canaries", "checkout")

    async def phase(self) -> str:
        return str(((await self.canary()).get("status") or {}).get("phase", ""))

    async def becomes(self, phase: str) -> None:
        async def there() -> bool:
            return await self.phase() == phase

        await self.hands.until(there)

    @abstractmethod
    async def weight(self) -> int:
        """What really goes to the canary, as far as anybody tells."""

    @property
    @abstractmethod
    def ticks(self) -> list[int]:
        """The weights that there were, in order."""

    async def mark(self) -> int:
        """How many of them there are, all that was told included."""
        return len(self.ticks)

    def times(self, weight: int) -> int:
        """How often it has become ``weight``."""
        return [each for each, _ in groupby(self.ticks)].count(weight)

    @abstractmethod
    async def rounds(self, number: int) -> None:
        """Let Flagger come round so many times more."""

    async def set_canary(self, manager: str = "kubectl-edit", **spec: Any) -> None:
        await self.hands.change("canaries", "checkout", {"spec": spec}, manager=manager)

    async def gate(self) -> Gate:
        return await self.served.gates.get(key_of(self.options))

    def asked(self, hook: Hook) -> list[bool]:
        """The answers that Flagger got, where it tells."""
        return []


class FakeFlagger(FlaggerPlace):
    """On the stand-in. ``world`` has its inner handles, for tests of nothing else."""

    def __init__(self, world: flagger_world.World) -> None:
        gates = Served(world.database, world.gates, world.door, world.http)
        super().__init__(FakeHands(world.server), world.kube, gates, OPTIONS)
        self.world = world

    def pace(self, **given: Any) -> Pace:
        return Pace(**{"beat": 0.05, "pickup": 5.0, "linger": 0.3, "look_after": 0.3, **given})

    async def weight(self) -> int:
        return self.world.weight

    @property
    def ticks(self) -> list[int]:
        return self.world.flagger.rounds

    async def rounds(self, number: int) -> None:
        await self.world.rounds(number)

    def asked(self, hook: Hook) -> list[bool]:
        return self.world.asked(hook)


class RealFlagger(FlaggerPlace):
    """On a cluster with Flagger."""

    def __init__(self, hands: RealHands, gates: Served, *, kubelets: bool) -> None:
        self.kubelets = kubelets
        if kubelets:
            self.bad = "v1.5-missing"
        options = OPTIONS.model_copy(update={"namespace": hands.namespace})
        super().__init__(hands, Kube(real.access()), gates, options)
        self._ticks: list[int] = []

    def release(self, version: str) -> Release:
        return pulled({"v1": "v1.0", "v3": "v1.2"}.get(version, version)) if self.kubelets else super().release(version)

    def pace(self, **given: Any) -> Pace:
        quick = {"beat": min(5.0, INTERVAL / 4), "look_after": min(10.0, INTERVAL)}
        patience = {} if INTERVAL >= 10 else {"pickup": 60.0, "linger": 4 * INTERVAL}
        return Pace(**{**quick, **patience, **given})

    async def weight(self) -> int:
        return int(((await self.canary()).get("status") or {}).get("canaryWeight") or 0)

    @property
    def ticks(self) -> list[int]:
        return self._ticks

    async def mark(self) -> int:
        async def seen() -> bool:
            return self._ticks[-1:] == [await self.weight()]

        await self.hands.until(seen)
        return len(self._ticks)

    async def rounds(self, number: int) -> None:
        await asyncio.sleep(number * INTERVAL)  # what is waited for is that nothing happens meanwhile
        self._ticks.append(await self.weight())

    async def watch(self) -> None:
        """Write the weights down as they are told, for ever."""
        assert isinstance(self.hands, RealHands)
        follow = self.kube.follow(self.hands.path("canaries"), field="metadata.name=checkout")
        async with aclosing(follow) as states:
            async for state in states:
                if "checkout" in state:
                    self._ticks.append(int((state["checkout"].get("status") or {}).get("canaryWeight") or 0))

    async def begin(self) -> None:
        images = {"web": self.v1.artifact.location, "side": self.v1.artifact.location}
        one = deployment("checkout", images, progressDeadlineSeconds=600)
        real.fitted(one["spec"]["template"]["spec"], kubelets=self.kubelets)
        await self.hands.make("deployments", one)
        hooks = flagger_world.webhooks(self.served.door, key=key_of(self.options))
        wanted = canary("checkout", webhooks=hooks, interval=f"{INTERVAL:g}s", threshold=2, stepWeights=[20, 40, 60])
        wanted["spec"] |= json.loads(SPEC)
        await self.hands.make("canaries", wanted)
        if real.CONFIG not in _has_controller:
            _has_controller[real.CONFIG] = await self._is_taken_up()
        if not _has_controller[real.CONFIG]:
            pytest.skip("the cluster has no Flagger controller")
        await self.becomes("Initialized")

    async def _is_taken_up(self) -> bool:
        try:
            async with asyncio.timeout(_TAKEN_UP):
                await self.hands.until(self.phase)
        except TimeoutError:
            return False
        return True


@asynccontextmanager
async def place(where: str, folder: Path) -> AsyncIterator[FlaggerPlace]:
    if where == "fake":
        async with flagger_world.world(folder) as world:
            yield FakeFlagger(world)
        return
    if not GATES or not SPEC:
        pytest.skip("TEST_GATES and TEST_FLAGGER_SPEC do not say how Flagger reaches this machine and splits traffic")
    async with AsyncExitStack() as stack:
        hands, kubelets = await stack.enter_async_context(real.namespace())
        if not await hands.knows("canaries"):
            pytest.skip("the cluster has no Flagger")
        host = "127.0.0.1" if urlsplit(GATES).hostname in ("127.0.0.1", "localhost") else "0.0.0.0"
        gates = await stack.enter_async_context(flagger_world.served(folder, host=host, url=GATES))
        here = RealFlagger(hands, gates, kubelets=kubelets)
        stack.push_async_callback(here.kube.close)
        await here.begin()
        watching = asyncio.create_task(here.watch())
        stack.push_async_callback(_end, watching)
        yield here


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
