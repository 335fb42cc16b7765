"""Locks that a service account puts for incidents: each stands beside every other lock, and is one however often."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from store_samples import ADA, GRACE, NOON

from bot.domain.actor import service_account
from bot.domain.audit import Deed
from bot.domain.errors import SomebodyWasFaster
from bot.domain.ids import EnvironmentName
from bot.domain.policy.lock import StickyLock
from bot.domain.policy.scope import Scope
from bot.store.audit import StoredAudit
from bot.store.locks import StoredLocks

if TYPE_CHECKING:
    from bot.store.engine import Database

PRODUCTION = Scope(environment=EnvironmentName("production"))
INCIDENT = service_account("incident")


def lock(name: str, incident: str | None = "INC-1", **changes: object) -> StickyLock:
    made = StickyLock(id=name, scope=PRODUCTION, reason="it burns", owner=INCIDENT, at=NOON, incident=incident)
    return replace(made, **changes)  # type: ignore[arg-type]  # shorter to write as object


async def test_each_incident_has_its_own_beside_those_of_people(database: Database) -> None:
    locks = StoredLocks(database)
    await locks.place(lock("l1"))
    await locks.place(lock("l2", "INC-2"))
    await locks.place(lock("l3", None, owner=ADA))
    with pytest.raises(SomebodyWasFaster):
        await locks.place(lock("l4"))
    with pytest.raises(SomebodyWasFaster):  # of a person an incident makes no other lock
        await locks.place(lock("l5", "INC-3", owner=GRACE))
    await locks.lift("l1", deed=Deed(actor=INCIDENT, at=NOON + timedelta(minutes=1)))
    assert [one.id for one in await locks.current(at=NOON + timedelta(hours=1))] == ["l2", "l3"]
    again = lock("l6", at=NOON + timedelta(minutes=2))
    assert await locks.place(again) == again
    assert (await StoredAudit(database).verify()).ok


async def test_what_was_taken_over_is_still_the_one_of_its_incident(database: Database) -> None:
    locks = StoredLocks(database)
    await locks.place(lock("l1"))
    await locks.place(lock("l2", None, owner=ADA))
    taken = await locks.take_over("l1", deed=Deed(actor=GRACE, at=NOON + timedelta(minutes=1), reason="mine now"))
    assert (taken.owner, taken.incident) == (GRACE, "INC-1")
    with pytest.raises(SomebodyWasFaster, match="Grace"):
        await locks.place(lock("l3"))
