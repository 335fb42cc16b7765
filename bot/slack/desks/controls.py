"""Locks and freezes: put, kept, taken over, lifted. Whoever is concerned is told by notices, not from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.policy.access import Action
from bot.slack.render import rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.domain.grammar import FreezeIntent, LockIntent, LocksIntent, UnfreezeIntent, UnlockIntent
    from bot.domain.policy.lock import StickyLock
    from bot.engine.freezing import Freezing
    from bot.engine.locking import Locking
    from bot.slack.desks.times import Times
    from bot.slack.doors import Caller, Reception, Reply
    from bot.slack.render.message import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """The desk for what holds deployments back."""

    locking: Locking
    freezing: Freezing
    reception: Reception
    times: Times
    changed: Callable[[], None]
    """Called after every change of what is locked or frozen."""

    async def lock(self, intent: LockIntent, caller: Caller, aloud: Reply) -> None:
        """Put a lock."""
        put = await self.locking.lock(
            scope=intent.scope,
            requester=await self.reception.member(caller),
            reason=intent.reason or "",
            until=await self.times.until(intent.until, caller),
            level=intent.level,
            change_type=intent.change_type,
            hard=intent.hard,
            pause=intent.pause,
            incident=intent.incident,
        )
        self.changed()
        await aloud(rules.locked(put))

    async def unlock(self, intent: UnlockIntent, caller: Caller, aloud: Reply) -> None:
        """Take the locks of exactly that scope away."""
        lifted = await self.locking.unlock(
            scope=intent.scope, requester=await self.reception.member(caller), reason=intent.reason or ""
        )
        self.changed()
        await aloud(rules.unlocked(lifted))

    async def unlock_one(self, lock_id: str, caller: Caller) -> Message:
        """The button *Unlock*."""
        lifted = await self.locking.unlock_one(lock_id, requester=await self.reception.member(caller))
        self.changed()
        return rules.unlocked([lifted])

    async def keep(self, lock_id: str, caller: Caller) -> Message:
        """The button *Keep 2 h*."""
        kept = await self.locking.keep(lock_id, requester=await self.reception.member(caller))
        self.changed()
        return rules.kept(kept)

    async def to_take(self, lock_id: str, caller: Caller) -> StickyLock | None:
        """The lock that somebody wants to take over; None when it cannot be seen. Raises `NotAuthorized`."""
        member = await self.reception.member(caller)
        found = next((lock for lock in await self.locking.current() if lock.id == lock_id), None)
        if found is not None:
            self.locking.gatekeeper.authorise_scope(member, Action.LOCK, found.scope)
        return found

    async def take_over(self, lock_id: str, reason: str, caller: Caller) -> Message:
        """Make somebody else's lock one's own; they are told."""
        taken = await self.locking.take_over(lock_id, requester=await self.reception.member(caller), reason=reason)
        self.changed()
        return rules.taken_over(taken)

    async def ask_owner(self, lock_id: str, about: str, caller: Caller) -> Message:
        """Ask the owner of a lock whether it is still needed."""
        asked = await self.locking.ask_owner(lock_id, requester=await self.reception.member(caller), about=about)
        return rules.owner_asked(asked)

    async def locks(self, intent: LocksIntent, reply: Reply) -> None:
        """Tell what is locked and frozen."""
        locks = await self.locking.current(intent.service, intent.environment)
        freezes = await self.freezing.current(intent.service, intent.environment)
        await reply(rules.locks(locks, freezes, at=self.times.now()))

    async def freeze(self, intent: FreezeIntent, caller: Caller, reply: Reply) -> None:
        """Stop the line. The answer comes when no write that began before is under way any more."""
        frozen = await self.freezing.freeze(
            scope=intent.scope,
            requester=await self.reception.member(caller),
            reason=intent.reason or "",
            until=await self.times.until(intent.until, caller),
        )
        self.changed()
        await reply(rules.frozen(frozen.freeze, frozen.writing, frozen.under_way))

    async def unfreeze(self, intent: UnfreezeIntent, caller: Caller, reply: Reply) -> None:
        """Lift the freezes of exactly that scope, and list what they held."""
        lifted = await self.freezing.unfreeze(
            scope=intent.scope, requester=await self.reception.member(caller), reason=intent.reason or ""
        )
        self.changed()
        await reply(rules.unfrozen(lifted.freezes, lifted.held))

    async def lift(self, freeze_id: str, caller: Caller) -> Message:
        """The button *Lift the freeze*."""
        lifted = await self.freezing.unfreeze_one(freeze_id, requester=await self.reception.member(caller))
        self.changed()
        return rules.unfrozen(lifted.freezes, lifted.held)
