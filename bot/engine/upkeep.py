"""What nobody has to ask for: locks and freezes end in time, owners are asked about theirs, and nobody is forgotten.

Every replica looks, and every look may be the one that finishes what another began and died over: whatever is told has
a key that follows from what it is about, so that it is told once. Must not decide anything that a person would.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from bot.domain.policy import freeze, lock
from bot.domain.policy.scope import Scope, in_order
from bot.domain.policy.window import is_open
from bot.engine.controls import nobody, redraw

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from bot.domain.deployment import Deployment
    from bot.domain.ids import DeploymentId
    from bot.domain.policy.freeze import Freeze
    from bot.domain.policy.lock import StickyLock
    from bot.engine.freezing import Freezing
    from bot.engine.ledger import Ledger
    from bot.engine.locking import Locking
    from bot.engine.overriding import Overriding
    from bot.ports.deployments import Deployments
    from bot.ports.freezes import Freezes
    from bot.ports.locks import Locks
    from bot.ports.overrides import Overrides
    from bot.ports.providers import CatalogSource

_LOOKS_BACK = timedelta(hours=24)
"""How long after the end of a lock or a freeze its telling is made up for."""
_WAKE_EVERY = timedelta(seconds=30)
"""How often one held deployment is woken at most, when nothing that it waits for is in its way."""


@dataclass(kw_only=True, repr=False)
class Upkeep:
    """Looks after locks, freezes and exceptions."""

    ledger: Ledger
    deployments: Deployments
    catalogs: CatalogSource
    locks: Locks
    freezes: Freezes
    overrides: Overrides
    locking: Locking
    freezing: Freezing
    overriding: Overriding
    freed: Callable[[Scope], Awaitable[None]] = nobody
    """Called for a place where something is held that may go on now."""
    _done: set[str] = field(default_factory=set)
    """What this process has looked after and need not do again; what forgets it does it again, to no effect."""
    _woken: dict[DeploymentId, datetime] = field(default_factory=dict)

    async def look(self) -> None:
        """Do whatever is due. To be called every few seconds by each replica; raises `StoreError`."""
        now = self.ledger.now()
        over: list[StickyLock | Freeze] = [*await self.locks.expire(at=now), *await self.freezes.expire(at=now)]
        locks, freezes = await self.locks.current(at=now), await self.freezes.current(at=now)
        before, self._done = self._done, set()  # what does not come up any more is forgotten
        await self._look_after_locks(locks, now, before)
        await self._look_after_freezes(freezes, now, before)
        await self._look_after_glass(before)
        for scope in in_order({one.scope for one in over}):
            await redraw(self.ledger, self.deployments, scope)
            await self.freed(scope)
        await self._wake(locks, freezes, now)

    async def _look_after_locks(self, locks: Sequence[StickyLock], now: datetime, before: set[str]) -> None:
        for one in locks:
            if one.taken_from is not None:
                await self._once(
                    f"taken:{one.id}:{one.at}:{one.owner.id}", before, partial(self.locking.tell_taken, one)
                )
            if one.nags_at <= now:
                await self._once(f"nag:{one.id}:{one.nags_at}", before, partial(self.locking.nag, one))
        for one, by in await self.locks.ended(since=now - _LOOKS_BACK):
            tell = partial(self.locking.tell_ended, one, by, at=one.until or now)
            await self._once(f"lock over:{one.id}", before, tell)

    async def _look_after_freezes(self, freezes: Sequence[Freeze], now: datetime, before: set[str]) -> None:
        for one in freezes:
            await self._once(f"frozen:{one.id}", before, partial(self.freezing.complete, one))
        for one, by in await self.freezes.ended(since=now - _LOOKS_BACK):
            await self._once(f"freeze over:{one.id}", before, partial(self.freezing.tell_unfrozen, one, by))

    async def _look_after_glass(self, before: set[str]) -> None:
        for one in await self.overrides.to_review():
            if one.used_by is not None:
                deployment = await self.deployments.get(one.used_by)
                await self._once(f"glass:{one.id}", before, partial(self.overriding.tell_broken, one, deployment))

    async def _once(self, what: str, before: set[str], work: Callable[[], Awaitable[None]]) -> None:
        """Do it unless this process has; to be remembered for as long as it comes up."""
        if what not in before:
            await work()
        self._done.add(what)

    async def _wake(self, locks: Sequence[StickyLock], freezes: Sequence[Freeze], now: datetime) -> None:
        """Wake what goes on by itself and that no lock, freeze or window keeps any more, should nobody have."""
        held = [one for one in await self.deployments.held() if one.hold is not None and one.hold.resumes]
        self._woken = {one.id: self._woken[one.id] for one in held if one.id in self._woken}
        places: set[Scope] = set()
        for one in held:
            last = self._woken.get(one.id)
            if (last is None or now - last >= _WAKE_EVERY) and self._may_go_on(one, locks, freezes, now):
                self._woken[one.id] = now
                places.add(Scope(service=one.service, environment=one.environment))
        for scope in in_order(places):
            await self.freed(scope)

    def _may_go_on(
        self, one: Deployment, locks: Sequence[StickyLock], freezes: Sequence[Freeze], now: datetime
    ) -> bool:
        here = (one.service, one.environment)
        environment = self.catalogs.current().environments.get(one.environment)
        windows = [window for window in environment.windows if window.covers(one.service)] if environment else []
        found = lock.covering(locks, *here, now)
        return (
            lock.decide(found, one.requester, rollback=one.is_rollback).allowed
            and not freeze.covering(freezes, *here, now)
            and is_open(windows, now).open
        )
