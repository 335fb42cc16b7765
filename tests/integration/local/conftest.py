"""A platform in a temporary folder, with everything that a test needs to deploy to it."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import psutil
import pytest

from bot.domain.ids import EnvironmentName, OperationId, ServiceName
from bot.domain.rollout import Handle, Outcome, Progress
from bot.sandbox.samples import write_artifact
from integrations.local import LocalImagesOptions, LocalPlatform, LocalTargetOptions, build_images, build_target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.domain.release import Release
    from integrations.local.images import LocalImages
    from integrations.local.target import LocalTarget
    from integrations.local.wire import PlaceStatus

CHECKOUT = ServiceName("checkout")
STAGING = EnvironmentName("staging")


@dataclass
class World:
    """One root folder, its artifacts, and short names for what tests do all the time."""

    folder: Path
    platform: LocalPlatform
    numbers: list[int] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return self.folder / "platform"

    def target(self, environment: str = STAGING, **options: Any) -> LocalTarget:
        return build_target(
            options=LocalTargetOptions(root=self.root, **{"start_timeout": 5.0, **options}),
            service=CHECKOUT,
            environment=EnvironmentName(environment),
        )

    @property
    def images(self) -> LocalImages:
        return build_images(options=LocalImagesOptions(folder=self.folder / "artifacts"), service=CHECKOUT)

    async def release(self, version: str, **behaviour: Any) -> Release:
        write_artifact(self.folder / "artifacts" / version, behaviour=behaviour)
        return await self.images.resolve(version=version)

    async def program(self, version: str, source: str) -> Release:
        """A release that is a Python program of the test's own."""
        place = self.folder / "artifacts" / version
        place.mkdir(parents=True)
        (place / "main.py").write_text(source)
        (place / "release.json").write_text(json.dumps({"command": ["{python}", "-S", "-E", "-s", "main.py"]}))
        return await self.images.resolve(version=version)

    def operation(self) -> OperationId:
        self.numbers.append(len(self.numbers))
        return OperationId(f"d{len(self.numbers)}-apply-1")

    async def deploy(self, target: LocalTarget, release: Release) -> Outcome:
        return await self.outcome(target, await target.apply(release=release, operation=self.operation()))

    async def outcome(self, target: LocalTarget, handle: Handle) -> Outcome:
        return (await self.story(target, handle))[1]

    async def story(self, target: LocalTarget, handle: Handle) -> tuple[list[Progress], Outcome]:
        told = [event async for event in target.observe(handle=handle)]
        *progress, outcome = told
        assert isinstance(outcome, Outcome)
        return [event for event in progress if isinstance(event, Progress)], outcome

    async def status(self, environment: str = STAGING) -> PlaceStatus:
        status = await self.platform.status(CHECKOUT, environment)
        assert status is not None
        return status

    async def pids(self) -> dict[str, int | None]:
        return {instance["id"]: instance["pid"] for instance in (await self.status())["instances"]}

    def agent_pid(self) -> int:
        pid = json.loads((self.root / "agent.json").read_text())["pid"]
        assert isinstance(pid, int)
        return pid

    async def end_agent(self, number: signal.Signals = signal.SIGKILL) -> int:
        """End the agent and nothing else, and wait until it is gone."""
        agent = psutil.Process(self.agent_pid())
        os.kill(agent.pid, number)
        psutil.wait_procs([agent], timeout=10)
        assert not agent.is_running()
        return agent.pid

    def processes(self) -> list[psutil.Process]:
        """Every process that works in this world's folder: instances and agents."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()).is_relative_to(self.folder):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def instance_processes(self) -> set[int]:
        return {
            process.pid for process in self.processes() if Path(process.cwd()).is_relative_to(self.folder / "artifacts")
        }


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setenv("LOCAL_AGENT_FAULTS", "1")
    world = World(folder=tmp_path, platform=LocalPlatform(tmp_path / "platform"))
    try:
        yield world
        await world.platform.stop_all()
        left = world.processes()
    finally:
        # Whatever a failing test or a broken agent leaves behind ends here.
        for process in world.processes():
            process.kill()
    assert not left, f"left behind: {left}"


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as session:
        yield session
