"""The locks that people put on places and kinds of change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from bot.domain.actor import Actor
    from bot.domain.audit import Deed
    from bot.domain.policy.lock import StickyLock


class Locks(Protocol):
    """Locks as rows. Every change is audited and raises the policy epoch in the same transaction (`Freezes.epoch`).

    An open lock is alone of its scope, change type and level, the automatic ones apart, and apart from both each
    incident for which a service account locks. Raises `StoreError`.
    """

    async def place(self, lock: StickyLock, *, deed: Deed | None = None) -> StickyLock:
        """Put a lock; again with the same id changes nothing. Without a ``deed`` it is its owner's.

        Raises `SomebodyWasFaster` when there is one already, and names whose.
        """

    async def lift(self, lock_id: str, *, deed: Deed) -> StickyLock:
        """Take a lock away; it comes back as it was. Raises `NothingToDo` when it is not there any more."""

    async def extend(self, lock_id: str, *, longer: timedelta, deed: Deed) -> StickyLock:
        """Record that a lock is needed for so much longer from now; raises `NothingToDo` when it is over."""

    async def take_over(self, lock_id: str, *, deed: Deed, owner: Actor | None = None) -> StickyLock:
        """Make it the actor's, with their reason; raises `NothingToDo` when it is over.

        With ``owner``, only while it is theirs; raises `SomebodyWasFaster` when it is somebody else's by now.
        """

    async def current(self, *, at: datetime) -> Sequence[StickyLock]:
        """Every lock that is not over at ``at``, the oldest first."""

    async def expire(self, *, at: datetime) -> Sequence[StickyLock]:
        """Record the end of those whose time has passed; each comes back once, to whoever is to tell its owner."""

    async def ended(self, *, since: datetime) -> Sequence[tuple[StickyLock, Actor | None]]:
        """Those that ended at ``since`` or later, as they were, their ``until`` when that was, with who took them away
        (None: their time passed). The first to end first.
        """
