"""Something that must be told to somebody, apart from the message of a deployment: kept until it was."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from bot.domain.actor import Actor
    from bot.domain.ids import DeploymentId


class NoticeKind(StrEnum):
    """What is told."""

    #: Somebody took your lock over.
    LOCK_TAKEN = "lock_taken"
    #: Is your lock still needed?
    LOCK_NAG = "lock_nag"
    #: Your lock has ended.
    LOCK_ENDED = "lock_ended"
    #: Somebody waits for your lock and asks you about it.
    LOCK_ASKED = "lock_asked"
    #: A lock was put for an incident, or lifted because it is over.
    LOCKED = "locked"
    UNLOCKED = "unlocked"
    #: Somebody put a freeze, or lifted it; a lifted one tells what was held.
    FROZEN = "frozen"
    UNFROZEN = "unfrozen"
    #: Somebody asks that a deployment may pass a freeze or a window: a second person must agree.
    OVERRIDE_ASKED = "override_asked"
    #: A second person agreed.
    OVERRIDE_AGREED = "override_agreed"
    #: Somebody broke the glass; it must be reviewed.
    GLASS_BROKEN = "glass_broken"
    #: A deployment was held although its freeze or lock is over: its requester may start it.
    FREED = "freed"
    #: Somebody opens a preview; what comes of it is told in the thread of that.
    PREVIEW_ASKED = "preview_asked"
    #: It was made, and what is in it comes up.
    PREVIEW_MADE = "preview_made"
    #: It can be looked at.
    PREVIEW_READY = "preview_ready"
    #: It cannot be opened, does not come up, or cannot be closed.
    PREVIEW_FAILED = "preview_failed"
    #: It was closed, or its time is over.
    PREVIEW_OVER = "preview_over"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing to tell, once."""

    key: str
    """Names it: the same notice twice is told once."""
    to: str
    """``user:U…`` for one person, ``channel:#name`` or ``channel:C…`` for a channel."""
    kind: NoticeKind
    at: datetime
    by: Actor
    """Who did what is told."""
    sentence: str
    """What happened, for people; not yet escaped."""
    deployment: DeploymentId | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    """What its buttons need: ``lock``, ``override``, ``freeze`` are ids; ``held`` are numbers of deployments.

    ``thread`` is the key of the notice in whose thread it is told; ``address`` is where something can be looked at, and
    ``comment`` the Markdown that says so on a pull request; ``link`` is an address that somebody else gave, which may
    be anything.
    """
