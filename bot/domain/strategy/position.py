"""How far a rollout has come and what people have said to it: everything that its next move depends on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bot.domain.analysis.judgement import Verdict
from bot.domain.strategy.moves import Abort, Apply, Promote, SetWeight

if TYPE_CHECKING:
    from datetime import datetime

    from bot.domain.actor import Actor
    from bot.domain.strategy.moves import Move


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Why it does not go on."""

    at: datetime
    by: Actor | None
    """None when nobody answered, or when it was changed elsewhere."""
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """A check that did not pass and that a person has taken upon themselves."""

    check: str
    verdict: Verdict
    """What they knew of: who waived that it cannot tell has not waived that it fails."""
    to: int
    """The weight that they let it go on to. That a check cannot tell is waived only so far."""
    by: Actor
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a rollout is. Made by `start`, changed only by `next_move` and `after`."""

    step: int = -1
    """Counted from 0 in the plan; -1 before anything has begun."""
    weight: int = 0
    """Per cent of the traffic that go to the release, as far as is known."""
    since: datetime
    """When it came to this weight."""
    approved: int = 0
    """Up to which weight it may go, by its strategy's or by people's word."""
    approved_by: Actor | None = None
    """Who said so last; None for the strategy."""
    asked: datetime | None = None
    """Since when people are waited for."""
    held: Held | None = None
    hurry: bool = False
    """What is left of this step's bake is not waited for."""
    leap: bool = False
    """The steps below ``approved`` are left out."""
    waived: tuple[Waiver, ...] = ()
    abort: Abort | None = None
    """That it is to be taken back, or was; nothing changes this any more."""
    promoted: bool = False
    """It is the stable release."""

    @property
    def begun(self) -> bool:
        """Whether anything was changed on the target."""
        return self.step >= 0


def start(at: datetime) -> Position:
    """Before the first move."""
    return Position(since=at)


def after(position: Position, move: Move, at: datetime) -> Position:
    """The position once ``move`` has been made, at ``at``. Moves that change nothing change nothing."""
    match move:
        case SetWeight(step=step, percent=percent):
            waived = tuple(one for one in position.waived if one.verdict is Verdict.FAIL or one.to > percent)
            there = replace(position, step=step, weight=percent, since=at, asked=None, held=None, waived=waived)
            return replace(there, hurry=False, leap=False)
        case Apply():
            return replace(position, step=0, weight=100, since=at)
        case Promote():
            return replace(position, promoted=True, weight=100, asked=None, held=None)
        case Abort():
            return replace(position, abort=move, weight=0, since=at, asked=None, held=None)
        case _:
            return position
