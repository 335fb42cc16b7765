"""The steps of a deployment as people follow them: always visible, each with a symbol, a word and how long it took.

Everything is read off the timeline; there is no clock here, so a step that goes on tells since when, not how long.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from bot.domain.lifecycle import Phase
from bot.slack.render.progress import step_words
from bot.slack.render.text import count, duration, escape, instant, name

if TYPE_CHECKING:
    from datetime import datetime

    from bot.domain.deployment import Deployment
    from bot.domain.view import DeploymentView, QueueView


class StepState(Enum):
    """How a step stands: a symbol and a word, never one alone."""

    WAITING = ("○", "Next")
    RUNNING = ("●", "Now")
    PAUSED = ("‖", "Paused")
    DONE = ("✓", "Done")
    FAILED = ("✗", "Failed")
    ERRORED = ("✗", "Errored")
    REJECTED = ("✗", "Rejected")
    ABORTED = ("■", "Aborted")
    ENDED = ("■", "Ended")
    SKIPPED = ("–", "Skipped")
    ATTENTION = ("!", "Needs attention")

    @property
    def symbol(self) -> str:
        """One character."""
        return self.value[0]

    @property
    def word(self) -> str:
        """The same for those who cannot see it."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the list. ``detail`` is mrkdwn."""

    key: str
    title: str
    state: StepState
    detail: str = ""

    @property
    def line(self) -> str:
        """The line as mrkdwn."""
        # "Done" is a step and a state; once is enough.
        word = "" if self.title == self.state.word else f" – {self.state.word}"
        return f"{self.state.symbol} *{self.title}*{word}" + (f" · {self.detail}" if self.detail else "")


_STEP_OF = {
    Phase.REQUESTED: "plan",
    Phase.AWAITING_APPROVAL: "approval",
    Phase.SCHEDULED: "time",
    Phase.HELD: "hold",
    Phase.QUEUED: "lock",
    Phase.DEPLOYING: "deploy",
    Phase.PAUSED: "deploy",
    Phase.VERIFYING: "verify",
    Phase.SUCCEEDED: "done",
    Phase.ROLLING_BACK: "done",
    Phase.ROLLED_BACK: "done",
}
_TITLES = {
    "plan": "Plan",
    "approval": "Approval",
    "time": "Wait for its time",
    "hold": "Held",
    "lock": "Wait for the lock",
    "deploy": "Deploy",
    "verify": "Verify health",
    "done": "Done",
}
_OPTIONAL = frozenset({"approval", "time", "hold"})
_ENDINGS = {
    Phase.FAILED: StepState.FAILED,
    Phase.ERRORED: StepState.ERRORED,
    Phase.ABORTED: StepState.ABORTED,
    Phase.REJECTED: StepState.REJECTED,
    Phase.EXPIRED: StepState.ENDED,
    Phase.SUPERSEDED: StepState.ENDED,
    Phase.NEEDS_ATTENTION: StepState.ATTENTION,
}


def steps(view: DeploymentView) -> tuple[Step, ...]:
    """Every step of the deployment, in order."""
    deployment = view.deployment
    spent, reached = _walk(deployment)
    shown = [key for key in _TITLES if key not in _OPTIONAL or key in spent]
    at = shown.index(reached)
    lines = []
    for index, key in enumerate(shown):
        # Nothing ran that could have been looked at: nobody shall take that for a proof.
        visited = key in spent and not (key == "verify" and deployment.ran_nothing)
        state = _state(deployment, before=index < at, here=index == at, visited=visited)
        lines.append(Step(key, _TITLES[key], state, _detail(view, key, state, spent.get(key))))
    return tuple(lines)


def step_number(view: DeploymentView) -> tuple[int, int]:
    """The step that it is at and how many there are: ``(3, 5)``."""
    every = steps(view)
    waiting = sum(step.state in {StepState.WAITING, StepState.SKIPPED} for step in every[1:])
    return max(1, len(every) - waiting), len(every)


def _walk(deployment: Deployment) -> tuple[dict[str, float], str]:
    """Seconds spent in each step that was reached, and the step that it is at or ended at."""
    spent: dict[str, float] = {}
    reached = "plan"
    order = list(_TITLES)
    timeline = deployment.timeline
    for index, moment in enumerate(timeline):
        step = _STEP_OF.get(moment.phase)
        if step is None:
            continue
        if order.index(step) < order.index(reached):
            # A Retry went back: what came after is to be done again.
            for later in order[order.index(step) + 1 :]:
                spent.pop(later, None)
        reached = step
        until: datetime = timeline[index + 1].at if index + 1 < len(timeline) else moment.at
        spent[step] = spent.get(step, 0.0) + max(0.0, (until - moment.at).total_seconds())
    return spent, reached


def _state(deployment: Deployment, *, before: bool, here: bool, visited: bool) -> StepState:
    phase = deployment.phase
    if before:
        return StepState.DONE if visited else StepState.SKIPPED
    if here:
        if phase is Phase.PAUSED:
            return StepState.PAUSED
        return _ENDINGS.get(phase, StepState.DONE if phase.final else StepState.RUNNING)
    return StepState.SKIPPED if phase.final else StepState.WAITING


def _detail(view: DeploymentView, key: str, state: StepState, seconds: float | None) -> str:
    deployment = view.deployment
    parts: list[str] = []
    if state in {StepState.RUNNING, StepState.PAUSED}:
        if key == "lock" and view.queue:
            parts += queue_parts(view.queue)
        if key == "deploy" and (words := step_words(view)):
            parts.append(words)
        parts.append(f"since {instant(deployment.since)}")
    elif key == "done" and state is StepState.DONE:
        if deployment.finished_at:
            parts.append(duration((deployment.finished_at - deployment.requested_at).total_seconds()) + " in all")
    elif seconds is not None and state is not StepState.ATTENTION:
        parts.append(duration(seconds))
    if key == "plan" and deployment.plan and state is StepState.DONE:
        plan = deployment.plan
        parts.append("no change" if plan.no_change else count(len(plan.changes), "change"))
        if plan.warnings:
            parts.append(count(len(plan.warnings), "warning"))
    return " · ".join(parts)


def progress_parts(deployment: Deployment) -> list[str]:
    """How far the change has come: ``1 of 2 instances`` and what the target says."""
    progress = deployment.progress
    if progress is None:
        return []
    unit = "looks" if deployment.phase is Phase.VERIFYING else "instances"
    far = f"{progress.done} of {progress.total} {unit}" if progress.total > 0 else ""
    said = escape(progress.message, 200).rstrip(".")
    return [said] if said.startswith(far) and said else [part for part in (far, said) if part]


def queue_parts(queue: QueueView) -> list[str]:
    """Where it stands, who is in front and how long it may take."""
    parts = [f"position {queue.position} of {queue.length}"]
    if front := queue.ahead or queue.holder:
        parts.append(
            f"in front: #{front.number} {escape(front.service, 60)} {escape(front.release.version, 60)} "
            f"by {name(front.requester)}"
        )
    if queue.expected_wait is not None:
        parts.append(f"expected wait about {duration(queue.expected_wait)}")
    return parts
