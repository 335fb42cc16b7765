"""What people say to a rollout under way, and what they are answered. Who may say it is policy's to know."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from datetime import datetime

    from bot.domain.actor import Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class PromoteWord:
    """Let it go on."""

    by: Actor
    at: datetime
    step: int
    """The step, counted from 0, that they saw; at another one the word says nothing."""
    to: int
    """Up to which weight nobody needs to be asked again. Steps before it are still verified."""
    skip: bool = False
    """The steps before it are left out, and what is left of this one's bake too."""
    force: bool = False
    """Although checks do not pass; takes a reason."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldWord:
    """Leave it as it is until somebody says something else."""

    by: Actor
    at: datetime
    step: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeWord:
    """Hold it no longer."""

    by: Actor
    at: datetime
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AbortWord:
    """Take it back. Names no step: who wants the release gone wants it gone at whatever step it is meanwhile."""

    by: Actor
    at: datetime
    reason: str = ""


Word: TypeAlias = PromoteWord | HoldWord | ResumeWord | AbortWord


class Refusal(StrEnum):
    """Why a word changed nothing."""

    #: It came too late: somebody or something was faster.
    LATE = "late"
    #: A check does not pass.
    CHECKS = "checks"
    #: It lacks a reason, or names what cannot be.
    WRONG = "wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a word."""

    word: Word
    sentence: str
    refusal: Refusal | None = None
    """Why it changed nothing; None if it changed something."""

    @property
    def accepted(self) -> bool:
        """Whether it changed anything."""
        return self.refusal is None
