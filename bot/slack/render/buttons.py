"""The buttons of a deployment, each with a dialog that says exactly what will change.

Only what would be obeyed now is offered; whether the presser may do it is decided when they press.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.domain.lifecycle import WAITING, Phase
from bot.domain.policy.approval import TallyState
from bot.domain.view import DeploymentView
from bot.slack.names import SUBJECT_DIGITS, ActionId, ButtonValue
from bot.slack.render import blocks as b
from bot.slack.render.progress import counted_down
from bot.slack.render.promoting import progress_buttons
from bot.slack.render.text import duration, instant_plain, name_plain, plain

if TYPE_CHECKING:
    from bot.domain.deployment import Deployment
    from bot.domain.history import ProvenRelease


def buttons(view: DeploymentView, *, with_votes: bool = True) -> list[dict[str, Any]]:
    """What can be pressed now, the most likely first; empty while a person's word is being obeyed.

    Without the votes for a reader who is known to have none.
    """
    if view.deployment.request:
        return []
    row = [*(votes(view) if with_votes else []), *start(view), *progress_buttons(view)]
    if view.needs_decision:
        row += [_retry(view), _mark_succeeded(view)]
        if view.deployment.previous is not None:
            row.append(_put_back(view))
    if view.can_abort:
        row.append(_abort(view))
    if view.can_roll_back and not counted_down(view):  # *Roll back now* is there
        row.append(_roll_back(view))
    return row


def votes(view: DeploymentView) -> list[dict[str, Any]]:
    """*Approve* and *Reject*, for exactly what the view shows; empty when nobody is asked now."""
    approval, deployment = view.approval, view.deployment
    pending = approval is not None and approval.tally.state is TallyState.PENDING
    if approval is None or not pending or deployment.phase is not Phase.AWAITING_APPROVAL:
        return []
    value = ButtonValue(deployment.id, deployment.version, approval.subject[:SUBJECT_DIGITS])
    version, place = plain(deployment.release.version, 40), _place(deployment)
    return [
        b.button(
            "Approve",
            action_id=ActionId.APPROVE,
            value=value,
            spoken=f"Approve {version} of {place}",
            style="primary",
            ask=b.confirm(
                f"Approve #{deployment.number}: {place}?",
                f"{_care(view)}{_change(view)} It is approved exactly as it is planned now; a change of it makes your "
                "approval void.",
                yes="Approve",
                no="Not now",
                danger=view.protected,
            ),
        ),
        b.button("Reject", action_id=ActionId.REJECT, value=value, spoken=f"Reject {version} of {place}"),
    ]


def start(view: DeploymentView) -> list[dict[str, Any]]:
    """*Start*, where a held deployment does not go on by itself."""
    deployment = view.deployment
    if deployment.phase is not Phase.HELD or deployment.hold is None or deployment.hold.resumes:
        return []
    return [start_one(deployment, protected=view.protected)]


def start_one(deployment: Deployment, *, protected: bool, label: str = "Start") -> dict[str, Any]:
    """*Start* for a deployment that is held."""
    version, place = plain(deployment.release.version, 40), _place(deployment)
    care = f"{plain(deployment.environment, 40)} is protected. " if protected else ""
    return b.button(
        label,
        action_id=ActionId.START,
        value=_value(deployment),
        spoken=f"Start {version} of {place}",
        style="primary",
        ask=b.confirm(
            f"Start #{deployment.number}: {place}?",
            f"{care}Every gate is asked again. If all of them let it through, {version} goes on to {place}.",
            yes="Start",
            no="Not now",
            danger=False,
        ),
    )


def abort(view: DeploymentView) -> list[dict[str, Any]]:
    """*Abort*, where it would be obeyed."""
    return [_abort(view)] if view.can_abort and not view.deployment.request else []


def abort_one(deployment: Deployment) -> dict[str, Any]:
    """*Abort* for a deployment that waits."""
    return _abort(DeploymentView(deployment=deployment))


def _change(view: DeploymentView) -> str:
    """``checkout in production changes from v1.1 to v1.2 (76312e327631).``"""
    deployment = view.deployment
    version = f"{plain(deployment.release.version, 40)} ({plain(deployment.release.short_digest, 12)})"
    plan = deployment.plan.current.release if deployment.plan and deployment.plan.current else None
    before = plan or (view.forecast.current if view.forecast else None)
    if before is None or before.same_as(deployment.release):
        return f"{_place(deployment)} gets {version}."
    return f"{_place(deployment)} changes from {plain(before.version, 40)} to {version}."


def _place(deployment: Deployment) -> str:
    return f"{plain(deployment.service, 40)} in {plain(deployment.environment, 40)}"


def _value(deployment: Deployment) -> ButtonValue:
    return ButtonValue(deployment.id, deployment.version)


def _care(view: DeploymentView) -> str:
    return f"{plain(view.deployment.environment, 40)} is protected. " if view.protected else ""


def _abort(view: DeploymentView) -> dict[str, Any]:
    deployment = view.deployment
    version, place = plain(deployment.release.version, 40), _place(deployment)
    if deployment.phase in WAITING:
        leaves = "leaves the queue" if deployment.phase is Phase.QUEUED else "ends here"
        effect = f"#{deployment.number} {leaves}. Nothing has been changed yet, and nothing will be."
    else:
        stops = (
            "" if deployment.phase is Phase.NEEDS_ATTENTION else f"#{deployment.number} stops at the next safe point. "
        )
        if deployment.previous is not None:
            back = plain(deployment.previous.release.version, 40)
            effect = f"{stops}{back} is put back in place of {version} in {place}."
        elif deployment.previous_recorded:
            effect = f"{stops}Nothing ran before: what was started of {version} in {place} is taken away again."
        else:
            effect = f"{stops}{place} is left as it is."
    return b.button(
        "Abort",
        action_id=ActionId.ABORT,
        value=_value(deployment),
        spoken=f"Abort {version} of {place}",
        style="danger",
        ask=b.confirm(
            f"Abort #{deployment.number}: {place}?", _care(view) + effect, yes="Abort", no="Let it run", danger=True
        ),
    )


def _roll_back(view: DeploymentView) -> dict[str, Any]:
    deployment, target = view.deployment, view.rollback_to
    assert target is not None
    now, then = plain(deployment.release.version, 40), plain(target.release.version, 40)
    effect = (
        f"{_care(view)}{_place(deployment)} changes from {now} to {then} ({plain(target.release.short_digest, 12)}). "
        f"{then} {_origin(target)} and {_healthy(view)}."
    )
    return b.button(
        f"Roll back to {plain(target.release.version, 60)}",
        action_id=ActionId.ROLL_BACK,
        value=_value(deployment),
        spoken=f"Roll back {_place(deployment)} to {then}",
        style="danger",
        ask=b.confirm(f"Roll back {_place(deployment)}?", effect, yes="Roll back", no=f"Keep {now}", danger=True),
    )


def _origin(target: ProvenRelease) -> str:
    if target.deployment is None:
        return "ran here before the bot came"
    return f"was deployed by {name_plain(target.by, 30)}"


def _healthy(view: DeploymentView) -> str:
    """For how long the earlier release was healthy, when it served until this one came; else since when it is known."""
    deployment, target = view.deployment, view.rollback_to
    assert target is not None
    began = deployment.reached(Phase.DEPLOYING)
    if began and deployment.previous and deployment.previous.release.same_as(target.release):
        return f"was healthy for {duration(max(0.0, (began.at - target.proven_at).total_seconds()))}"
    return f"was proven healthy on {instant_plain(target.proven_at)}"


def _retry(view: DeploymentView) -> dict[str, Any]:
    deployment = view.deployment
    version, place = plain(deployment.release.version, 40), _place(deployment)
    return b.button(
        "Retry",
        action_id=ActionId.RETRY,
        value=_value(deployment),
        spoken=f"Retry {version} of {place}",
        style="primary",
        ask=b.confirm(
            f"Retry #{deployment.number}: {place}?",
            f"{_care(view)}The step is done again: {version} is brought to {place}, whatever runs there now.",
            yes="Retry",
            no="Not now",
            danger=False,
        ),
    )


def _mark_succeeded(view: DeploymentView) -> dict[str, Any]:
    deployment = view.deployment
    version, place = plain(deployment.release.version, 40), _place(deployment)
    return b.button(
        "Mark succeeded",
        action_id=ActionId.MARK_SUCCEEDED,
        value=_value(deployment),
        spoken=f"Mark {version} of {place} as succeeded",
        ask=b.confirm(
            f"Mark #{deployment.number} as succeeded?",
            f"{_care(view)}Nothing is changed or checked. On your word {version} counts as what runs for {place}, and "
            "the lock is given up. It is not proven healthy: no rollback will choose it.",
            yes="Mark succeeded",
            no="Not now",
            danger=False,
        ),
    )


def _put_back(view: DeploymentView) -> dict[str, Any]:
    deployment = view.deployment
    assert deployment.previous is not None
    now, then = plain(deployment.release.version, 40), plain(deployment.previous.release.version, 40)
    return b.button(
        "Roll back",
        action_id=ActionId.PUT_BACK,
        value=_value(deployment),
        spoken=f"Roll back {_place(deployment)} to {then}",
        style="danger",
        ask=b.confirm(
            f"Roll back {_place(deployment)}?",
            f"{_care(view)}{then} ({plain(deployment.previous.release.short_digest, 12)}), which ran before "
            f"#{deployment.number}, is put back in place of {now}.",
            yes="Roll back",
            no="Not now",
            danger=True,
        ),
    )
