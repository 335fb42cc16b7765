"""The scheduler and the kubelets: what becomes of a pod, and what its containers write.

Follows kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle and the reasons and messages of kubelet 1.36
(ErrImagePull, ImagePullBackOff, CrashLoopBackOff, CreateContainerConfigError, Unschedulable, Unhealthy). No container
runs: what an image does is told by a word in its name, or by `behaves`.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING

from . import clock as times
from .actor import Actor
from .resources import BY_PLURAL

if TYPE_CHECKING:
    from .resources import Object

NODE = "node-1"
WORDS = ("missing", "crash", "huge", "unready", "noconfig")


class Kubelet(Actor):
    """All nodes at once."""

    manager, component = "kubelet", "kubelet"

    behaviours: dict[str, str]

    def setup(self) -> Kubelet:
        self.behaviours = {}
        self.digests: dict[str, str] = {}
        return self

    def behaves(self, image: str, how: str) -> None:
        """Images whose reference holds ``image`` are "missing", "crash", "huge", "unready", "noconfig" or "well"."""
        self.behaviours[image] = how

    def behaviour(self, image: str) -> str:
        told = next((how for part, how in reversed(self.behaviours.items()) if part in image), None)
        return told or next((word for word in WORDS if word in image), "well")

    def image_id(self, image: str) -> str:
        """What a node says it runs: always by digest."""
        repository = image.partition("@")[0]
        if ":" in repository.rpartition("/")[2]:
            repository = repository.rpartition(":")[0]
        if "@" in image:
            return f"{repository}@{image.partition('@')[2]}"
        known = self.digests.get(image) or f"sha256:{hashlib.sha256(image.encode()).hexdigest()}"
        return f"{repository}@{known}"

    def tick(self) -> bool:
        """One step in the life of every pod; whether any had one."""
        before = len(self.store.changes)
        for pod in self.store.see(BY_PLURAL["pods"]):
            if pod["metadata"].get("deletionTimestamp"):
                self.delete("pods", pod, gracePeriodSeconds=0)
            elif not pod["spec"].get("nodeName"):
                self._schedule(pod)
            else:
                self._run(pod)
        return len(self.store.changes) > before

    def _schedule(self, pod: Object) -> None:
        now = self.clock.stamp()
        if any(self.behaviour(each["image"]) == "huge" for each in pod["spec"]["containers"]):
            said = "0/3 nodes are available: 3 Insufficient memory."
            told = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": said}
            if not pod["status"].get("conditions"):
                self._status(pod, {"phase": "Pending", "conditions": [{**told, "lastTransitionTime": now}]})
                self.event(pod, "FailedScheduling", said, "Warning")
            return

        def bind(live: Object) -> None:
            live["spec"]["nodeName"] = NODE

        bound = self.write("pods", pod, bind)
        if bound is None:
            return
        waiting = {"waiting": {"reason": "ContainerCreating"}}
        statuses = [
            {"name": each["name"], "image": each["image"], "imageID": "", "ready": False, "started": False,
             "restartCount": 0, "state": waiting, "lastState": {}}
            for each in pod["spec"]["containers"]
        ]  # fmt: skip
        self._status(bound, {
            "phase": "Pending", "startTime": now, "hostIP": "10.0.0.1", "containerStatuses": statuses,
            "conditions": _conditions(now, False, [each["name"] for each in statuses], None),
        })  # fmt: skip
        name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        self.event(bound, "Scheduled", f"Successfully assigned {name} to {NODE}")

    def _run(self, pod: Object) -> None:
        now, status = self.clock.stamp(), dict(pod["status"])
        old = {each["name"]: each for each in status.get("containerStatuses", [])}
        statuses = [self._container(pod, each, old.get(each["name"], {}), now) for each in pod["spec"]["containers"]]
        bad = [each["name"] for each in statuses if not each["ready"]]
        status["containerStatuses"] = statuses
        status["conditions"] = _conditions(now, not bad, bad, status.get("conditions"))
        status["phase"] = "Running" if all(each["imageID"] for each in statuses) else "Pending"
        if status["phase"] == "Running":
            status.setdefault("podIP", f"10.1.0.{int(pod['metadata']['uid'][:2], 16)}")
        if status != pod["status"]:
            self._status(pod, status)

    def _container(self, pod: Object, spec: Object, old: Object, now: str) -> Object:
        image, name = spec["image"], spec["name"]
        meta = pod["metadata"]
        new: Object = {"name": name, "image": image, "imageID": self.image_id(image), "ready": False, "started": False,
                       "restartCount": old.get("restartCount", 0), "lastState": old.get("lastState", {})}  # fmt: skip
        state = old.get("state", {})
        place = f"{name} in pod {meta['name']}_{meta['namespace']}({meta['uid']})"
        match self.behaviour(image):
            case "missing":
                again = state.get("waiting", {}).get("reason") in ("ErrImagePull", "ImagePullBackOff")
                said = f'failed to pull and unpack image "{image}": {image}: not found'
                reason, told = (
                    ("ImagePullBackOff", f'Back-off pulling image "{image}"') if again else ("ErrImagePull", said)
                )
                if state.get("waiting", {}).get("reason") != reason:
                    failed = ("Failed", f'Failed to pull image "{image}": {said}', "Warning")
                    self.event(pod, *(("BackOff", told, "Normal") if again else failed))
                return {**new, "imageID": "", "state": {"waiting": {"reason": reason, "message": told}}}
            case "noconfig":
                said = f'configmap "{name}-config" not found'
                self._once(pod, state, "CreateContainerConfigError", "Failed", f"Error: {said}")
                return {
                    **new,
                    "imageID": "",
                    "state": {"waiting": {"reason": "CreateContainerConfigError", "message": said}},
                }
            case "crash":
                return self._crashed(pod, new, state, place, now)
            case "unready":
                said = "Readiness probe failed: HTTP probe failed with statuscode: 503"
                if "running" not in state or old.get("ready"):
                    self.event(pod, "Unhealthy", said, "Warning")
                return {
                    **new,
                    "started": True,
                    "state": state if "running" in state else {"running": {"startedAt": now}},
                }
        self.server.logs.setdefault((meta["namespace"], meta["name"], name), f"{now} {image} is listening on :8080\n")
        return {
            **new,
            "ready": True,
            "started": True,
            "state": state if "running" in state else {"running": {"startedAt": now}},
        }

    def _crashed(self, pod: Object, new: Object, state: Object, place: str, now: str) -> Object:
        meta, name = pod["metadata"], new["name"]
        if state.get("waiting", {}).get("reason") == "CrashLoopBackOff":
            return {**new, "state": state}
        ended = {
            "exitCode": 1,
            "reason": "Error",
            "startedAt": now,
            "finishedAt": now,
            "containerID": f"containerd://{meta['uid']}",
        }
        text = f"{now} {new['image']} starts\n{now} panic: cannot reach the database\n"
        self.server.logs[meta["namespace"], meta["name"], name] = text
        self.server.logs[meta["namespace"], meta["name"], f"{name}/previous"] = text
        self.event(pod, "BackOff", f"Back-off restarting failed container {place}", "Warning")
        waiting = {"reason": "CrashLoopBackOff", "message": f"back-off 10s restarting failed container={place}"}
        return {
            **new,
            "restartCount": new["restartCount"] + 1,
            "state": {"waiting": waiting},
            "lastState": {"terminated": ended},
        }

    def _once(self, pod: Object, state: Object, reason: str, event: str, said: str) -> None:
        if state.get("waiting", {}).get("reason") != reason:
            self.event(pod, event, said, "Warning")

    def _status(self, pod: Object, status: Object) -> None:
        self.write("pods", pod, lambda live: live.update(status=status), status=True)


def _conditions(now: str, ready: bool, bad: list[str], old: list[Object] | None) -> list[Object]:
    told = (
        {}
        if ready
        else {"reason": "ContainersNotReady", "message": f"containers with unready status: [{' '.join(bad)}]"}
    )
    wanted: list[Object] = [
        {"type": "Initialized", "status": "True"},
        {"type": "Ready", "status": str(ready), **told},
        {"type": "ContainersReady", "status": str(ready), **told},
        {"type": "PodScheduled", "status": "True"},
    ]
    before = {(each["type"], each["status"]): each["lastTransitionTime"] for each in old or []}
    return [{**each, "lastTransitionTime": before.get((each["type"], each["status"]), now)} for each in wanted]


def is_ready(pod: Object) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions") or [])


def is_available(pod: Object, for_seconds: int, now: str) -> bool:
    """Ready, and so for ``for_seconds``."""
    for each in pod["status"].get("conditions") or []:
        if each["type"] == "Ready" and each["status"] == "True":
            return times.read(each["lastTransitionTime"]) + timedelta(seconds=for_seconds) <= times.read(now)
    return False
