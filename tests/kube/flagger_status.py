"""What Flagger reads from a Deployment and writes into a Canary's conditions.

Follows flagger 1.44.0, pkg/canary/ready.go (a Deployment that made no progress within the deadline, or has lacked its
least number of pods for so long, will not be waited for) and pkg/canary/status.go (the condition ``Promoted``).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from . import clock as times
from .actor import condition

if TYPE_CHECKING:
    from datetime import datetime

    from .resources import Object

PROMOTED = {
    "Initializing": ("Unknown", "New Deployment detected, starting initialization."),
    "Initialized": ("True", "Deployment initialization completed."),
    "Waiting": ("Unknown", "Waiting for approval."),
    "WaitingPromotion": ("Unknown", "Waiting for approval."),
    "Progressing": ("Unknown", "New revision detected, progressing canary analysis."),
    "Promoting": ("Unknown", "Canary analysis completed, starting primary rolling update."),
    "Finalising": ("Unknown", "Canary analysis completed, routing all traffic to primary."),
    "Succeeded": ("True", "Canary analysis completed successfully, promotion finished."),
    "Failed": ("False", "Canary analysis failed, Deployment scaled to zero."),
}
WANTED = {
    "pre-rollout": "pre-rollout check failed",
    "confirm-traffic-increase": "waiting for traffic increase approval",
}


def promoted(canary: Object, phase: str, now: str) -> None:
    """Write the condition of ``phase``, in place."""
    status, message = PROMOTED[phase]
    before = condition(canary["status"], "Promoted")
    if before and (before["status"], before["reason"]) == (status, phase):
        return
    since = before["lastTransitionTime"] if before and before["status"] == status else now
    canary["status"]["conditions"] = [
        {
            "type": "Promoted", "status": status, "reason": phase, "message": message,
            "lastUpdateTime": now, "lastTransitionTime": since,
        }
    ]  # fmt: skip


def readiness(deployment: Object | None, now: datetime, canary: Object) -> tuple[str, bool]:
    """(what it waits for, empty when it is ready; whether waiting makes sense)."""
    if deployment is None:
        return "deployment not found", True
    spec, status = deployment["spec"], deployment.get("status") or {}
    if deployment["metadata"]["generation"] > status.get("observedGeneration", 0):
        return "waiting for rollout to finish: observed deployment generation less than desired generation", True
    retriable = True
    if progress := condition(status, "Progressing"):
        available = condition(status, "Available")
        if available and available["reason"] == "MinimumReplicasUnavailable":
            deadline = timedelta(seconds=canary["spec"].get("progressDeadlineSeconds", 600))
            retriable = times.read(available["lastUpdateTime"]) + deadline >= now
        if progress["reason"] == "ProgressDeadlineExceeded":
            return f'deployment "{deployment["metadata"]["name"]}" exceeded its progress deadline', False
    updated, wanted = status.get("updatedReplicas", 0), spec["replicas"]
    if updated < wanted:
        return f"waiting for rollout to finish: {updated} out of {wanted} new replicas have been updated", retriable
    if status.get("replicas", 0) > updated:
        old = status["replicas"] - updated
        return f"waiting for rollout to finish: {old} old replicas are pending termination", retriable
    if status.get("availableReplicas", 0) < updated:
        ready = status.get("availableReplicas", 0)
        return f"waiting for rollout to finish: {ready} of {updated} updated replicas are available", retriable
    return "", True
