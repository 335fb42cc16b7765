"""What a target tells about itself: what runs, how a change goes, and how it ended."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.domain.ids import OperationId
    from bot.domain.release import Release


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What a target runs at one moment."""

    release: Release
    healthy: int
    """Instances that pass their health check now."""
    instances: int
    """Instances that there should be."""
    operation: OperationId | None = None
    """The operation that brought it here, as far as the target knows."""
    details: Mapping[str, str] = field(default_factory=dict)
    """What the target needs to bring exactly this back; opaque to everybody else."""

    @property
    def all_healthy(self) -> bool:
        """Whether something runs and all of it is healthy."""
        return self.instances > 0 and self.healthy >= self.instances


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a change would do, found out without doing it."""

    current: Running | None
    changes: tuple[str, ...] = ()
    """One plain sentence for each thing that would change."""
    warnings: tuple[str, ...] = ()
    no_change: bool = False
    """The target runs exactly this already and is healthy."""

    @property
    def hash(self) -> str:
        """Names what would change: from which artifact, and how. How healthy things are now is no part of it."""
        parts = (self.current.release.artifact.digest if self.current else "", *self.changes)
        # Each with its length before it: no two different plans are ever written the same.
        return hashlib.sha256("".join(f"{len(part)}:{part}," for part in parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Handle:
    """A change under way. Success is judged only against ``generation``, which the change's own answer gave."""

    operation: OperationId
    generation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a change has come."""

    done: int
    total: int
    message: str = ""


class OutcomeKind(StrEnum):
    """How a change ended, as the target tells it."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    #: The platform itself put the release before it back.
    ROLLED_BACK_BY_PLATFORM = "rolled_back_by_platform"
    #: Somebody else changed the target meanwhile.
    SUPERSEDED = "superseded"
    #: Not done within its time; the platform goes on with it.
    TIMED_OUT = "timed_out"
    #: What was to be changed is gone.
    DELETED = "deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of a change, with a sentence for people."""

    kind: OutcomeKind
    message: str = ""


NOTHING_RAN = "0 replicas: nothing was started, so nothing could be checked."
"""What a success says of a release that was brought to where no instance is wanted; its health is not proven."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """One look at a target's health."""

    healthy: int
    instances: int
    message: str = ""
    """What is wrong, in plain words; empty when nothing is."""
    none_wanted: bool = False
    """That there should be no instance at all, as of what is scaled to zero: neither good nor bad, nothing is there
    that could be asked. Not the same as none being ready."""

    @property
    def ok(self) -> bool:
        """Whether something runs and all of it is healthy."""
        return self.instances > 0 and self.healthy >= self.instances


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenBack:
    """That a release gets no traffic any more although nobody here has taken it back."""

    by_platform: bool
    """Whether the platform has decided so by itself, as after an analysis that failed; else somebody has."""
    why: str
    """What has happened, in whole sentences for people."""
