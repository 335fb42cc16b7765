"""What the publisher remembers of one deployment between two passes: whose turn it is, and what it waits for.

Losing it costs politeness, never truth: that is in the database. Nothing is called or stored from here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.domain.analysis.countdown import CountdownState
    from bot.domain.ids import DeploymentId
    from bot.domain.lifecycle import Phase


Showing: TypeAlias = "tuple[Phase, bool, CountdownState | None]"
"""What people wait to see of a deployment: its phase, whether it is asked to stop, and its countdown."""


class Urgency(IntEnum):
    """Who goes first when the budget is short."""

    ROOT = 0
    END = 1
    PHASE = 2
    NOTE = 3
    PROGRESS = 4


class Place(NamedTuple):
    """Where a message is."""

    channel: str
    ts: str


class NotHolder(Exception):
    """The lease has ended; another replica speaks now."""


class GivenUp(Exception):
    """There is no place where this deployment can be told."""


class Gate(NamedTuple):
    """What it is worth coming back for, and when at the earliest."""

    urgency: Urgency
    not_before: float
    """On the publisher's clock."""
    channel: str | None = None
    """Something is to be posted there; None when it is an edit that waits."""

    @property
    def urgent(self) -> bool:
        """Whether it may use the reserve."""
        return self.urgency in {Urgency.END, Urgency.PHASE}


@dataclass(slots=True)
class Slot:
    """What is remembered of one deployment."""

    id: DeploymentId
    due: float = 0.0
    gates: list[Gate] = field(default_factory=list)
    busy: bool = False
    dirty: bool = True
    failures: int = 0
    edits: int = 0
    shown_at: float = -1e9
    shown: Showing | None = None
    beside: dict[str, float] = field(default_factory=dict)
    """When other messages than the root were shown last, by key; on the publisher's clock."""
    absent: set[str] = field(default_factory=set)
    """Keys that were tried and are certainly not there: no need to look for them."""
    lost: dict[str, float] = field(default_factory=dict)
    """When answers failed to come, by key; seconds since the epoch."""
    given_up: bool = False

    def ready(self) -> None:
        """Something has changed: whatever it waited for, look again. Pauses after trouble stay."""
        self.gates.clear()

    def later(self, at: float) -> None:
        """Come back at ``at``, not before."""
        self.due = at
        self.gates.clear()

    def opens(self, budget: Callable[[str | None, bool], float]) -> float:
        """When it is worth looking at; ``budget`` says when something may be posted to a channel or be edited."""
        if not self.gates:
            return self.due
        opening = min(max(gate.not_before, budget(gate.channel, gate.urgent)) for gate in self.gates)
        return max(self.due, opening)

    def rank(self) -> tuple[int, float]:
        """What `min` sorts by: the most urgent first, then the one shown longest ago."""
        urgency = min((gate.urgency for gate in self.gates), default=Urgency.PHASE)
        return (urgency, self.shown_at)
