"""Locks for incidents: told once however often, taken over for good, and no more than there may be."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest
from controls_world import OWNERS, THERE, Controls, open_controls
from engine_world import ADA, CHECKOUT, GRACE, PRODUCTION, member

from bot.domain.actor import service_account
from bot.domain.errors import NotAuthorized, RequestRefused, StoreError, UnknownEnvironment, UnknownService
from bot.domain.incident import Incident, IncidentState
from bot.domain.notice import NoticeKind
from bot.domain.policy.access import Action, Effect, Rule
from bot.domain.policy.scope import EVERYTHING
from bot.engine import incidents
from bot.engine.incidents import Incidents

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bot.domain.notice import Notice
    from bot.ports.notices import Notices

MAY = Rule(role="incidents", accounts=frozenset({"incident"}), actions=frozenset({Action.LOCK}))
OPEN = Incident(
    id="INC-42", state=IncidentState.OPEN, service=CHECKOUT, environment=PRODUCTION, title="It burns", url="https://i/1"
)
RESOLVED = replace(OPEN, state=IncidentState.RESOLVED, service=None, environment=None)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Controls]:
    async with open_controls(tmp_path) as opened:
        opened.set(rules=(*opened.catalog.rules, MAY))
        yield opened


def use(world: Controls) -> Incidents:
    return Incidents(
        ledger=world.ledger,
        deployments=world.store.deployments,
        catalogs=world,
        locks=world.store.locks,
        notices=world.store.notices,
        gatekeeper=world.gatekeeper,
        locking=world.locking,
        account="incident",
    )


class Silent:
    """A noticeboard that is away: whoever tells it something dies over it."""

    async def add(self, notice: Notice) -> None:
        raise StoreError("away")


async def test_what_is_put_is_linked_to_the_incident_and_told_in_the_channel(world: Controls) -> None:
    told = await use(world).take(OPEN)
    (lock,) = await world.locking.current()
    assert told.lock == lock
    assert (lock.incident, lock.reason, lock.scope, lock.until) == ("INC-42", "Incident INC-42: It burns", THERE, None)
    assert lock.owner == service_account("incident")
    (notice,) = await world.told(NoticeKind.LOCKED)
    assert (notice.to, notice.facts["link"]) == (f"channel:{world.catalog.channel}", "https://i/1")
    await use(world).take(RESOLVED)
    assert await world.locking.current() == []
    assert world.woken == ["checkout@production"]
    assert len(await world.told(NoticeKind.UNLOCKED)) == 1
    assert (await world.acts())[-2:] == ["lock.placed", "lock.lifted"]


async def test_who_dies_over_telling_it_tells_it_when_it_comes_again(world: Controls) -> None:
    silent = replace(use(world), notices=cast("Notices", Silent()))
    for incident, kind in ((OPEN, NoticeKind.LOCKED), (RESOLVED, NoticeKind.UNLOCKED)):
        with pytest.raises(StoreError):
            await silent.take(incident)
        assert await world.told(kind) == []
        for _ in "12":
            assert (await use(world).take(incident)).changed is False
        assert len(await world.told(kind)) == 1


async def test_a_lock_that_somebody_took_over_is_theirs(world: Controls) -> None:
    lock = (await use(world).take(OPEN)).lock
    assert lock is not None
    await world.locking.take_over(lock.id, requester=member(GRACE), reason="I roll it back")
    again = await use(world).take(OPEN)
    assert (again.locked, again.changed, again.sentence) == (
        True,
        False,
        "Grace has taken the lock of checkout@production over.",
    )
    assert (await use(world).take(RESOLVED)).changed is False
    assert [one.owner for one in await world.locking.current()] == [GRACE]
    await world.locking.unlock_one(lock.id, requester=member(GRACE))
    assert (await use(world).take(OPEN)).locked is False


async def test_it_never_lifts_what_a_person_locked_under_the_incidents_name(world: Controls) -> None:
    await world.locking.lock(scope=THERE, requester=member(ADA), reason="Incident INC-42", incident="INC-42")
    assert (await use(world).take(RESOLVED)).changed is False
    assert (await use(world).take(OPEN)).changed is True
    await use(world).take(RESOLVED)
    assert [one.owner for one in await world.locking.current()] == [ADA]


async def test_what_the_catalog_does_not_have_is_named_with_what_is_near(world: Controls) -> None:
    with pytest.raises(UnknownService) as service:
        await use(world).take(replace(OPEN, service="chekout"))
    assert service.value.suggestions == ("checkout",)
    with pytest.raises(UnknownEnvironment) as environment:
        await use(world).take(replace(OPEN, environment="prodution"))
    assert environment.value.suggestions == ("production",)
    assert await world.locking.current() == []


async def test_without_a_row_or_past_a_deny_nothing_is_locked(world: Controls) -> None:
    deny = replace(MAY, role="never", effect=Effect.DENY, services=("web",))
    for rules in ((OWNERS,), (OWNERS, replace(MAY, environments=("staging",)))):
        world.set(rules=rules)
        with pytest.raises(NotAuthorized):
            await use(world).take(OPEN)
    world.set(rules=(MAY, deny))
    with pytest.raises(NotAuthorized, match="never denies lock of web"):
        await use(world).take(replace(OPEN, service=None, environment=None))
    assert (await use(world).take(OPEN)).changed is True
    # What was put while it might, stays when it may not any more: a person lifts it.
    world.set(rules=(OWNERS,))
    with pytest.raises(NotAuthorized):
        await use(world).take(RESOLVED)
    assert len(await world.locking.current()) == 1


async def test_there_is_an_end_to_how_many_there_can_be(world: Controls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incidents, "MOST", 3)
    for number in range(3):
        await use(world).take(replace(OPEN, id=f"INC-{number}"))
    with pytest.raises(RequestRefused, match="There are 3 locks for incidents already"):
        await use(world).take(OPEN)
    assert (await use(world).take(replace(OPEN, id="INC-0"))).changed is False
    await use(world).take(replace(RESOLVED, id="INC-0"))
    assert (await use(world).take(OPEN)).changed is True


async def test_everything_at_once_takes_the_right_everywhere(world: Controls) -> None:
    told = await use(world).take(replace(OPEN, service=None, environment=None))
    assert told.lock is not None
    assert told.lock.scope == EVERYTHING


def test_a_title_is_one_line_of_what_can_be_read() -> None:
    assert replace(OPEN, title=" a\n\tb\x00\u202ec  ").reason == "Incident INC-42: a b c"
    assert replace(OPEN, title=" \n ").reason == "Incident INC-42"
    assert len(replace(OPEN, title="x" * 5_000).reason) == len("Incident INC-42: ") + 200
