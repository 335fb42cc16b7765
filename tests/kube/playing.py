"""The nodes of a cluster that has none, played from outside: what kubelets would write, written into the pods' status.

What becomes of a container is told by the word in its image's name, as in `kubelet`; there are no logs, so that what a
container said last stands where a kubelet puts it too, in its last state. Touches no pod that a node has.
"""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bot.domain.errors import ProviderError

from .clock import written
from .kubelet import WORDS

if TYPE_CHECKING:
    from .hands import Hands
    from .resources import Object

SCHEDULER = "architect-tests"
"""Of pods whose nodes are played: no real scheduler shall write about them at the same time."""
_PULL = {"reason": "ImagePullBackOff", "message": "Back-off pulling image: not found"}
_CONFIG = {"reason": "CreateContainerConfigError", "message": 'configmap "web-config" not found'}
_CRASH = {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}
_PROBE = "Readiness probe failed: HTTP probe failed with statuscode: 503"
_NO_ROOM = "0/3 nodes are available: 3 Insufficient memory."


async def play(hands: Hands) -> None:
    """Be the nodes of a namespace, for ever."""
    told: set[str] = set()
    while True:
        try:
            for pod in await hands.all("pods"):
                if not pod["spec"].get("nodeName") and not pod["metadata"].get("deletionTimestamp"):
                    await _play(hands, pod, told)
        except ProviderError:  # it is gone, or somebody wrote there: looked at again in a moment
            pass
        await asyncio.sleep(0.1)


async def _play(hands: Hands, pod: Object, told: set[str]) -> None:
    name, wanted = pod["metadata"]["name"], status_of(pod)
    if _essence(wanted) != _essence(pod.get("status") or {}):
        await hands.change("pods", name, {"status": wanted}, manager="kubelet", status=True)
    unready = any(each["state"].get("running") and not each["ready"] for each in wanted["containerStatuses"])
    if unready and name not in told:
        told.add(name)
        await hands.make("events", _event(hands.namespace, pod))


def fate(image: str) -> str:
    """What becomes of a container with this image."""
    return next((word for word in WORDS if word in image), "well")


def status_of(pod: Object) -> Object:
    """What a kubelet would say by now."""
    now = written(datetime.now(UTC))
    containers = pod["spec"]["containers"]
    if any(fate(each["image"]) == "huge" for each in containers):
        placed = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": _NO_ROOM}
        return {"phase": "Pending", "conditions": [{**placed, "lastTransitionTime": now}], "containerStatuses": []}
    statuses = [_container(each, now) for each in containers]
    ready = str(all(each["ready"] for each in statuses))
    return {
        "phase": "Running" if all(each["imageID"] for each in statuses) else "Pending",
        "conditions": [
            {"type": kind, "status": ready if "Ready" in kind else "True", "lastTransitionTime": now}
            for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
        ],
        "containerStatuses": statuses,
    }


def _container(spec: Object, now: str) -> Object:
    image, has = spec["image"], fate(spec["image"])
    status: Object = {
        "name": spec["name"], "image": image, "imageID": _image_id(image), "ready": has == "well", "started": True,
        "restartCount": 0, "state": {"running": {"startedAt": now}}, "lastState": {},
    }  # fmt: skip
    match has:
        case "missing":
            status |= {"imageID": "", "started": False, "state": {"waiting": _PULL}}
        case "noconfig":
            status |= {"imageID": "", "started": False, "state": {"waiting": _CONFIG}}
        case "crash":
            ended = {"exitCode": 1, "reason": "Error", "startedAt": now, "finishedAt": now}
            last = {"terminated": {**ended, "message": "starts\npanic: cannot reach the database\n"}}
            status |= {"started": False, "restartCount": 1, "state": {"waiting": _CRASH}, "lastState": last}
    return status


def _image_id(image: str) -> str:
    """Nodes say what they run by digest, whatever they were asked for."""
    repository, _, digest = image.partition("@")
    return f"{repository}@{digest}" if digest else f"{image}@sha256:{hashlib.sha256(image.encode()).hexdigest()}"


def _essence(status: Object) -> Any:
    """What differs only when there is something to be said."""
    conditions = {(each["type"], each["status"]) for each in status.get("conditions") or []}
    containers = [
        (each["name"], each["image"], each["imageID"], each["ready"], sorted(each.get("state") or {}))
        for each in status.get("containerStatuses") or []
    ]
    return status.get("phase"), conditions, containers


def _event(namespace: str, pod: Object) -> Object:
    meta, now = pod["metadata"], written(datetime.now(UTC))
    about = {"kind": "Pod", "apiVersion": "v1", "namespace": namespace, "name": meta["name"], "uid": meta["uid"]}
    return {
        "metadata": {"name": f"{meta['name']}.unhealthy"}, "involvedObject": about, "reason": "Unhealthy",
        "message": _PROBE, "type": "Warning", "count": 1, "firstTimestamp": now, "lastTimestamp": now,
        "source": {"component": "kubelet"},
    }  # fmt: skip
