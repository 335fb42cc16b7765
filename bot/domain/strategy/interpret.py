"""The next move of any rollout, from its strategy, its position and what is known now.

Total and without memory: the same facts give the same move, so a move that was decided and not made, because the
process died, is decided again. Does nothing itself, reads no clock, and does not ask who may say what.

Who runs it asks for the next move after every look, every word and every wait, makes the move under an operation id
of its own, and only then takes `after` for the new position. Two things need care. An `Abort` because of
`Cause.CHECKS` is counted down first (`bot.domain.analysis.countdown`): meanwhile moves are asked for as before, and
once they are no abort any more the checks have recovered. And ``observed`` is given only when the target has settled,
since a target's first answers after a change tell what was before it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from bot.domain.analysis.judgement import Verdict
from bot.domain.strategy.kinds import OnTimeout, span
from bot.domain.strategy.moves import Abort, Apply, AskApproval, Cause, Done, Promote, SetWeight, Wait
from bot.domain.strategy.plan import How, patience, plan
from bot.domain.strategy.position import Held
from bot.domain.strategy.voice import hear, options

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from bot.domain.analysis.standing import Standing
    from bot.domain.rollout import TakenBack
    from bot.domain.strategy.kinds import Strategy
    from bot.domain.strategy.moves import Move
    from bot.domain.strategy.plan import PlannedStep
    from bot.domain.strategy.position import Position
    from bot.domain.strategy.words import Answer, Word

GRACE = 120.0
"""Seconds for which a bake is prolonged at least while checks cannot tell, before people are asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do, and what has become of everything that was known."""

    move: Move
    position: Position
    """The position as of now; the move itself is not in it yet."""
    answers: tuple[Answer, ...] = ()
    """One for each word, in order."""
    said: tuple[str, ...] = ()
    """What people must be told beside the move, and what belongs into the audit."""


def next_move(
    strategy: Strategy,
    position: Position,
    *,
    standing: Standing,
    at: datetime,
    words: Iterable[Word] = (),
    observed: int | None = None,
    gone: TakenBack | None = None,
    armed: bool = True,
) -> Decision:
    """What to do at ``at``.

    ``words`` are those that nobody has answered yet, in the order in which they came. ``observed`` is the weight that
    the target has now; None while it has not settled or cannot tell. ``gone`` is what the target knows of how it came
    to get none. ``armed`` says whether failing checks may still take the release back by themselves: not after a person
    has cancelled that.
    """
    steps = plan(strategy)
    said: list[str] = []
    if observed is not None:
        position = _adopt(steps, position, observed, gone, at, said)
    answers: list[Answer] = []
    for word in words:
        position, answer = hear(strategy, position, word, seen(steps, position, standing))
        answers.append(answer)
    move, position = _decide(strategy, position, seen(steps, position, standing), at, armed, said)
    return Decision(move=move, position=position, answers=tuple(answers), said=tuple(said))


def seen(steps: tuple[PlannedStep, ...], position: Position, standing: Standing) -> Standing:
    """What the checks say about the step that it is at: without what people have waived, and nothing from before a
    step that bakes.
    """
    if position.begun and steps[position.step].bake:
        standing = standing.since(position.since)
    return standing.waiving((waiver.check, waiver.verdict) for waiver in position.waived)


def _adopt(
    steps: tuple[PlannedStep, ...],
    position: Position,
    observed: int,
    gone: TakenBack | None,
    at: datetime,
    said: list[str],
) -> Position:
    """Somebody has changed the weight on the target: that is where it is now."""
    if position.abort or position.promoted or not position.begun or steps[0].how is not How.WEIGHT:
        return position
    observed = min(max(observed, 0), 100)
    if observed == 0 and gone is not None and gone.by_platform:
        # Its verdict on the release, not somebody's wish: what it has stopped is still to be put back.
        said.append(gone.why)
        return replace(position, weight=0, since=at, abort=Abort(cause=Cause.PLATFORM, why=gone.why))
    if observed == position.weight and (observed or gone is None):
        return position
    if observed == 0:
        fell = f": its weight went from {position.weight} % to 0 %" if position.weight else ""
        why = f"It was taken back outside the bot{fell}.{f' {gone.why}' if gone is not None else ''}"
        said.append(why)
        return replace(position, weight=0, since=at, abort=Abort(cause=Cause.ELSEWHERE, why=why, begun=True))
    step = max((index for index, one in enumerate(steps) if one.weight <= observed), default=0)
    moved = replace(position, step=step, weight=observed, since=at, asked=None, hurry=False, leap=False)
    where = f"from {position.weight} % to {observed} %, step {step + 1} of {len(steps)}"
    if observed > position.weight:
        said.append(f"It was promoted outside the bot, {where}; it goes on from there.")
        return replace(moved, approved=max(position.approved, observed), approved_by=None, held=None)
    why = f"Its weight was lowered outside the bot, {where}; it is held until somebody decides."
    said.append(why)
    # Whatever was allowed before, somebody has thought better of it.
    return replace(moved, approved=observed, approved_by=None, held=Held(at=at, by=None, why=why))


def _decide(
    strategy: Strategy, position: Position, standing: Standing, at: datetime, armed: bool, said: list[str]
) -> tuple[Move, Position]:
    steps = plan(strategy)
    if position.abort is not None:
        return position.abort, position
    if position.promoted:
        return Done(), position
    if not position.begun:
        if position.held:
            return Wait(until=None, why=position.held.why), position
        first = steps[0]
        if first.how is not How.WEIGHT:
            return Apply(recreate=first.how is How.RECREATE), replace(position, approved=100)
        # The deployment itself was allowed, and with it its first step.
        approved = max(position.approved, first.weight)
        return SetWeight(step=0, percent=first.weight), replace(position, approved=approved)
    step = steps[position.step]
    if step.how is not How.WEIGHT:
        return Done(), position
    verdict = standing.verdict
    if verdict is Verdict.FAIL and armed:
        return Abort(cause=Cause.CHECKS, why=standing.sentence), position
    if position.held:
        return Wait(until=None, why=position.held.why), replace(position, asked=None)
    baked = position.since + timedelta(seconds=step.bake)
    if at < baked and not position.hurry:
        return Wait(until=baked, why=_baking(position.weight, step.bake)), position
    last = position.step == len(steps) - 1
    following = 100 if last else steps[position.step + 1].weight
    allowed = last or not step.approval or position.approved >= following
    if allowed and verdict is Verdict.PASS:
        return _go_on(steps, position)
    prolonged = baked + timedelta(seconds=max(step.bake, GRACE))
    if allowed and verdict is Verdict.INCONCLUSIVE and at < prolonged:
        return Wait(until=prolonged, why=standing.sentence), position
    return _ask(strategy, position, standing, at, said, allowed=allowed)


def _baking(weight: int, seconds: float) -> str:
    """What it waits for."""
    if weight == 0:
        return f"Watched for {span(seconds)} before it gets any traffic."
    kept = "; until then what ran before is kept ready" if weight == 100 else ""
    return f"At {weight} % for {span(seconds)}{kept}."


def _go_on(steps: tuple[PlannedStep, ...], position: Position) -> tuple[Move, Position]:
    """To the next step, or over the steps that are left out, or to the end."""
    index = position.step + 1
    if index == len(steps):
        return Promote(), position
    if position.leap:
        index = max((number for number, one in enumerate(steps) if one.weight <= position.approved), default=index)
        index = max(index, position.step + 1)
    percent = steps[index].weight
    return SetWeight(step=index, percent=percent), replace(position, approved=max(position.approved, percent))


def _ask(
    strategy: Strategy, position: Position, standing: Standing, at: datetime, said: list[str], *, allowed: bool
) -> tuple[Move, Position]:
    """People must decide. When none does, the strategy's own policy does."""
    steps, waits = plan(strategy), patience(strategy)
    asked = position.asked or at
    position = replace(position, asked=asked)
    passes = standing.verdict is Verdict.PASS
    until = asked + timedelta(seconds=waits.seconds)
    if at >= until:
        late = f"Nobody answered in {span(waits.seconds)}"
        there = f"at {position.weight} %" if position.weight else "before it gets any traffic"
        if waits.on_timeout is OnTimeout.ABORT:
            return Abort(cause=Cause.TIMEOUT, why=f"{late}, so it is taken back."), position
        if waits.on_timeout is OnTimeout.PROMOTE and passes:
            said.append(f"{late} and every check passes, so it goes on.")
            return _go_on(steps, replace(position, hurry=True))
        why = f"{late}, so it is held {there} until somebody decides."
        if waits.on_timeout is OnTimeout.PROMOTE:
            why = f"{late} and not every check passes, so it is held {there} until somebody decides."
        said.append(why)
        return Wait(until=None, why=why), replace(position, asked=None, held=Held(at=at, by=None, why=why))
    why = standing.sentence if allowed else "A person must say whether it goes on."
    question = AskApproval(
        step=position.step,
        weight=position.weight,
        options=options(steps, position),
        why=why,
        refused="" if passes else standing.sentence,
        asked=asked,
        nags_at=asked + timedelta(seconds=waits.seconds / 2),
        escalates_at=asked + timedelta(seconds=waits.seconds * 3 / 4),
        until=until,
        otherwise=waits.on_timeout,
    )
    return question, position
