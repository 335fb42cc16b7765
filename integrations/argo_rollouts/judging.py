"""How an operation on a Rollout stands, from one look. Pure.

The phase alone says nothing: right after a change it is still the one of before, and Healthy is told of the old
release too. It counts only once the status is about what the Rollout is now, and no pause is just being ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.rollout import TakenBack
from integrations._shared.failures import told
from integrations._shared.kube import raw
from integrations._shared.workloads import marks
from integrations._shared.workloads.judging import Stand, View, set_elsewhere
from integrations._shared.workloads.owners import moment, who_changed, who_paused
from integrations._shared.workloads.workload import replicas
from integrations.argo_rollouts import books, steps

if TYPE_CHECKING:
    from bot.domain.ids import OperationId
    from integrations._shared.kube.raw import Object

_CONTROLLERS = ("rollouts-controller", "argo-rollouts")
"""What the controller is called in the cluster's books: its program, or its image's name for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mine:
    """The operation that is followed."""

    name: str
    operation: OperationId
    uid: str
    """Of what holds the template."""
    version: int
    """The resource version that its own answer gave: what is older tells nothing. 0 when it was found later."""


def judge(one: Object | None, holder: Object | None, mine: Mine) -> View:
    """How ``mine`` stands when the Rollout looks like ``one``, and what holds its template like ``holder``."""
    if one is None or holder is None:
        return View(stand=Stand.DELETED, message=f"The Rollout {mine.name} was deleted.")
    if raw.uid(holder) != mine.uid:
        return View(stand=Stand.DELETED, message=f"The Rollout {mine.name} was deleted and made anew by somebody.")
    wanted = replicas(one)
    if (raw.version(holder) or 0) < mine.version:
        return View(stand=Stand.WAITING, message="waiting for the cluster to show the change", total=wanted)
    entry = books.find(holder, mine.operation)
    if other := _superseded(holder, mine, entry):
        return View(stand=Stand.SUPERSEDED, message=other)
    assert entry is not None
    # Spec first: while it is paused by hand, or not valid, the status never becomes about it.
    if raw.at(one, "spec", "paused") is True:
        who = who_paused(one)
        by = f" by {who}" if who else ""
        message = f"{mine.name} is paused{by}, so nothing goes on; kubectl argo rollouts promote lets it."
        return View(stand=Stand.FAILED, message=message, total=wanted)
    invalid = _condition(one, "InvalidSpec")
    if invalid is not None:
        return View(stand=Stand.FAILED, message=f"{mine.name} is not valid: {_said(invalid)}.", total=wanted)
    if not steps.taken_up(one, holder):
        return View(stand=Stand.WAITING, message="waiting for Argo Rollouts to take up the change", total=wanted)
    return _progress(one, holder, entry.goal, mine.name, wanted)


def _progress(one: Object, holder: Object, goal: int, name: str, wanted: int) -> View:
    updated = raw.count(one, "status", "updatedReplicas")
    done = min(updated, wanted)
    phase, weight = raw.text(one, "status", "phase"), steps.weight(one)
    if steps.stable(one) and phase == "Healthy" and not steps.shifting(one):
        return View(stand=Stand.DONE, message=f"{wanted} of {wanted} pods, and stable.", done=wanted, total=wanted)
    if raw.at(one, "status", "abort") is True:
        back = aborted(one, holder, name)
        # What an analysis has stopped is still to be put back; what somebody has, is theirs.
        return View(stand=Stand.FAILED if back.by_platform else Stand.TROUBLED, message=back.why, total=wanted)
    progressing = _condition(one, "Progressing")
    if phase == "Degraded" and raw.text(progressing, "reason") == "ProgressDeadlineExceeded":
        message = f"{name} made no progress in its time: {_said(progressing)}."
        return View(stand=Stand.FAILED, message=message, done=done, total=wanted)
    why = steps.reason(one)
    if why == "InconclusiveAnalysisRun":
        message = f"An analysis of {name} could not tell, so Argo Rollouts waits for a person.{_analysis(one)}"
        return View(stand=Stand.FAILED, message=message, done=done, total=wanted)
    rest = steps.resting(one)
    if rest is not None and goal <= rest.weight:
        said = f"{rest.weight} % of the traffic, {updated} of {wanted} pods; it waits there.{_analysis(one)}"
        return View(stand=Stand.DONE, message=said, done=done, total=wanted)
    at = f"step {min(steps.index_of(one) + 1, len(steps.steps_of(one)))} of {len(steps.steps_of(one))}"
    at = "the switch" if steps.is_blue_green(one) else at
    if rest is not None:
        said = f"waiting at {rest.weight} % to be let on"
    elif why:
        said = f"{at}: pausing{f' at {weight} %' if weight is not None else ''}"
    else:
        detail = told(raw.text(one, "status", "message"))
        said = f"{at}: {updated} of {wanted} pods{f', {detail}' if detail else ''}"
    return View(stand=Stand.WAITING, message=f"{said}{_analysis(one)}", done=done, total=wanted)


def taken_back(one: Object, holder: Object, name: str, *, here: bool) -> TakenBack | None:
    """Why a release gets no traffic any more; ``here``: it is what the Rollout asks for. None: nobody took it back."""
    if not here:
        who = set_elsewhere(holder, name)
        return TakenBack(by_platform=False, why=who or f"{name} is to run another image now.")
    return aborted(one, holder, name) if raw.at(one, "status", "abort") is True else None


def aborted(one: Object, holder: Object, name: str) -> TakenBack:
    """Who has aborted it, and why.

    It was Argo Rollouts itself when it gives a reason, when an analysis has failed, or when it is who wrote so.
    """
    condition, what = _condition(one, "Progressing"), marks.version(holder) or "it"
    said = _said(condition) if raw.text(condition, "reason") == "RolloutAborted" else ""
    _, _, reason = said.partition(": ")
    who, when = _who_aborted(one)
    for run in _runs(one):
        if raw.text(run, "status") in ("Failed", "Error"):
            verdict = "failed" if raw.text(run, "status") == "Failed" else "could not be made"
            why = told(raw.text(run, "message")) or reason or "it does not say why"
            reason = f"its analysis {told(raw.text(run, 'name'))} {verdict}: {why}"
            break
    if reason or who.startswith(_CONTROLLERS):
        why = (reason or said or "it does not say why").rstrip(".")
        return TakenBack(by_platform=True, why=f"Argo Rollouts took {what} back: {why}.")
    return TakenBack(by_platform=False, why=f"{who or 'Somebody'}{when} aborted {name}.")


def _who_aborted(one: Object) -> tuple[str, str]:
    """Who wrote that, as the cluster's own books tell, and when; empty where they do not."""
    for entry in raw.items(one, "metadata", "managedFields"):
        if raw.at(entry, "fieldsV1", "f:status", "f:abort") is not None:
            return told(raw.text(entry, "manager"))[:60], moment(entry)
    return "", ""


def _runs(one: Object) -> list[object]:
    """The analyses that it tells of: those that run, or have just ended."""
    canary = [raw.at(one, "status", "canary", f"current{kind}AnalysisRunStatus") for kind in ("Step", "Background")]
    switch = [raw.at(one, "status", "blueGreen", f"{kind}PromotionAnalysisRunStatus") for kind in ("pre", "post")]
    return [run for run in (*canary, *switch) if raw.text(run, "name")]


def _superseded(holder: Object, mine: Mine, entry: books.Entry | None) -> str:
    """Who took its place and how; empty when nobody did."""
    latest = marks.operation(holder)
    who = who_changed(holder)
    by = f" ({who})" if who else ""
    if entry is None and latest is not None and latest != mine.operation:  # it was taken away before we were there
        return set_elsewhere(holder, mine.name) or f"Another change, {latest}, took its place on {mine.name}{by}."
    if entry is None or latest is None:
        return f"Somebody removed our marks from {mine.name}{by}, so it cannot be told whose release it runs."
    if latest != mine.operation:
        return f"Another change, {latest}, took its place on {mine.name}{by}."
    return set_elsewhere(holder, mine.name)


def _analysis(one: Object) -> str:
    """The analysis that runs or has just ended, as `` Analysis checkout-2: Running.``; empty when there is none."""
    for run in _runs(one):
        message = told(raw.text(run, "message"))
        state = told(raw.text(run, "status")) or "Pending"
        return f" Analysis {told(raw.text(run, 'name'))}: {state}{f', {message}' if message else ''}."
    return ""


def _condition(one: Object, kind: str) -> Object | None:
    return next((each for each in raw.items(one, "status", "conditions") if raw.text(each, "type") == kind), None)


def _said(condition: Object | None) -> str:
    return told(raw.text(condition, "message")) or told(raw.text(condition, "reason"))
