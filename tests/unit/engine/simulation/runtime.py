"""A strict stand-in for the few calls of DBOS that `bot.engine.workflows` and `bot.engine.durable` make.

It follows DBOS 3.4 as DESIGN.md §2 describes it, and its source where that says nothing:
- a workflow id exists once: to start or to enqueue it again changes nothing, whoever does so and whatever became of it;
- a step's result, or what it raised, is in the journal once it has ended; a workflow that is run again is given what is
  in the journal and does the rest. What was in flight when the process died runs **again**. A child that was started is
  a journal entry too;
- a replay that asks for another step than the journal has is an error;
- what the journal keeps was pickled;
- a partitioned queue with a concurrency of 1 runs the oldest of each partition, and none while one of it is pending,
  wherever that runs;
- whoever claims a workflow owns it. A process that was taken for dead and lives goes on until it wants to write into
  the journal, and ends there;
- a process that starts takes up its own pending workflows; those of a dead one are taken up when somebody says that it
  is dead. Either way they go back into their queue and partition with the place that they had, or into one without
  limits, and whoever looks first runs them.

Every place at which a process can die goes through `Life.point`: before and after each journal entry.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import pickle
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bot.engine import durable, workflows
from bot.engine.workflows import QUEUE, Workflows

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from unit.engine.simulation.replica import Replica

REPLICA: ContextVar[Replica] = ContextVar("REPLICA")
"""Whose code runs."""
_RUN: ContextVar[Run | None] = ContextVar("RUN", default=None)
_IN_STEP: ContextVar[bool] = ContextVar("in a step", default=False)
_ID: ContextVar[str | None] = ContextVar("ID", default=None)
_PARTITION: ContextVar[str | None] = ContextVar("PARTITION", default=None)


@dataclass
class Row:
    """A workflow as the journal has it."""

    id: str
    name: str
    args: bytes
    queue: str | None
    partition: str | None
    status: str
    executor: str
    order: int
    owner: int = 0
    """Rises whenever somebody claims it, or takes it from who had it."""
    entries: list[tuple[str, str, bytes]] = field(default_factory=list)
    """Name of the step, how it ended (``returned``, ``raised`` or ``started``), and with what."""


@dataclass
class Run:
    """One try to carry a workflow out."""

    row: Row
    owner: int
    at: int = 0

    def write(self, name: str, how: str, what: object) -> None:
        """Add to the journal; raises `NoLongerOursError`."""
        if self.row.owner != self.owner:
            raise NoLongerOursError
        self.row.entries.append((name, how, pickle.dumps(what)))
        self.at += 1


class NoLongerOursError(BaseException):
    """Another process has taken the workflow up."""


class JournalError(AssertionError):
    """The workflows did what DBOS does not allow."""


@dataclass
class Journal:
    """What all replicas share of DBOS: its tables."""

    rows: dict[str, Row] = field(default_factory=dict)
    lookers: list[asyncio.Event] = field(default_factory=list)

    def add(self, row: Row) -> bool:
        """Whether it was not there yet."""
        there = self.rows.get(row.id)
        if there is not None:
            if there.name != row.name or there.queue not in {row.queue, "internal"}:
                raise JournalError(f"{row.id} is a {there.name} and not a {row.name}")
            return False
        row.order = len(self.rows)
        self.rows[row.id] = row
        self.changed()
        return True

    def claim(self, executor: str) -> list[Row]:
        """Those that may run now, which from now on are this executor's."""
        busy = {(row.queue, row.partition) for row in self.rows.values() if row.status == "PENDING" and row.partition}
        found = []
        for row in sorted(self.rows.values(), key=lambda one: one.order):
            if row.status == "ENQUEUED" and (not row.partition or (row.queue, row.partition) not in busy):
                row.status, row.executor, row.owner = "PENDING", executor, row.owner + 1
                found.append(row)
                busy.add((row.queue, row.partition))
        return found

    def recover(self, executor: str) -> None:
        """Put what that executor was at back into the queue."""
        for row in self.rows.values():
            if row.status == "PENDING" and row.executor == executor:
                row.status, row.queue, row.owner = "ENQUEUED", row.queue or "internal", row.owner + 1
        self.changed()

    def changed(self) -> None:
        """Let everybody look into the queue."""
        for looker in self.lookers:
            looker.set()


@dataclass
class Runtime:
    """DBOS in one process."""

    replica: Replica
    journal: Journal
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    looker: asyncio.Event = field(default_factory=asyncio.Event)

    def launch(self) -> None:
        """Take up what this executor left, and look into the queue from now on."""
        self.journal.lookers.append(self.looker)
        self.journal.recover(self.replica.name)
        self.spawn(self._look())

    def stop(self) -> None:
        """Take nothing more; what runs is broken off where it stands."""
        for task in self.tasks:
            task.cancel()

    def spawn(self, work: Any) -> None:
        """Let it run in this process."""
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.replica.world.fail(f"the runtime of {self.replica.name} broke: {error!r}", error)

    async def _look(self) -> None:
        while True:
            self.looker.clear()
            await self.replica.life.point("look into the queue")
            for row in self.journal.claim(self.replica.name):
                self.spawn(self._carry_out(row))
            await self.looker.wait()

    async def start(self, function: Callable[..., Any], args: tuple[object, ...], queue: str | None) -> None:
        """Start a workflow or enqueue it."""
        name, run, life = function.__name__, _RUN.get(), self.replica.life
        assert not _IN_STEP.get(), "DBOS starts no workflow within a step"
        id_, partition = _ID.get(), _PARTITION.get() if queue else None
        assert id_ is not None
        if run is not None and self._replayed(run, f"start {name}", id_) is not None:
            return
        await life.point(f"before {id_} is started")
        status = "PENDING" if queue is None else "ENQUEUED"
        row = Row(id_, name, pickle.dumps(args), queue, partition, status, self.replica.name, 0)
        fresh = self.journal.add(row)
        await life.point(f"after {id_} was started")
        if run is not None:
            run.write(f"start {name}", "started", id_)
        if fresh and queue is None:
            self.spawn(self._carry_out(row))

    async def step(self, name: str, function: Callable[..., Awaitable[Any]], args: tuple[object, ...]) -> Any:
        """Run a step, or say what it came to before."""
        run, life = _RUN.get(), self.replica.life
        assert run is not None, "a step outside of a workflow"
        if (found := self._replayed(run, name, None)) is not None:
            how, what = found
            if how == "raised":
                raise what
            return what
        await life.point(f"before the step {name}")
        within = _IN_STEP.set(True)
        try:
            result = await function(*args)
        except Exception as error:
            await life.point(f"journal: the step {name} raised")
            run.write(name, "raised", error)
            raise
        finally:
            _IN_STEP.reset(within)
        await life.point(f"journal: the step {name} is done")
        run.write(name, "returned", result)
        return pickle.loads(run.row.entries[-1][2])

    def _replayed(self, run: Run, name: str, id_: str | None) -> tuple[str, Any] | None:
        if run.at >= len(run.row.entries):
            return None
        was, how, what = run.row.entries[run.at]
        if was != name or (id_ is not None and pickle.loads(what) != id_):
            raise JournalError(f"{run.row.id} did {was!r} as its step {run.at}, and now wants {name!r}")
        run.at += 1
        return how, pickle.loads(what)

    async def _carry_out(self, row: Row) -> None:
        run = Run(row, row.owner)
        _RUN.set(run)
        function = inspect.unwrap(vars(Workflows)[row.name])
        status = "SUCCESS"
        try:
            await function(self.replica.workflows, *pickle.loads(row.args))
        except JournalError:
            raise
        except NoLongerOursError:
            self.replica.world.tell(f"… {self.replica.name} finds that {row.id} is not its own any more")
            return
        except Exception as error:  # noqa: BLE001 - DBOS would keep it as the end of the workflow
            status = "ERROR"
            self.replica.world.fail(f"the workflow {row.id} broke: {error!r}", error)
        await self.replica.life.point(f"before the end of {row.id} is written")
        if row.owner == run.owner:
            row.status = status
        self.journal.changed()


class _Dbos:
    """What the engine sees as ``DBOS``: the runtime of whichever replica's code runs."""

    def __call__(self, *, config: object) -> None:
        return

    @property
    def workflow_id(self) -> str | None:
        run = _RUN.get()
        return run.row.id if run else None

    def launch(self) -> None:
        REPLICA.get().runtime.launch()

    def destroy(self, *, workflow_completion_timeout_sec: float) -> None:
        REPLICA.get().runtime.stop()

    async def register_queue_async(self, name: str, *, partition_concurrency: int, polling_interval_sec: float) -> None:
        assert (name, partition_concurrency) == (QUEUE, 1)

    async def start_workflow_async(self, function: Callable[..., Any], *args: object) -> None:
        await REPLICA.get().runtime.start(function, args, None)

    async def enqueue_workflow_async(self, queue: str, function: Callable[..., Any], *args: object) -> None:
        await REPLICA.get().runtime.start(function, args, queue)

    async def run_step_async(
        self, options: dict[str, str], function: Callable[..., Awaitable[Any]], *args: object
    ) -> Any:
        return await REPLICA.get().runtime.step(options["name"], function, args)

    def _recover_pending_workflows(self, executors: list[str]) -> None:
        for executor in executors:
            REPLICA.get().runtime.journal.recover(executor)


@contextlib.contextmanager
def _set_id(id_: str) -> Iterator[None]:
    token = _ID.set(id_)
    try:
        yield
    finally:
        _ID.reset(token)


@contextlib.contextmanager
def _set_options(*, queue_partition_key: str) -> Iterator[None]:
    token = _PARTITION.set(queue_partition_key)
    try:
        yield
    finally:
        _PARTITION.reset(token)


@contextlib.contextmanager
def instead_of_dbos() -> Iterator[None]:
    """Let the engine use this runtime while the block lasts."""
    put = {"DBOS": _Dbos(), "SetWorkflowID": _set_id, "SetEnqueueOptions": _set_options}
    before = [(module, name, getattr(module, name)) for module in (workflows, durable) for name in put]
    # The real base class allows one instance of a name in a process; here there are two replicas in one.
    made = Workflows.__init__

    def init(self: Workflows, steps: Any) -> None:
        self.steps = steps

    for module, name, _ in before:
        setattr(module, name, put[name])
    Workflows.__init__ = init  # type: ignore[method-assign]
    try:
        yield
    finally:
        Workflows.__init__ = made  # type: ignore[method-assign]
        for module, name, real in before:
            setattr(module, name, real)
