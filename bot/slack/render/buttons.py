"""The buttons of a deployment, each with a dialog that says exactly what will change.

Only what would be obeyed now is offered; whether the presser may do it is decided when they press.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.domain.lifecycle import WAITING, Phase
from bot.slack.names import ActionId, ButtonValue
from bot.slack.render import blocks as b
from bot.slack.render.text import duration, instant_plain, name_plain, plain

if TYPE_CHECKING:
    from bot.domain.deployment import Deployment
    from bot.domain.history import ProvenRelease
    from bot.domain.view import DeploymentView


def buttons(view: DeploymentView) -> list[dict[str, Any]]:
    """What can be pressed now, the most likely first; empty while a person's word is being obeyed."""
    if view.deployment.request:
        return []
    row = []
    if view.needs_decision:
        row += [_retry(view), _mark_succeeded(view)]
        if view.deployment.previous is not None:
            row.append(_put_back(view))
    if view.can_abort:
        row.append(_abort(view))
    if view.can_roll_back:
        row.append(_roll_back(view))
    return row


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
        effect = f"#{deployment.number} leaves the queue. Nothing has been changed yet, and nothing will be."
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
