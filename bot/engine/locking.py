"""Locks of people: put, lifted, kept and taken over, each with a reason, and whoever it concerns is told.

Must not decide whom a lock holds: `bot.domain.policy.lock` does, whenever the gates are asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from bot.domain.actor import BOT
from bot.domain.audit import Deed
from bot.domain.errors import BadCommand, NotAuthorized, NothingToDo, SomebodyWasFaster
from bot.domain.notice import Notice, NoticeKind
from bot.domain.policy.access import Action, may
from bot.domain.policy.lock import ChangeType, LockLevel, StickyLock
from bot.domain.policy.scope import EVERYTHING, Scope
from bot.engine.controls import (
    REMEMBERED,
    afterwards,
    ahead,
    check_scope,
    covered,
    needed,
    new_id,
    nobody,
    redraw,
    to,
    touches,
    typed,
    who_and_when,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from bot.domain.actor import Actor, Membership
    from bot.domain.catalog import Catalog
    from bot.engine.gatekeeper import Gatekeeper
    from bot.engine.ledger import Ledger
    from bot.ports.deployments import Deployments
    from bot.ports.locks import Locks
    from bot.ports.notices import Notices
    from bot.ports.providers import CatalogSource

KEPT_FOR = timedelta(hours=2)
"""How much longer a lock lasts that its owner keeps."""
ASK_EVERY = timedelta(minutes=10)
"""How often one person can ask the owner about one lock."""
_SAME_END = timedelta(minutes=1)
"""Two ends that near are one wish, said twice: "2h" means another instant each time."""


@dataclass(kw_only=True, repr=False)
class Locking:
    """What people can do with locks."""

    ledger: Ledger
    deployments: Deployments
    catalogs: CatalogSource
    locks: Locks
    notices: Notices
    gatekeeper: Gatekeeper
    freed: Callable[[Scope], Awaitable[None]] = nobody
    """Called when less is locked than before: what waits there may go on."""

    async def lock(
        self,
        *,
        scope: Scope,
        requester: Membership,
        reason: str,
        until: datetime | None = None,
        level: LockLevel = LockLevel.BLOCK,
        change_type: ChangeType = ChangeType.ANY,
        hard: bool = False,
        pause: bool = False,
        incident: str | None = None,
    ) -> StickyLock:
        """Put a lock. The same wish of the same person again is one lock.

        Raises `NotAuthorized`, `BadCommand` for a place that there is not, no reason, an end in the past or one that
        is to pause what it only warns of, and `SomebodyWasFaster` when there is such a lock already.
        """
        catalog, now, me = self.catalogs.current(), self.ledger.now(), requester.actor
        check_scope(catalog, scope)
        rule = self.gatekeeper.authorise_scope(requester, Action.LOCK, scope)
        hint = f'Say why: `/deploy lock {typed(scope)} reason="…"`.'
        reason = needed(reason, "A lock needs a reason: others will want to know.", hint)
        if pause and level is LockLevel.WARN:
            raise BadCommand("A lock that only warns pauses nothing.", hint="Leave level=warn out, or pause.")
        made = StickyLock(
            id=new_id("l"),
            scope=scope,
            change_type=change_type,
            level=level,
            reason=reason,
            owner=me,
            at=now,
            until=ahead(until, now, "A lock"),
            hard=hard,
            pause=pause,
            incident=incident,
        )
        try:
            placed = await self.locks.place(made, deed=_deed(requester, now, reason, rule))
        except SomebodyWasFaster as refusal:
            there = await self._like(made)
            if there is None:
                raise
            if not there.owner.same_as(me):
                hint = f"`/deploy locks` shows it: ask {there.owner.name} about it, or take it over."
                raise SomebodyWasFaster(refusal.message, hint=hint) from None
            if not _same_wish(there, made):
                message = f"You have locked {scope.words} yourself already: {there.reason}."
                hint = f"`/deploy unlock {typed(scope)}` takes that lock away; then put the other one."
                raise SomebodyWasFaster(message, hint=hint) from None
            placed = there
        await afterwards(f"locking {scope.key}", lambda: redraw(self.ledger, self.deployments, scope))
        return placed

    async def unlock(self, *, scope: Scope, requester: Membership, reason: str = "") -> Sequence[StickyLock]:
        """Take the locks of exactly that scope away, all or none; they come back as they were.

        Raises `NotAuthorized`, and `NothingToDo` when there is none, with who lifted it if somebody did.
        """
        found = [lock for lock in await self.locks.current(at=self.ledger.now()) if lock.scope == scope]
        if not found:
            check_scope(self.catalogs.current(), scope)
            raise await self._nothing(scope, requester)
        return await self._lift(found, requester, reason)

    async def unlock_one(self, lock_id: str, *, requester: Membership, reason: str = "") -> StickyLock:
        """Take one lock away; it comes back as it was. Raises like `unlock`."""
        return (await self._lift([await self._get(lock_id, requester)], requester, reason))[0]

    async def keep(self, lock_id: str, *, requester: Membership, longer: timedelta = KEPT_FOR) -> StickyLock:
        """Say that one's own lock is needed for so much longer from now.

        Raises `NotAuthorized` for another's lock, and `NothingToDo` when it is over.
        """
        lock = await self._get(lock_id, requester)
        if not lock.owner.same_as(requester.actor):
            hint = f"Ask {lock.owner.name}, or take the lock over first."
            raise NotAuthorized(f"That lock is {lock.owner.name}'s; only its owner can keep it.", hint=hint)
        rule = self._own_rule(requester, lock)
        kept = await self.locks.extend(lock.id, longer=longer, deed=_deed(requester, self.ledger.now(), "", rule))
        await afterwards("keeping a lock", lambda: redraw(self.ledger, self.deployments, lock.scope))
        return kept

    async def take_over(self, lock_id: str, *, requester: Membership, reason: str) -> StickyLock:
        """Make somebody's lock one's own; they are told who did and why.

        Raises `NotAuthorized`, `BadCommand` without a reason, `NothingToDo` when it is over or one's own, and
        `SomebodyWasFaster` when somebody else took it meanwhile.
        """
        lock, me, now = await self._get(lock_id, requester), requester.actor, self.ledger.now()
        rule = self.gatekeeper.authorise_scope(requester, Action.LOCK, lock.scope)
        reason = needed(
            reason, "Taking a lock over needs a reason: its owner will be told.", "Say why you need to have it."
        )
        if lock.owner.same_as(me):
            if lock.taken_from is None or lock.reason != reason:
                raise NothingToDo("That lock is yours already.", hint=f"`/deploy unlock {typed(lock.scope)}` lifts it.")
            taken = lock  # by this very act, which came to no end the first time
        else:
            await self.tell_taken(lock)  # should whoever took it before have died over telling it
            deed = _deed(requester, now, reason, rule)
            taken = await self.locks.take_over(lock.id, deed=deed, owner=lock.owner)
        await afterwards(
            "taking a lock over",
            lambda: self.tell_taken(taken),
            lambda: redraw(self.ledger, self.deployments, taken.scope),
            lambda: self.freed(taken.scope),
        )
        return taken

    async def ask_owner(self, lock_id: str, *, requester: Membership, about: str) -> StickyLock:
        """Ask the owner about a lock, once in ten minutes; ``about`` is what one waits for.

        Raises `NotAuthorized` for somebody whom the lock cannot hold, and `NothingToDo` when it is over or one's own.
        """
        lock, me, now = await self._get(lock_id, requester), requester.actor, self.ledger.now()
        catalog = self.catalogs.current()
        if lock.owner.same_as(me):
            raise NothingToDo("That lock is yours.", hint=f"`/deploy unlock {typed(lock.scope)}` lifts it.")
        if not _could_wait(catalog, requester, lock.scope):
            hint = "Ask somebody who may, or an operator for the role."
            raise NotAuthorized(f"You may not deploy anything that {lock.scope.words} covers.", hint=hint)
        sentence = f"{me.name} asks about your lock of {lock.scope.words} ({lock.reason})"
        period = int(now.timestamp() // ASK_EVERY.total_seconds())
        await self.notices.add(
            Notice(
                key=f"lock_asked:{lock.id}:{me.id}:{period}",
                to=to(lock.owner, catalog),
                kind=NoticeKind.LOCK_ASKED,
                at=now,
                by=me,
                sentence=f"{sentence}: {about.strip()}" if about.strip() else f"{sentence}.",
                facts={"lock": lock.id, "scope": lock.scope.key},
            )
        )
        return lock

    async def current(self, service: str | None = None, environment: str | None = None) -> Sequence[StickyLock]:
        """The locks that matter there, the oldest first."""
        found = await self.locks.current(at=self.ledger.now())
        return [lock for lock in found if touches(lock.scope, service, environment)]

    async def tell_taken(self, lock: StickyLock) -> None:
        """Tell whose lock it was that it was taken over; again changes nothing."""
        if lock.taken_from is None:
            return
        await self.notices.add(
            Notice(
                key=f"lock_taken:{lock.id}:{lock.at.isoformat()}:{lock.owner.id}",  # two may take it in one instant
                to=to(lock.taken_from, self.catalogs.current()),
                kind=NoticeKind.LOCK_TAKEN,
                at=lock.at,
                by=lock.owner,
                sentence=f"{lock.owner.name} has taken over your lock of {lock.scope.words}: {lock.reason}",
                facts={"lock": lock.id, "scope": lock.scope.key},
            )
        )

    async def tell_ended(self, lock: StickyLock, by: Actor | None, *, at: datetime, reason: str = "") -> None:
        """Tell the owner that their lock is over, unless they lifted it; again changes nothing."""
        if by is not None and by.same_as(lock.owner):
            return
        words = f"your lock of {lock.scope.words} ({lock.reason})"
        why = f": {reason}" if reason else "."
        sentence = f"{by.name} has lifted {words}{why}" if by else f"The time of {words} has passed; it is lifted."
        await self.notices.add(
            Notice(
                key=f"lock_ended:{lock.id}",
                to=to(lock.owner, self.catalogs.current()),
                kind=NoticeKind.LOCK_ENDED,
                at=at,
                by=by or BOT,
                sentence=sentence,
                facts={"lock": lock.id, "scope": lock.scope.key},
            )
        )

    async def nag(self, lock: StickyLock) -> None:
        """Ask the owner whether their lock is still needed; once for each time that they keep it."""
        await self.notices.add(
            Notice(
                key=f"lock_nag:{lock.id}:{lock.nags_at.isoformat()}",
                to=to(lock.owner, self.catalogs.current()),
                kind=NoticeKind.LOCK_NAG,
                at=lock.nags_at,
                by=BOT,
                sentence=f"Is your lock of {lock.scope.words} still needed? ({lock.reason})",
                facts={"lock": lock.id, "scope": lock.scope.key, "hours": str(round(KEPT_FOR / timedelta(hours=1)))},
            )
        )

    async def _lift(self, found: Sequence[StickyLock], requester: Membership, reason: str) -> list[StickyLock]:
        """Take these away; what somebody else lifted meanwhile is left out, unless nothing remains."""
        rules = [self._may_lift(requester, lock) for lock in found]
        lifted: list[StickyLock] = []
        refusal: NothingToDo | None = None
        now = self.ledger.now()
        for lock, rule in zip(found, rules, strict=True):
            try:
                lifted.append(await self.locks.lift(lock.id, deed=_deed(requester, now, reason, rule)))
            except NothingToDo as over:
                refusal = over
                continue
            await afterwards("lifting a lock", partial(self.tell_ended, lock, requester.actor, at=now, reason=reason))
        if refusal is not None and not lifted:
            raise NothingToDo(refusal.message, hint="`/deploy locks` shows what is locked now.")
        scope = found[0].scope
        await afterwards(
            "lifting a lock",
            lambda: redraw(self.ledger, self.deployments, scope),
            lambda: self.freed(scope),
        )
        return lifted

    def _may_lift(self, requester: Membership, lock: StickyLock) -> str:
        """The role that allows it: one's own needs the right to lock, another's the right to unlock."""
        # A lock on what the catalog does not have any more is lifted by whoever may lift any.
        scope = lock.scope if covered(self.catalogs.current(), lock.scope) else EVERYTHING
        if lock.owner.same_as(requester.actor):
            return self._own_rule(requester, lock)
        try:
            return self.gatekeeper.authorise_scope(requester, Action.UNLOCK, scope)
        except NotAuthorized as refusal:
            hint = f"It is {lock.owner.name}'s: ask {lock.owner.name} to lift it."
            raise NotAuthorized(refusal.message, hint=hint) from None

    def _own_rule(self, requester: Membership, lock: StickyLock) -> str:
        if not covered(self.catalogs.current(), lock.scope):
            return "their own lock"
        try:
            return self.gatekeeper.authorise_scope(requester, Action.LOCK, lock.scope)
        except NotAuthorized as refusal:
            try:
                return self.gatekeeper.authorise_scope(requester, Action.UNLOCK, lock.scope)
            except NotAuthorized:
                raise refusal from None

    async def _get(self, lock_id: str, requester: Membership) -> StickyLock:
        now = self.ledger.now()
        for lock in await self.locks.current(at=now):
            if lock.id == lock_id:
                return lock
        for lock, by in await self.locks.ended(since=now - timedelta(hours=REMEMBERED)):
            if lock.id == lock_id:
                raise self._over(lock, by, requester)
        raise NothingToDo("That lock is not there any more.", hint="`/deploy locks` shows what is locked now.")

    async def _like(self, lock: StickyLock) -> StickyLock | None:
        """The lock that stands in the way of ``lock``."""
        alike = (lock.scope, lock.change_type, lock.level, lock.automatic)
        found = await self.locks.current(at=self.ledger.now())
        return next(
            (one for one in found if (one.scope, one.change_type, one.level, one.automatic) == alike),
            None,
        )

    async def _nothing(self, scope: Scope, requester: Membership) -> NothingToDo:
        """Why there is nothing to unlock: who was faster, or what else holds the place."""
        now = self.ledger.now()
        ended = [
            one
            for one in await self.locks.ended(since=now - timedelta(hours=REMEMBERED))
            if one[0].scope == scope and one[1] is not None
        ]
        if ended:
            return self._over(*ended[-1], requester)
        others = [lock for lock in await self.locks.current(at=now) if _overlap(lock.scope, scope)]
        if others:
            other = others[0].scope
            return NothingToDo(
                f"There is no lock of exactly {scope.words}. {others[0].sentence}.",
                hint=f"`/deploy unlock {typed(other)}` lifts that one.",
            )
        verb = "Nothing is" if scope == EVERYTHING else f"{scope.words} is not"
        return NothingToDo(f"{verb} locked.", hint="`/deploy locks` shows what is.")

    def _over(self, lock: StickyLock, by: Actor | None, requester: Membership) -> NothingToDo:
        hint = "`/deploy locks` shows what is locked now."
        if by is None:
            return NothingToDo(f"The lock of {lock.scope.words} has ended by itself.", hint=hint)
        who, ago = who_and_when(by, lock.until or lock.at, viewer=requester.actor, now=self.ledger.now())
        return NothingToDo(f"{who} lifted the lock of {lock.scope.words} already, {ago}.", hint=hint)


def _deed(requester: Membership, at: datetime, reason: str, rule: str) -> Deed:
    return Deed(actor=requester.actor, at=at, reason=reason, door=requester.door, rule=rule)


def _same_wish(one: StickyLock, other: StickyLock) -> bool:
    ends = (one.until is None) == (other.until is None) and (
        one.until is None or other.until is None or abs(one.until - other.until) <= _SAME_END
    )
    said = [(lock.reason, lock.hard, lock.pause, lock.incident) for lock in (one, other)]
    return ends and said[0] == said[1]


def _overlap(one: Scope, other: Scope) -> bool:
    return touches(one, other.service, other.environment)


def _could_wait(catalog: Catalog, member: Membership, scope: Scope) -> bool:
    """Whether the lock may hold this person anywhere: who may do nothing there need not write to its owner."""
    return any(
        may(catalog.rules, member, action, service=service.name, environment=environment.name).allowed
        for service, environment in catalog.places()
        if scope.covers(service.name, environment.name)
        for action in (Action.DEPLOY, Action.ROLLBACK, Action.LOCK)
    )
