"""Where rolling Deployments are tested: the stand-in with its controllers, or a real cluster; the same tests for both.

A test says what is there, what somebody else does, and what the bot makes of it; how a cluster comes to that is said
here. On the stand-in time stands still until a release is stuck; on a real cluster somebody shortens its deadline then.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.domain.errors import ProviderError
from bot.domain.ids import OperationId
from bot.domain.release import Artifact, Release
from integrations._shared.kube.api import Kube
from integrations._shared.workloads import image as references
from integrations.kubernetes.options import KubernetesOptions
from integrations.kubernetes.target import KubernetesTarget

from . import deployment_world, real
from .deployment_world import CHECKOUT, REPOSITORY, STAGING
from .hands import PATIENCE, FakeHands, Hands, RealHands
from .manifests import deployment
from .playing import fate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from bot.domain.rollout import Handle, Outcome, Progress

    from .resources import Object
    from .server import Call

_SAYS = {
    "missing": "cannot pull the image",
    "crash": "panic: cannot reach the database",
    "huge": "3 Insufficient memory",
    "unready": "HTTP probe failed with statuscode: 503",
    "noconfig": 'configmap "web-config" not found',
}
_WAITING = ("ImagePullBackOff", "ErrImagePull", "CrashLoopBackOff", "CreateContainerConfigError")


class Place(ABC):
    """A namespace with the Deployment checkout in it, v1.0 running, and the target that is tested."""

    look_after = 0.2
    failing = "v1.5-crash"
    """A version that does not come up, whatever runs the pods."""
    first, first_version = f"{REPOSITORY}:v1.0", "v1.0"
    """What runs at the start: its image, and what the bot calls it."""
    theirs, side, other = "r/web:theirs", "r/side:1", "r/worker:1"
    """Images of other people's."""

    def __init__(self, hands: Hands, kube: Kube) -> None:
        self.hands, self.kube = hands, kube

    # What the bot has.

    def target(self, *, look_after: float | None = None, kube: Kube | None = None, **options: Any) -> KubernetesTarget:
        given = {"cluster": "main", "namespace": self.hands.namespace, "workload": "checkout", "container": "web"}
        target = KubernetesTarget(
            options=KubernetesOptions.model_validate({**given, **options}),
            service=CHECKOUT,
            environment=STAGING,
            kube=kube or self.kube,
        )
        target.watching = type(target.watching)(
            deadline=target.watching.deadline,
            fail_on_trouble=target.watching.fail_on_trouble,
            log_lines=target.watching.log_lines,
            look_after=self.look_after if look_after is None else look_after,
        )
        return target

    @abstractmethod
    def another_kube(self) -> Kube:
        """As another process has it; the place closes it."""

    @property
    @abstractmethod
    def log(self) -> list[Call]:
        """What the bot has asked so far."""

    def calls(self, since: int = 0) -> list[str]:
        return [f"{call.verb} {call.resource}" for call in self.log[since:]]

    def release(self, version: str) -> Release:
        """A version; a word in it says how its pods fare."""
        return deployment_world.release(version)

    async def prepare(self, version: str) -> None:
        """See to it that the pods of ``version`` fare so."""
        assert fate(version) in _SAYS, f"nobody knows how {version} would fail"

    def says(self, version: str) -> str:
        """Part of what is said about its pods."""
        return _SAYS[fate(version)]

    async def seen(self, target: KubernetesTarget, handle: Handle) -> tuple[list[Progress], Outcome]:
        """All that is told on the way, and the end."""
        async with asyncio.timeout(2 * PATIENCE):
            return await deployment_world.seen(target, handle)

    async def deploy(self, target: KubernetesTarget, version: str, operation: str) -> tuple[list[Progress], Outcome]:
        handle = await target.apply(release=self.release(version), operation=OperationId(operation))
        return await self.seen(target, handle)

    # What somebody else does and sees.

    def manifest(self, name: str, images: Mapping[str, str], **more: Any) -> Object:
        return deployment(name, dict(images), **more)

    async def add(self, name: str = "checkout", images: Mapping[str, str] | None = None, **more: Any) -> None:
        has = images or {"web": self.first, "side": self.side}
        await self.hands.make("deployments", self.manifest(name, has, **more))

    async def get(self, name: str = "checkout") -> Object:
        return await self.hands.get("deployments", name)

    async def image(self, name: str = "checkout", index: int = 0) -> str:
        return str((await self.get(name))["spec"]["template"]["spec"]["containers"][index]["image"])

    async def change(
        self, patch: Mapping[str, Any] | Callable[[Object], Object], *, name: str = "checkout",
        manager: str = "kubectl-edit",
    ) -> Object:  # fmt: skip
        return await self.hands.change("deployments", name, patch, manager=manager)

    async def set_image(self, image: str, *, manager: str = "kubectl-set", name: str = "checkout") -> None:
        """As `kubectl set image` does: it touches nothing else."""

        def change(live: Object) -> Object:
            live["spec"]["template"]["spec"]["containers"][0]["image"] = image
            return live

        await self.change(change, name=name, manager=manager)

    async def settled(self, name: str = "checkout") -> None:
        """Wait until the controller has nothing left to do there."""

        async def done() -> bool:
            one = await self.get(name)
            status, wanted = one.get("status", {}), one["spec"]["replicas"]
            return bool(
                status.get("observedGeneration") == one["metadata"]["generation"]
                and status.get("updatedReplicas", 0) == status.get("replicas", 0) == wanted
                and status.get("availableReplicas", 0) == wanted
            )

        await self.hands.until(done)

    @abstractmethod
    async def give_up(self) -> None:
        """Have the cluster give the rollout up that is stuck."""

    @abstractmethod
    async def pass_time(self) -> None:
        """Let time go on by itself, where it does not."""

    @abstractmethod
    def kubeconfig(self, folder: Path) -> Path:
        """For kubectl."""


class FakePlace(Place):
    """On the stand-in. ``world`` has its inner handles, for tests of nothing else."""

    def __init__(self, world: deployment_world.World) -> None:
        super().__init__(FakeHands(world.server), world.kube)
        self.world = world
        self.others: list[Kube] = []

    def manifest(self, name: str, images: Mapping[str, str], **more: Any) -> Object:
        return super().manifest(name, images, **{"progressDeadlineSeconds": 30, **more})

    def another_kube(self) -> Kube:
        self.others.append(Kube(self.world.server.access()))
        return self.others[-1]

    @property
    def log(self) -> list[Call]:
        return self.world.server.log

    async def give_up(self) -> None:
        self.world.controller.advance(31)

    async def pass_time(self) -> None:
        self.world.controller.clock.second = 0.05
        self.world.controller.advance(0)

    def kubeconfig(self, folder: Path) -> Path:
        return self.world.server.kubeconfig(folder)


class RealPlace(Place):
    """On a cluster whose nodes are played: the same images, which nobody pulls."""

    look_after = 0.5

    def __init__(self, hands: RealHands) -> None:
        super().__init__(hands, Kube(real.access()))
        self._log = _recorded(self.kube)
        self.others: list[Kube] = [self.kube]

    kubelets = False

    def another_kube(self) -> Kube:
        self.others.append(Kube(real.access()))
        return self.others[-1]

    @property
    def log(self) -> list[Call]:
        return self._log

    def manifest(self, name: str, images: Mapping[str, str], **more: Any) -> Object:
        made = super().manifest(name, images, **{"progressDeadlineSeconds": 600, **more})
        real.fitted(made["spec"]["template"]["spec"], kubelets=self.kubelets)
        return made

    async def give_up(self) -> None:
        """As if its deadline had been short, once its pods are in trouble; the next rollout has time again."""
        await self.hands.until(self.troubled)
        await self._deadline(2)

        async def given_up() -> bool:
            one = await self.get()
            return "ProgressDeadlineExceeded" in _reasons(one) or not self.is_bad(one)

        await self.hands.until(given_up)
        await self._deadline(600)

    async def _deadline(self, seconds: int) -> None:
        await self.change({"spec": {"progressDeadlineSeconds": seconds}})

    async def troubled(self) -> bool:
        """Whether the pods of a bad release are there, and fare badly."""
        one = await self.hands.find("deployments", "checkout")
        if one is None or not self.is_bad(one) or one["spec"].get("paused"):
            return False
        status = one.get("status", {})
        if status.get("observedGeneration") != one["metadata"]["generation"] or not status.get("updatedReplicas"):
            return False
        images = _images(one["spec"]["template"]["spec"])
        pods = [each for each in await self.hands.all("pods") if _images(each["spec"]) == images]
        told = [each["involvedObject"].get("name") for each in await self.hands.all("events") if _unhealthy(each)]
        return any(is_troubled(pod, told) for pod in pods) and "ProgressDeadlineExceeded" not in _reasons(one)

    def is_bad(self, one: Object) -> bool:
        return any(fate(each) != "well" for each in _images(one["spec"]["template"]["spec"]))

    async def hurry(self) -> None:
        """Let nobody wait for what is stuck, for ever."""
        while True:
            try:
                await self.give_up()
            except (TimeoutError, KeyError, ProviderError):
                await asyncio.sleep(0.2)

    async def pass_time(self) -> None:
        """It does."""

    def kubeconfig(self, folder: Path) -> Path:
        return Path(real.CONFIG)


def pulled(version: str) -> Release:
    """A version that real nodes can run, or cannot pull."""
    image = real.IMAGES[{"v1.0": 0, "v1.2": 2, "v1.5-missing": 3}.get(version, 1)]
    return Release(service=CHECKOUT, version=version, artifact=Artifact(digest=image.partition("@")[2], location=image))


class NodesPlace(RealPlace):
    """On a cluster that runs pods. What is wrong with a bad version is in the template: its image is a good one."""

    kubelets = True
    failing = "v1.5-missing"
    first = real.IMAGES[0]
    first_version = references.tag_of(first) or first.rpartition(":")[2][:12]
    theirs, side, other = real.IMAGES[2], real.IMAGES[0], real.IMAGES[0]

    def __init__(self, hands: RealHands) -> None:
        super().__init__(hands)
        self._spoilt = ""

    def release(self, version: str) -> Release:
        return pulled(version)

    def says(self, version: str) -> str:
        more = {
            "crash": "Its last words: ",
            "huge": "Insufficient memory",
            "unready": "Readiness probe failed",
        }
        return more.get(fate(version)) or super().says(version)

    async def prepare(self, version: str) -> None:
        await super().prepare(version)
        with_it: dict[str, Object] = {
            "crash": {"args": ["-v"]},  # it says its version and ends
            "huge": {"resources": {"requests": {"memory": "1Pi"}}},
            "unready": {"readinessProbe": {"tcpSocket": {"port": 9}, "periodSeconds": 1}},
            "noconfig": {"envFrom": [{"configMapRef": {"name": "web-config"}}]},
        }
        self._spoilt = fate(version)

        def spoil(live: Object) -> Object:
            live["spec"]["template"]["spec"]["containers"][0] |= with_it.get(self._spoilt, {})
            return live

        await self.change(spoil)

    def is_bad(self, one: Object) -> bool:
        return bool(self._spoilt in _SAYS and self._spoilt != "missing") or real.IMAGES[3] in _images(
            one["spec"]["template"]["spec"]
        )


@asynccontextmanager
async def place(
    where: str, *, add: bool = True, tls: bool = False, patient: bool = False, **more: Any
) -> AsyncIterator[Place]:
    """``patient``: what is stuck is not given up before `Place.give_up`."""
    if where == "fake":
        async with deployment_world.world(add=add, tls=tls, patient=patient, **more) as world:
            fake = FakePlace(world)
            try:
                yield fake
            finally:
                await _close(fake.others)
        return
    async with AsyncExitStack() as stack:
        hands, kubelets = await stack.enter_async_context(real.namespace())
        here: RealPlace = (NodesPlace if kubelets else RealPlace)(hands)
        stack.push_async_callback(_close, here.others)
        if add:
            await here.add(**more)
        if add and more.get("replicas") != 0 and not more.get("paused"):
            await here.settled()
        if not patient:
            hurrying = asyncio.create_task(here.hurry())
            stack.push_async_callback(_end, hurrying)
        yield here


async def _close(every: list[Kube]) -> None:
    for each in every:
        await each.close()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _recorded(kube: Kube) -> list[Call]:
    transport = real.Recorded(kube._transport.access)
    kube._transport = transport
    return transport.log


def _images(spec: Object) -> list[str]:
    return [str(each["image"]) for each in [*spec["containers"], *spec.get("initContainers", [])]]


def _reasons(one: Object) -> list[str]:
    return [each.get("reason", "") for each in one.get("status", {}).get("conditions") or []]


def _unhealthy(event: Object) -> bool:
    return bool(event.get("reason") == "Unhealthy")


def is_troubled(pod: Object, told: list[str]) -> bool:
    """Whether a kubelet says that it does not come up; ``told``: the pods whose probes fail."""
    status = pod.get("status", {})
    placed = [each for each in status.get("conditions") or [] if each["type"] == "PodScheduled"]
    if any(each["status"] == "False" for each in placed):
        return True
    for each in status.get("containerStatuses") or []:
        waiting = (each.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in (
            "ImagePullBackOff",
            "ErrImagePull",
            "CrashLoopBackOff",
            "CreateContainerConfigError",
        ):
            return True
        if not each["ready"] and (each.get("state") or {}).get("running") and pod["metadata"]["name"] in told:
            return True
    return False
