"""The tests for real clusters, as somebody runs them who has one: ``pytest -m cluster`` with TEST_KUBECONFIG.

No real cluster is at hand where these are run every day, so that a stand-in in another process is named as one
(`kube.serve`), with nodes and without. It must not know anything that a real one would not tell.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]
TESTS = Path(__file__).parents[2]
OURS = ("TEST_", "PYTEST_")
"""What tells one run of the tests apart from another."""
FLAGGER = {"TEST_GATES": "http://127.0.0.1", "TEST_FLAGGER_SPEC": '{"provider": "any"}', "TEST_FLAGGER_INTERVAL": "0.5"}
"""The stand-in's Flagger reaches this process, needs nothing to split traffic, and comes round more often."""
FOLDERS = tuple(f"tests/integration/{folder}" for folder in ("kubernetes", "argo", "flagger"))
FAMILIES = (
    "test_rollout_deployments",
    "test_rollout_disturbed",
    "test_rollout_together",
    "test_rollout_kubectl",
    "test_argo_rollouts",
    "test_flagger_canary",
)


class Served:
    """The cluster in the other process."""

    def __init__(self, process: asyncio.subprocess.Process, config: Path) -> None:
        self._process, self.config = process, config

    async def line(self) -> str:
        assert self._process.stdout is not None
        async with asyncio.timeout(60):
            line = await self._process.stdout.readline()
        assert line, "the server ended"
        return line.decode().strip()

    async def namespaces(self) -> list[str]:
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        return list(json.loads(await self.line()))


@asynccontextmanager
async def served(folder: Path, *options: str) -> AsyncIterator[Served]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kube.serve", str(folder), *options),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=TESTS,
    )
    try:
        found = Served(process, folder / "kubeconfig")
        assert await found.line() == "ready"
        yield found
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(20):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def run(folder: Path, *words: str, **more: str) -> tuple[dict[str, str], str]:
    """How each of the tests ended, and all that was said. ``more``: environment variables."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(OURS)}
    report = folder / "report.xml"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-q", "-m", "cluster", "-p", "no:cacheprovider", f"--junitxml={report}"),
        *("-o", "junit_family=xunit2", *words),
        env={**kept, **more},
        cwd=TESTS.parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    ends = {}
    for case in ET.parse(report).iter("testcase"):  # our own pytest wrote it
        ends[f"{case.get('classname')}::{case.get('name')}"] = next((each.tag for each in case), "passed")
    return ends, said.decode()


@pytest.mark.parametrize("without", ["", "kubelets"])
async def test_every_test_for_real_clusters_passes_on_one_and_leaves_nothing_there(
    tmp_path: Path, without: str
) -> None:
    async with served(tmp_path, *(["--without", without] if without else [])) as cluster:
        before = set(await cluster.namespaces())
        ends, said = await run(tmp_path, "-n", "2", *FOLDERS, TEST_KUBECONFIG=str(cluster.config), **FLAGGER)
        assert {test: end for test, end in ends.items() if end != "passed"} == {}, said[-6000:]
        for family in FAMILIES:
            assert any(family in test for test in ends), f"none of {family} was run"
        for _ in range(300):  # a namespace takes a moment to go
            left = set(await cluster.namespaces()) - before
            if not left:
                break
            await asyncio.sleep(0.2)
        assert not left, "namespaces were left behind"


async def test_without_a_cluster_it_is_said_why_they_are_left_out(tmp_path: Path) -> None:
    ends, said = await run(tmp_path, "-rs", "tests/integration/kubernetes")
    assert ends
    assert set(ends.values()) == {"skipped"}
    assert "TEST_KUBECONFIG names no cluster" in said
