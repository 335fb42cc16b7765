"""The fake cluster against a recording of a real Kubernetes 1.36 control plane: the same transitions in the same order.

`recorded/k8s136_deployment_watch.jsonl` holds 21 raw watch events of one Deployment of three pods: a rollout that
succeeds, one that is stuck until its deadline, going back, and deletion. Real controllers race, so the order in which
ours take their turns is given here; what each event says must then be exactly what was recorded.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from kube.clients import connected
from kube.deployments import DeploymentController
from kube.manifests import deployment
from kube.server import KubeServer

pytestmark = pytest.mark.long

RECORDED = Path(__file__).parent / "recorded" / "k8s136_deployment_watch.jsonl"


def recording() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RECORDED.read_text().splitlines()]


def told(event: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """What an event says, without what differs from cluster to cluster: versions, uids, times, hashes."""
    found = event["object"]
    status = {key: value for key, value in found["status"].items() if key not in ("conditions", "collisionCount")}
    conditions = []
    for each in found["status"]["conditions"]:
        message = each["message"]
        for name in [word.strip('"') for word in message.split() if word.startswith('"')]:
            message = message.replace(name, names.setdefault(name, f"set {len(names)}"))
        conditions.append((each["type"], each["status"], each["reason"], message))
    return {
        "type": event["type"],
        "generation": found["metadata"]["generation"],
        "revision": found["metadata"]["annotations"]["deployment.kubernetes.io/revision"],
        "images": [each["image"] for each in found["spec"]["template"]["spec"]["containers"]],
        "status": status,
        "conditions": conditions,
    }


async def replayed(server: KubeServer) -> list[dict[str, Any]]:
    """Play the recorded story on the fake; its events, as a watch by the real client tells them."""
    controller = DeploymentController(server)
    sync, sets, nodes = controller.deployments.tick, controller.replicasets.tick, controller.kubelet.tick
    images = {"web": "r/web:1", "sidecar": "r/side:1"}
    made = server.add("deployments", "shop", deployment("web", images, progressDeadlineSeconds=8))
    controller.settle()
    since = server.store.version

    def patch(image: str) -> list[dict[str, str]]:
        return [
            {"op": "test", "path": "/metadata/uid", "value": made["metadata"]["uid"]},
            {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image},
        ]

    def begun() -> None:  # the pod is there and counted, but not ready
        sets(), sets(), sync()

    def ready() -> None:  # the new pod serves, an old one may go
        nodes(), nodes(), sets(), sync()

    def gone() -> None:  # the old pod has ended
        sets(), nodes(), sets(), sync()

    async with connected(server) as cluster:
        await cluster.patch("web", patch("r/web:2"))
        for turn in (sync, begun, ready, gone, begun, ready, gone, begun, ready, gone):
            turn()
        await cluster.patch("web", patch("r/web:bad"))
        for turn in (sync, sync, begun):
            turn()
        controller.advance(9)
        sync()
        await cluster.patch("web", patch("r/web:2"))
        for turn in (sync, sync, gone):
            turn()
        await cluster.apps.delete_namespaced_deployment("web", "shop")
        answer = await cluster.apps.list_namespaced_deployment_without_preload_content(
            "shop", watch=True, resource_version=str(since), timeout_seconds=1, field_selector="metadata.name=web"
        )
        return [json.loads(line) for line in (await answer.read()).decode().splitlines()]


async def _story() -> list[dict[str, Any]]:
    async with KubeServer.running() as server:
        return await replayed(server)


@pytest.fixture(scope="module")
def events() -> list[dict[str, Any]]:
    return asyncio.run(_story())


def test_the_fake_says_what_a_real_control_plane_was_recorded_to_say(events: list[dict[str, Any]]) -> None:
    ours: dict[str, str] = {}
    theirs: dict[str, str] = {}
    for number, (event, recorded) in enumerate(zip(events, recording(), strict=True)):
        assert told(event, ours) == told(recorded, theirs), f"event {number}"


def test_a_transition_has_a_time_and_progress_alone_has_none(events: list[dict[str, Any]]) -> None:
    for story in (events, recording()):
        times = [each["object"]["status"]["conditions"][-1]["lastTransitionTime"] for each in story]
        assert len(set(times[:15])) == 1  # True all along
        assert times[15] > times[14]  # False: the deadline


def test_versions_grow_and_deletion_has_one_of_its_own(events: list[dict[str, Any]]) -> None:
    for story in (events, recording()):
        versions = [int(each["object"]["metadata"]["resourceVersion"]) for each in story]
        assert versions == sorted(set(versions))
        assert len({each["object"]["metadata"]["uid"] for each in story}) == 1
