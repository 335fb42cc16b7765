"""What one look at one check comes to. A value; `judge` makes it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class Verdict(StrEnum):
    """What analysis says."""

    PASS = "pass"  # noqa: S105  # a verdict, no secret
    FAIL = "fail"
    #: It cannot be told. Never taken for a pass.
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What one look at one check came to, with everything that people need to follow it."""

    check: str
    verdict: Verdict
    at: datetime
    """When it was looked at."""
    value: float | None = None
    """The canary's number; None where there was none that could be compared."""
    limit: float | None = None
    """The strictest bound that the number was held to, in its own unit; None where none could be."""
    baseline: float | None = None
    """What it was compared with: the stable track's number or, without one, that from before the deployment."""
    samples: float | None = None
    age: float | None = None
    """Seconds since the number was true."""
    pre_existing: bool = False
    """It failed just like this before the deployment, and is ignored for that."""
    sentence: str
    """Everything in one line, for people."""
