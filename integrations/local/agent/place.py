"""One service in one environment: its record, its instances, its proxy.

What to do next is decided elsewhere: `operations` accepts, `rollout` brings an operation about, `keeper` keeps what
runs running.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from integrations.local.agent import keeper, rollout
from integrations.local.agent.balance import Balancer, shares
from integrations.local.agent.instance import Instance, State
from integrations.local.agent.journal import Journal
from integrations.local.agent.model import PlaceRecord, Refused, RolloutFailed
from integrations.local.agent.ports import free_port
from integrations.local.agent.proxy import Proxy
from integrations.local.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine
    from pathlib import Path

    import aiohttp

    from integrations.local.agent.model import Build, Operation
    from integrations.local.agent.process import Process

log = logging.getLogger(__name__)

STOP_PATIENCE = 5.0
"""Seconds between SIGTERM and SIGKILL."""
_LOGS_KEPT = 10
_NOTES_KEPT = 5
_PORT_RETRY = 1.0


class Place:
    """One service@environment. All its methods belong to one event loop."""

    def __init__(
        self, *, folder: Path, service: str, environment: str, session: aiohttp.ClientSession, epoch: str
    ) -> None:
        self.folder = folder
        self.service = service
        self.environment = environment
        self.session = session
        self.record = PlaceRecord(uid=secrets.token_hex(4))
        self.instances: list[Instance] = []
        self.journal = Journal(folder / "journal.jsonl")
        self.proxy = Proxy(router=self, session=session)
        self.notes: list[str] = []
        self.lock = asyncio.Lock()
        """Held while an operation is being accepted."""
        self.issued = 0
        """When the newest accepted operation was decided, in monotonic nanoseconds."""
        self.closing = False
        self.broken_by: str | None = None
        """Why the rollout under way cannot succeed any more, though the step that it is at goes well."""
        self._epoch = epoch
        self._changes = 0
        self._changed = asyncio.Event()
        self._writing = asyncio.Lock()
        self._rollout: asyncio.Task[None] | None = None
        self._chores: set[asyncio.Task[None]] = set()
        self._balancer = Balancer()
        self._turns = 0
        self._shares: dict[str, float] | None = None

    # Life of the place.

    async def open(self) -> None:
        """Read what was written down, adopt what still runs, go on with what was begun.

        Raises `Damaged` when what was written down cannot be read, `OSError` when nothing can be written.
        """
        (self.folder / "logs").mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self.record = PlaceRecord.read((self.folder / "state.json").read_bytes())
        except FileNotFoundError:
            # Handles name this place by its uid, so that must last longer than any of them.
            await self.save()
        self.journal.load()
        latest, known = self.journal.latest, self.record.operation
        if latest is not None and (known is None or latest.number > known.number):
            # The agent ended after it had accepted the operation and before it wrote down anything else.
            self.record.operation = latest
        self._adopt()
        if self.record.port is not None:
            await self._listen_again(self.record.port)
        if self.record.operation is not None and self.record.operation.running:
            self.begin()
        self.spawn(keeper.keep(self))

    def _adopt(self) -> None:
        operation = self.record.operation
        under_way = operation is not None and operation.running
        for record in self.record.instances:
            instance = Instance.read(record, log=self._log_of(record["id"]))
            instance.adopt(record, service=self.service, environment=self.environment)
            if instance.alive:
                log.info("%s@%s: adopted %s (%s)", self.service, self.environment, instance.id, instance.build.version)
                self._watch(instance)
            elif under_way or instance.state is State.DRAINING:
                continue
            self.instances.append(instance)
            if instance.state is State.DRAINING:
                self.spawn(self._retire(instance))
            elif not under_way and (not instance.alive or instance.state is State.STARTING):
                self.spawn(keeper.revive(self, instance, at_once=True))

    async def _listen_again(self, port: int) -> None:
        try:
            await self.proxy.listen(port)
        except OSError:
            if self.record.port_chosen:
                self.record.port = await self.proxy.listen(None)
                self.note(f"Port {port} was taken by another program; the proxy moved to port {self.record.port}.")
                await self.save()
            else:
                self.note(f"Port {port} is taken by another program; the proxy waits for it.")
                self.spawn(self._listen_later(port))

    async def _listen_later(self, port: int) -> None:
        while self.proxy.port is None:
            await asyncio.sleep(_PORT_RETRY)
            with suppress(OSError):
                await self.proxy.listen(port)
        self.note(f"Port {port} is free again; the proxy listens on it.")

    async def bind(self, port: int | None) -> None:
        """Have the proxy listen on ``port`` (None: where it is, or anywhere); raises `Refused` when that is taken."""
        if self.proxy.port is not None and port in (None, self.proxy.port):
            self.record.port_chosen = self.record.port_chosen and port is None
            return
        try:
            bound = await self.proxy.listen(port or self.record.port)
        except OSError as error:
            raise Refused(
                "rejected",
                f"The proxy of {self.service} in {self.environment} cannot listen on port {port or self.record.port}: "
                f"{os.strerror(error.errno or 0).lower()}. Free the port or set another `port` for the target.",
            ) from None
        self.record.port, self.record.port_chosen = bound, port is None
        await self.save()

    async def close(self, *, stop: bool) -> None:
        """Let go of everything; with ``stop`` end every instance, to come back when the place is opened again."""
        self.closing = True
        chores = [*self._chores, *([self._rollout] if self._rollout is not None else [])]
        for chore in chores:
            chore.cancel()
        await asyncio.gather(*chores, return_exceptions=True)
        self.changed()
        await self.proxy.close()
        if not stop:
            return
        running = [instance.process for instance in self.instances if instance.process is not None]
        await asyncio.gather(*(process.end(patience=STOP_PATIENCE) for process in running))
        self.instances = [instance for instance in self.instances if instance.state is not State.DRAINING]
        for instance in self.instances:
            instance.state = State.STOPPED
        await self.save()

    # What is written down, and who is told.

    async def save(self) -> None:
        """Write the record down; raises `OSError`."""
        # Whoever is cancelled here must not let a later record be overtaken by this one.
        await asyncio.shield(self._save())

    async def _save(self) -> None:
        async with self._writing:
            self.record.instances = [instance.record() for instance in self.instances]
            await asyncio.to_thread(write_atomically, self.folder / "state.json", self.record.json())

    def changed(self) -> None:
        """Something that people or the proxy should know has changed."""
        self._changes += 1
        self._shares = None
        self._changed.set()
        self._changed = asyncio.Event()

    def note(self, text: str) -> None:
        """Keep a sentence for whoever looks at the place."""
        log.warning("%s@%s: %s", self.service, self.environment, text)
        self.notes = [*self.notes, text][-_NOTES_KEPT:]
        self.changed()

    @property
    def revision(self) -> str:
        """Another one after every change, also across agents."""
        return f"{self._epoch}.{self._changes}"

    async def until(self, true: Callable[[], bool], *, timeout: float) -> bool:
        """Wait for a change after which ``true()`` holds; whether it does within ``timeout`` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while not true():
                    await self._changed.wait()
        return true()

    def spawn(self, chore: Coroutine[object, object, None]) -> None:
        """Do ``chore`` in the background for as long as the place is open."""
        task = asyncio.get_running_loop().create_task(chore)
        self._chores.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._chores.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s@%s: a chore failed", self.service, self.environment, exc_info=error)

    # Operations and instances.

    def generation(self, operation: Operation) -> str:
        """Names what ``operation`` made of this very place."""
        return f"{self.record.uid}.{operation.number}"

    async def halt(self) -> None:
        """Stop the rollout under way where it is."""
        if self._rollout is not None:
            self._rollout.cancel()
            await asyncio.gather(self._rollout, return_exceptions=True)
            self._rollout = None

    def begin(self) -> None:
        """Start to bring about the record's operation."""
        self.broken_by = None
        self._rollout = asyncio.get_running_loop().create_task(rollout.roll(self))

    @property
    def under_way(self) -> bool:
        """Whether an operation is being brought about."""
        return self.record.operation is not None and self.record.operation.running

    def split(self) -> dict[str, int]:
        """Percent of the traffic by digest, as it was last decided."""
        parts: dict[str, int] = {}
        for build in self._sharing():
            parts[build.digest] = parts.get(build.digest, 0) + self.record.decided[build.key]
        return parts

    def shared(self, digest: str, version: str) -> Build | None:
        """The build of that release that has a part of the traffic, were it none yet; None when it takes no part."""
        return next((one for one in self._sharing() if (one.digest, one.version) == (digest, version)), None)

    def _sharing(self) -> list[Build]:
        known = {instance.key: instance.build for instance in self.instances}
        if self.record.operation is not None:
            known |= {group.build.key: group.build for group in self.record.operation.groups}
        if self.record.stable is not None:
            known[self.record.stable.build.key] = self.record.stable.build
        return [known[key] for key in self.record.decided if key in known]

    def counting(self) -> list[Instance]:
        """Instances that serve, or would if they were healthy, oldest first."""
        return [instance for instance in self.instances if instance.counts]

    def serving(self, key: str) -> int:
        """How many instances of the build ``key`` serve."""
        return sum(instance.serves for instance in self.instances if instance.key == key)

    async def launch(self, build: Build, *, number: int) -> Instance:
        """Start a new instance of ``build``; raises `RolloutFailed`, `OSError`."""
        name = f"i{self.record.next_instance}"
        self.record.next_instance += 1
        instance = Instance(name=name, build=build, port=free_port(), log=self._log_of(name), number=number)
        self.instances.append(instance)
        await self.start(instance)
        return instance

    async def start(self, instance: Instance) -> None:
        """Start the process of ``instance``; raises `RolloutFailed` when its command cannot be run, `OSError`."""
        # Written down first: an agent that ends right after the start must know to look for the process.
        instance.state, instance.process, instance.misses = State.STARTING, None, 0
        await self.save()
        try:
            instance.start(service=self.service, environment=self.environment)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise RolloutFailed(
                f"{instance.build.version} cannot be started: {' '.join(instance.build.command)!r} in "
                f"{instance.build.location}: {reason.lower()}."
            ) from None
        self._watch(instance)
        await self.save()
        self.changed()

    def _watch(self, instance: Instance) -> None:
        process = instance.process
        assert process is not None
        process.when_ended(lambda: self._ended(instance, process))

    def _ended(self, instance: Instance, process: Process) -> None:
        if self.closing or instance.process is not process:
            return
        if instance.state in (State.READY, State.UNREADY):
            instance.state, instance.message = State.CRASHED, f"{instance.build.version} {instance.ending()}."
            operation = self.record.operation
            if operation is None or not operation.running:
                self.spawn(keeper.revive(self, instance))
            elif instance.number == operation.number:
                what = f"{instance.build.version} {instance.ending()} soon after it had become ready."
                self.broken_by = what + instance.last_words()
        self.changed()

    def discard(self, instance: Instance) -> None:
        """Forget an instance whose process is gone."""
        with suppress(ValueError):
            self.instances.remove(instance)
        logs = sorted((self.folder / "logs").glob("i*.log"), key=lambda path: int(path.stem[1:]))
        in_use = {other.log for other in self.instances}
        for path in [path for path in logs if path not in in_use][:-_LOGS_KEPT]:
            path.unlink(missing_ok=True)
        self.changed()

    def retire(self, instance: Instance) -> None:
        """Take ``instance`` out of the proxy at once, and end it when its requests are answered."""
        if instance.state is not State.DRAINING:
            instance.state = State.DRAINING
            self.changed()
            self.spawn(self._retire(instance))

    async def _retire(self, instance: Instance) -> None:
        drain = self.record.operation.drain if self.record.operation is not None else 0.0
        with suppress(TimeoutError):
            async with asyncio.timeout(drain):
                await instance.idle.wait()
        if instance.process is not None:
            await instance.process.end(patience=STOP_PATIENCE)
        self.discard(instance)
        await self.save()

    def _log_of(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    # Traffic.

    def shares(self) -> dict[str, float]:
        """Percent of the traffic by build, as it is sent now."""
        if self._shares is None:
            self._shares = self._share(self._able(()))
        return self._shares

    def pick(self, *, avoid: Collection[str]) -> Instance | None:
        """The instance for the next request, already counted as having it under way; None when there is none."""
        able = self._able(avoid)
        key = self._balancer.pick(self._share(able) if avoid else self.shares())
        pool = [instance for instance in able if instance.key == key]
        if not pool:
            return None
        chosen = min(pool, key=lambda instance: (instance.in_flight, instance.turn))
        self._turns += 1
        chosen.turn = self._turns
        chosen.in_flight += 1
        chosen.idle.clear()
        return chosen

    def release(self, instance: Instance) -> None:
        """The request that `pick` gave to ``instance`` is over."""
        instance.in_flight -= 1
        if not instance.in_flight:
            instance.idle.set()

    def _able(self, avoid: Collection[str]) -> list[Instance]:
        counting = [instance for instance in self.instances if instance.counts and instance.id not in avoid]
        # When everybody is unhealthy, a request had better be tried than refused.
        return [instance for instance in counting if instance.serves] or counting

    def _share(self, able: list[Instance]) -> dict[str, float]:
        operation = self.record.operation
        target = None
        if operation is not None and operation.running and operation.kind != "weight" and operation.groups:
            target = operation.groups[-1].build.key
        ready = Counter(instance.key for instance in able)
        return shares(ready=ready, weights=self.record.weights, target=target)
