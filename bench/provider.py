"""A target and a source of versions that cost next to nothing, so that what is measured is the bot itself.

The bot finds them as it finds any plugin: by an entry point, in the distribution that `install` writes into a folder.
"""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from bot.domain.release import Artifact, Release
from bot.domain.rollout import Handle, Health, Outcome, OutcomeKind, Plan, Running
from integrations.registry import GROUP, Entry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from bot.domain.catalog import HealthCheck
    from bot.domain.ids import EnvironmentName, OperationId, ServiceName
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

    async def current(self) -> Running | None:
        """What runs now."""
        return self._runs

    async def plan(self, *, release: Release) -> Plan:
        """What would change."""
        return Plan(current=self._runs, changes=(f"Run {release.version}.",))

    async def apply(self, *, release: Release, operation: OperationId) -> Handle:
        """Take it over at once."""
        self._runs = Running(release=release, healthy=1, instances=1, operation=operation)
        return self._begin(operation)

    async def find(self, *, operation: OperationId) -> Handle | None:
        """What was begun under that name."""
        return self._begun.get(operation)

    async def restore(self, *, to: Running | None, operation: OperationId) -> Handle:
        """Take back at once."""
        self._runs = to
        return self._begin(operation)

    async def observe(self, *, handle: Handle) -> AsyncIterator[Progress | Outcome]:
        """Done as soon as the gate is open."""
        del handle
        await Gate.passed()
        yield Outcome(kind=OutcomeKind.SUCCEEDED)

    async def health(self, *, release: Release, check: HealthCheck) -> Health:
        """Always good."""
        del release, check
        return Health(healthy=1, instances=1)

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


TARGET = Entry(options="bench.provider:Options", factory="bench.provider:MemoryTarget")
IMAGES = Entry(options="bench.provider:Options", factory="bench.provider:AnyVersion")


def install(folder: Path) -> None:
    """Make ``folder`` one that, on Python's path, offers these providers as ``bench``."""
    distribution = folder / "bench_provider-1.dist-info"
    distribution.mkdir(parents=True)
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-provider\nVersion: 1\n")
    (distribution / "entry_points.txt").write_text(
        f"[{GROUP}]\ntarget.bench = bench.provider:TARGET\nimages.bench = bench.provider:IMAGES\n"
    )
