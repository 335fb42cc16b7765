"""How soon a canary is taken back: after its numbers have crossed their limit, and after a person says *Roll back now*.

Targets and numbers are in memory; the engine, the durable workflows and the database are the real ones. The end is the
instant at which the target is first asked to change anything back. Each kind of database is met by a process of its
own, with several canaries under way at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bench.past import databases
from bench.provider import AnyVersion, MemoryTarget, Options
from bench.report import Aim, Found, Row, percentile
from bench.world import ROOT, until
from bot.domain.actor import Actor, Membership
from bot.domain.analysis.check import Check
from bot.domain.analysis.countdown import CountdownState
from bot.domain.catalog import Catalog, Environment, HealthCheck, ProviderRef, Service
from bot.domain.ids import EnvironmentName, ServiceName
from bot.domain.metric import Point, Reading
from bot.domain.policy.access import Action, Rule
from bot.domain.strategy.kinds import Canary, Rolling, Step
from bot.engine.engine import Engine, Ports
from bot.engine.orders import Order
from bot.store.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence
    from pathlib import Path

    from bot.domain.deployment import Deployment
    from bot.domain.ids import OperationId
    from bot.domain.metric import Subject
    from bot.domain.release import Release
    from bot.domain.rollout import Handle, Running

_ADA = Membership(actor=Actor(workspace="T0BENCH", id="U0ADA", name="Ada"))
_PLACE = EnvironmentName("production")
_AT_ONCE, _ROUNDS = 10, 4
_INTERVAL = 1.0
_AIMS = {"SQLite": 1200.0, "PostgreSQL": 250.0}
"""Milliseconds from *Roll back now* to the first change."""
_ASKED = "clicked"
"""How services are called whose countdown is longer than anybody waits."""


class _Target(MemoryTarget):
    """Splits traffic in memory, and notes when it is first asked to take a canary back."""

    def __init__(self, service: ServiceName) -> None:
        super().__init__(options=Options(), service=service, environment=_PLACE)
        self.percent = 0
        self.back_at = 0.0

    async def set_weight(self, *, release: Release, percent: int, operation: OperationId) -> Handle:
        """Send that much there."""
        del release
        self.percent = percent
        return self._begin(operation)

    async def weight(self, *, release: Release) -> int | None:
        """What was sent there last."""
        del release
        return self.percent

    async def promote(self, *, release: Release, operation: OperationId) -> Handle:
        """Let it stand alone."""
        return await self.apply(release=release, operation=operation)

    async def take_back(self, *, to: Running | None, operation: OperationId) -> Handle:
        """Send nothing there any more."""
        del to
        self.back_at, self.percent = time.perf_counter(), 0
        return self._begin(operation)


@dataclass
class _World:
    """What stands around the engine."""

    catalog: Catalog
    targets: dict[str, _Target] = field(default_factory=dict)
    bad: set[str] = field(default_factory=set)
    """The services whose newest release does badly."""

    def current(self) -> Catalog:
        """The only configuration."""
        return self.catalog

    async def at(self, revision: str) -> Catalog:
        """The same."""
        del revision
        return self.catalog

    def target(self, _catalog: Catalog, service: ServiceName, _environment: EnvironmentName) -> _Target:
        """Where it runs."""
        return self.targets.setdefault(service, _Target(service))

    def images(self, _catalog: Catalog, service: ServiceName) -> AnyVersion:
        """Every version exists."""
        return AnyVersion(options=Options(), service=service)

    def metrics(self, _catalog: Catalog, _name: str) -> _World:
        """The one source."""
        return self

    async def read(self, query: str, *, subject: Subject, window: float, at: datetime | None = None) -> Reading:
        """How it does now."""
        del query, window
        slow = subject.service in self.bad and subject.version != "v1"
        return Reading(value=900.0 if slow else 10.0, at=at or datetime.now(UTC), samples=100.0)

    async def series(self, query: str, **_: Any) -> Sequence[Point]:
        """Nobody draws anything."""
        del query
        return []

    async def member(self, actor: Actor, *, for_rollback: bool = False) -> Membership:
        """Everybody is known."""
        del for_rollback
        return Membership(actor=actor)

    async def in_groups(self, groups: Collection[str]) -> Sequence[str]:
        """There are none."""
        del groups
        return []


def _catalog() -> Catalog:
    memory = ProviderRef(kind="memory")
    check = Check(
        name="latency", source="memory", query="mean", limit=100, interval=_INTERVAL, window=1, failures=1, of=1
    )
    names = [f"{kind}-{number}" for kind in ("watched", _ASKED) for number in range(_AT_ONCE)]
    return Catalog(
        revision="bench",
        channel="C0BENCH",
        services={
            ServiceName(name): Service(
                name=ServiceName(name),
                targets={_PLACE: memory},
                images=memory,
                health=HealthCheck(interval=0.1, passes=1),
                strategy="canary",
                checks=(check,),
                countdown=600 if name.startswith(_ASKED) else 0,
            )
            for name in names
        },
        environments={_PLACE: Environment(name=_PLACE)},
        rules=(Rule(role="everybody", users=frozenset({_ADA.actor.id}), actions=frozenset(Action)),),
        strategies={"rolling": Rolling(), "canary": Canary(steps=(Step(weight=20, bake=3600),))},
        metrics={"memory": memory},
    )


@contextlib.asynccontextmanager
async def _engine(url: str, world: _World) -> AsyncIterator[tuple[Engine, Store]]:
    async with Store.open(url, replica="bench") as store:
        outside: dict[str, Any] = {"catalogs": world, "providers": world, "people": world}
        ports = Ports(**{name: outside.get(name) or getattr(store, name) for name in Ports.__dataclass_fields__})
        engine = Engine.build(ports, database_url=store.durable_url, executor="bench", shared=store.shared)
        await engine.start()
        try:
            yield engine, store
        finally:
            await engine.stop()


async def _react(url: str) -> dict[str, list[float]]:
    """Milliseconds to the first change back, by what brought it about."""
    world, chance = _World(_catalog()), random.Random(2031)
    found: dict[str, list[float]] = {"crossed": [], "clicked": []}
    async with _engine(url, world) as (engine, store):
        for service in world.catalog.services:  # what a canary can be taken back to
            await _over(store, await _deploy(engine, service, "v1", "rolling"))
        for number in range(_ROUNDS):
            watched, asked = [
                [
                    await _deploy(engine, service, f"v{number + 2}", "")
                    for service in world.catalog.services
                    if service.startswith(_ASKED) == are_asked
                ]
                for are_asked in (False, True)
            ]
            for one in watched:
                await _seen(store, one, counted=False)
            chance.shuffle(watched)
            for one in watched:
                await asyncio.sleep(chance.uniform(0.05, 0.3))
                found["crossed"].append(await _taken_back(world, one, began=_spoil(world, one)))
            world.bad |= {one.service for one in asked}
            for one in asked:
                await _seen(store, one, counted=True)
            for one in asked:
                await asyncio.sleep(chance.uniform(0.05, 0.2))
                began = time.perf_counter()
                await engine.progressing.roll_back_now(one.id, requester=_ADA)
                found["clicked"].append(await _taken_back(world, one, began=began))
            for one in (*watched, *asked):
                await _over(store, one)
            world.bad.clear()
    return found


def _spoil(world: _World, one: Deployment) -> float:
    world.bad.add(one.service)
    return time.perf_counter()


async def _deploy(engine: Engine, service: ServiceName, version: str, strategy: str) -> Deployment:
    return await engine.requests.deploy(
        Order(
            service=service,
            version=version,
            environment=_PLACE,
            requester=_ADA,
            origin=f"bench:{service}:{version}",
            strategy=strategy,
        )
    )


async def _seen(store: Store, one: Deployment, *, counted: bool) -> None:
    """Wait until its checks were looked at, or until a rollback is counted down."""

    async def there() -> bool:
        row = await store.deployments.get(one.id)
        if counted:
            return row.countdown is not None and row.countdown.state is CountdownState.RUNNING
        return row.progression is not None and any(look.last for look in row.progression.looks)

    await until(there, within=60, what=f"a look at {one.service}")


async def _taken_back(world: _World, one: Deployment, *, began: float) -> float:
    target = world.targets[one.service]

    async def back() -> bool:
        return target.back_at >= began

    await until(back, within=30, what=f"a way back of {one.service}")
    return (target.back_at - began) * 1000


async def _over(store: Store, one: Deployment) -> None:
    async def ended() -> bool:
        return (await store.deployments.get(one.id)).phase.final

    await until(ended, within=60, what=f"an end of {one.service}")


async def measure(folder: Path) -> Found:
    """With either database; PostgreSQL where there is one."""
    rows: list[Row] = []
    details: dict[str, Any] = {"interval": _INTERVAL, "canaries at once": 2 * _AT_ONCE}
    for kind, url, _ in databases(folder):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.rollback_reaction", url, cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"the process on {kind} ended with {process.returncode}")
        found = json.loads(said.splitlines()[-1])
        for name, taken, limit in (
            ("limit crossed to first change back", found["crossed"], _INTERVAL * 1000 + 500),
            ("Roll back now to first change", found["clicked"], _AIMS[kind]),
        ):
            rows.append(Row(name=f"{name}, {kind}, p50", measured=percentile(taken, 0.5), unit="ms"))
            worst = percentile(taken, 0.99)
            rows.append(Row(name=f"{name}, {kind}, p99", measured=worst, unit="ms", aim=Aim(limit=limit)))
        details[kind] = found
    return Found(rows=rows, details=details)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_react(sys.argv[1]))))
