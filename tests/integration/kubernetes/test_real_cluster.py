"""The same rollouts on whatever cluster TEST_KUBECONFIG names: a namespace of its own, which is gone afterwards.

Nothing is assumed about nodes. Where there are none (as with a bare control plane), the test plays them: it writes into
the pods' status what a kubelet would. Images are taken by digest from registry.k8s.io; TEST_IMAGES names others, three
of them: two that run without arguments, and one that cannot be pulled.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from kube.manifests import deployment

from bot.domain.catalog import HealthCheck
from bot.domain.errors import ProviderError
from bot.domain.ids import EnvironmentName, OperationId, ServiceName
from bot.domain.release import Artifact, Release
from bot.domain.rollout import Outcome, OutcomeKind, Progress
from integrations._shared.kube import raw
from integrations._shared.kube.api import Conflict, Kube, NotFound
from integrations._shared.kube.names import path_to
from integrations.clusters.kubeconfig import build as kubeconfig
from integrations.clusters.options import KubeconfigOptions
from integrations.kubernetes.options import KubernetesOptions
from integrations.kubernetes.target import KubernetesTarget

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.domain.rollout import Handle

CONFIG = os.environ.get("TEST_KUBECONFIG", "")
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not CONFIG, reason="TEST_KUBECONFIG names no cluster"),
]

_PAUSE = "registry.k8s.io/pause@sha256:"
IMAGES = os.environ.get("TEST_IMAGES", "").split() or [
    f"{_PAUSE}9001185023633d17a2f98ff69b6ff2615b8ea02a825adffa40422f51dfdcde9d",
    f"{_PAUSE}7031c1b283388d2c2e09b57badb803c05ebed362dc88d84b480cc47f72a21097",
    f"{_PAUSE}{'0' * 64}",
]
FIRST, SECOND, MISSING = (
    Release(
        service=ServiceName("checkout"),
        version=version,
        artifact=Artifact(digest=image.partition("@")[2], location=image),
    )
    for version, image in zip(("v1.1", "v1.2", "v1.5"), IMAGES, strict=True)
)


@dataclass
class Place:
    kube: Kube
    namespace: str

    @property
    def path(self) -> str:
        return path_to("apps/v1", "deployments", namespace=self.namespace, name="checkout")

    def target(self, **options: Any) -> KubernetesTarget:
        given = {"cluster": "real", "namespace": self.namespace, "workload": "checkout", "container": "web", **options}
        return KubernetesTarget(
            options=KubernetesOptions.model_validate(given),
            service=ServiceName("checkout"),
            environment=EnvironmentName("test"),
            kube=self.kube,
        )

    async def end(self, handle: Handle) -> tuple[list[Progress], Outcome]:
        told = [each async for each in self.target().observe(handle=handle)]
        assert isinstance(told[-1], Outcome)
        return [each for each in told if isinstance(each, Progress)], told[-1]

    async def deploy(self, release: Release, operation: str) -> tuple[list[Progress], Outcome]:
        return await self.end(await self.target().apply(release=release, operation=OperationId(operation)))


@asynccontextmanager
async def place() -> AsyncIterator[Place]:
    kube = Kube(kubeconfig(options=KubeconfigOptions(path=Path(CONFIG)), name="real"))
    namespace = f"architect-test-{secrets.token_hex(4)}"
    player: asyncio.Task[None] | None = None
    made = await kube.create(path_to("v1", "namespaces"), {"metadata": {"name": namespace}})
    try:
        if not await nodes(kube):
            player = asyncio.create_task(play(kube, namespace))
        one = deployment("checkout", {"web": IMAGES[0]}, replicas=2, progressDeadlineSeconds=20)
        await kube.create(path_to("apps/v1", "deployments", namespace=namespace), one)
        found = Place(kube, namespace)
        async with asyncio.timeout(180):
            while raw.count(await kube.get(found.path), "status", "availableReplicas") < 2:
                await asyncio.sleep(0.2)
        yield found
    finally:
        if player is not None:
            player.cancel()
            await asyncio.gather(player, return_exceptions=True)
        await kube.delete(path_to("v1", "namespaces", name=namespace), uid=raw.uid(made))
        await kube.close()


async def nodes(kube: Kube) -> bool:
    """Whether there are any."""
    try:
        return bool((await kube.list(path_to("v1", "nodes")))[0])
    except NotFound:
        return False


async def play(kube: Kube, namespace: str) -> None:
    """What kubelets would write, for all pods of a namespace."""
    while True:
        try:
            pods, _ = await kube.list(path_to("v1", "pods", namespace=namespace))
            for pod in pods:
                if not raw.text(pod, "status", "phase").startswith("Running") and not _is_told(pod):
                    path = path_to("v1", "pods", namespace=namespace, name=raw.name(pod), subresource="status")
                    await kube.patch(path, {"status": _status(pod)}, kind="merge")
        except ProviderError:
            pass
        await asyncio.sleep(0.1)


def _is_told(pod: dict[str, Any]) -> bool:
    return bool(raw.items(pod, "status", "containerStatuses"))


def _status(pod: dict[str, Any]) -> dict[str, Any]:
    now = raw.text(pod, "metadata", "creationTimestamp")
    bad = any(each["image"] == MISSING.artifact.location for each in pod["spec"]["containers"])
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}
    statuses = [
        {
            "name": each["name"],
            "image": each["image"],
            "imageID": "" if bad else each["image"],
            "ready": not bad,
            "restartCount": 0,
            "state": waiting if bad else {"running": {"startedAt": now}},
        }
        for each in pod["spec"]["containers"]
    ]
    kinds = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    conditions = [
        {"type": kind, "status": "False" if bad and "Ready" in kind else "True", "lastTransitionTime": now}
        for kind in kinds
    ]
    return {"phase": "Pending" if bad else "Running", "conditions": conditions, "containerStatuses": statuses}


async def test_a_release_comes_fails_and_is_put_back() -> None:
    async with place() as here:
        target = here.target()
        assert not [finding for finding in await target.examine() if not finding.ok]
        before = await target.current()
        assert before is not None
        assert before.release.same_as(FIRST)
        plan = await target.plan(release=SECOND)
        assert plan.changes
        assert not plan.no_change
        progress, outcome = await here.deploy(SECOND, "one")
        assert outcome.kind is OutcomeKind.SUCCEEDED
        assert all(0 <= each.done <= each.total for each in progress)
        one = await here.kube.get(here.path)
        assert raw.at(one, "status", "observedGeneration") == raw.at(one, "metadata", "generation")
        running = await target.current()
        assert running is not None
        assert (running.release, running.operation) == (SECOND, "one")
        assert (await target.health(release=SECOND, check=HealthCheck())).ok
        assert (await target.plan(release=SECOND)).no_change

        progress, outcome = await here.deploy(MISSING, "two")
        assert outcome.kind is OutcomeKind.FAILED
        assert "cannot pull the image" in outcome.message
        stuck = await target.current()
        assert stuck is not None
        assert stuck.release == SECOND

        handle = await target.restore(to=running, operation=OperationId("back"))
        assert await target.find(operation=OperationId("back")) == handle
        assert (await here.end(handle))[1].kind is OutcomeKind.SUCCEEDED


async def test_somebody_else_supersedes_it_and_the_same_operation_changes_nothing_any_more() -> None:
    async with place() as here:
        target = here.target()
        handle = await target.apply(release=MISSING, operation=OperationId("one"))
        change = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": IMAGES[1]}]
        await here.kube.patch(here.path, change, kind="json")
        assert (await here.end(handle))[1].kind is OutcomeKind.SUPERSEDED
        assert await target.apply(release=MISSING, operation=OperationId("one")) == handle
        one = await here.kube.get(here.path)
        assert raw.items(one, "spec", "template", "spec", "containers")[0]["image"] == IMAGES[1]


async def test_a_patch_whose_test_does_not_hold_changes_nothing() -> None:
    async with place() as here:
        change = [
            {"op": "test", "path": "/metadata/uid", "value": "somebody-else"},
            {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": IMAGES[1]},
        ]
        with pytest.raises(Conflict):
            await here.kube.patch(here.path, change, kind="json")


async def test_what_is_paused_or_deleted_is_told() -> None:
    async with place() as here:
        target = here.target()
        handle = await target.apply(release=MISSING, operation=OperationId("one"))
        await here.kube.patch(here.path, {"spec": {"paused": True}}, kind="merge")
        _, outcome = await here.end(handle)
        assert outcome.kind is OutcomeKind.FAILED
        assert "paused" in outcome.message
        await here.kube.delete(here.path)
        assert (await here.end(handle))[1].kind is OutcomeKind.DELETED
