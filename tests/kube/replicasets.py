"""The ReplicaSet controller: as many pods as are wanted, and their count.

Follows kubernetes' pkg/controller/replicaset/replica_set.go (v1.36): the status counts the pods as they were before
this round made or deleted any, so that it lags behind by one round; a refused pod is ReplicaFailure/FailedCreate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .actor import Actor, drop_condition, owner_reference, set_condition
from .copying import deepcopy
from .failures import ApiFailure
from .kubelet import is_available, is_ready
from .resources import BY_PLURAL

if TYPE_CHECKING:
    from .resources import Object


class ReplicaSets(Actor):
    """Syncs every ReplicaSet that is there."""

    component = "replicaset-controller"

    def tick(self) -> bool:
        """One round over all; whether anything was written."""
        before = len(self.store.changes)
        for found in self.store.see(BY_PLURAL["replicasets"]):
            if not found["metadata"].get("deletionTimestamp"):
                self.sync(found)
        return len(self.store.changes) > before

    def sync(self, found: Object) -> None:
        everyone = self.owned("pods", found)
        pods = [each for each in everyone if not each["metadata"].get("deletionTimestamp")]
        missing = found["spec"]["replicas"] - len(pods)
        failure = self._make(found, missing) if missing > 0 else None
        for each in sorted(pods, key=_worth)[: max(0, -missing)]:
            self.delete("pods", each)
            self.event(found, "SuccessfulDelete", f"Deleted pod: {each['metadata']['name']}")
        self._count(found, pods, len(everyone) - len(pods), failure)

    def _make(self, found: Object, count: int) -> str | None:
        meta, template = found["metadata"], found["spec"]["template"]
        for _ in range(count):
            pod = deepcopy(template)
            pod.setdefault("metadata", {})["generateName"] = f"{meta['name']}-"
            pod["metadata"]["ownerReferences"] = [owner_reference(found)]
            try:
                made = self.create("pods", meta["namespace"], pod)
            except ApiFailure as refused:
                if refused.reason == "Forbidden":
                    self.event(found, "FailedCreate", f"Error creating: {refused.message}", "Warning")
                return refused.message
            self.event(found, "SuccessfulCreate", f"Created pod: {made['metadata']['name']}")
        return None

    def _count(self, found: Object, pods: list[Object], going: int, failure: str | None) -> None:
        now = self.clock.stamp()
        wait = found["spec"].get("minReadySeconds", 0)
        counts = {
            "replicas": len(pods),
            "fullyLabeledReplicas": len(pods),
            "readyReplicas": sum(map(is_ready, pods)),
            "availableReplicas": sum(is_available(each, wait, now) for each in pods),
        }
        status: Object = {key: count for key, count in counts.items() if count or key == "replicas"}
        status |= {"observedGeneration": found["metadata"]["generation"], "terminatingReplicas": going}
        if before := found.get("status", {}).get("conditions"):
            status["conditions"] = deepcopy(before)
        if failure:
            set_condition(status, {
                "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": failure,
                "lastTransitionTime": now,
            })  # fmt: skip
        else:
            drop_condition(status, "ReplicaFailure")
            if not status.get("conditions"):
                status.pop("conditions", None)
        if status != found.get("status"):
            self.write("replicasets", found, lambda live: live.update(status=status), status=True)


def _worth(pod: Object) -> tuple[bool, bool, str]:
    """What goes first: unassigned before assigned, unready before ready."""
    return bool(pod["spec"].get("nodeName")), is_ready(pod), pod["metadata"]["name"]
