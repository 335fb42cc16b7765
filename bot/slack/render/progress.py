"""A rollout of several steps as people follow it: step, weight, every check, a countdown, the buttons and the pictures.

Pure, without a clock: instants are shown on the reader's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.charts import Chart, Limit, Series, Span
from bot.domain.analysis.countdown import CountdownState
from bot.domain.analysis.judgement import Verdict
from bot.domain.lifecycle import Phase
from bot.domain.metric import Track
from bot.slack.names import ActionId, ButtonValue
from bot.slack.render import blocks as b
from bot.slack.render.text import clause, escape, instant, name, plain, sentence

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bot.domain.analysis.check import Check
    from bot.domain.metric import Point
    from bot.domain.progression import Looks, Progression
    from bot.domain.view import DeploymentView

    Block = b.Block

_UNDER_WAY = frozenset({Phase.DEPLOYING, Phase.PAUSED})
_VERDICTS = {
    Verdict.PASS: ("✓", "Pass"),
    Verdict.FAIL: ("✗", "Fail"),
    Verdict.INCONCLUSIVE: ("?", "Cannot tell"),
}
_CHECKS = 8
"""Checks that are shown; of the rest it is told how many there are."""
_MOST_POINTS = 400


def progress_lines(view: DeploymentView) -> list[str]:
    """Where the rollout is and what every check says; empty where there is nothing of the kind."""
    progression, deployment = view.deployment.progression, view.deployment
    lines: list[str] = []
    if progression is None:
        return lines
    position = progression.position
    if view.steps and position.begun and deployment.phase in _UNDER_WAY | {Phase.NEEDS_ATTENTION}:
        number = f"step {position.step + 1} of {len(view.steps)}"
        lines.append(f"● *Rollout* – {number}, {position.weight} % of the traffic · since {instant(position.since)}")
        if progression.why:
            lines.append(f"{'‖' if deployment.phase is Phase.PAUSED else '○'} {sentence(escape(progression.why, 300))}")
        if question := progression.question:
            lines.append(f"○ *Waits for a decision* – until {instant(question.until)}, then: {question.otherwise}")
    if deployment.phase in _UNDER_WAY or bakes(view):
        lines += check_lines(view, progression)
    return lines


def check_lines(view: DeploymentView, progression: Progression) -> list[str]:
    """Every check with what it says now."""
    looks = {one.check: one for one in progression.looks}
    lines = [_check_line(check, looks.get(check.name)) for check in view.checks[:_CHECKS]]
    if len(view.checks) > _CHECKS:
        lines.append(f"… and {len(view.checks) - _CHECKS} more checks")
    return lines


def _check_line(check: Check, looks: Looks | None) -> str:
    if looks is None or looks.last is None:
        return f"○ *{escape(check.name, 60)}* – not looked at yet"
    last = looks.last
    symbol, word = ("✗", "Tripped") if looks.tripped else _VERDICTS[last.verdict]
    said = last.sentence.removeprefix(f"{check.name}: ")
    return f"{symbol} *{escape(check.name, 60)}* – {word}: {sentence(escape(said, 300))}"


def countdown_line(view: DeploymentView) -> str:
    """What becomes of an automatic rollback; empty where none was ever counted down."""
    countdown = view.deployment.countdown
    if countdown is None:
        return ""
    why = clause(countdown.why)
    match countdown.state:
        case CountdownState.RUNNING:
            return f"! *Automatic rollback* at {instant(countdown.deadline)}: {why}"
        case CountdownState.FIRED:
            by = f" now, as {name(countdown.by)} says" if countdown.by else ""
            return f"↺ *Automatic rollback*{by}: {why}"
        case CountdownState.CANCELLED:
            who = name(countdown.by) if countdown.by else "somebody"
            return f"– *Automatic rollback* cancelled by {who}: only people roll this back now."
        case CountdownState.RECOVERED:
            return "✓ *Automatic rollback* called off: the checks have recovered."
        case CountdownState.PAGED:
            return f"! *No automatic rollback*: {clause(countdown.barred)} Somebody must decide."


def bakes(view: DeploymentView) -> bool:
    """Whether it has succeeded and is still watched."""
    return view.bakes_until is not None and view.deployment.phase is Phase.SUCCEEDED and view.current


def surroundings(view: DeploymentView) -> list[Block]:
    """The part of the card that follows the rollout."""
    lines = progress_lines(view)
    if line := countdown_line(view):
        lines.insert(0, line)
    return [b.section("\n".join(lines))] if lines else []


def progress_buttons(view: DeploymentView) -> list[dict[str, Any]]:
    """*Promote*, *Hold* or *Resume*, and what stops or hastens an automatic rollback; only what would be obeyed."""
    return [*_countdown_buttons(view), *_step_buttons(view)]


def _step_buttons(view: DeploymentView) -> list[dict[str, Any]]:
    deployment, progression = view.deployment, view.deployment.progression
    if progression is None or deployment.phase not in _UNDER_WAY or deployment.request or not view.steps:
        return []
    position, question = progression.position, progression.question
    if not position.begun or position.abort or position.promoted:
        return []
    place = f"{plain(deployment.service, 40)} in {plain(deployment.environment, 40)}"
    version = plain(deployment.release.version, 40)
    options = question.options if question and not question.refused else ()
    row = [_promote(view, percent, first=percent == options[0]) for percent in options]
    word = ActionId.RESUME if position.held else ActionId.HOLD
    row.append(
        b.button(
            "Resume" if position.held else "Hold",
            action_id=word,
            value=ButtonValue(deployment.id, deployment.version, step=position.step),
            spoken=f"{'Resume' if position.held else 'Hold'} {version} of {place} at {position.weight} per cent",
        )
    )
    return row


def _promote(view: DeploymentView, percent: int, *, first: bool) -> dict[str, Any]:
    """*Promote to 50 %*, for the step that the view shows."""
    deployment, progression = view.deployment, view.deployment.progression
    assert progression is not None
    step, weight = progression.position.step, progression.position.weight
    place = f"{plain(deployment.service, 40)} in {plain(deployment.environment, 40)}"
    version = plain(deployment.release.version, 40)
    return b.button(
        f"Promote to {percent} %",
        action_id=ActionId.PROMOTE_FULL if percent == 100 else ActionId.PROMOTE,
        value=ButtonValue(deployment.id, deployment.version, step=step, to=percent),
        spoken=f"Promote {version} of {place} to {percent} per cent",
        style="primary" if first else None,
        ask=b.confirm(
            f"Promote #{deployment.number} to {percent} %?",
            f"{version} gets {weight} % of the traffic of {place} now and goes to {percent} %. Every step on the way "
            "is still verified.",
            yes="Promote",
            no="Not now",
            danger=False,
        ),
    )


def _countdown_buttons(view: DeploymentView) -> list[dict[str, Any]]:
    deployment, countdown = view.deployment, view.deployment.countdown
    if countdown is None or countdown.state is not CountdownState.RUNNING or deployment.request:
        return []
    if deployment.phase not in _UNDER_WAY and not (deployment.phase is Phase.SUCCEEDED and view.current):
        return []
    value = ButtonValue(deployment.id, deployment.version)
    place = f"{plain(deployment.service, 40)} in {plain(deployment.environment, 40)}"
    return [
        b.button(
            "Roll back now", action_id=ActionId.ROLL_BACK_NOW, value=value, spoken=f"Roll back {place} now",
            style="danger",
        ),
        b.button(
            "Cancel auto-rollback", action_id=ActionId.CANCEL_COUNTDOWN, value=value,
            spoken=f"Cancel the automatic rollback of {place}",
        ),
        b.button(
            "Snooze 10 min", action_id=ActionId.SNOOZE, value=value,
            spoken=f"Put the automatic rollback of {place} off by ten minutes",
        ),
    ]  # fmt: skip


def picture(view: DeploymentView) -> Chart | None:
    """The check that says most just now, over time: canary, stable, its limit, and the steps; None without readings."""
    progression = view.deployment.progression
    if progression is None:
        return None
    looks = {one.check: one for one in progression.looks}
    told = [check for check in view.checks if any(view.readings.get(check.name, {}).values())]
    if not told:
        return None
    worst = min(told, key=lambda check: _rank(looks.get(check.name)))
    tracks = view.readings[worst.name]
    series = [
        Series(label=label, points=tuple((one.at, _shown(worst, one)) for one in points[-_MOST_POINTS:]))
        for track, label in ((Track.CANARY, view.deployment.release.version), (Track.STABLE, _stable(view)))
        if (points := tracks.get(track, ()))
    ]
    last = looks[worst.name].last if worst.name in looks else None
    limits = [Limit(label=f"limit {worst.show(worst.limit)}", value=_scaled(worst, worst.limit))] if worst.limit else []
    before = progression.before.get(worst.name)
    baseline = [before.number] if before and before.number is not None else []
    limits += [Limit(label=f"before {worst.show(value)}", value=_scaled(worst, value)) for value in baseline]
    service, environment = view.deployment.service, view.deployment.environment
    said = last.sentence if last else f"{worst.name} has not been judged yet."
    return Chart(
        title=f"{worst.name} of {service} in {environment}",
        alt=f"{worst.name} of {service} in {environment} over time, {_numbers(worst, tracks)} {said}",
        unit="%" if worst.kind == "share" else worst.unit,
        series=tuple(series),
        limits=tuple(limits),
        spans=tuple(_spans(view, series)),
    )


def _rank(looks: Looks | None) -> tuple[int, str]:
    if looks is None or looks.last is None:
        return (3, "")
    if looks.tripped:
        return (0, looks.check)
    return ({Verdict.FAIL: 0, Verdict.INCONCLUSIVE: 1, Verdict.PASS: 2}[looks.last.verdict], looks.check)


def _stable(view: DeploymentView) -> str:
    previous = view.deployment.previous
    return f"{previous.release.version} (stable)" if previous else "stable"


def _shown(check: Check, point: Point) -> float | None:
    return None if point.value is None else _scaled(check, point.value)


def _scaled(check: Check, value: float | None) -> float:
    assert value is not None
    return value * 100 if check.kind == "share" else value


def _numbers(check: Check, tracks: Any) -> str:
    """The newest number of each track, in words."""
    parts = []
    for track in (Track.CANARY, Track.STABLE):
        values = [one.value for one in tracks.get(track, ()) if one.value is not None]
        if values:
            parts.append(f"the {track} last at {check.show(values[-1])}")
    limit = f"limit {check.show(check.limit)}" if check.limit is not None else ""
    return ", ".join([*parts, *([limit] if limit else [])]) + "."


def _spans(view: DeploymentView, series: Sequence[Series]) -> list[Span]:
    """The steps so far, shaded: read off the deployment's position, the newest one only while it goes on."""
    progression = view.deployment.progression
    times = [at for one in series for at, _ in one.points]
    if progression is None or not times or not progression.position.begun:
        return []
    begin: datetime = max(min(times), progression.position.since)
    end = max(times)
    if begin >= end:
        return []
    return [Span(label=f"{progression.position.weight} %", begin=begin, end=end)]
