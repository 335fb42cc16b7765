"""Where a Rollout stands: its steps, its weight, how many pods that means, and the phase that is told.

Follows argo-rollouts 1.9.1, utils/rollout/rolloututil.go (phase and message), utils/replicaset/canary.go (weights and
counts) and rollout/canary.go (when a step is complete). For basic canaries the counts are the nearest ones, without the
finer points of surge; steps ``setCanaryScale`` and experiments are passed over.
"""

from __future__ import annotations

import hashlib
import json
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .resources import Object


def steps_of(rollout: Object) -> list[Object]:
    return list((rollout["spec"].get("strategy", {}).get("canary") or {}).get("steps") or [])


def canary_of(rollout: Object) -> Object | None:
    strategy = rollout["spec"].get("strategy", {})
    return strategy["canary"] or {} if "canary" in strategy else None


def blue_green_of(rollout: Object) -> Object | None:
    found = rollout["spec"].get("strategy", {}).get("blueGreen")
    return dict(found) if found else None


def routed(rollout: Object) -> bool:
    """Something splits the traffic; otherwise the numbers of pods do."""
    return bool((canary_of(rollout) or {}).get("trafficRouting"))


def steps_hash(rollout: Object) -> str:
    return hashlib.sha256(json.dumps(steps_of(rollout), sort_keys=True).encode()).hexdigest()[:10]


def index_of(rollout: Object, status: Object) -> int:
    return int(status.get("currentStepIndex") or 0) if steps_of(rollout) else 0


def current_step(rollout: Object, status: Object) -> Object | None:
    steps, index = steps_of(rollout), index_of(rollout, status)
    return steps[index] if index < len(steps) else None


def set_weight(rollout: Object, status: Object, *, before: bool = False) -> int:
    """What the steps say by now; ``before``: what they said before the step that is under way."""
    if status.get("promoteFull"):
        return 100
    steps, index = steps_of(rollout), index_of(rollout, status)
    if index >= len(steps) and not before:
        return 100
    for step in reversed(steps[: index + (not before)]):
        if "setWeight" in step:
            return int(step["setWeight"])
    return 0


def dynamic(rollout: Object) -> bool:
    """The stable release gets as many pods as its share of the traffic asks for, and no more."""
    return routed(rollout) and bool((canary_of(rollout) or {}).get("dynamicStableScale"))


def split(status: Object) -> int:
    """How many per cent the routes give to the canary now."""
    return int(((status.get("canary") or {}).get("weights") or {}).get("canary", {}).get("weight", 0))


def counts(rollout: Object, status: Object, *, aborted: bool) -> tuple[int, int]:
    """(canary pods, stable pods) that are wanted."""
    size = int(rollout["spec"].get("replicas", 1))
    weight = 0 if aborted else set_weight(rollout, status)
    if dynamic(rollout):  # whoever still gets traffic keeps the pods for it
        still = split(status)
        return ceil(size * max(weight, still) / 100), size if aborted else ceil(size * (100 - min(weight, still)) / 100)
    if routed(rollout):
        return ceil(size * weight / 100), size
    canary = max(1, round(size * weight / 100)) if weight and size else 0
    return canary, size - canary


def is_unpausing(status: Object) -> bool:
    return bool(status.get("controllerPause")) and not status.get("pauseConditions")


def promoted(status: Object) -> bool:
    return bool(status.get("stableRS")) and status.get("stableRS") == status.get("currentPodHash")


def phase(rollout: Object, status: Object) -> tuple[str, str]:
    """Phase and message, as the controller writes them."""
    for each in status.get("conditions") or []:
        if each["type"] == "InvalidSpec":
            return "Degraded", f"InvalidSpec: {each['message']}"
        if each["reason"] in ("RolloutAborted", "ProgressDeadlineExceeded"):
            return "Degraded", f"{each['reason']}: {each['message']}"
    if rollout["spec"].get("paused"):
        return "Paused", "manually paused"
    for each in status.get("pauseConditions") or []:
        return "Paused", each["reason"]
    size, updated = rollout["spec"].get("replicas", 1), status.get("updatedReplicas", 0)
    if updated < size:
        return "Progressing", "more replicas need to be updated"
    if status.get("availableReplicas", 0) < updated:
        return "Progressing", "updated replicas are still becoming available"
    if blue_green_of(rollout) is not None:
        active = (status.get("blueGreen") or {}).get("activeSelector")
        if not active or active != status.get("currentPodHash"):
            return "Progressing", "active service cutover pending"
        if not promoted(status):
            return "Progressing", "waiting for post-promotion verification to complete"
    else:
        if not routed(rollout) and status.get("replicas", 0) > updated:
            return "Progressing", "old replicas are pending termination"
        if not promoted(status):
            return "Progressing", "waiting for all steps to complete"
    return "Healthy", ""
