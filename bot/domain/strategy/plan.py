"""A strategy written out as steps, each the same kind of thing whatever the strategy, for one interpreter."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.domain.strategy.kinds import BlueGreen, Canary, OnTimeout, Recreate

if TYPE_CHECKING:
    from bot.domain.strategy.kinds import Strategy


class How(StrEnum):
    """How a step is reached."""

    #: By the target's plain replacement.
    APPLY = "apply"
    #: By stopping what runs and starting the next.
    RECREATE = "recreate"
    #: By sending a part of the traffic; the first time the release is started beside the stable one.
    WEIGHT = "weight"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """One step of any strategy."""

    weight: int
    """Per cent; 0 for a release that is up and gets no traffic yet."""
    how: How = How.WEIGHT
    bake: float = 0.0
    """Seconds."""
    approval: bool = False
    """Whether a person must say yes before the next step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long people are waited for, and what then."""

    seconds: float
    on_timeout: OnTimeout


def plan(strategy: Strategy) -> tuple[PlannedStep, ...]:
    """The steps of ``strategy``, at least one, with rising weights, the last of them 100 %."""
    match strategy:
        case Canary(steps=steps):
            written = tuple(PlannedStep(weight=one.weight, bake=one.bake, approval=one.approval) for one in steps)
            return written if written[-1].weight == 100 else (*written, PlannedStep(weight=100))
        case BlueGreen():
            before = PlannedStep(weight=0, bake=strategy.verify, approval=strategy.approval)
            return before, PlannedStep(weight=100, bake=strategy.keep)
        case Recreate():
            return (PlannedStep(weight=100, how=How.RECREATE),)
        case _:
            return (PlannedStep(weight=100, how=How.APPLY),)


def patience(strategy: Strategy) -> Patience:
    """How long ``strategy`` waits for people; those that never ask have a year."""
    if isinstance(strategy, Canary | BlueGreen):
        return Patience(seconds=strategy.timeout, on_timeout=strategy.on_timeout)
    return Patience(seconds=365 * 86_400, on_timeout=OnTimeout.HOLD)
