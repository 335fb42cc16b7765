"""The simulated controllers: what becomes of a Deployment, in the words of the real ones; kubectl judges it."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from kube.clients import connected
from kube.deployments import DeploymentController
from kube.manifests import deployment
from kube.server import KubeServer
from kubernetes.aio.client.exceptions import ApiException

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kube.resources import Object

REVISION = "deployment.kubernetes.io/revision"


@pytest.fixture
async def server() -> AsyncIterator[KubeServer]:
    async with KubeServer.running() as server:
        yield server


@pytest.fixture
def controller(server: KubeServer) -> DeploymentController:
    return DeploymentController(server, pace=0.005)


def begin(server: KubeServer, image: str = "r/web:1", **spec: Any) -> Object:
    return server.add("deployments", "shop", deployment("web", {"web": image}, **spec))


def change(server: KubeServer, image: str) -> None:
    containers = [{"name": "web", "image": image}]
    server.change("deployments", "shop", "web", {"spec": {"template": {"spec": {"containers": containers}}}})


def status(server: KubeServer) -> Object:
    return dict(server.get("deployments", "shop", "web")["status"])


def reason(server: KubeServer, kind: str = "Progressing") -> str:
    return next((each["reason"] for each in status(server)["conditions"] if each["type"] == kind), "")


def sets(server: KubeServer) -> dict[str, tuple[str, int]]:
    """Image -> (revision, pods)."""
    found = server.all("replicasets", "shop")
    return {
        each["spec"]["template"]["spec"]["containers"][0]["image"]: (
            each["metadata"]["annotations"][REVISION],
            each["spec"]["replicas"],
        )
        for each in found
    }


async def test_the_state_right_after_a_change_is_that_of_before(
    server: KubeServer, controller: DeploymentController
) -> None:
    begin(server)
    controller.settle()
    done = status(server)
    change(server, "r/web:2")
    assert status(server) == done
    assert (done["observedGeneration"], reason(server)) == (1, "NewReplicaSetAvailable")
    controller.deployments.tick()
    assert (status(server)["observedGeneration"], reason(server)) == (1, "NewReplicaSetCreated")


async def test_a_deadline_that_has_passed_stays_in_the_status_until_the_next_change_is_seen(
    server: KubeServer, controller: DeploymentController
) -> None:
    begin(server, progressDeadlineSeconds=5)
    controller.settle()
    change(server, "r/web:missing")
    controller.settle()
    assert reason(server) == "ReplicaSetUpdated"
    controller.advance(6)
    controller.settle()
    assert reason(server) == "ProgressDeadlineExceeded"
    assert status(server)["availableReplicas"] == 3
    change(server, "r/web:1")
    assert reason(server) == "ProgressDeadlineExceeded"
    controller.settle()
    assert reason(server) == "NewReplicaSetAvailable"


async def test_going_back_renumbers_and_going_back_twice_returns(
    server: KubeServer, controller: DeploymentController
) -> None:
    begin(server)
    controller.settle()
    for image in ("r/web:2", "r/web:1", "r/web:2"):
        change(server, image)
        controller.settle()
    assert sets(server) == {"r/web:1": ("3", 0), "r/web:2": ("4", 3)}
    history = {
        each["metadata"]["annotations"].get("deployment.kubernetes.io/revision-history")
        for each in server.all("replicasets", "shop")
    }
    assert history == {"1", "2"}


async def test_annotations_are_inherited_by_the_next_replica_set(
    server: KubeServer, controller: DeploymentController
) -> None:
    begin(server)
    cause = {"metadata": {"annotations": {"kubernetes.io/change-cause": "deploy bad"}}}
    server.change("deployments", "shop", "web", cause)
    controller.settle()
    change(server, "r/web:2")
    controller.settle()
    causes = [
        each["metadata"]["annotations"]["kubernetes.io/change-cause"] for each in server.all("replicasets", "shop")
    ]
    assert causes == ["deploy bad", "deploy bad"]


async def test_paused_nothing_moves(server: KubeServer, controller: DeploymentController) -> None:
    begin(server)
    controller.settle()
    server.change("deployments", "shop", "web", {"spec": {"paused": True}})
    change(server, "r/web:2")
    controller.settle()
    assert (reason(server), status(server).get("updatedReplicas", 0)) == ("DeploymentPaused", 0)
    assert status(server)["observedGeneration"] == 3
    server.change("deployments", "shop", "web", {"spec": {"paused": False}})
    controller.settle()
    assert (reason(server), sets(server)["r/web:2"]) == ("NewReplicaSetAvailable", ("2", 3))


async def test_without_replicas_it_succeeds_and_no_pod_ever_ran(
    server: KubeServer, controller: DeploymentController
) -> None:
    begin(server, replicas=0)
    controller.settle()
    change(server, "r/web:missing")
    controller.settle()
    assert (reason(server), server.all("pods", "shop")) == ("NewReplicaSetAvailable", [])


async def test_a_quota_is_told_as_replica_failure(server: KubeServer, controller: DeploymentController) -> None:
    server.add("resourcequotas", "shop", {"metadata": {"name": "small"}, "spec": {"hard": {"pods": "3"}}})
    begin(server)
    controller.settle()
    change(server, "r/web:2")
    for _ in range(6):
        controller.round()
    failure = next(each for each in status(server)["conditions"] if each["type"] == "ReplicaFailure")
    assert (failure["status"], failure["reason"]) == ("True", "FailedCreate")
    assert "exceeded quota: small, requested: pods=1, used: pods=3, limited: pods=3" in failure["message"]
    server.delete("resourcequotas", "shop", "small")
    controller.settle()
    assert (reason(server), reason(server, "ReplicaFailure")) == ("NewReplicaSetAvailable", "")


@pytest.mark.parametrize(
    ("word", "waiting", "event"),
    [
        ("missing", "ImagePullBackOff", "Failed"),
        ("crash", "CrashLoopBackOff", "BackOff"),
        ("noconfig", "CreateContainerConfigError", "Failed"),
    ],
)
async def test_what_is_wrong_with_a_container(
    server: KubeServer, controller: DeploymentController, word: str, waiting: str, event: str
) -> None:
    begin(server, f"r/web-{word}:1", replicas=1)
    controller.settle()
    pod = server.all("pods", "shop")[0]
    assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == waiting
    about = [
        each["reason"]
        for each in server.all("events", "shop")
        if each["involvedObject"]["name"] == pod["metadata"]["name"]
    ]
    assert event in about
    async with connected(server) as cluster:
        name = pod["metadata"]["name"]
        if word == "crash":
            assert "panic" in await cluster.core.read_namespaced_pod_log(name, "shop", previous=True, tail_lines=1)
        else:
            with pytest.raises(ApiException, match="is waiting to start"):
                await cluster.core.read_namespaced_pod_log(name, "shop")


async def test_what_has_no_place_and_what_is_not_ready(server: KubeServer, controller: DeploymentController) -> None:
    begin(server, "r/web-huge:1", replicas=1)
    controller.settle()
    told = server.all("pods", "shop")[0]["status"]["conditions"][0]
    assert (told["type"], told["status"], told["reason"]) == ("PodScheduled", "False", "Unschedulable")
    change(server, "r/web-unready:1")
    controller.settle()
    ready = [
        each["status"]
        for pod in server.all("pods", "shop")
        for each in pod["status"]["conditions"]
        if each["type"] == "Ready"
    ]
    assert ready == ["False"]
    assert "Unhealthy" in [each["reason"] for each in server.all("events", "shop")]


async def test_a_digest_is_what_runs_and_may_behave_as_told(
    server: KubeServer, controller: DeploymentController
) -> None:
    digest = "sha256:" + "a" * 64
    begin(server, f"ghcr.io/acme/web@{digest}", replicas=1)
    controller.behaves(digest, "unready")
    controller.settle()
    assert status(server).get("availableReplicas", 0) == 0
    controller.behaves(digest, "well")
    controller.settle()
    (pod,) = server.all("pods", "shop")
    assert pod["status"]["containerStatuses"][0]["imageID"] == f"ghcr.io/acme/web@{digest}"
    assert status(server)["availableReplicas"] == 1


async def test_ready_is_available_only_after_its_time(server: KubeServer, controller: DeploymentController) -> None:
    begin(server, minReadySeconds=30)
    controller.settle()
    assert (status(server)["readyReplicas"], status(server).get("availableReplicas", 0)) == (3, 0)
    controller.advance(31)
    controller.settle()
    assert status(server)["availableReplicas"] == 3


async def test_what_does_not_serve_is_taken_away_first(server: KubeServer, controller: DeploymentController) -> None:
    begin(server)
    controller.settle()
    served = {each["metadata"]["name"] for each in server.all("pods", "shop")}
    controller.behaves("r/web:1", "unready")
    server.change("deployments", "shop", "web", {"spec": {"replicas": 5}})
    for _ in range(4):
        controller.round()
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": controller.clock.stamp()}
    for name in served:
        server.change("pods", "shop", name, {"status": {"conditions": [ready]}}, status=True)
    server.change("deployments", "shop", "web", {"spec": {"replicas": 3}})
    controller.deployments.tick()
    controller.replicasets.tick()
    left = [each for each in server.all("pods", "shop") if not each["metadata"].get("deletionTimestamp")]
    assert {each["metadata"]["name"] for each in left} == served


async def test_recreate_ends_the_old_before_it_begins_the_new(
    server: KubeServer, controller: DeploymentController
) -> None:
    begin(server, strategy={"type": "Recreate"})
    controller.settle()
    change(server, "r/web:2")
    fewest = 3
    while controller.round():
        images = {each["spec"]["containers"][0]["image"] for each in server.all("pods", "shop")}
        assert len(images) <= 1
        fewest = min(fewest, len(server.all("pods", "shop")))
    assert (fewest, sets(server)) == (0, {"r/web:1": ("1", 0), "r/web:2": ("2", 3)})


@pytest.mark.parametrize(("surge", "unavailable", "least", "most"), [(1, 0, 4, 5), ("50%", "50%", 2, 6), (0, 1, 3, 4)])
async def test_a_rolling_update_keeps_within_its_bounds(
    server: KubeServer,
    controller: DeploymentController,
    surge: int | str,
    unavailable: int | str,
    least: int,
    most: int,
) -> None:
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    begin(server, replicas=4, strategy={"type": "RollingUpdate", "rollingUpdate": rolling})
    controller.settle()
    change(server, "r/web:2")
    while controller.round():
        living = [each for each in server.all("pods", "shop") if not each["metadata"].get("deletionTimestamp")]
        ready = [
            each
            for each in living
            if any(c["type"] == "Ready" and c["status"] == "True" for c in each["status"].get("conditions", []))
        ]
        assert len(living) <= most
        assert len(ready) >= least
    assert sets(server)["r/web:2"] == ("2", 4)


def kubectl() -> str | None:
    beside = Path(sys.executable).with_name("kubectl")
    return str(beside) if beside.exists() else shutil.which("kubectl")


@pytest.mark.skipif(kubectl() is None, reason="needs kubectl (make install)")
async def test_the_real_kubectl_agrees() -> None:
    async with KubeServer.running(tls=True) as server:  # it sends no token without
        await judged(server, DeploymentController(server, pace=0.005))


async def judged(server: KubeServer, controller: DeploymentController) -> None:
    begin(server, progressDeadlineSeconds=5)
    controller.settle()

    async def run(*arguments: str) -> tuple[int | None, str]:
        command = [
            str(kubectl()),
            "--kubeconfig",
            str(server.kubeconfig()),
            "--cache-dir",
            str(server.folder / "cache"),
        ]
        process = await asyncio.create_subprocess_exec(
            *command, "-n", "shop", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        try:
            async with asyncio.timeout(20):
                output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode, output.decode()

    async with controller:
        assert await run("set", "image", "deployment/web", "web=r/web:2") == (0, "deployment.apps/web image updated\n")
        code, output = await run("rollout", "status", "deployment/web")
        assert (code, output.splitlines()[-1]) == (0, 'deployment "web" successfully rolled out')
        change(server, "r/web:missing")
        await server.until(lambda: reason(server) == "ReplicaSetUpdated" and status(server).get("updatedReplicas") == 1)
        controller.advance(6)
        code, output = await run("rollout", "status", "deployment/web")
        assert (code, output.splitlines()[-1]) == (1, 'error: deployment "web" exceeded its progress deadline')
        assert (await run("rollout", "undo", "deployment/web"))[0] == 0
        assert (await run("rollout", "status", "deployment/web"))[0] == 0
    assert sets(server)["r/web:2"] == ("4", 3)
