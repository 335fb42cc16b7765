"""Stop the line: nothing goes forward where a freeze covers it. Rollbacks always may; see `gates`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from bot.domain.actor import Actor
    from bot.domain.ids import EnvironmentName, ServiceName
    from bot.domain.policy.scope import Scope


class WhileRunning(StrEnum):
    """What a freeze means for a deployment that is under way. Its running step is never interrupted."""

    CONTINUE = "continue"
    #: Its next step waits until the freeze is lifted.
    PAUSE = "pause"
    ABORT = "abort"


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """A freeze that a person has put."""

    id: str
    scope: Scope
    reason: str
    by: Actor
    at: datetime
    until: datetime | None = None
    """When it ends by itself; None means when somebody lifts it."""

    def active(self, at: datetime) -> bool:
        """Whether it holds at ``at``: as soon as it is there, and no longer at its last instant.

        Never asks whether ``self.at`` has come: that was read from the clock of whoever put it, and to one whose clock
        is behind, a freeze that was confirmed would not count yet.
        """
        return self.until is None or at < self.until

    def lifted(self, at: datetime) -> Freeze:
        """The freeze as over from ``at`` on; one that was over before stays so."""
        return self if self.until is not None and self.until <= at else replace(self, until=max(at, self.at))

    @property
    def sentence(self) -> str:
        """Who froze what, and why."""
        return f"{self.scope.subject} is frozen by {self.by.name}: {self.reason}"


def covering(
    freezes: Iterable[Freeze], service: ServiceName, environment: EnvironmentName, at: datetime
) -> tuple[Freeze, ...]:
    """The freezes that hold ``service`` in ``environment`` at ``at``: those that hold longest first."""
    found = [freeze for freeze in freezes if freeze.active(at) and freeze.scope.covers(service, environment)]
    endless = [freeze for freeze in found if freeze.until is None]
    ending = sorted((freeze for freeze in found if freeze.until), key=lambda freeze: freeze.until or at, reverse=True)
    return (*sorted(endless, key=lambda freeze: (-freeze.scope.breadth, freeze.at)), *ending)


def ends_at(freezes: Iterable[Freeze]) -> datetime | None:
    """When the last of them ends; None when one waits for a person, or there is none."""
    ends = [freeze.until for freeze in freezes]
    known = [end for end in ends if end is not None]
    return max(known) if known and len(known) == len(ends) else None
