"""A target, a source of versions and one of numbers that cost next to nothing, so that what is measured is the bot.

The bot finds them as it finds any plugin: by an entry point, in the distribution that `install` writes into a folder.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict

from bot.domain.metric import Point, Reading
from bot.domain.release import Artifact, Release
from bot.domain.rollout import Handle, Health, Outcome, OutcomeKind, Plan, Running
from bot.domain.strategy.powers import Power
from integrations.registry import GROUP, Entry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from bot.domain.catalog import HealthCheck
    from bot.domain.ids import EnvironmentName, OperationId, ServiceName
    from bot.domain.metric import Subject
    from bot.domain.rollout import Progress


class Options(BaseModel):
    """There is nothing to choose."""

    model_config = ConfigDict(extra="forbid")


class Gate:
    """Holds every change of this process back while it is shut."""

    _opened: asyncio.Event | None = None

    @classmethod
    def shut(cls) -> asyncio.Event:
        """Hold changes from now on; set the answer to let them end."""
        cls._opened = asyncio.Event()
        return cls._opened

    @classmethod
    async def passed(cls) -> None:
        """Wait until the gate is open."""
        if cls._opened is not None:
            await cls._opened.wait()


class MemoryTarget:
    """One service in one environment, remembered and no more."""

    def __init__(self, *, options: Options, service: ServiceName, environment: EnvironmentName) -> None:
        del options, service, environment
        self._runs: Running | None = None
        self._number = 0
        self._begun: dict[OperationId, Handle] = {}
        self._split: tuple[Release, int] | None = None

    async def current(self) -> Running | None:
        """What runs now."""
        return self._runs

    async def plan(self, *, release: Release) -> Plan:
        """What would change."""
        return Plan(current=self._runs, changes=(f"Run {release.version}.",))

    async def apply(self, *, release: Release, operation: OperationId) -> Handle:
        """Take it over at once."""
        return self._take_over(release, operation)

    async def find(self, *, operation: OperationId) -> Handle | None:
        """What was begun under that name."""
        return self._begun.get(operation)

    async def restore(self, *, to: Running | None, operation: OperationId) -> Handle:
        """Take back at once."""
        if operation not in self._begun:
            self._runs, self._split = to, None
        return self._begin(operation)

    async def set_weight(self, *, release: Release, percent: int, operation: OperationId) -> Handle:
        """Split at once."""
        if operation not in self._begun:
            self._split = (release, percent)
        return self._begin(operation)

    async def weight(self, *, release: Release) -> int | None:
        """What was set last."""
        if self._split is not None and self._split[0].same_as(release):
            return self._split[1]
        runs = self._runs is not None and self._runs.release.same_as(release)
        return (100 - self._split[1] if self._split is not None else 100) if runs else 0

    async def promote(self, *, release: Release, operation: OperationId) -> Handle:
        """Take it over at once."""
        return self._take_over(release, operation)

    async def take_back(self, *, to: Running | None, operation: OperationId) -> Handle:
        """Take back at once."""
        return await self.restore(to=to, operation=operation)

    async def recreate(self, *, release: Release, operation: OperationId) -> Handle:
        """Take it over at once."""
        return self._take_over(release, operation)

    async def observe(self, *, handle: Handle) -> AsyncIterator[Progress | Outcome]:
        """Done as soon as the gate is open."""
        del handle
        await Gate.passed()
        yield Outcome(kind=OutcomeKind.SUCCEEDED)

    async def health(self, *, release: Release, check: HealthCheck) -> Health:
        """Always good."""
        del release, check
        return Health(healthy=1, instances=1)

    def _take_over(self, release: Release, operation: OperationId) -> Handle:
        if operation not in self._begun:
            self._runs = Running(release=release, healthy=1, instances=1, operation=operation)
            self._split = None
        return self._begin(operation)

    def _begin(self, operation: OperationId) -> Handle:
        self._number += 1
        return self._begun.setdefault(operation, Handle(operation=operation, generation=str(self._number)))


class AnyVersion:
    """Every version exists."""

    def __init__(self, *, options: Options, service: ServiceName) -> None:
        del options
        self._service = service

    async def resolve(self, *, version: str) -> Release:
        """A release with a digest that is its own."""
        digest = "sha256:" + sha256(f"{self._service} {version}".encode()).hexdigest()
        return Release(service=self._service, version=version, artifact=Artifact(digest=digest, location="memory"))

    async def has(self, *, release: Release) -> bool:
        """Everything that was built is there for good."""
        del release
        return True

    async def versions(self, *, prefix: str = "", limit: int = 100) -> Sequence[str]:
        """A few."""
        return [name for name in ("v2", "v1") if name.startswith(prefix)][:limit]


class Numbers:
    """Every number that is asked for in this process: good ones, until somebody says otherwise."""

    _said: ClassVar[dict[str, Reading]] = {}

    @classmethod
    def say(cls, version: str, value: float | None, *, samples: float | None = 1000, why: str = "") -> None:
        """From now on, ``value`` is what is read of ``version``."""
        cls._said[version] = Reading(value=value, at=datetime.now(UTC), samples=samples, why=why)

    def __init__(self, *, options: Options) -> None:
        del options

    async def read(self, query: str, *, subject: Subject, window: float, at: datetime | None = None) -> Reading:
        """What was said of that version; 0 of a thousand else."""
        del query, window
        said = self._said.get(subject.version)
        when = at or datetime.now(UTC)
        if said is None:
            return Reading(value=0.0, at=when, samples=1000)
        return Reading(value=said.value, at=when, samples=said.samples, why=said.why)

    async def series(
        self, query: str, *, subject: Subject, window: float, since: datetime, until: datetime, step: float
    ) -> Sequence[Point]:
        """The same number all the time."""
        value = (await self.read(query, subject=subject, window=window)).value
        steps = int((until - since).total_seconds() / step)
        return [Point(at=since + timedelta(seconds=step * number), value=value) for number in range(steps + 1)]


TARGET = Entry(options="bench.provider:Options", factory="bench.provider:MemoryTarget", powers=frozenset(Power))
IMAGES = Entry(options="bench.provider:Options", factory="bench.provider:AnyVersion")
METRICS = Entry(options="bench.provider:Options", factory="bench.provider:Numbers")


def install(folder: Path) -> None:
    """Make ``folder`` one that, on Python's path, offers these providers as ``bench``."""
    distribution = folder / "bench_provider-1.dist-info"
    distribution.mkdir(parents=True)
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-provider\nVersion: 1\n")
    (distribution / "entry_points.txt").write_text(
        f"[{GROUP}]\ntarget.bench = bench.provider:TARGET\nimages.bench = bench.provider:IMAGES\n"
        "metrics.bench = bench.provider:METRICS\n"
    )
