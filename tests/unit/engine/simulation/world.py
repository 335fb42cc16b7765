"""The whole simulated world: one clock, one database, two replicas, people, and a story of what happened."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from unit.engine.simulation.clockwork import VirtualLoop, sqlite_in_this_thread
from unit.engine.simulation.outside import Catalogs, Outside, People, Weather, catalog
from unit.engine.simulation.replica import Replica
from unit.engine.simulation.runtime import Journal, instead_of_dbos
from unit.engine.simulation.watch import Watch

from bot.engine import freezing, locking, orders
from bot.store.engine import Database
from bot.store.migrations import migrate
from bot.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from bot.domain.catalog import Catalog
    from bot.domain.deployment import Deployment

NOON = datetime(2031, 5, 14, 12, 0, tzinfo=UTC)
"""A Wednesday."""


class Broken(AssertionError):
    """Something happened that must never happen. Says what, and the story so far."""


@dataclass
class World:
    """Everything."""

    loop: VirtualLoop
    path: Path
    store: Store
    random: random.Random
    shared: bool = True
    ticks: float = 5.0
    """Seconds between two rings of the timetable."""
    haste: float = 0.3
    """How likely it is that others come first at a point where they may."""
    jumped: timedelta = timedelta()
    """How far the clocks on the wall are ahead of the loop's."""
    weather: Weather = field(default_factory=Weather)
    journal: Journal = field(default_factory=Journal)
    story: list[str] = field(default_factory=list)
    failures: list[tuple[str, BaseException | None]] = field(default_factory=list)
    flying: set[asyncio.Future[Any]] = field(default_factory=set)
    """Requests that are on their way to targets."""
    outside: Outside = field(init=False)
    watch: Watch = field(init=False)
    replicas: dict[str, Replica] = field(default_factory=dict)
    _told: dict[str, int] = field(default_factory=dict)

    def now(self) -> datetime:
        """What every clock on the wall says."""
        return self.instant(self.loop.time())

    def instant(self, passed: float) -> datetime:
        """What the clocks say when so many seconds have passed."""
        return NOON + timedelta(seconds=passed) + self.jumped

    def chance(self, share: float) -> bool:
        """Whether it happens."""
        return share > 0 and self.random.random() < share

    async def others_first(self) -> None:
        """Let whoever wants to go first, now and then for a while."""
        if self.chance(self.haste):
            await asyncio.sleep(self.random.choice((0.001, 0.004, 0.02, 0.09)))
        else:
            await asyncio.sleep(0)

    def tell(self, what: str) -> None:
        """One line of the story."""
        self.story.append(f"{self.now():%a %H:%M:%S}.{int(self.loop.time() * 100 % 100):02d}  {what}")

    def heard(self, one: Deployment) -> None:
        """A line for each phase that a deployment comes into; a listener of every ledger."""
        if self._told.get(one.id, 0) < len(one.timeline):
            self._told[one.id] = len(one.timeline)
            if "The bot itself broke" in one.note:
                self.fail(f"#{one.number}: {one.note}")
            note = f": {one.note}" if one.note else ""
            self.tell(
                f"  #{one.number} ({one.service} {one.release.version} to {one.environment}) is {one.phase.words}{note}"
            )

    def fail(self, what: str, error: BaseException | None = None) -> None:
        """Note that something happened that must not; the run ends with it."""
        self.tell(f"!!! {what}")
        self.failures.append((what, error))

    def check(self) -> None:
        """Raise `Broken` if anything happened that must not."""
        self.watch.look()
        if self.failures:
            what, error = self.failures[0]
            raise Broken("\n".join([what, "", "What happened:", *self.story])) from error

    async def jump(self, by: timedelta) -> None:
        """Let time pass that nobody notices, such as that of a machine which sleeps; nothing is on its way then."""
        while self.flying or await self.store.leases.held("write:", at=self.now()):
            await asyncio.sleep(0.5)
        self.jumped += by
        self.tell(f"the clocks jump by {by}")

    async def until(self, what: Callable[[], Awaitable[object]], *, within: float = 120.0) -> None:
        """Wait until ``what`` is true; raises `Broken` when it does not come true in so many seconds."""
        end = self.loop.time() + within
        while not await what():
            self.check()
            if self.loop.time() >= end:
                self.fail("what was waited for did not come")
                self.check()
            await asyncio.sleep(0.05)

    async def get(self, number: int) -> Deployment:
        """The deployment of that number."""
        return await self.store.deployments.by_number(number)


def run(
    what: Callable[[World], Awaitable[None]],
    *,
    path: Path,
    seed: int = 0,
    replicas: int = 1,
    configuration: Catalog | None = None,
    **settings: Any,
) -> None:
    """Let ``what`` happen in a fresh world. The database ``path`` is a copy of an empty one; see `empty`."""

    async def begin() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        async with Store.open(f"sqlite:///{path}", replica="everybody") as store:
            world = World(loop=loop, path=path, store=store, random=random.Random(seed), **settings)
            catalogs, people = Catalogs(world, configuration or catalog()), People(world)
            world.outside = Outside(world, catalogs, people)
            world.watch = Watch(world)
            world.watch.remember()
            names = ("a", "b")[:replicas]
            world.replicas = {name: Replica(world, name) for name in names}
            try:
                for replica in world.replicas.values():
                    await replica.start()
                await what(world)
                world.check()
            finally:
                for replica in world.replicas.values():
                    await replica.tear_down()
                for flying in list(world.flying):
                    flying.cancel()
                world.watch.close()

    state = random.getstate()
    random.seed(seed)
    try:
        runner = asyncio.Runner(loop_factory=VirtualLoop)
        with sqlite_in_this_thread(), instead_of_dbos(), _counted_ids(), runner:
            runner.run(begin())
    finally:
        random.setstate(state)


def empty(path: Path) -> None:
    """Make an empty database with the schema of this build."""

    async def make() -> None:
        async with await Database.open(f"sqlite:///{path}") as database:
            await migrate(database)

    with sqlite_in_this_thread(), asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(make())


def copy_of(template: Path, to: Path) -> Path:
    """A fresh database that is like the template."""
    for old in to.parent.glob(f"{to.name}*"):
        old.unlink()
    shutil.copyfile(template, to)
    return to


@contextlib.contextmanager
def _counted_ids() -> Iterator[None]:
    """Ids in the order in which they are made, so that the same run is the same story."""
    count = 0

    def fresh(kind: str) -> str:
        nonlocal count
        count += 1
        return f"{kind}{count:08d}"

    places = [
        (orders, "new_deployment_id", lambda: fresh("d")),
        (freezing, "new_id", fresh),
        (locking, "new_id", fresh),
    ]
    before = [getattr(module, name) for module, name, _ in places]
    for module, name, made in places:
        setattr(module, name, made)
    try:
        yield
    finally:
        for (module, name, _), real in zip(places, before, strict=True):
            setattr(module, name, real)
