"""What a person's word does to a rollout's position, and what the person is answered. Every word gets one answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.domain.analysis.judgement import Verdict
from bot.domain.strategy.moves import Abort, Cause
from bot.domain.strategy.plan import How, plan
from bot.domain.strategy.position import Held, Waiver
from bot.domain.strategy.words import AbortWord, Answer, HoldWord, PromoteWord, Refusal, ResumeWord

if TYPE_CHECKING:
    from bot.domain.analysis.standing import Standing
    from bot.domain.strategy.kinds import Strategy
    from bot.domain.strategy.plan import PlannedStep
    from bot.domain.strategy.position import Position
    from bot.domain.strategy.words import Word


def options(steps: tuple[PlannedStep, ...], position: Position) -> tuple[int, ...]:
    """The weights that people may let it go on to: the next one, and all of the traffic."""
    if not position.begun or steps[position.step].how is not How.WEIGHT:
        return ()
    following = steps[position.step + 1].weight if position.step + 1 < len(steps) else 100
    return (following,) if following == 100 else (following, 100)


def hear(strategy: Strategy, position: Position, word: Word, standing: Standing) -> tuple[Position, Answer]:
    """The position after ``word``; the same one if the word changes nothing."""
    if isinstance(word, PromoteWord) and (refused := _refused(plan(strategy), position, word, standing)):
        refusal, sentence = refused
        return position, Answer(word=word, sentence=sentence, refusal=refusal)
    after, sentence = _heard(plan(strategy), position, word, standing)
    return after, Answer(word=word, sentence=sentence, refusal=Refusal.LATE if after == position else None)


def _heard(steps: tuple[PlannedStep, ...], position: Position, word: Word, standing: Standing) -> tuple[Position, str]:
    if over := _over(position):
        return position, over
    if isinstance(word, AbortWord):
        why = f"{word.by.name} aborted it{f': {word.reason.strip()}' if word.reason.strip() else '.'}"
        abort = Abort(cause=Cause.PERSON, why=why, by=word.by, begun=position.begun)
        # What is not there yet needs no taking back, but it must not come any more either.
        left = "It is taken back." if position.begun else "Nothing had been changed yet."
        return replace(position, abort=abort), left
    if word.step != position.step:
        return position, f"That was about {_step(word.step, steps)}; it is at {_step(position.step, steps)} now."
    match word:
        case HoldWord():
            return _hold(position, word)
        case ResumeWord():
            if position.held is None:
                return position, "It is not held."
            return replace(position, held=None, asked=None), "It goes on."
        case PromoteWord():
            return _promote(steps, position, word, standing)


def _hold(position: Position, word: HoldWord) -> tuple[Position, str]:
    if position.held is not None and position.held.by is not None:
        who = "You hold" if position.held.by.same_as(word.by) else f"{position.held.by.name} holds"
        return position, f"{who} it already."
    reason = word.reason.strip()
    why = f"{word.by.name} holds it{f': {reason}' if reason else '.'}"
    held = Held(at=word.at, by=word.by, why=why)
    at = f"at {position.weight} %" if position.weight else "before it gets any traffic"
    return replace(position, held=held, asked=None), f"It is held {at}."


def _promote(
    steps: tuple[PlannedStep, ...], position: Position, word: PromoteWord, standing: Standing
) -> tuple[Position, str]:
    passes = standing.verdict is Verdict.PASS
    if _promoted(steps, position, word, passes=passes):
        by = position.approved_by
        who = "" if by is None else "You have" if by.same_as(word.by) else f"{by.name} has"
        done = "The strategy lets it go there by itself" if by is None else f"{who} already promoted it"
        return position, f"{done}{'' if by is None else f' to {position.approved} %'}."
    reason = word.reason.strip()
    waived = (
        ()
        if passes
        else tuple(
            Waiver(check=stand.check, verdict=stand.verdict, to=word.to, by=word.by, reason=reason)
            for stand in standing.left()
        )
    )
    after = replace(
        position,
        approved=max(position.approved, word.to),
        approved_by=word.by,
        held=None,
        hurry=position.hurry or word.skip or bool(waived),
        leap=position.leap or word.skip,
        waived=(*position.waived, *waived),
    )
    return after, _goes_on(word, waived)


def _promoted(steps: tuple[PlannedStep, ...], position: Position, word: PromoteWord, *, passes: bool) -> bool:
    """Whether it may go there already, and the word wants nothing beside."""
    last = position.step == len(steps) - 1
    already = position.approved >= word.to and (not last or passes)
    wanted = (word.skip and not (position.leap and position.hurry)) or (word.force and not passes) or position.held
    return already and not wanted


def _refused(
    steps: tuple[PlannedStep, ...], position: Position, word: PromoteWord, standing: Standing
) -> tuple[Refusal, str] | None:
    """Why it is not promoted although nobody was faster."""
    if _over(position) or word.step != position.step:
        return None
    possible = options(steps, position)
    if not possible:
        nothing = "It has no steps that could be promoted." if position.begun else "Nothing has begun yet."
        return Refusal.WRONG, nothing
    if word.to not in possible:
        return Refusal.WRONG, f"From here it can be promoted to {' or to '.join(f'{one} %' for one in possible)}."
    passes = standing.verdict is Verdict.PASS
    if passes or _promoted(steps, position, word, passes=passes):
        return None
    if not word.force:
        return Refusal.CHECKS, f"It is not promoted: {standing.sentence}"
    if not word.reason.strip():
        return Refusal.WRONG, "To promote it although checks do not pass takes a reason."
    return None


def _goes_on(word: PromoteWord, waived: tuple[Waiver, ...]) -> str:
    """What was agreed to."""
    if waived:
        checks = ", ".join(sorted({one.check for one in waived}))
        return f"It goes on to {word.to} % although {checks} {'does' if len(waived) == 1 else 'do'} not pass."
    if word.skip:
        return f"It goes to {word.to} % at once."
    return f"It goes on to {word.to} %; every step on the way is still verified."


def _over(position: Position) -> str:
    """Why nothing can be said to it any more; empty if something can."""
    if position.abort is not None:
        by = position.abort.by
        return f"{by.name} has aborted it already." if by else "It is being taken back already."
    if position.promoted:
        return "It is promoted in full already; to take it back, roll back."
    return ""


def _step(step: int, steps: tuple[PlannedStep, ...]) -> str:
    return f"step {step + 1} of {len(steps)}" if step >= 0 else "the time before the first step"
