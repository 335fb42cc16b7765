"""A rollout of several steps as people follow it on the card: step, weight, question, checks, countdown.

Pure, without a clock: instants are shown on the reader's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.analysis.countdown import CountdownState
from bot.domain.lifecycle import Phase
from bot.domain.strategy.kinds import OnTimeout
from bot.slack.names import COMMAND
from bot.slack.render import blocks as b
from bot.slack.render.checks import check_lines, standing_in_the_way
from bot.slack.render.text import clause, escape, inner, instant, moment, name, sentence

if TYPE_CHECKING:
    from bot.domain.strategy.moves import AskApproval
    from bot.domain.view import DeploymentView

    Block = b.Block

UNDER_WAY = frozenset({Phase.DEPLOYING, Phase.PAUSED})
OTHERWISE = {
    OnTimeout.ABORT: "it is taken back",
    OnTimeout.HOLD: "it is held where it is",
    OnTimeout.PROMOTE: "it goes on if every check passes",
}


def surroundings(view: DeploymentView) -> list[Block]:
    """The part of the card that follows the rollout; empty where there is nothing of the kind."""
    texts = ["\n".join(part) for part in (_where(view), _watched(view)) if part]
    return [b.section(text) for text in texts]


def bakes(view: DeploymentView) -> bool:
    """Whether it has succeeded and is still watched."""
    return view.bakes_until is not None and view.deployment.phase is Phase.SUCCEEDED and view.current


def step_words(view: DeploymentView) -> str:
    """``step 2 of 3, 50 %``; empty where no step has begun."""
    progression = view.deployment.progression
    if progression is None or not view.steps or not progression.position.begun:
        return ""
    position = progression.position
    weight = f"{position.weight} %" if position.weight else "no traffic yet"
    return f"step {position.step + 1} of {len(view.steps)}, {weight}"


def share(weight: int) -> str:
    """How much of the traffic a release gets: ``20 % of the traffic``."""
    return "no traffic yet" if weight == 0 else "all of the traffic" if weight == 100 else f"{weight} % of the traffic"


def headline(view: DeploymentView) -> str:
    """The one line about the rollout that matters most now, where there is no room for more; empty without any."""
    return countdown_line(view) if counted_down(view) else next(iter(_where(view)[-1:]), "")


def counted_down(view: DeploymentView) -> bool:
    """Whether it is taken back by itself unless somebody stops that: then nothing else matters as much."""
    deployment, countdown = view.deployment, view.deployment.countdown
    if countdown is None or countdown.state is not CountdownState.RUNNING or deployment.request:
        return False
    return deployment.phase in UNDER_WAY or (deployment.phase is Phase.SUCCEEDED and view.current)


def taken_back(view: DeploymentView) -> bool:
    """Whether it is being taken back by itself just now."""
    deployment, countdown = view.deployment, view.deployment.countdown
    fired = countdown is not None and countdown.state is CountdownState.FIRED
    return fired and deployment.phase in UNDER_WAY and deployment.request is None


def stopped_line(view: DeploymentView) -> str:
    """What keeps it from its next step, whatever is said to it meanwhile; there must be something."""
    assert view.deployment.progression is not None
    return f"‖ {sentence(escape(view.deployment.progression.stop, 400))} It goes nowhere before that ends."


def question_line(view: DeploymentView, question: AskApproval) -> str:
    """What people are asked, or why only a forced word would be taken; until when, and what happens then."""
    until = f"until {instant(question.until)}, then {OTHERWISE[question.otherwise]}"
    if question.refused:
        return f"✗ *Waits, and cannot be promoted* – {refused(view, question)} · {until}"
    return f"○ *Waits for a decision* – {inner(asks(question))} · {until}"


def refused(view: DeploymentView, question: AskApproval) -> str:
    """Which checks keep it from being promoted, whose numbers follow, and how it is forced all the same."""
    why = sentence(standing_in_the_way(view) or escape(question.refused, 400))
    return f"{why} Who may resolve can force it: `{COMMAND} promote #{view.deployment.number} force reason=…`"


def asks(question: AskApproval) -> str:
    """``Promote to 50 % or 100 %?``; what gets no traffic yet is not promoted but switched to."""
    return "Switch all traffic to it?" if question.weight == 0 else f"Promote to {options(question)}?"


def options(question: AskApproval) -> str:
    """``50 % or 100 %``."""
    return " or ".join(f"{percent} %" for percent in question.options)


def countdown_line(view: DeploymentView) -> str:
    """What becomes of an automatic rollback; empty where none was ever counted down."""
    countdown = view.deployment.countdown
    if countdown is None:
        return ""
    why = sentence(escape(countdown.why, 400))
    match countdown.state:
        case CountdownState.RUNNING:
            off = ", put off" if countdown.snoozes else ""
            return f"! *Automatic rollback* at {moment(countdown.deadline)}{off} – {why}"
        case CountdownState.FIRED:
            by = f" now, as {name(countdown.by)} says" if countdown.by else ""
            # Once it is over, the outcome tells why.
            told = view.deployment.phase.final and countdown.why.rstrip(".") in view.deployment.note
            return f"↺ *Automatic rollback*{by or ('' if not told else ' – its time was up')}" + (
                "." if told else f" – {why}"
            )
        case CountdownState.CANCELLED:
            who = name(countdown.by) if countdown.by else "somebody"
            return f"– *Automatic rollback* – Cancelled by {who}: from now on only people roll this back."
        case CountdownState.RECOVERED:
            return "✓ *Automatic rollback* – Called off: the checks have recovered."
        case CountdownState.PAGED:
            barred = clause(countdown.barred, 400)
            return f"! *No automatic rollback* – {barred}. {why} Somebody must decide."


def _where(view: DeploymentView) -> list[str]:
    """Where the rollout is and what it waits for."""
    deployment, progression = view.deployment, view.deployment.progression
    lines = [line] if (line := countdown_line(view)) and not (counted_down(view) or taken_back(view)) else []
    under_way = deployment.phase in UNDER_WAY | {Phase.NEEDS_ATTENTION}
    if progression is not None and under_way and step_words(view):
        position = progression.position
        step = f"step {position.step + 1} of {len(view.steps)}"
        lines.append(f"● *Rollout* – {step}, {share(position.weight)} · since {moment(position.since)}")
        if progression.question:
            lines.append(question_line(view, progression.question))
            lines += [stopped_line(view)] if progression.stop else []
        elif progression.why and not counted_down(view):
            symbol = "‖" if deployment.phase is Phase.PAUSED else "○"
            lines.append(f"{symbol} {sentence(escape(progression.why, 400))}")
    return lines


def _watched(view: DeploymentView) -> list[str]:
    """What the checks say, while they are looked at."""
    deployment = view.deployment
    if bakes(view):
        assert view.bakes_until is not None
        title = f"*Checks* – watched until {moment(view.bakes_until)}"
    elif view.steps and deployment.progression is not None and deployment.phase in UNDER_WAY:
        title = "*Checks*"
    else:
        return []
    return [title, *check_lines(view)] if view.checks else []
