"""One process of the bot: the real engine over the real store, which can die wherever it waits for something.

To die is not to be cancelled: nothing is tidied up. Whatever the process would do next just never happens, while what
it has sent off already may still arrive.
"""

from __future__ import annotations

import asyncio
import inspect
from contextvars import copy_context
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

from unit.engine.simulation.runtime import REPLICA, Runtime

from bot.domain.errors import StoreError
from bot.engine.engine import Engine, Ports
from bot.engine.permits import WRITING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from unit.engine.simulation.world import World

    from bot.engine.workflows import Workflows

T = TypeVar("T")


@dataclass(eq=False)
class Meanwhile:
    """What happens when a process comes to the so-manieth point of that name; the process waits for it there."""

    at: str
    after: int
    work: Callable[[], Awaitable[object]]


@dataclass
class Life:
    """Of one process, from its start to its end."""

    world: World
    alive: bool = True
    over: bool = False
    """The run is over: whoever hangs here is let go."""
    cut_until: float = 0.0
    """Until when the database cannot be reached from here."""
    dies_at: str = ""
    dies_after: int | None = None
    """How many points with ``dies_at`` in their name it passes before it dies."""
    meanwhile: list[Meanwhile] = field(default_factory=list)

    async def point(self, what: str) -> None:
        """A place at which others may go first, and at which the process may die."""
        if self.alive and not self.over:
            await self.world.others_first()
            for one in [one for one in self.meanwhile if one.at in what]:
                one.after -= 1
                if one.after < 0 and one in self.meanwhile:
                    self.meanwhile.remove(one)
                    await one.work()
        if self.alive and self.dies_after is not None and self.dies_at in what:
            self.dies_after -= 1
            if self.dies_after < 0:
                self.alive = False
                self.world.tell(f"… a replica dies: {what}")
        if not self.alive:
            await self.hang()

    def reach(self) -> None:
        """Raise `StoreError` while the database cannot be reached."""
        if self.world.loop.time() < self.cut_until:
            raise StoreError

    async def hang(self) -> None:
        """Never come back."""
        if self.over:
            raise asyncio.CancelledError
        await asyncio.get_running_loop().create_future()

    def dies(self, *, at: str, after: int) -> None:
        """Let it die at the so-manieth place of that name from now on."""
        self.dies_at, self.dies_after = at, after


class Wire:
    """A port as one process sees it: every call goes through `Life.point` before and after."""

    def __init__(self, life: Life, port: Any, name: str) -> None:
        self._life, self._port, self._name = life, port, name

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not inspect.iscoroutinefunction(found):
            return found
        life, where = self._life, f"{self._name}.{name}"

        async def call(*args: Any, **kwargs: Any) -> Any:
            await life.point(f"before {where}")
            life.reach()
            result = await found(*args, **kwargs)
            await life.point(f"after {where}")
            return result

        return call


class LeaseWire(Wire):
    """Leases, with a note of when permits were given."""

    async def hold(self, name: str, **kwargs: Any) -> bool:
        """Take it, and note the instant from which rules are read afresh."""
        await self._life.point("before permit" if name.startswith(WRITING) else "before leases.hold")
        self._life.reach()
        held: bool = await self._port.hold(name, **kwargs)
        if held and name.startswith(WRITING) and self._life.alive:
            self._life.world.watch.permit(name.removeprefix(WRITING))
        await self._life.point("after permit" if name.startswith(WRITING) else "after leases.hold")
        return held


@dataclass
class Replica:
    """A replica by its name, over all its processes."""

    world: World
    name: str
    life: Life = field(init=False)
    engine: Engine = field(init=False)
    runtime: Runtime = field(init=False)
    _acts: set[asyncio.Task[Any]] = field(default_factory=set)
    _lives: list[Life] = field(default_factory=list)
    _runtimes: list[Runtime] = field(default_factory=list)

    @property
    def workflows(self) -> Workflows:
        """Those that are bound to this process."""
        return self.engine.durable._workflows

    async def start(self) -> None:
        """A new process under the old name. One that lives is killed first."""
        if self._lives:
            self.kill()
        self.life, world = Life(self.world), self.world
        self.runtime = Runtime(self, world.journal)
        self._lives.append(self.life)
        self._runtimes.append(self.runtime)
        given = {
            "catalogs": world.outside.catalogs,
            "providers": world.outside.providers(self.life),
            "people": world.outside.people,
            "leases": LeaseWire(self.life, world.store.leases, "leases"),
        }
        ports = Ports(**{
            port.name: given.get(port.name) or Wire(self.life, getattr(world.store, port.name), port.name)
            for port in fields(Ports)
        })  # fmt: skip

        def build() -> Engine:
            REPLICA.set(self)
            return Engine.build(
                ports, database_url="sqlite:///none", executor=self.name, shared=world.shared, now=world.now
            )

        context = copy_context()
        self.engine = context.run(build)
        self.engine.ledger.listeners.append(world.heard)
        await self.does(self._begin())

    def kill(self) -> None:
        """Let it die now."""
        self.life.alive = False

    async def stop(self) -> None:
        """Let it stop as it is asked to: tasks are cancelled and tidy up."""
        await self.does(self.engine.durable.stop())
        for act in list(self._acts):
            act.cancel()
        await asyncio.sleep(1)
        self.kill()

    def act(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Let this process do something."""
        context = copy_context()
        context.run(REPLICA.set, self)
        task = asyncio.get_running_loop().create_task(work, context=context)
        self._acts.add(task)
        task.add_done_callback(self._acts.discard)
        return task

    async def does(self, work: Coroutine[Any, Any, T]) -> T | None:
        """What the work of this process comes to; None when the process dies over it."""
        task, life = self.act(work), self.life
        while not task.done() and life.alive:
            await asyncio.wait({task}, timeout=0.05)
        return task.result() if task.done() and not task.cancelled() else None

    async def _begin(self) -> None:
        await self.engine.durable.start()
        for work in (self.engine.durable.watch_over(), self._tick()):
            self.runtime.spawn(work)

    async def _tick(self) -> None:
        """What the timetable does, without APScheduler, which knows the machine's clock only: rings now and then."""
        table = self.engine.timetable
        while True:
            await table._guarded(table._fire_due(), "looking for schedules that are due")
            await table._guarded(table.upkeep(), "the upkeep")
            await asyncio.sleep(self.world.ticks)

    async def tear_down(self) -> None:
        """Let everything go at the end of a run."""
        for life in self._lives:
            life.alive, life.over = False, True
        tasks = [task for runtime in self._runtimes for task in runtime.tasks] + list(self._acts)
        for _ in range(20):
            left = [task for task in tasks if not task.done()]
            if not left:
                return
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=1)
        raise AssertionError(f"these do not end: {left}")
