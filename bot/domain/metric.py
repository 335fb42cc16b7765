"""What a metric source answers: one number, or that there is none, and why. Never a guess; nothing is not zero."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from bot.domain.ids import EnvironmentName, ServiceName


class Track(StrEnum):
    """Which of two releases that serve at once."""

    STABLE = "stable"
    CANARY = "canary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whose numbers are asked for."""

    service: ServiceName
    environment: EnvironmentName
    version: str
    digest: str
    track: Track


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The answer to one query. ``value`` is None when there is no data, and ``why`` says why."""

    value: float | None
    at: datetime
    samples: float | None = None
    """How many events the value was reckoned from; None when the source cannot tell."""
    why: str = ""

    @property
    def number(self) -> float | None:
        """The value if it is a number that can be compared: neither missing, nor NaN, nor infinite."""
        return self.value if self.value is not None and math.isfinite(self.value) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point of a series; None where the source has none."""

    at: datetime
    value: float | None
