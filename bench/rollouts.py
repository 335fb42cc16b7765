"""Rollouts of Deployments: one beside kubectl on the same server, and 200 at once beside asking every five seconds.

The server is a stand-in in a process of its own (`bench.cluster`), so times say how fast each notices, not how fast a
cluster is. kubectl is the real one; it is started anew for each command, as a script would.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import resource
import sys
import time
from contextlib import aclosing
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bench.report import Aim, Found, Row
from bot.domain.ids import EnvironmentName, OperationId, ServiceName
from bot.domain.release import Artifact, Release
from bot.domain.rollout import Outcome, OutcomeKind
from integrations._shared.kube.api import Kube
from integrations.clusters.kubeconfig import build as kubeconfig
from integrations.clusters.options import KubeconfigOptions
from integrations.kubernetes.options import KubernetesOptions
from integrations.kubernetes.target import KubernetesTarget

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_ROUNDS, _AT_ONCE, _POLL = 12, 200, 5.0
_STEP = 3.0
"""Seconds from one step of the cluster to the next when there are many: a rollout takes about 50, as real ones do."""
_PATH = "/apis/apps/v1/namespaces/shop/deployments"
_KUBECTL = Path(sys.executable).with_name("kubectl")


class Cluster:
    """The other process."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self._process, self.folder = process, folder
        self.kube = Kube(kubeconfig(options=KubeconfigOptions(path=folder / "kubeconfig"), name="bench"))

    def target(self, number: int = 0) -> KubernetesTarget:
        options = KubernetesOptions(cluster="bench", namespace="shop", workload=f"s{number}")
        name = ServiceName(f"s{number}")
        return KubernetesTarget(options=options, service=name, environment=EnvironmentName("bench"), kube=self.kube)

    async def calls(self) -> int:
        """How many calls were made since this was asked last."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        return sum(json.loads(await self._process.stdout.readline()).values())


@contextlib.asynccontextmanager
async def cluster(folder: Path, *, how_many: int, pace: float) -> AsyncIterator[Cluster]:
    folder.mkdir()  # noqa: ASYNC240 - before anything is measured
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.cluster", str(folder), str(how_many), str(pace)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**20,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(120):
            while (await process.stdout.readline()).strip() != b"ready":
                assert process.returncode is None
        opened = Cluster(process, folder)
        yield opened
        await opened.kube.close()
    finally:
        assert process.stdin is not None
        process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()


def release(version: str) -> Release:
    digest = f"sha256:{hashlib.sha256(version.encode()).hexdigest()}"
    return Release(service=ServiceName("s"), version=version, artifact=Artifact(digest=digest, location="r/web"))


async def roll(target: KubernetesTarget, version: str) -> None:
    """To the end."""
    handle = await target.apply(release=release(version), operation=OperationId(f"op-{version}"))
    async with aclosing(target.observe(handle=handle)) as told:
        async for each in told:
            if isinstance(each, Outcome):
                assert each.kind is OutcomeKind.SUCCEEDED, each


async def roll_by_kubectl(there: Cluster, version: str) -> None:
    """As a script does it."""
    for words in (("set", "image", "deployment/s0", f"web=r/web:{version}"), ("rollout", "status", "deployment/s0")):
        process = await asyncio.create_subprocess_exec(
            *(str(_KUBECTL), "--kubeconfig", str(there.folder / "kubeconfig"), "--namespace", "shop"),
            *("--cache-dir", str(there.folder / "cache"), *words),
            stdout=asyncio.subprocess.DEVNULL,
        )
        assert await process.wait() == 0


async def roll_by_polling(target: KubernetesTarget, kube: Kube, path: str, version: str) -> None:
    """Asks every five seconds, as scripts do that do not watch."""
    await target.apply(release=release(version), operation=OperationId(f"op-{version}"))
    while True:
        found = await kube.get(path)
        assert found is not None
        status, wanted = found.get("status", {}), found["spec"]["replicas"]
        told = (status.get("updatedReplicas"), status.get("availableReplicas"), status.get("replicas"))
        if status.get("observedGeneration", 0) >= found["metadata"]["generation"] and set(told) == {wanted}:
            return
        await asyncio.sleep(_POLL)


async def measure(folder: Path) -> Found:
    """Times, calls and work for a rollout."""
    ours: list[float] = []
    theirs: list[float] = []
    async with cluster(folder / "one", how_many=1, pace=0.05) as there:
        target = there.target()
        for number in range(_ROUNDS + 1):
            began = time.perf_counter()
            await roll(target, f"v{number}")
            between = time.perf_counter()
            await roll_by_kubectl(there, f"k{number}")
            if number:  # the first opens connections and fills caches
                ours.append(between - began)
                theirs.append(time.perf_counter() - between)
    async with cluster(folder / "many", how_many=_AT_ONCE, pace=_STEP) as there:
        await there.calls()
        before, began = _used(), time.perf_counter()
        await asyncio.gather(*(roll(there.target(number), f"w{number}") for number in range(_AT_ONCE)))
        took, used, calls = time.perf_counter() - began, _used(), await there.calls()
        polled, then = _used(), time.perf_counter()
        await asyncio.gather(
            *(
                roll_by_polling(there.target(number), there.kube, f"{_PATH}/s{number}", f"p{number}")
                for number in range(_AT_ONCE)
            )
        )
        poll_took, poll_used, poll_calls = time.perf_counter() - then, _used(), await there.calls()
    return Found(
        rows=[
            Row(
                name="a rollout, from the request to its end, median; against kubectl set image and rollout status",
                measured=median(ours) * 1000,
                unit="ms",
                baseline=median(theirs) * 1000,
                aim=Aim(limit=1.0, of_ratio=True),
            ),
            Row(
                name=f"{_AT_ONCE} rollouts at once: calls a rollout; against asking every {_POLL:g} s",
                measured=calls / _AT_ONCE,
                unit="calls",
                baseline=poll_calls / _AT_ONCE,
                aim=Aim(limit=0.6, of_ratio=True),
            ),
            Row(
                name=f"{_AT_ONCE} rollouts at once: our processor time a rollout",
                measured=(used[0] - before[0]) / _AT_ONCE * 1000,
                unit="ms",
                baseline=(poll_used[0] - polled[0]) / _AT_ONCE * 1000,
            ),
            Row(
                name=f"{_AT_ONCE} rollouts at once: memory that each takes while it is watched",
                measured=(used[1] - before[1]) / _AT_ONCE * 1024,
                unit="KiB",
            ),
        ],
        details={
            "seconds, ours": ours,
            "seconds, kubectl": theirs,
            "200 at once": {"seconds": took, "MiB more": used[1] - before[1]},
            "200 polled": {"seconds": poll_took, "MiB more": poll_used[1] - polled[1]},
        },
    )


def _used() -> tuple[float, float]:
    """Seconds of processor time, and the most memory so far in MiB."""
    found = resource.getrusage(resource.RUSAGE_SELF)
    return found.ru_utime + found.ru_stime, found.ru_maxrss / 1024
