"""How a rollout of several steps stands, with what its checks have seen: kept in the row, shown on the card.

A value that `bot.domain.strategy` and `bot.domain.analysis` change; nothing is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bot.domain.analysis.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from bot.domain.actor import Actor
    from bot.domain.analysis.check import Check
    from bot.domain.analysis.judgement import Judgement
    from bot.domain.analysis.watch import Look
    from bot.domain.metric import Reading
    from bot.domain.strategy.moves import AskApproval
    from bot.domain.strategy.position import Position, Waiver


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """A weight that the rollout has come to, and how it left it again."""

    step: int
    """Counted from 0."""
    weight: int
    """Per cent."""
    at: datetime
    elsewhere: bool = False
    """Somebody had changed it on the target, and not the bot."""
    left: datetime | None = None
    """When it went on; None while it is there."""
    judgements: tuple[Judgement, ...] = ()
    """What each check came to there, when it left."""
    waived: tuple[Waiver, ...] = ()
    """What did not pass then and was taken upon themselves by people."""
    asked: bool = False
    """Whether people were asked there, when it left."""
    by: Actor | None = None
    """Who had let it go on by then; None for the strategy."""
    kept: str = ""
    """The freeze or the lock that kept it there, the last of them, in a sentence; empty where none did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """What has been seen of one check; the check itself is the catalog's."""

    check: str
    looks: tuple[Look, ...] = ()
    last: Judgement | None = None
    tripped: datetime | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progression:
    """A rollout of several steps at one moment."""

    position: Position
    looks: tuple[Looks, ...] = ()
    before: Mapping[str, Reading] = field(default_factory=dict)
    """By check: what was read about the window before the first change. Missing where nothing ran."""
    question: AskApproval | None = None
    """What people are asked just now."""
    why: str = ""
    """What it waits for, one sentence; empty while something is being changed."""
    steps: tuple[Reached, ...] = ()
    """Every weight that it has come to so far, the oldest first."""

    @property
    def got_nothing(self) -> bool:
        """Whether the release came up and certainly never got any traffic: nobody has let it go that far."""
        return bool(self.steps) and not any(one.weight for one in self.steps) and not self.position.approved

    def moved(self, position: Position, at: datetime, *, elsewhere: bool = False) -> Progression:
        """At another position; a weight that was left for it, and the one that was come to, are on record."""
        was, steps = self.position, self.steps
        same = (position.step, position.weight, position.since) == (was.step, was.weight, was.since)
        if steps and steps[-1].left is None and (not same or position.promoted):
            steps = (*steps[:-1], self._left(steps[-1], at))
        if not same and position.begun and not position.promoted and position.abort is None:
            come = Reached(step=position.step, weight=position.weight, at=position.since, elsewhere=elsewhere)
            steps = (*steps, come)
        return replace(self, position=position, steps=steps)

    def stopped(self, why: str) -> Progression:
        """With what keeps it from its next step on record; without anything, what kept it before stays there."""
        if not why or not self.steps or self.steps[-1].left is not None:
            return self
        return replace(self, steps=(*self.steps[:-1], replace(self.steps[-1], kept=why)), why=why)

    @property
    def stop(self) -> str:
        """What keeps it from its next step now, whatever people say to it; empty when nothing does."""
        last = self.steps[-1] if self.steps else None
        return last.kept if last is not None and last.left is None and last.kept == self.why else ""

    def _left(self, step: Reached, at: datetime) -> Reached:
        position = self.position
        found = (one.last for one in self.looks)
        return replace(
            step,
            left=at,
            judgements=tuple(one for one in found if one is not None and one.at >= step.at),
            waived=position.waived,
            asked=position.asked is not None,
            by=position.approved_by if position.approved > step.weight or position.asked else None,
        )

    def watches(self, checks: Sequence[Check]) -> tuple[Watch, ...]:
        """The checks with what has been seen of each so far."""
        seen = {one.check: one for one in self.looks}
        return tuple(
            Watch(check=check, looks=one.looks, last=one.last, tripped=one.tripped, why=one.why)
            if (one := seen.get(check.name))
            else Watch(check=check)
            for check in checks
        )


def looks_of(watches: Sequence[Watch]) -> tuple[Looks, ...]:
    """What is to be kept of the watches."""
    return tuple(
        Looks(check=one.check.name, looks=one.looks, last=one.last, tripped=one.tripped, why=one.why) for one in watches
    )
