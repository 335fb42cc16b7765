"""What people get to see when they ask why, where and how well: answers as values that any door can show.

Must not find anything out: `bot.engine.insight` does. Sentences are plain text, not yet escaped, without times.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from bot.charts import Chart
    from bot.domain.actor import Actor
    from bot.domain.dora import Day, Figures
    from bot.domain.history import Placement
    from bot.domain.ids import EnvironmentName, ServiceName
    from bot.domain.policy.access import Action, Rule
    from bot.domain.rollout import Running


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Whether somebody may do something in some places, and the one row that says so."""

    action: Action
    subject: Actor
    allowed: bool | None
    """None in a last line that sums up places with different answers, when there would be too many lines."""
    places: tuple[tuple[ServiceName, EnvironmentName], ...]
    """All places with this answer from this row; at least one."""
    where: str
    """The places in words: ``checkout in production``, ``every service in staging``."""
    reason: str
    """One sentence."""
    role: str | None = None
    """The role whose row decides; None when no row speaks about it, which is a no."""
    row: str = ""
    """That row in words; empty when there is none."""
    rule: Rule | None = None
    """That row itself, for who wants to show its people and groups by name."""


class Relation(StrEnum):
    """How what one environment runs relates to what another one runs."""

    #: The very same artifact under the same version.
    SAME = "same"
    #: The very same artifact under two versions.
    RENAMED = "renamed"
    #: One version that was built twice: two artifacts.
    REBUILT = "rebuilt"
    #: The first environment runs the later release.
    ONE_AHEAD = "one_ahead"
    #: The second one does.
    OTHER_AHEAD = "other_ahead"
    #: As far as the bot knows, nothing runs in the first one.
    MISSING_IN_ONE = "missing_in_one"
    MISSING_IN_OTHER = "missing_in_other"
    MISSING_IN_BOTH = "missing_in_both"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One service in two environments."""

    service: ServiceName
    one: Placement | None
    other: Placement | None
    relation: Relation
    sentence: str
    """What differs, and from what is told who is ahead."""

    @property
    def differs(self) -> bool:
        """Whether the two do not run the very same bytes."""
        return self.relation not in {Relation.SAME, Relation.RENAMED, Relation.MISSING_IN_BOTH}


class DriftKind(StrEnum):
    """What a look at a place has come to."""

    #: It runs exactly what was recorded last.
    NONE = "none"
    #: It runs something else: it was changed outside the bot.
    CHANGED = "changed"
    #: It runs something, and nothing was ever recorded there.
    UNRECORDED = "unrecorded"
    #: It could not be read, so nothing is known. This is not "no drift".
    UNREADABLE = "unreadable"
    #: A deployment is under way there, which is to change it.
    UNDER_WAY = "under_way"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What one place runs, beside what was recorded last."""

    service: ServiceName
    environment: EnvironmentName
    kind: DriftKind
    recorded: Placement | None
    running: Running | None
    """What was seen; None when nothing runs, and when it could not be read."""
    sentence: str
    at: datetime
    """When it was looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """The figures of a place in the last days, with what is needed to print and to draw them."""

    figures: Figures
    days: Sequence[Day]
    definitions: Mapping[str, str]
    """What each figure means, by its name, in the order in which they are printed."""
    chart: Chart | None
    """Successes and failures over time; None when there was neither."""
