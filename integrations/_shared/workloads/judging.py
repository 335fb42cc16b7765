"""How a rollout stands, from one look at the Deployment: kubectl's rules, and what kubectl does not see.

Pure. Success is never told from a look that does not show our change, nor from a status older than the change.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from integrations._shared.failures import told
from integrations._shared.kube import raw
from integrations._shared.kube.api import MANAGER
from integrations._shared.kube.patches import images_of
from integrations._shared.workloads import image, marks
from integrations._shared.workloads.owners import who_changed, who_paused, who_set
from integrations._shared.workloads.workload import replicas

if TYPE_CHECKING:
    from bot.domain.ids import OperationId
    from integrations._shared.kube.raw import Object


class Stand(Enum):
    """Where a rollout is."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    #: It will not go on by itself, and whoever says so may be right or wrong: a quota, a webhook.
    TROUBLED = "troubled"
    SUPERSEDED = "superseded"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mine:
    """The change that is followed."""

    name: str
    operation: OperationId
    uid: str
    generation: int
    """What the answer to the change said. 0: this Deployment was not changed, although others were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One look."""

    stand: Stand
    message: str
    done: int = 0
    total: int = 0


def judge(one: Object | None, mine: Mine) -> View:
    """How ``mine`` stands when the Deployment looks like ``one``; None: there is none."""
    name = mine.name
    if one is None:
        return View(stand=Stand.DELETED, message=f"The Deployment {name} was deleted.")
    if raw.uid(one) != mine.uid:
        return View(stand=Stand.DELETED, message=f"The Deployment {name} was deleted and made anew by somebody.")
    if mine.generation == 0:
        return View(stand=Stand.FAILED, message=f"{name} was not changed, although others of the release were.")
    wanted = replicas(one)
    if raw.count(one, "metadata", "generation") < mine.generation:
        return View(stand=Stand.WAITING, message="waiting for the cluster to show the change", total=wanted)
    other = _superseded(one, mine)
    if other:
        return View(stand=Stand.SUPERSEDED, message=other)
    return _progress(one, wanted, name)


def settled(one: Object) -> bool:
    """Whether no rollout goes on there, whoever began it."""
    return _progress(one, replicas(one), raw.name(one)).stand is Stand.DONE


def _superseded(one: Object, mine: Mine) -> str:
    """Who took its place and how; empty when nobody did."""
    latest = marks.operation(one)
    if latest != mine.operation:
        who = f" ({who_changed(one)})" if who_changed(one) else ""
        if latest is not None and mine.operation not in marks.history(one):
            return f"{who_changed(one) or 'Somebody'} put back on {mine.name} what {latest} had brought."
        if latest is None:
            # As by kubectl rollout undo, to what was there before we ever came.
            by = f" ({who_set(one)})" if who_set(one) else ""
            return f"Somebody removed our marks from {mine.name}{by}, so it cannot be told whose release it runs."
        return f"Another change, {latest}, took its place on {mine.name}{who}."
    return set_elsewhere(one, mine.name)


def set_elsewhere(one: Object, name: str) -> str:
    """Who set other images than we left on ``name``, or keeps that from being told; empty when nobody did."""
    now, left = images_of(one), marks.images(one)
    if not left:
        # Without them nobody can tell whether these are still the images that we set.
        who = who_changed(one)
        return f"Somebody removed our marks from {name}{f' ({who})' if who else ''}, so nobody can tell what it runs."
    for container, wanted in left.items():
        found = now.get(container)
        if found is None or not image.same(found, wanted):
            who = who_changed(one, container) or "Somebody"
            if who.startswith(MANAGER):
                # Nobody wrote there after us: what we sent was changed before it was kept.
                who = "The cluster itself, perhaps an admission webhook,"
            what = image.shown(found) if found is not None else "nothing"
            return f"{who} changed {name}: its container {told(container)[:63]} is set to {what} now."
    return ""


def _progress(one: Object, wanted: int, name: str) -> View:
    updated, there = raw.count(one, "status", "updatedReplicas"), raw.count(one, "status", "replicas")
    available = raw.count(one, "status", "availableReplicas")
    paused = raw.at(one, "spec", "paused") is True
    if raw.count(one, "status", "observedGeneration") < raw.count(one, "metadata", "generation"):
        # All else in the status is about what was before, be it good or bad.
        if paused:
            return _paused(one, name)
        return View(stand=Stand.WAITING, message="waiting for the cluster to take up the change", total=wanted)
    # What is available and not among the old pods; those count as available until they are gone.
    done = max(0, min(updated, available - max(0, there - updated)))
    said = f"{done} of {wanted} pods available"
    progressing = _condition(one, "Progressing")
    if raw.text(progressing, "reason") == "ProgressDeadlineExceeded":
        seconds = raw.count(one, "spec", "progressDeadlineSeconds") or 600
        message = f"{name} made no progress for {seconds} s: {said}."
        return View(stand=Stand.FAILED, message=message, done=done, total=wanted)
    if updated >= wanted and there <= updated and available >= updated:
        message = f"{said}." if wanted else f"{name} is scaled to zero: no pod ever ran, so nothing proves its health."
        return View(stand=Stand.DONE, message=message, done=wanted, total=wanted)
    if paused:
        return _paused(one, name)
    failure = _condition(one, "ReplicaFailure")
    if raw.text(failure, "status") == "True":
        why = told(raw.text(failure, "message")) or told(raw.text(failure, "reason")) or "no reason was given"
        message = f"the cluster lets no more pods be made: {why}"
        return View(stand=Stand.TROUBLED, message=message, done=done, total=wanted)
    if updated < wanted:
        message = f"{said}, {wanted - updated} not started yet"
    elif there > updated:
        message = f"{said}, {_pods(there - updated)} of before still there"
    else:
        message = said
    return View(stand=Stand.WAITING, message=message, done=done, total=wanted)


def _paused(one: Object, name: str) -> View:
    who = who_paused(one)
    by = f" by {who}" if who else ""
    message = f"{name} is paused{by}, so nothing is rolled out; kubectl rollout resume lets it go on."
    return View(stand=Stand.FAILED, message=message, total=replicas(one))


def _condition(one: Object, kind: str) -> Object | None:
    return next((each for each in raw.items(one, "status", "conditions") if raw.text(each, "type") == kind), None)


def _pods(number: int) -> str:
    return "1 pod" if number == 1 else f"{number} pods"
