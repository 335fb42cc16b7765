"""A cluster with a controller and one Deployment in it, and the target that is tested. The client is the real one."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from bot.domain.ids import EnvironmentName, OperationId, ServiceName
from bot.domain.release import Artifact, Release
from bot.domain.rollout import Outcome, Progress
from integrations._shared.kube.api import Kube
from integrations.kubernetes.options import KubernetesOptions
from integrations.kubernetes.target import KubernetesTarget

from .deployments import DeploymentController
from .kubelet import WORDS
from .manifests import deployment
from .server import KubeServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.domain.rollout import Handle

CHECKOUT, STAGING = ServiceName("checkout"), EnvironmentName("staging")
REPOSITORY = "ghcr.io/acme/checkout"


def release(version: str) -> Release:
    """A version as an image: the word in it says how its pods fare."""
    digest = f"sha256:{sha256(version.encode()).hexdigest()}"
    return Release(
        service=CHECKOUT,
        version=version,
        artifact=Artifact(digest=digest, location=f"{REPOSITORY}-{version.partition('-')[2] or 'well'}@{digest}"),
    )


@dataclass
class World:
    server: KubeServer
    controller: DeploymentController
    kube: Kube
    options: dict[str, Any] = field(default_factory=dict)

    def target(self, *, look_after: float = 0.2, **options: Any) -> KubernetesTarget:
        given = {"cluster": "main", "namespace": "shop", "workload": "checkout", "container": "web", **self.options}
        target = KubernetesTarget(
            options=KubernetesOptions.model_validate({**given, **options}),
            service=CHECKOUT,
            environment=STAGING,
            kube=self.kube,
        )
        target.watching = type(target.watching)(
            deadline=target.watching.deadline,
            fail_on_trouble=target.watching.fail_on_trouble,
            log_lines=target.watching.log_lines,
            look_after=look_after,
        )
        return target

    def add(self, name: str = "checkout", images: dict[str, str] | None = None, **more: Any) -> None:
        has = images or {"web": f"{REPOSITORY}:v1.0", "side": "r/side:1"}
        self.server.add("deployments", "shop", deployment(name, has, **{"progressDeadlineSeconds": 30, **more}))

    def get(self, name: str = "checkout") -> dict[str, Any]:
        return self.server.get("deployments", "shop", name)

    def image(self, name: str = "checkout", index: int = 0) -> str:
        return str(self.get(name)["spec"]["template"]["spec"]["containers"][index]["image"])

    async def settled(self, name: str = "checkout") -> None:
        """Wait until the controller has nothing left to do there."""

        def done() -> bool:
            one = self.get(name)
            status, wanted = one.get("status", {}), one["spec"]["replicas"]
            return bool(
                status.get("observedGeneration") == one["metadata"]["generation"]
                and status.get("updatedReplicas", 0) == status.get("replicas", 0) == wanted
                and status.get("availableReplicas", 0) == wanted
            )

        await self.server.until(done)

    def stuck(self) -> bool:
        """Whether the controller can do no more for a Deployment with a bad image, and has not given up yet."""
        return any(_stuck(self, one) for one in self.server.all("deployments", "shop"))

    def set_image(self, image: str, *, manager: str = "kubectl-set", name: str = "checkout") -> None:
        """As `kubectl set image` does: it touches nothing else."""

        def change(live: dict[str, Any]) -> dict[str, Any]:
            live["spec"]["template"]["spec"]["containers"][0]["image"] = image
            return live

        self.server.change("deployments", "shop", name, change, manager=manager)

    def calls(self, since: int = 0) -> list[str]:
        return [f"{call.verb} {call.resource}" for call in self.server.log[since:]]


@asynccontextmanager
async def world(*, add: bool = True, tls: bool = False, patient: bool = False, **more: Any) -> AsyncIterator[World]:
    """One Deployment, checkout, with v1.0 running (``add``), and its controller at work.

    Time stands still, so that a slow machine fails no rollout, until one with a bad image is stuck: then half a minute
    passes, unless the world is ``patient``.
    """
    async with KubeServer.running(tls=tls) as server:
        controller = DeploymentController(server, pace=0.005)
        kube = Kube(server.access())
        found = World(server, controller, kube)
        if add:
            found.add(**more)
        controller.start()
        passing = asyncio.create_task(_time_passes(found)) if not patient else None
        try:
            if add and more.get("replicas") != 0 and not more.get("paused"):
                await found.settled()
            yield found
        finally:
            if passing is not None:
                passing.cancel()
                await asyncio.gather(passing, return_exceptions=True)
            await controller.stop()
            await kube.close()


async def _time_passes(here: World) -> None:
    while True:
        await here.server.until(lambda: here.stuck(), timeout=1000)
        here.controller.advance(31)
        with suppress(TimeoutError):  # there was a last step to be taken, and its time counts anew
            await here.server.until(lambda: not here.stuck(), timeout=0.3)


async def seen(target: KubernetesTarget, handle: Handle) -> tuple[list[Progress], Outcome]:
    """All that is told on the way, and the end."""
    everything = [each async for each in target.observe(handle=handle)]
    outcomes = [each for each in everything if isinstance(each, Outcome)]
    assert len(outcomes) == 1, "observing ends with exactly one outcome"
    assert everything[-1] is outcomes[0], "and with nothing after it"
    return [each for each in everything if isinstance(each, Progress)], outcomes[0]


async def deploy(target: KubernetesTarget, version: str, operation: str) -> tuple[list[Progress], Outcome]:
    handle = await target.apply(release=release(version), operation=OperationId(operation))
    return await seen(target, handle)


def _stuck(here: World, one: dict[str, Any]) -> bool:
    status, images = one.get("status", {}), json.dumps(one["spec"]["template"])
    reasons = [each["reason"] for each in status.get("conditions", []) if each["type"] == "Progressing"]
    return (
        any(word in images for word in (*WORDS, *here.controller.kubelet.behaviours))
        and status.get("observedGeneration") == one["metadata"]["generation"]
        and status.get("updatedReplicas", 0) > 0
        and reasons == ["ReplicaSetUpdated"]
    )
