"""Locks for incidents of which another system tells: one is put when an incident begins, and lifted when it is over.

Must not touch any other lock: neither those of people, nor those of other incidents, nor one that a person took over.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from bot.domain.actor import Door, Membership, service_account
from bot.domain.audit import Deed
from bot.domain.errors import NothingToDo, RequestRefused, SomebodyWasFaster, UnknownEnvironment, UnknownService
from bot.domain.grammar.refusals import nearest
from bot.domain.ids import EnvironmentName, ServiceName
from bot.domain.incident import IncidentState
from bot.domain.notice import Notice, NoticeKind
from bot.domain.policy.access import Action
from bot.domain.policy.lock import StickyLock
from bot.domain.policy.scope import Scope
from bot.engine.controls import REMEMBERED, afterwards, channel, check_scope, needed, new_id, redraw

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bot.domain.actor import Actor
    from bot.domain.catalog import Catalog
    from bot.domain.incident import Incident
    from bot.engine.gatekeeper import Gatekeeper
    from bot.engine.ledger import Ledger
    from bot.engine.locking import Locking
    from bot.ports.deployments import Deployments
    from bot.ports.locks import Locks
    from bot.ports.notices import Notices
    from bot.ports.providers import CatalogSource

MOST = 100
"""Locks for incidents that there can be at once: a system that has gone wild locks no more than these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What became of what was told."""

    lock: StickyLock | None
    """The incident's lock; None where it has none."""
    locked: bool
    """Whether that lock stands now."""
    changed: bool
    """Whether it was put or lifted by this very telling."""
    sentence: str


@dataclass(kw_only=True, repr=False)
class Incidents:
    """What a system that tells of incidents can do; it acts as the service account ``account``."""

    ledger: Ledger
    deployments: Deployments
    catalogs: CatalogSource
    locks: Locks
    notices: Notices
    gatekeeper: Gatekeeper
    locking: Locking
    account: str

    async def take(self, incident: Incident) -> Told:
        """Put the incident's lock, or lift it; the same told again changes nothing.

        Raises `UnknownService` and `UnknownEnvironment` with what was perhaps meant, `NotAuthorized` when no role lets
        the account lock there, `RequestRefused` when the incident has locked another place, and `StoreError`.
        """
        if incident.state is IncidentState.RESOLVED:
            return await self._resolved(incident)
        return await self._opened(incident)

    @property
    def _member(self) -> Membership:
        return Membership(actor=service_account(self.account), door=Door.API)

    async def _opened(self, incident: Incident) -> Told:
        member, now = self._member, self.ledger.now()
        scope = _scope(self.catalogs.current(), incident)
        rule = self.gatekeeper.authorise_scope(member, Action.LOCK, scope)
        if told := await self._known(incident, scope, now):
            return told
        reason = needed(incident.reason, "An incident has a name.", "Give its name.")
        made = StickyLock(id=new_id("l"), scope=scope, reason=reason, owner=member.actor, at=now, incident=incident.id)
        deed = Deed(actor=member.actor, at=now, reason=reason, door=member.door, rule=rule)
        try:
            placed = await self.locks.place(made, deed=deed)
        except SomebodyWasFaster:
            # Told twice at once: the other one has put it.
            if told := await self._known(incident, scope, now):
                return told
            raise
        await self._tell_locked(placed, incident)
        await afterwards(f"locking {scope.key}", lambda: redraw(self.ledger, self.deployments, scope))
        return Told(lock=placed, locked=True, changed=True, sentence=f"{placed.sentence}.")

    async def _known(self, incident: Incident, scope: Scope, now: datetime) -> Told | None:
        """What there is to say where the incident's lock stands, or stood until a person lifted it; None else."""
        me = self._member.actor
        current = await self.locks.current(at=now)
        for lock in current:
            if not self._is_of(incident, lock):
                continue
            if not lock.owner.same_as(me):
                said = f"{lock.owner.name} has taken the lock of {lock.scope.words} over."
                return Told(lock=lock, locked=True, changed=False, sentence=said)
            if lock.scope != scope:
                raise RequestRefused(f"{incident.id} locks {lock.scope.words} already; resolve it first.")
            await self._tell_locked(lock, incident)  # should who put it have died over telling it
            return Told(lock=lock, locked=True, changed=False, sentence=f"{lock.sentence}.")
        ended = await self._ended(incident, now)
        if ended and (by := ended[-1][1]) is not None and not by.same_as(me):
            lock = ended[-1][0]
            said = f"{by.name} has lifted the lock of {lock.scope.words}; who wants one again puts it by hand."
            return Told(lock=lock, locked=False, changed=False, sentence=said)
        if sum(lock.owner.same_as(me) for lock in current) >= MOST:
            raise RequestRefused(f"There are {MOST} locks for incidents already; resolve some of them first.")
        return None

    async def _resolved(self, incident: Incident) -> Told:
        member, now = self._member, self.ledger.now()
        current = await self.locks.current(at=now)
        mine = [lock for lock in current if lock.incident == incident.id and lock.owner.same_as(member.actor)]
        lifted: list[StickyLock] = []
        for lock in mine:
            with contextlib.suppress(NothingToDo):  # a person was faster
                why = f"Incident {incident.id} is resolved"
                lifted.append(await self.locking.unlock_one(lock.id, requester=member, reason=why))
        ended = [lock for lock, by in await self._ended(incident, now) if by is not None and by.same_as(member.actor)]
        for lock in [*lifted, *ended[-1:]]:  # the latter should who lifted it have died over telling it
            await self._tell_unlocked(lock, incident)
        if lifted:
            words = f"{lifted[0].scope.subject} is not locked for incident {incident.id} any more."
            return Told(lock=lifted[0], locked=False, changed=True, sentence=words)
        said = f"Incident {incident.id} locks nothing."
        return Told(lock=None, locked=False, changed=False, sentence=said)

    async def _ended(self, incident: Incident, now: datetime) -> Sequence[tuple[StickyLock, Actor | None]]:
        """The incident's locks of the last day that are over, and who lifted them; the first to end first."""
        found = await self.locks.ended(since=now - timedelta(hours=REMEMBERED))
        return [one for one in found if self._is_of(incident, one[0])]

    def _is_of(self, incident: Incident, lock: StickyLock) -> bool:
        """Whether the lock was put for the incident by this account, whoever took it over since."""
        owners = (lock.owner, lock.taken_from)
        me = self._member.actor
        return lock.incident == incident.id and any(owner is not None and owner.same_as(me) for owner in owners)

    async def _tell_locked(self, lock: StickyLock, incident: Incident) -> None:
        await self._tell(NoticeKind.LOCKED, lock, f"{lock.sentence}.", at=lock.at, url=incident.url)

    async def _tell_unlocked(self, lock: StickyLock, incident: Incident) -> None:
        sentence = f"{lock.scope.subject} is not locked for incident {incident.id} any more: it is resolved."
        await self._tell(NoticeKind.UNLOCKED, lock, sentence, at=self.ledger.now(), url=incident.url)

    async def _tell(self, kind: NoticeKind, lock: StickyLock, sentence: str, *, at: datetime, url: str) -> None:
        """Tell the channel, once for each lock."""
        await self.notices.add(
            Notice(
                key=f"{kind.value}:{lock.id}",
                to=channel(self.catalogs.current().channel),
                kind=kind,
                at=at,
                by=lock.owner,
                sentence=sentence,
                facts={"lock": lock.id, "scope": lock.scope.key, "link": url},
            )
        )


def _scope(catalog: Catalog, incident: Incident) -> Scope:
    """What the incident is about; raises `UnknownService` or `UnknownEnvironment` with what was perhaps meant."""
    scope = Scope(
        service=None if incident.service is None else ServiceName(incident.service),
        environment=None if incident.environment is None else EnvironmentName(incident.environment),
    )
    try:
        check_scope(catalog, scope)
    except UnknownService as unknown:
        unknown.suggestions = nearest(incident.service or "", [one.name for one in catalog.services.values()])
        raise
    except UnknownEnvironment as unknown:
        names = [one.name for one in catalog.environments.values()]
        unknown.suggestions = nearest(incident.environment or "", [name for name in names if name != unknown.token])
        raise
    return scope
