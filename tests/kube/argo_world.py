"""A cluster with Argo Rollouts in it and one Rollout, and the target that is tested. The client is the real one."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from bot.domain.ids import EnvironmentName, OperationId, ServiceName
from bot.domain.release import Artifact, Release
from bot.domain.rollout import Outcome, Progress
from integrations._shared.kube.api import Kube
from integrations.argo_rollouts.options import ArgoRolloutsOptions
from integrations.argo_rollouts.target import ArgoRolloutsTarget
from kube.argo import ArgoController
from kube.deployments import DeploymentController
from kube.manifests import deployment, rollout
from kube.server import KubeServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.domain.rollout import Handle

CHECKOUT, STAGING = ServiceName("checkout"), EnvironmentName("staging")
REPOSITORY = "ghcr.io/acme/checkout"


def release(version: str) -> Release:
    """A version as an image: the word in it says how its pods fare."""
    digest = f"sha256:{sha256(version.encode()).hexdigest()}"
    location = f"{REPOSITORY}-{version.partition('-')[2] or 'well'}@{digest}"
    return Release(service=CHECKOUT, version=version, artifact=Artifact(digest=digest, location=location))


OLD = release("v1.0")


@dataclass
class World:
    server: KubeServer
    controller: ArgoController
    kube: Kube
    options: dict[str, Any] = field(default_factory=dict)

    def target(self, **options: Any) -> ArgoRolloutsTarget:
        given = {"cluster": "main", "namespace": "shop", "rollout": "checkout", "container": "web", **self.options}
        read = ArgoRolloutsOptions.model_validate({**given, **options})
        return ArgoRolloutsTarget(options=read, service=CHECKOUT, environment=STAGING, kube=self.kube)

    def get(self, plural: str = "rollouts") -> dict[str, Any]:
        return self.server.get(plural, "shop", "checkout" if plural == "rollouts" else "template")

    @property
    def status(self) -> dict[str, Any]:
        return dict(self.get().get("status") or {})

    @property
    def traffic(self) -> int:
        return self.controller.traffic("shop", "checkout")

    def image(self, plural: str = "rollouts") -> str:
        return str(self.get(plural)["spec"]["template"]["spec"]["containers"][0]["image"])

    async def until(self, phase: str, *, reason: str = "") -> None:
        def there() -> bool:
            found, status = self.get(), self.status
            reasons = [each["reason"] for each in status.get("pauseConditions") or []]
            return (
                status.get("observedGeneration") == str(found["metadata"]["generation"])
                and status.get("phase") == phase
                and (not reason or reason in reasons)
            )

        await self.server.until(there)

    def kubectl(self, body: dict[str, Any], *, manager: str = "kubectl-argo-rollouts") -> None:
        """A person writes into the status, as their plugin does."""

        def change(live: dict[str, Any]) -> dict[str, Any]:
            status = live.setdefault("status", {})
            for key, value in body.items():
                if value is None:
                    status.pop(key, None)
                else:
                    status[key] = value
            return live

        self.server.change("rollouts", "shop", "checkout", change, manager=manager, status=True)

    def set_image(self, image: str, *, plural: str = "rollouts", manager: str = "kubectl-set") -> None:
        def change(live: dict[str, Any]) -> dict[str, Any]:
            live["spec"]["template"]["spec"]["containers"][0]["image"] = image
            return live

        self.server.change(plural, "shop", "checkout" if plural == "rollouts" else "template", change, manager=manager)


@asynccontextmanager
async def world(*, referred: bool = False, **more: Any) -> AsyncIterator[World]:
    """One Rollout, checkout, with v1.0 running; ``referred``: its template stands in a Deployment."""
    async with KubeServer.running() as server:
        pods = DeploymentController(server, pace=0.005, second=0.02)
        controller = ArgoController(server, pods, pace=0.005)
        kube = Kube(server.access())
        images = {"web": OLD.artifact.location, "side": "r/side:1"}
        one = rollout("checkout", images, **more)
        if referred:
            del one["spec"]["template"]
            one["spec"]["workloadRef"] = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "template"}
            template = deployment("template", images, replicas=0)
            template["spec"]["template"]["metadata"]["labels"] = {"app": "checkout"}
            template["spec"]["selector"] = {"matchLabels": {"app": "checkout"}}
            server.add("deployments", "shop", template)
        server.add("rollouts", "shop", one)
        pods.start()
        controller.start()
        found = World(server, controller, kube)
        try:
            await found.until("Healthy")
            yield found
        finally:
            await controller.stop()
            await pods.stop()
            await kube.close()


async def seen(target: ArgoRolloutsTarget, handle: Handle) -> tuple[list[Progress], Outcome]:
    """All that is told on the way, and the end."""
    everything = [each async for each in target.observe(handle=handle)]
    outcomes = [each for each in everything if isinstance(each, Outcome)]
    assert len(outcomes) == 1
    assert everything[-1] is outcomes[0]
    return [each for each in everything if isinstance(each, Progress)], outcomes[0]


async def weigh(target: ArgoRolloutsTarget, version: str, percent: int, operation: str) -> Outcome:
    handle = await target.set_weight(release=release(version), percent=percent, operation=OperationId(operation))
    return (await seen(target, handle))[1]
