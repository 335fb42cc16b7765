"""Locks that people put on a place or a kind of change, and whom they let through.

Not the lock that a running deployment has on its environment: that one is the queue's, and nothing passes it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from bot.domain.actor import Actor
    from bot.domain.ids import EnvironmentName, ServiceName
    from bot.domain.policy.scope import Scope

NAG_AFTER = timedelta(hours=3)
"""When the owner of a lock without end is asked whether it is still needed."""


class ChangeType(StrEnum):
    """The kinds of change that a lock can speak about."""

    ANY = "any"
    CONFIG = "config"
    MIGRATION = "migration"


class LockLevel(StrEnum):
    """What a lock does."""

    BLOCK = "block"
    #: Lets deployments through and says so.
    WARN = "warn"


@dataclass(frozen=True, slots=True, kw_only=True)
class StickyLock:
    """A lock that stays until its owner takes it away or it ends."""

    id: str
    scope: Scope
    change_type: ChangeType = ChangeType.ANY
    level: LockLevel = LockLevel.BLOCK
    reason: str
    owner: Actor
    at: datetime
    until: datetime | None = None
    """When it ends by itself; None means when somebody takes it away."""
    hard: bool = False
    """Holds its owner too."""
    pause: bool = False
    """Holds also what has begun already, before its next step; any other lock lets that come to its end."""
    incident: str | None = None
    """The incident that it is for."""
    automatic: bool = False
    """Put by the bot after a rollback."""
    kept_until: datetime | None = None
    """Until when its owner has said that it is needed."""
    taken_from: Actor | None = None
    """Whose it was before its owner took it over: they are to be told."""

    def active(self, at: datetime) -> bool:
        """Whether it holds at ``at``: as soon as it is there, whatever the clock of who put it said, and no longer at
        its last instant.
        """
        return self.until is None or at < self.until

    @property
    def nags_at(self) -> datetime:
        """When its owner is asked whether it is still needed: at half of its time, or after three hours."""
        return self.kept_until or self.at + ((self.until - self.at) / 2 if self.until else NAG_AFTER)

    def kept(self, at: datetime, longer: timedelta) -> StickyLock:
        """The lock of which its owner said that it is needed: it lasts that much longer, and is asked about then."""
        return replace(self, kept_until=at + longer, until=max(self.until, at + longer) if self.until else None)

    def lifted(self, at: datetime) -> StickyLock:
        """The lock as over from ``at`` on; one that was over before stays so."""
        return self if self.until is not None and self.until <= at else replace(self, until=max(at, self.at))

    def taken_over(self, by: Actor, reason: str, at: datetime) -> StickyLock:
        """The lock with another owner and reason; it ends when it would have."""
        before = self.taken_from if self.owner.same_as(by) else self.owner
        return replace(self, owner=by, reason=reason, at=at, kept_until=None, taken_from=before)

    @property
    def sentence(self) -> str:
        """Who locked what, and why."""
        kind = "" if self.change_type is ChangeType.ANY else f" against {self.change_type} changes"
        how = "locked" if self.level is LockLevel.BLOCK else "marked"
        return f"{self.scope.subject} is {how}{kind} by {self.owner.name}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockDecision:
    """Which locks hold a deployment, which it only has to know of, and which let it through."""

    holding: tuple[StickyLock, ...] = ()
    warning: tuple[StickyLock, ...] = ()
    passed: tuple[tuple[StickyLock, str], ...] = ()
    """Each with why it did not hold: "its owner asks"."""

    @property
    def allowed(self) -> bool:
        """Whether no lock holds the deployment."""
        return not self.holding

    @property
    def until(self) -> datetime | None:
        """When the last lock that holds it ends; None when one waits for a person."""
        ends = [lock.until for lock in self.holding]
        known = [end for end in ends if end is not None]
        return max(known) if known and len(known) == len(ends) else None

    @property
    def sentence(self) -> str:
        """The most important of it."""
        if self.holding:
            return self.holding[0].sentence + _and_more(self.holding)
        if self.warning:
            return self.warning[0].sentence + _and_more(self.warning)
        if self.passed:
            lock, why = self.passed[0]
            return f"{lock.sentence} (passed: {why})"
        return "Nothing is locked."


def covering(
    locks: Iterable[StickyLock],
    service: ServiceName,
    environment: EnvironmentName,
    at: datetime,
    changes: Collection[ChangeType] | None = None,
    *,
    begun: bool = False,
) -> tuple[StickyLock, ...]:
    """The locks that speak about this change at ``at``: blocking ones first, then the oldest.

    Of one that has ``begun`` only those speak that pause: what was let in is not stopped half way by any other.
    ``changes`` are the kinds of change in it; None means that this cannot be told, and then every kind counts.
    """
    found = [
        lock
        for lock in locks
        if lock.active(at)
        and (lock.pause or not begun)
        and lock.scope.covers(service, environment)
        and (lock.change_type is ChangeType.ANY or changes is None or lock.change_type in changes)
    ]
    return tuple(sorted(found, key=lambda lock: (lock.level is LockLevel.WARN, lock.at, lock.id)))


def decide(
    locks: Iterable[StickyLock], actor: Actor, *, rollback: bool = False, break_glass: bool = False
) -> LockDecision:
    """Whether these locks hold a deployment that ``actor`` asks for. ``locks`` are those that `covering` gave."""
    holding: list[StickyLock] = []
    warning: list[StickyLock] = []
    passed: list[tuple[StickyLock, str]] = []
    for lock in locks:
        why = _passes(lock, actor, rollback=rollback, break_glass=break_glass)
        if why:
            passed.append((lock, why))
        else:
            (warning if lock.level is LockLevel.WARN else holding).append(lock)
    return LockDecision(holding=tuple(holding), warning=tuple(warning), passed=tuple(passed))


def after_rollback(*, id: str, scope: Scope, by: Actor, reason: str, at: datetime) -> StickyLock:  # noqa: A002  # its name
    """The lock that a successful rollback leaves: nothing goes forward, nor for its owner, until somebody looked."""
    return StickyLock(id=id, scope=scope, reason=reason, owner=by, at=at, hard=True, automatic=True)


def _passes(lock: StickyLock, actor: Actor, *, rollback: bool, break_glass: bool) -> str | None:
    """Why ``actor`` passes the lock; None if not."""
    if break_glass:
        return "the glass was broken"
    own = lock.owner.same_as(actor)
    if rollback:
        if lock.level is LockLevel.WARN:
            return "a rollback needs no warning"
        if lock.automatic:
            return "a rollback passes the lock that a rollback left"
        return "its owner asks, and this is a rollback" if own else None
    return "its owner asks" if own and not lock.hard else None


def _and_more(locks: tuple[StickyLock, ...]) -> str:
    return f" (and {len(locks) - 1} more)" if len(locks) > 1 else ""
