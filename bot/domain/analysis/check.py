"""What is looked at to tell whether a release does well, and by which yardsticks. Data; judges nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from bot.domain.errors import ConfigurationError

_MOST_LOOKS = 60


class Good(StrEnum):
    """Which side of a yardstick is the good one."""

    AT_MOST = "at_most"
    AT_LEAST = "at_least"


class Kind(StrEnum):
    """What the number is."""

    #: A share of events, from 0 to 1: an error rate, a success rate. Chance is reckoned with where samples are told.
    SHARE = "share"
    #: Anything else: milliseconds, megabytes, requests a second.
    AMOUNT = "amount"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How far a number may be on the bad side of another: it is too far only when both bounds are passed.

    Raises `ConfigurationError` for bounds that cannot be kept.
    """

    ratio: float = 1.5
    """Times as bad; at least 1. Of a success rate, times as many failures."""
    tolerance: float = 0.0
    """In the number's own unit: a smaller difference is none, however large the ratio."""

    def __post_init__(self) -> None:
        """Refuse what cannot be compared."""
        if not (math.isfinite(self.ratio) and self.ratio >= 1):
            raise ConfigurationError("The ratio of a comparison is a number of at least 1, such as 1.5.")
        if not (math.isfinite(self.tolerance) and self.tolerance >= 0):
            raise ConfigurationError("The tolerance of a comparison is a number of at least 0.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One number that tells whether a release does well. Raises `ConfigurationError` for what cannot be judged."""

    name: str
    source: str
    """The metric source that answers, by its name in the catalog."""
    query: str
    """In the source's own language; a template as `bot.ports.metrics.MetricSource` says."""
    kind: Kind = Kind.AMOUNT
    good: Good = Good.AT_MOST
    unit: str = ""
    """Written behind an amount: ``ms``."""
    limit: float | None = None
    """A bound that the number itself must keep."""
    against_stable: Comparison | None = None
    """How the canary may differ from the stable track in the same window."""
    against_before: Comparison | None = None
    """How it may differ from what ran in the window before the deployment."""
    min_samples: float = 20.0
    """Events that a number must be reckoned from; 0: any, also where the source does not tell."""
    interval: float = 30.0
    """Seconds between two looks."""
    window: float = 30.0
    """Seconds that one look is about."""
    failures: int = 2
    """Looks that must fail …"""
    of: int = 3
    """… of so many, for the check to trip."""
    max_age: float | None = None
    """Seconds after which a number is too old to say anything; None: as long as two intervals and the window."""
    required: bool = True
    """Whether nothing goes on while this one cannot tell. What fails, stops a release either way."""
    needs_traffic: bool = True
    """Whether it has something to say only where people's requests go."""

    def __post_init__(self) -> None:
        """Refuse what could not be judged."""
        if not self.name.strip():
            raise ConfigurationError("A check needs a name.")
        for wrong, why in (
            (not self.query.strip(), "has no query"),
            (not (self.limit is None or math.isfinite(self.limit)), "has a limit that is no number"),
            (
                self.limit is None and self.against_stable is None and self.against_before is None,
                "has no yardstick: give it a limit, or compare it with stable or with before",
            ),
            (
                self.kind is Kind.SHARE and self.limit is not None and not 0 <= self.limit <= 1,
                "is a share, and its limit is not from 0 to 1: 2 % is written 0.02",
            ),
            (not (math.isfinite(self.min_samples) and self.min_samples >= 0), "must ask for at least 0 samples"),
            (not (math.isfinite(self.interval) and self.interval >= 1), "must have an interval of at least a second"),
            (not (math.isfinite(self.window) and self.window >= 1), "must have a window of at least a second"),
            (
                self.max_age is not None and not (math.isfinite(self.max_age) and self.max_age >= 1),
                "must let a number be at least a second old",
            ),
            (self.failures < 1, "must take at least one failing look to trip"),
            (self.of < self.failures, f"trips at {self.failures} failing looks, which are more than the {self.of}"),
            (self.of > _MOST_LOOKS, f"looks back on {self.of} looks; {_MOST_LOOKS} are the most"),
        ):
            if wrong:
                raise ConfigurationError(f"The check {self.name!r} {why}.")

    @property
    def oldest(self) -> float:
        """Seconds after which a number says nothing any more."""
        return self.max_age if self.max_age is not None else 2 * self.interval + self.window

    @property
    def apart(self) -> float:
        """Seconds between two looks that share no data."""
        return max(self.interval, self.window)

    def show(self, value: float) -> str:
        """A number as people read it: ``8.1 %``, ``250 ms``."""
        if self.kind is Kind.SHARE:
            return f"{_short(value * 100)} %"
        return f"{_short(value)} {self.unit}".rstrip()


def _short(value: float) -> str:
    """Three digits that count, without exponents where they can be helped."""
    text = f"{value:.3g}"
    return f"{value:.0f}" if "e+" in text and abs(value) < 1e15 else text
