"""What is to be done next in a rollout. One of these at a time; the interpreter in the engine does it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from datetime import datetime

    from bot.domain.actor import Actor
    from bot.domain.strategy.kinds import OnTimeout


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply:
    """Let the target replace what runs."""

    recreate: bool = False
    """What runs is stopped first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetWeight:
    """Send ``percent`` of the traffic to the release; the first time, start it beside the stable one."""

    step: int
    """The step that is reached by it."""
    percent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing is to be done before ``until``, unless a look, a word or the target says something new."""

    until: datetime | None
    """None: only a person can end this."""
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskApproval:
    """People are to be asked, and waited for. The same question until it is answered."""

    step: int
    weight: int
    options: tuple[int, ...]
    """The weights that they may let it go on to, rising."""
    why: str
    refused: str = ""
    """Why only a forced word would be taken now; empty when every word is."""
    asked: datetime
    nags_at: datetime
    """When those who were asked are reminded, once."""
    escalates_at: datetime
    """When others are asked too."""
    until: datetime
    """When nobody is waited for any longer."""
    otherwise: OnTimeout
    """What happens then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promote:
    """All traffic goes there and all is verified: make it the stable release."""


class Cause(StrEnum):
    """Why a rollout is taken back."""

    #: Checks have failed. Counted down first; unless they recover or a person steps in.
    CHECKS = "checks"
    PERSON = "person"
    #: Nobody answered in time.
    TIMEOUT = "timeout"
    #: It was taken back on the target, by somebody else.
    ELSEWHERE = "elsewhere"
    #: The platform took it back by itself, because of checks of its own.
    PLATFORM = "platform"


@dataclass(frozen=True, slots=True, kw_only=True)
class Abort:
    """Take the release back."""

    cause: Cause
    why: str
    """One sentence."""
    by: Actor | None = None
    begun: bool = True
    """Whether anything was changed on the target; if not, there is nothing to do there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Nothing is left to do."""


Move: TypeAlias = Apply | SetWeight | Wait | AskApproval | Promote | Abort | Done
