"""What a Rollout's conditions say, and what is read from Rollouts and their ReplicaSets again and again.

Follows argo-rollouts 1.9.1, rollout/sync.go (calculateRolloutConditions, checkPausedConditions) and utils/conditions.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from . import clock as times
from .actor import condition, drop_condition, set_condition
from .argo_steps import current_step, phase
from .revisions import ROLLOUT_HASH

if TYPE_CHECKING:
    from .clock import Clock
    from .resources import Object

REVISION = "rollout.argoproj.io/revision"


def conditions(found: Object, before: Object, status: Object, new: Object | None, words: str, clock: Clock) -> None:
    """Write what is true of ``status`` into its conditions, in place; a deadline that has passed may abort."""
    now, at = condition(before, "Progressing"), clock.stamp()
    paused = bool(status.get("pauseConditions")) or bool(found["spec"].get("paused"))
    enough = status["availableReplicas"] >= found["spec"].get("replicas", 1)
    said = ("AvailableReason", f"Rollout {'has' if enough else 'does not have'} minimum availability")
    set_condition(status, condition_of("Available", str(enough), *said, at))
    if paused != bool((condition(status, "Paused") or {}).get("status") == "True"):
        set_condition(status, condition_of("Paused", str(paused), "RolloutPaused", "Rollout is paused", at))
    name = f'ReplicaSet "{new["metadata"]["name"]}"' if new else f'Rollout "{found["metadata"]["name"]}"'
    if status.get("abort"):
        said_ = f"Rollout aborted update to revision {revision_of(new) if new else '?'}" + (
            f": {words}" if words else ""
        )
        if not now or now["reason"] != "RolloutAborted":
            set_condition(status, condition_of("Progressing", "False", "RolloutAborted", said_, at))
    elif now and now["reason"] == "RolloutAborted" and condition(status, "Progressing"):
        set_condition(
            status, condition_of("Progressing", "Unknown", "RolloutRetry", "Retrying Rollout after abort", at)
        )
        status.pop("abortedAt", None)
    elif paused:
        if not now or now["reason"] != "RolloutPaused":
            set_condition(status, condition_of("Progressing", "Unknown", "RolloutPaused", "Rollout is paused", at))
    elif phase(found, {**status, "conditions": []})[0] == "Healthy":
        said_ = f"{name} has successfully progressed."
        set_condition(status, condition_of("Progressing", "True", "NewReplicaSetAvailable", said_, at))
    elif _progressed(before, status) or now is None or now["reason"] == "RolloutPaused":
        drop_condition(status, "Progressing")
        said_ = f"{name} is progressing."
        set_condition(status, condition_of("Progressing", "True", "ReplicaSetUpdated", said_, at))
    elif past(now["lastUpdateTime"], found["spec"].get("progressDeadlineSeconds", 600), clock):
        step = current_step(found, status) or {}
        if "analysis" not in step and now["reason"] not in ("NewReplicaSetAvailable", "ProgressDeadlineExceeded"):
            said_ = f"{name} has timed out progressing."
            set_condition(status, condition_of("Progressing", "False", "ProgressDeadlineExceeded", said_, at))
            if found["spec"].get("progressDeadlineAbort"):
                status["abort"] = True


def _progressed(before: Object, status: Object) -> bool:
    counted = ("updatedReplicas", "readyReplicas", "availableReplicas")
    changed = ("currentStepIndex", "stableRS", "currentPodHash", "blueGreen")
    return any(status.get(key, 0) > before.get(key, 0) for key in counted) or any(
        status.get(key) != before.get(key) for key in changed
    )


def condition_of(kind: str, status: str, reason: str, message: str, at: str) -> Object:
    return {"type": kind, "status": status, "reason": reason, "message": message,
            "lastUpdateTime": at, "lastTransitionTime": at}  # fmt: skip


def hash_of(found: Object) -> str:
    return str((found["metadata"].get("labels") or {}).get(ROLLOUT_HASH, ""))


def revision_of(found: Object) -> str:
    return str((found["metadata"].get("annotations") or {}).get(REVISION, "0"))


def available(found: Object) -> int:
    return int((found.get("status") or {}).get("availableReplicas", 0))


def pause_for(status: Object, reason: str) -> Object | None:
    return next((each for each in status.get("pauseConditions") or [] if each["reason"] == reason), None)


def seconds_of(duration: Any) -> float:
    text = str(duration)
    return float(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]] if text[-1] in "smh" else float(text)


def past(since: str, seconds: float, clock: Clock) -> bool:
    return times.read(since) + timedelta(seconds=seconds) <= clock.now()
