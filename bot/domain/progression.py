"""How a rollout of several steps stands, with what its checks have seen: kept in the row, shown on the card.

A value that `bot.domain.strategy` and `bot.domain.analysis` change; nothing is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.domain.analysis.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from bot.domain.analysis.check import Check
    from bot.domain.analysis.judgement import Judgement
    from bot.domain.analysis.watch import Look
    from bot.domain.metric import Reading
    from bot.domain.strategy.moves import AskApproval
    from bot.domain.strategy.position import Position


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
