"""A cluster with Flagger at work, the bot's real gate server before a real database, and the target that is tested."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from bot.api.app import build_api
from bot.api.hooks.flagger import FlaggerHooks
from bot.api.server import HttpServer, bind
from bot.domain.gate import Door, Hook
from bot.domain.ids import OperationId, ServiceName
from bot.domain.release import Artifact, Release
from bot.domain.rollout import Outcome, Progress
from bot.store.engine import Database
from bot.store.gates import StoredGates
from bot.store.migrations import migrate
from integrations._shared.kube.api import Kube
from integrations.flagger.hooks import ASKED
from integrations.flagger.observing import Pace
from integrations.flagger.options import FlaggerOptions
from integrations.flagger.target import FlaggerTarget, key_of
from kube.deployments import DeploymentController
from kube.flagger import FlaggerController
from kube.manifests import canary, deployment
from kube.server import KubeServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from bot.domain.gate import Gate
    from bot.domain.rollout import Handle

CHECKOUT = ServiceName("checkout")
REPOSITORY = "ghcr.io/acme/checkout"
SECRET = "a-secret-of-some-length"
OPTIONS = FlaggerOptions(cluster="main", namespace="shop", canary="checkout", container="web")
KEY = key_of(OPTIONS)
EVERY = (*ASKED, Hook.EVENT)


def release(version: str) -> Release:
    """A version as an image: the word in it says how its pods fare."""
    digest = f"sha256:{sha256(version.encode()).hexdigest()}"
    return Release(
        service=CHECKOUT,
        version=version,
        artifact=Artifact(digest=digest, location=f"{REPOSITORY}-{version.partition('-')[2] or 'well'}@{digest}"),
    )


V1, V2, V3 = release("v1"), release("v2"), release("v3")


class Counting(FlaggerController):
    """Flagger that writes down the real weight whenever it came round, and whose promotions can be spoilt."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.rounds: list[int] = []
        self.spoil: Callable[[], None] = lambda: None
        """Called when the primary gets the new template."""

    async def tick(self) -> None:
        await super().tick()
        self.rounds.append(self.traffic("shop", "checkout"))

    async def _promote(self, canary: dict[str, Any], target: dict[str, Any]) -> None:
        await super()._promote(canary, target)
        self.spoil()


@dataclass
class World:
    server: KubeServer
    flagger: Counting
    deployments: DeploymentController
    kube: Kube
    database: Database
    gates: StoredGates
    door: Door
    http: HttpServer

    def target(self, **pace: Any) -> FlaggerTarget:
        """As a process that has just begun has it."""
        target = FlaggerTarget(options=OPTIONS, service=CHECKOUT, kube=self.kube, gates=self.gates, door=self.door)
        target.pace = Pace(**{"beat": 0.05, "pickup": 5.0, "linger": 0.3, "look_after": 0.3, **pace})
        return target

    def get(self, name: str = "checkout") -> dict[str, Any]:
        return self.server.get("deployments", "shop", name)

    def image(self, name: str = "checkout") -> str:
        return str(self.get(name)["spec"]["template"]["spec"]["containers"][0]["image"])

    @property
    def canary(self) -> dict[str, Any]:
        return self.server.get("canaries", "shop", "checkout")

    @property
    def phase(self) -> str:
        return str(self.canary["status"]["phase"])

    @property
    def weight(self) -> int:
        """What really goes to the canary."""
        return self.flagger.traffic("shop", "checkout")

    async def gate(self) -> Gate:
        return await self.gates.get(KEY)

    def asked(self, hook: Hook) -> list[bool]:
        """The answers that Flagger got."""
        return [each.ok for each in self.flagger.hooks.asked if each.kind == hook]

    def set_image(
        self, image: str, *, manager: str = "kubectl-set", name: str = "checkout", container: int = 0
    ) -> None:
        def change(live: dict[str, Any]) -> dict[str, Any]:
            live["spec"]["template"]["spec"]["containers"][container]["image"] = image
            return live

        self.server.change("deployments", "shop", name, change, manager=manager)

    def set_canary(self, manager: str = "kubectl-edit", **spec: Any) -> None:
        def change(live: dict[str, Any]) -> dict[str, Any]:
            live["spec"] |= spec
            return live

        self.server.change("canaries", "shop", "checkout", change, manager=manager)

    async def until(self, holds: Callable[[], bool]) -> None:
        await self.server.until(holds)

    async def rounds(self, number: int) -> None:
        """Let Flagger come round so many times more."""
        wanted = len(self.flagger.rounds) + number
        await until(lambda: len(self.flagger.rounds) >= wanted)


async def until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.01)


def webhooks(door: Door, hooks: Sequence[Hook] = EVERY, *, key: str = KEY) -> list[dict[str, Any]]:
    """As `deployment-architect flagger` prints them."""
    return [{"name": f"bot-{hook}", "type": hook.value, "url": door.address(key, hook)} for hook in hooks]


@dataclass
class Served:
    """The bot's gates, open to Flagger."""

    database: Database
    gates: StoredGates
    door: Door
    http: HttpServer


@asynccontextmanager
async def served(
    folder: Path, *, gates: type[StoredGates] = StoredGates, host: str = "127.0.0.1", url: str = "http://127.0.0.1"
) -> AsyncIterator[Served]:
    """The bot's real gate server at a port of ``host``, which Flagger reaches as ``url``."""
    async with contextlib.AsyncExitStack() as stack:
        database = await stack.enter_async_context(await Database.open(f"sqlite:///{folder / 'gates.sqlite'}"))
        await migrate(database)
        stored = gates(database)
        listening = bind(host, 0)
        stack.callback(listening.close)
        door = Door(url=f"{url}:{listening.getsockname()[1]}", secret=SECRET)
        hooks = FlaggerHooks(gates=stored, door=door, now=lambda: datetime.now(UTC))
        stack.push_async_callback(hooks.close)
        http = HttpServer(build_api(readiness=_ready, slack=None, webhooks=hooks.routes()), listening)
        stack.push_async_callback(http.stop)
        http.start()
        yield Served(database, stored, door, http)


@asynccontextmanager
async def world(
    folder: Path,
    *,
    hooks: Sequence[Hook] = EVERY,
    first: Release = V1,
    gates: type[StoredGates] = StoredGates,
    **analysis: Any,
) -> AsyncIterator[World]:
    """One Canary, checkout, with v1 as its primary, and everybody at work."""
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(KubeServer.running())
        deployments = DeploymentController(server, pace=0.005, second=0.08)
        flagger = Counting(server, deployments, pace=0.05)
        kube = Kube(server.access())
        stack.push_async_callback(kube.close)
        gate = await stack.enter_async_context(served(folder, gates=gates))
        images = {"web": first.artifact.location, "side": "r/side:1"}
        server.add("deployments", "shop", deployment("checkout", images, progressDeadlineSeconds=60))
        wanted = {"stepWeights": [20, 40, 60], **analysis} if "iterations" not in analysis else analysis
        server.add("canaries", "shop", canary("checkout", webhooks=webhooks(gate.door, hooks), **wanted))
        deployments.start()
        stack.push_async_callback(deployments.stop)
        flagger.start()
        stack.push_async_callback(flagger.stop)
        found = World(server, flagger, deployments, kube, gate.database, gate.gates, gate.door, gate.http)
        await until(lambda: server.get("canaries", "shop", "checkout").get("status", {}).get("phase") == "Initialized")
        yield found


async def _ready() -> dict[str, str]:
    return {}


async def seen(target: FlaggerTarget, handle: Handle, seconds: float = 30.0) -> tuple[list[Progress], Outcome]:
    """All that is told on the way, and the end."""
    async with asyncio.timeout(seconds):
        everything = [each async for each in target.observe(handle=handle)]
    outcomes = [each for each in everything if isinstance(each, Outcome)]
    assert len(outcomes) == 1, "observing ends with exactly one outcome"
    assert everything[-1] is outcomes[0], "and with nothing after it"
    return [each for each in everything if isinstance(each, Progress)], outcomes[0]


async def step(world: World, percent: int, *, to: Release = V2, turn: int = 1) -> Outcome:
    target = world.target()
    handle = await target.set_weight(release=to, percent=percent, operation=OperationId(f"d1-weight{percent}-{turn}"))
    return (await seen(target, handle))[1]


async def promote(world: World, *, to: Release = V2) -> Outcome:
    target = world.target()
    return (await seen(target, await target.promote(release=to, operation=OperationId("d1-promote-9"))))[1]
