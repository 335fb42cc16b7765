"""Where Argo Rollouts is tested: the stand-in with its simulated controller, or a real cluster that has it.

On the stand-in something splits the traffic; on a real cluster the numbers of pods do, since nobody knows what else it
has. Where a cluster has no Argo Rollouts, or nobody reconciles its objects, the tests are left out and say so.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from bot.domain.ids import OperationId
from integrations._shared.kube.api import Kube
from integrations.argo_rollouts.options import ArgoRolloutsOptions
from integrations.argo_rollouts.target import ArgoRolloutsTarget

from . import argo_world, real
from .argo_world import CHECKOUT, STAGING
from .hands import PATIENCE, FakeHands, Hands, RealHands
from .manifests import deployment, rollout
from .rolling_places import is_troubled, pulled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from bot.domain.release import Release
    from bot.domain.rollout import Handle, Outcome, Progress

    from .resources import Object

_TAKEN_UP = 30.0
"""Seconds in which a controller says that it has seen a Rollout."""
_has_controller: dict[str, bool] = {}


class ArgoPlace(ABC):
    """A namespace with the Rollout checkout in it, v1.0 running, and the target that is tested."""

    failing, says = "v1.1-crash", "crash"
    """A version that does not come up, and what is said about it."""

    def __init__(self, hands: Hands, kube: Kube) -> None:
        self.hands, self.kube = hands, kube
        self.old, self.new = self.release("v1.0"), self.release("v1.1")

    def release(self, version: str) -> Release:
        return argo_world.release(version)

    def target(self, **options: Any) -> ArgoRolloutsTarget:
        given = {"cluster": "main", "namespace": self.hands.namespace, "rollout": "checkout", "container": "web"}
        read = ArgoRolloutsOptions.model_validate({**given, **options})
        return ArgoRolloutsTarget(options=read, service=CHECKOUT, environment=STAGING, kube=self.kube)

    async def seen(self, target: ArgoRolloutsTarget, handle: Handle) -> tuple[list[Progress], Outcome]:
        """All that is told on the way, and the end."""
        async with asyncio.timeout(2 * PATIENCE):
            return await argo_world.seen(target, handle)

    async def weigh(self, target: ArgoRolloutsTarget, version: str, percent: int, operation: str) -> Outcome:
        to = self.release(version)
        handle = await target.set_weight(release=to, percent=percent, operation=OperationId(operation))
        return (await self.seen(target, handle))[1]

    async def get(self, kind: str = "rollouts") -> Object:
        return await self.hands.get(kind, "checkout" if kind == "rollouts" else "template")

    async def status(self) -> Object:
        return dict((await self.get()).get("status") or {})

    async def step(self) -> int:
        """Which of its steps it is at."""
        return int((await self.status()).get("currentStepIndex") or 0)

    @abstractmethod
    async def traffic(self) -> int:
        """How many per cent go to what is new."""

    async def image(self, kind: str = "rollouts") -> str:
        return str((await self.get(kind))["spec"]["template"]["spec"]["containers"][0]["image"])

    async def until(self, phase: str, *, reason: str = "") -> None:
        async def there() -> bool:
            found = await self.get()
            status = found.get("status") or {}
            reasons = [each["reason"] for each in status.get("pauseConditions") or []]
            return (
                status.get("observedGeneration") == str(found["metadata"]["generation"])
                and status.get("phase") == phase
                and (not reason or reason in reasons)
            )

        await self.hands.until(there)

    async def change(self, patch: Mapping[str, Any] | Callable[[Object], Object], *, manager: str = "kubectl") -> None:
        await self.hands.change("rollouts", "checkout", patch, manager=manager)

    async def kubectl(self, status: Mapping[str, Any]) -> None:
        """A person writes into the status, as their plugin does; None takes a member away."""
        manager = "kubectl-argo-rollouts"
        await self.hands.change("rollouts", "checkout", {"status": status}, manager=manager, status=True)

    async def set_image(self, image: str) -> None:
        def change(live: Object) -> Object:
            live["spec"]["template"]["spec"]["containers"][0]["image"] = image
            return live

        await self.change(change, manager="kubectl-set")

    async def give_up(self) -> None:
        """Have the cluster give up a release whose pods are in trouble."""

        async def troubled() -> bool:
            return any(is_troubled(pod, []) for pod in await self.hands.all("pods"))

        await self.hands.until(troubled)
        await self.change({"spec": {"progressDeadlineSeconds": 5}})


class FakeArgo(ArgoPlace):
    """On the stand-in. ``world`` has its inner handles, for tests of nothing else."""

    def __init__(self, world: argo_world.World) -> None:
        super().__init__(FakeHands(world.server), world.kube)
        self.world = world

    async def traffic(self) -> int:
        return self.world.traffic


class RealArgo(ArgoPlace):
    """On a cluster with Argo Rollouts."""

    def __init__(self, hands: RealHands, *, kubelets: bool) -> None:
        self.kubelets = kubelets
        super().__init__(hands, Kube(real.access()))
        if kubelets:
            self.failing, self.says = "v1.5-missing", "cannot pull"

    def release(self, version: str) -> Release:
        return pulled({"v9": "v1.2"}.get(version, version)) if self.kubelets else super().release(version)

    async def traffic(self) -> int:
        """As many as of its pods are new, where nothing splits it."""
        status = await self.status()
        if status.get("stableRS") == status.get("currentPodHash"):
            return 0
        return int(100 * status.get("updatedReplicas", 0) / max(status.get("replicas", 0), 1) + 0.5)

    async def begin(self, *, referred: bool, **more: Any) -> None:
        side = self.old.artifact.location
        images = {"web": self.old.artifact.location, "side": side}
        one = rollout("checkout", images, routed=False, **{"progressDeadlineSeconds": 600, **more})
        real.fitted(one["spec"]["template"]["spec"], kubelets=self.kubelets)
        if referred:
            template = deployment("template", images, replicas=0)
            template["spec"] |= {"template": one["spec"].pop("template"), "selector": one["spec"]["selector"]}
            one["spec"]["workloadRef"] = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "template"}
            await self.hands.make("deployments", template)
        for name in ("activeService", "previewService"):
            if service := (more.get("strategy") or {}).get("blueGreen", {}).get(name):
                spec = {"selector": {"app": "checkout"}, "ports": [{"port": 80}]}
                await self.hands.make("services", {"metadata": {"name": service}, "spec": spec})
        await self.hands.make("rollouts", one)
        if real.CONFIG not in _has_controller:
            _has_controller[real.CONFIG] = await self._is_taken_up()
        if not _has_controller[real.CONFIG]:
            pytest.skip("the cluster has no Argo Rollouts controller")
        await self.until("Healthy")

    async def _is_taken_up(self) -> bool:
        async def seen() -> Any:
            return (await self.status()).get("observedGeneration")

        try:
            async with asyncio.timeout(_TAKEN_UP):
                await self.hands.until(seen)
        except TimeoutError:
            return False
        return True


@asynccontextmanager
async def place(where: str, *, referred: bool = False, **more: Any) -> AsyncIterator[ArgoPlace]:
    """``referred``: the template stands in a Deployment."""
    if where == "fake":
        async with argo_world.world(referred=referred, **more) as world:
            yield FakeArgo(world)
        return
    async with real.namespace() as (hands, kubelets):
        if not await hands.knows("rollouts"):
            pytest.skip("the cluster has no Argo Rollouts")
        here = RealArgo(hands, kubelets=kubelets)
        try:
            await here.begin(referred=referred, **more)
            yield here
        finally:
            await here.kube.close()
