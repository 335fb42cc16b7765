"""The buttons of a rollout of several steps: go on, stay, go on again; and what stops or hastens its rollback.

Only what would be obeyed now is offered; each carries the step that its presser saw.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.slack.names import ActionId, ButtonValue
from bot.slack.render import blocks as b
from bot.slack.render.progress import UNDER_WAY, counted_down
from bot.slack.render.text import plain

if TYPE_CHECKING:
    from bot.domain.progression import Progression
    from bot.domain.view import DeploymentView


def progress_buttons(view: DeploymentView) -> list[dict[str, Any]]:
    """Everything that can be pressed about the rollout."""
    return [*countdown_buttons(view), *step_buttons(view)]


def step_buttons(view: DeploymentView) -> list[dict[str, Any]]:
    """*Promote to …* where people are asked, and *Hold* or *Resume*; nothing of it stops a countdown."""
    deployment, progression = view.deployment, view.deployment.progression
    if progression is None or deployment.phase not in UNDER_WAY or deployment.request or not view.steps:
        return []
    position, question = progression.position, progression.question
    if not position.begun or position.abort or position.promoted or counted_down(view):
        return []
    options = question.options if question and not question.refused else ()
    row = [_promote(view, progression, percent, first=percent == options[0]) for percent in options]
    word = "Resume" if position.held else "Hold"
    row.append(
        b.button(
            word,
            action_id=ActionId.RESUME if position.held else ActionId.HOLD,
            value=ButtonValue(deployment.id, deployment.version, step=position.step),
            spoken=f"{word} {plain(deployment.release.version, 30)} of {_place(view)} "
            + (f"at {position.weight} per cent" if position.weight else "before it gets any traffic"),
        )
    )
    return row


def countdown_buttons(view: DeploymentView) -> list[dict[str, Any]]:
    """*Roll back now*, *Cancel auto-rollback* and *Snooze 10 min*, while an automatic rollback is counted down."""
    if not counted_down(view):
        return []
    value = ButtonValue(view.deployment.id, view.deployment.version)
    now, cancel, snooze = ActionId.ROLL_BACK_NOW, ActionId.CANCEL_COUNTDOWN, ActionId.SNOOZE
    place = _place(view)
    return [
        b.button("Roll back now", action_id=now, value=value, spoken=f"Roll back {place} now", style="danger"),
        b.button(
            "Cancel auto-rollback",
            action_id=cancel,
            value=value,
            spoken=f"Cancel the automatic rollback of {place}",
        ),
        b.button("Snooze 10 min", action_id=snooze, value=value, spoken=f"Put the rollback of {place} off by 10 min"),
    ]


def _promote(view: DeploymentView, progression: Progression, percent: int, *, first: bool) -> dict[str, Any]:
    deployment = view.deployment
    step, weight = progression.position.step, progression.position.weight
    version = plain(deployment.release.version, 30)
    switch, place = weight == 0 and percent == 100, _place(view)
    consequence = (
        f"{version} gets {weight} % of the traffic of {place} now and goes to {percent} %. Every step on the way is "
        "still verified."
    )
    if switch:
        consequence = f"{version} gets all traffic of {place} at once. What runs now is kept ready to switch back to."
    return b.button(
        "Switch all traffic" if switch else f"Promote to {percent} %",
        action_id=ActionId.PROMOTE_FULL if percent == 100 else ActionId.PROMOTE,
        value=ButtonValue(deployment.id, deployment.version, step=step, to=percent),
        spoken=f"Switch all traffic of {place} to {version}"
        if switch
        else f"Promote {version} of {place} to {percent} per cent",
        style="primary" if first else None,
        ask=b.confirm(
            f"Switch all traffic to #{deployment.number}?"
            if switch
            else f"Promote #{deployment.number} to {percent} %?",
            consequence,
            yes="Switch" if switch else "Promote",
            no="Not now",
            danger=False,
        ),
    )


def _place(view: DeploymentView) -> str:
    return f"{plain(view.deployment.service, 30)} in {plain(view.deployment.environment, 30)}"
