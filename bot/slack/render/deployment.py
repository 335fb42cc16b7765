"""The root message of a deployment: one card, edited in place from the first word to the last.

A pure function of the view. What matters is never inside anything that can collapse; buttons are there only while they
can be obeyed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.domain.actor import ActorKind
from bot.domain.lifecycle import WAITING, Phase
from bot.domain.policy.override import OverrideKind
from bot.slack.names import METADATA_EVENT, ROOT_KEY
from bot.slack.render import blocks as b
from bot.slack.render import progress
from bot.slack.render.buttons import buttons
from bot.slack.render.gates import approvers, hold_parts, missing, schedule_parts, standing
from bot.slack.render.message import Message, compose
from bot.slack.render.plans import change_lines, digests, downgrade_line, experience, versions
from bot.slack.render.steps import progress_parts, queue_parts, step_number, steps
from bot.slack.render.text import clause, duration, escape, instant, moment, name, person, plain, sentence

if TYPE_CHECKING:
    from bot.domain.deployment import Deployment
    from bot.domain.release import Release
    from bot.domain.view import DeploymentView

    Block = b.Block

SYMBOLS = {
    Phase.REQUESTED: "●",
    Phase.AWAITING_APPROVAL: "○",
    Phase.SCHEDULED: "○",
    Phase.HELD: "‖",
    Phase.QUEUED: "○",
    Phase.DEPLOYING: "●",
    Phase.PAUSED: "‖",
    Phase.VERIFYING: "●",
    Phase.SUCCEEDED: "✓",
    Phase.FAILED: "✗",
    Phase.ERRORED: "✗",
    Phase.ABORTED: "■",
    Phase.REJECTED: "✗",
    Phase.EXPIRED: "■",
    Phase.SUPERSEDED: "■",
    Phase.ROLLING_BACK: "↺",
    Phase.ROLLED_BACK: "↺",
    Phase.NEEDS_ATTENTION: "!",
}
_WORDS = {
    Phase.REQUESTED: "Planning",
    Phase.AWAITING_APPROVAL: "Waiting for approval",
    Phase.SCHEDULED: "Scheduled",
    Phase.HELD: "Held",
    Phase.QUEUED: "Waiting for the lock",
    Phase.VERIFYING: "Verifying health",
}


def phase_words(phase: Phase) -> str:
    """The phase with a capital letter, as the status line says it."""
    return _WORDS.get(phase, phase.words.capitalize())


def metadata(view: DeploymentView, key: str) -> dict[str, Any]:
    """What lets a message be found and adopted again. Other apps can read it: ids only."""
    deployment = view.deployment
    return {
        "event_type": METADATA_EVENT,
        "event_payload": {
            "deployment_id": deployment.id,
            "number": deployment.number,
            "phase": deployment.phase.value,
            "view": deployment.view,
            "key": key,
        },
    }


def root(view: DeploymentView) -> Message:
    """The card of a deployment as it is now."""
    deployment = view.deployment
    content: list[Block] = [
        b.header(f"{plain(deployment.service, 60)} to {plain(deployment.environment, 60)}"),
        b.fields(facts(view)),
        b.section(status(view)),
        b.section("\n".join(step.line for step in steps(view))),
        *progress.surroundings(view),
        *surroundings(view),
    ]
    if deployment.request:
        content.append(b.context(working(deployment)))
    elif row := buttons(view):
        content.append(b.actions(row))
    if why := no_way_back(view):
        content.append(b.context(why))
    content.append(b.context(_identity(deployment)))
    return compose(spoken(view), content, metadata(view, ROOT_KEY))


def surroundings(view: DeploymentView) -> list[Block]:
    """What would change, what warns or stops, and how it usually goes; once it began, what still counts of it."""
    content: list[Block] = []
    deployment = view.deployment
    if changes := _changes(view):
        content.append(b.section(changes))
    if lines := standing(view):
        title = ["*Before it begins*"] if deployment.phase in WAITING else []
        content.append(b.section("\n".join([*title, *lines])))
    if view.forecast and deployment.phase in WAITING:
        content.append(b.context(experience(view.forecast)))
    return content


def replaced(deployment: Deployment) -> Release | None:
    """What ran before, as far as it is known."""
    if deployment.previous_recorded:
        return deployment.previous.release if deployment.previous else None
    current = deployment.plan.current if deployment.plan else None
    return current.release if current else None


def release_words(deployment: Deployment) -> str:
    """``v1.1 → v1.2`` for mrkdwn."""
    return versions(replaced(deployment), deployment.release)


def what(view: DeploymentView) -> str:
    """``#42 checkout v1.2 to staging`` for mrkdwn."""
    deployment = view.deployment
    return (
        f"#{deployment.number} {escape(deployment.service, 80)} {escape(deployment.release.version, 80)} "
        f"to {escape(deployment.environment, 80)}"
    )


def working(deployment: Deployment) -> str:
    """What stands where the buttons were while a person's word is being obeyed."""
    request = deployment.request
    assert request is not None
    what = "abort" if request.resolution is None else request.resolution.replace("_", " ")
    reason = f" ({escape(request.reason, 200)})" if request.reason else ""
    return f"● Working… {what} asked by {name(request.actor)} {instant(request.at)}{reason}"


def no_way_back(view: DeploymentView) -> str:
    """Why there is no *Roll back*, where people would look for one; empty where it needs no explanation."""
    deployment = view.deployment
    environment = escape(deployment.environment, 80)
    service = escape(deployment.service, 80)
    if deployment.phase is Phase.SUCCEEDED and view.current and view.rollback_to is None:
        if replaced(deployment) is None:
            version = escape(deployment.release.version, 80)
            fact = (
                f"{version} is the first release of {service} in {environment}. *Roll back* appears after the next one."
            )
        else:
            fact = f"no other release of {service} was proven healthy in {environment}."
        return f"– Nothing to roll back to: {fact}"
    if view.needs_decision and deployment.previous_recorded and deployment.previous is None:
        return (
            f"– No *Roll back*: nothing of {service} ran in {environment} before this. "
            "*Abort* takes away what was started."
        )
    return ""


def status(view: DeploymentView) -> str:
    """The status line: a symbol, words, and the one fact that matters most now."""
    deployment = view.deployment
    if progress.counted_down(view) or progress.taken_back(view):
        return progress.countdown_line(view)
    parts = [f"{SYMBOLS[deployment.phase]} *{phase_words(deployment.phase)}*{_took(deployment)}", *_facts(view)]
    return " – ".join(part for part in parts if part)


def spoken(view: DeploymentView) -> str:
    """The full sentence for notifications and screen readers; mrkdwn without any format of its own."""
    deployment = view.deployment
    phase = deployment.phase
    counted = progress.counted_down(view)
    words = phase_words(phase).lower()
    if counted and deployment.countdown:
        words = f"automatic rollback at {moment(deployment.countdown.deadline)}"
    elif progress.taken_back(view):
        words = "automatic rollback"
    if not phase.final and phase is not Phase.NEEDS_ATTENTION:
        number, of = step_number(view)
        words += f", step {number} of {of}"
    if view.queue and phase is Phase.QUEUED:
        words += f", position {view.queue.position} of {view.queue.length}"
    if phase in {Phase.AWAITING_APPROVAL, Phase.SCHEDULED, Phase.HELD}:
        words += "".join(f": {part}" for part in _facts(view)[:1] if part).replace("*", "")
    if deployment.progress and deployment.progress.total > 0 and phase is Phase.DEPLOYING:
        words += f", {deployment.progress.done} of {deployment.progress.total} instances"
    progression = deployment.progression
    if progression is not None and phase in progress.UNDER_WAY and view.steps and progression.position.begun:
        words += f", {progress.share(progression.position.weight)}"
        words += ", waits for a decision" if progression.question else ""
        words += f": {clause(progression.stop, 300)}" if progression.stop else ""
    words += "" if counted else _took(deployment)
    if counted and deployment.countdown:
        words += f": {escape(deployment.countdown.why, 300)}"
    elif phase.final or phase is Phase.NEEDS_ATTENTION:
        note = deployment.note.partition("\n")[0]
        words += f": {escape(note, 300)}" if note else ""
    service, environment = escape(deployment.service, 80), escape(deployment.environment, 80)
    kind = "Rollback of " if deployment.is_rollback else ""
    return (
        f"{kind}{service} to {environment}: {sentence(words)} "
        f"{release_words(deployment)} ({escape(deployment.release.short_digest, 20)}), "
        f"requested by {name(deployment.requester)}.{_glass(view)}"
    )


def facts(view: DeploymentView) -> list[tuple[str, str]]:
    """The short facts of a deployment, each with its label."""
    deployment = view.deployment
    before = _before(view)
    release = f"{versions(before, deployment.release)}\n{digests(before, deployment.release)}"
    if before is None and deployment.previous_recorded:
        release += " · first release here"
    began = deployment.reached(Phase.DEPLOYING)
    pairs = [
        ("Release", release),
        ("Strategy", escape(deployment.strategy, 60)),
        ("Requested by", person(deployment.requester)),
        ("Started", instant(began.at)) if began else ("Requested", instant(deployment.requested_at)),
    ]
    if deployment.phase not in WAITING and (by := approvers(view)):
        pairs.append(("Approved by", by))
    if deployment.rollback_of:
        number = f"#{view.takes_back.number}" if view.takes_back else escape(deployment.rollback_of, 40)
        pairs.append(("Rollback of", number))
    if deployment.reason:
        pairs.append(("Reason", escape(deployment.reason, 300)))
    return pairs


def _before(view: DeploymentView) -> Release | None:
    """What ran before or runs now, by whoever knows it best."""
    before = replaced(view.deployment)
    if before is None and view.forecast and not view.deployment.previous_recorded:
        return view.forecast.current
    return before


def _changes(view: DeploymentView) -> str:
    """What the plan says, until there is an outcome to look at instead."""
    deployment, plan = view.deployment, view.deployment.plan
    if deployment.phase.final:
        return ""
    lines = change_lines(plan) if plan else []
    if view.forecast and view.forecast.downgrade and deployment.phase in WAITING and not deployment.is_rollback:
        lines.insert(0, downgrade_line(_before(view), deployment.release))
    return "*What changes*\n" + "\n".join(lines) if lines else ""


def _identity(deployment: Deployment) -> str:
    return f"#{deployment.number} · {escape(deployment.id, 64)} · lock {escape(deployment.scope, 120)}"


def _glass(view: DeploymentView) -> str:
    broken = [one for one in view.overrides if one.kind is OverrideKind.BREAK_GLASS]
    return f" The glass was broken by {name(broken[0].by)}." if broken else ""


def _took(deployment: Deployment) -> str:
    if deployment.finished_at is None or deployment.phase in {Phase.ROLLING_BACK, Phase.ROLLED_BACK}:
        return ""
    return f" after {duration((deployment.finished_at - deployment.taken_up_at).total_seconds())}"


def _facts(view: DeploymentView) -> list[str]:
    deployment = view.deployment
    note = escape(deployment.note.partition("\n")[0], 500)  # details are in the thread
    environment = escape(deployment.environment, 80)
    version = escape(deployment.release.version, 80)
    match deployment.phase:
        case Phase.AWAITING_APPROVAL if view.approval:
            return [f"{missing(view.approval)} · expires {instant(view.approval.expires_at)}"]
        case Phase.HELD if deployment.hold:
            return [" · ".join(hold_parts(deployment.hold, view.blocking))]
        case Phase.SCHEDULED:
            return [" · ".join(schedule_parts(view)), note]
        case Phase.QUEUED if view.queue:
            goes_next = ["goes next"] if deployment.hurried else []
            return [" · ".join([*goes_next, *queue_parts(view.queue)]), note]
        case Phase.PAUSED if why := _waits_for(deployment):
            return [why]
        case Phase.DEPLOYING | Phase.VERIFYING | Phase.PAUSED:
            return [" · ".join(progress_parts(deployment)), note]
        case Phase.SUCCEEDED if deployment.ran_nothing:
            return [f"{version} is set in {environment}", f"! {note}"]
        case Phase.SUCCEEDED if view.current:
            return [f"{version} serves {environment}", note]
        case Phase.SUCCEEDED:
            return [f"{environment} has moved on since", note]
        case Phase.ROLLING_BACK | Phase.ROLLED_BACK:
            return [_rollback(view), note]
        case Phase.ABORTED | Phase.REJECTED:
            by = deployment.timeline[-1].actor
            told = by.kind is not ActorKind.PERSON or deployment.note.startswith(by.name)
            return ["" if told else f"by {name(by)}", note]
        case _:
            return [note]


def _waits_for(deployment: Deployment) -> str:
    """What a rollout waits for now, unless people are asked: why it was paused first is its note, and may be over."""
    progression = deployment.progression
    if progression is None or (progression.question and not progression.stop):
        return ""
    return escape(progression.why, 500)


def _rollback(view: DeploymentView) -> str:
    rollback = view.taken_back_by
    if rollback is None:
        return ""
    number, by = f"#{rollback.number}", name(rollback.requester)
    version = escape(rollback.release.version, 80)
    if view.deployment.phase is Phase.ROLLING_BACK:
        return f"{number} by {by} brings {version} back"
    return f"{version} serves again, brought back by {by} with {number}"
