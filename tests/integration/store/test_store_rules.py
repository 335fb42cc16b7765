"""Locks, freezes, ballots and schedules: one of two wins, nothing is done twice, and everything is in the audit."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from store_samples import ADA, GRACE, NOON, actors, anything, deployment, instants, plain, requested, store
from store_wire import CutWire

from bot.domain.actor import Actor, Door
from bot.domain.audit import Deed
from bot.domain.errors import NothingToDo, SomebodyWasFaster, StoreError, UnknownDeployment
from bot.domain.ids import DeploymentId, EnvironmentName, ServiceName
from bot.domain.policy.approval import Ballot
from bot.domain.policy.freeze import Freeze
from bot.domain.policy.lock import ChangeType, LockLevel, StickyLock
from bot.domain.policy.scope import EVERYTHING, Scope
from bot.store.audit import StoredAudit
from bot.store.ballots import StoredBallots
from bot.store.deployments import StoredDeployments
from bot.store.engine import Database
from bot.store.freezes import StoredFreezes
from bot.store.locks import StoredLocks
from bot.store.migrations import migrate
from bot.store.schedules import StoredSchedules

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncConnection

HOUR = timedelta(hours=1)
PRODUCTION = Scope(environment=EnvironmentName("production"))
LINUS = Actor(workspace="T1", id="U0LINUS", name="Linus")
NOTHING = DeploymentId("d0nothing")


@pytest.fixture
def locks(database: Database) -> StoredLocks:
    return StoredLocks(database)


@pytest.fixture
def freezes(database: Database) -> StoredFreezes:
    return StoredFreezes(database)


@pytest.fixture
def ballots(database: Database) -> StoredBallots:
    return StoredBallots(database)


@pytest.fixture
def schedules(database: Database) -> StoredSchedules:
    return StoredSchedules(database)


@pytest.fixture
def audit(database: Database) -> StoredAudit:
    return StoredAudit(database)


def lock(name: str = "l1", **changes: Any) -> StickyLock:
    made = StickyLock(id=name, scope=PRODUCTION, reason="the database moves", owner=ADA, at=NOON)
    return replace(made, **changes)


def freeze(name: str = "f1", **changes: Any) -> Freeze:
    return replace(Freeze(id=name, scope=EVERYTHING, reason="incident 7", by=ADA, at=NOON), **changes)


def ballot(actor: Actor = GRACE, *, approve: bool = True, subject: str = "s1", reason: str = "") -> Ballot:
    return Ballot(actor=actor, approve=approve, at=NOON, subject_hash=subject, reason=reason)


def deed(actor: Actor = GRACE, *, hours: float = 1, reason: str = "because") -> Deed:
    return Deed(actor=actor, at=NOON + hours * HOUR, reason=reason, door=Door.BUTTON, rule="role leads")


async def acts(audit: StoredAudit) -> list[tuple[str, str, str]]:
    """What the audit says was done, by whom and why; the chain must be whole."""
    assert (await audit.verify()).ok
    rows = [json.loads(line) async for piece in audit.export(format="jsonl") for line in piece.splitlines()]
    return [(row["act"], row["actor_name"].split()[0], row["reason"]) for row in rows]


async def outcomes(*calls: Any) -> tuple[list[Any], list[BaseException]]:
    """What these, all at once, returned and raised."""
    found = await asyncio.gather(*calls, return_exceptions=True)
    raised = [one for one in found if isinstance(one, BaseException)]
    return [one for one in found if not isinstance(one, BaseException)], raised


scopes = st.builds(
    Scope,
    service=st.none() | plain.filter(lambda name: "@" not in name and name != "*").map(ServiceName),
    environment=st.none() | plain.filter(lambda name: "@" not in name and name != "*").map(EnvironmentName),
)


class TestLocks:
    async def test_one_is_put_and_lifted(self, locks: StoredLocks, freezes: StoredFreezes, audit: StoredAudit) -> None:
        assert await locks.place(lock()) == lock()
        assert await locks.current(at=NOON) == [lock()]
        assert await freezes.epoch() == 1
        assert await locks.lift("l1", deed=deed()) == lock()
        assert await locks.current(at=NOON) == []
        assert await freezes.epoch() == 2
        assert await acts(audit) == [("lock.placed", "Ada", "the database moves"), ("lock.lifted", "Grace", "because")]

    async def test_of_two_who_lock_the_second_is_told_of_the_first(
        self, locks: StoredLocks, freezes: StoredFreezes, audit: StoredAudit
    ) -> None:
        calls = (locks.place(lock(f"l{n}", owner=replace(ADA, id=f"U{n}"))) for n in range(20))
        placed, refused = await outcomes(*calls)
        assert len(placed) == 1
        assert {str(error) for error in refused} == {"production is locked by Ada Lovelace: the database moves."}
        assert all(isinstance(error, SomebodyWasFaster) for error in refused)
        assert (await freezes.epoch(), len(await acts(audit))) == (1, 1)

    async def test_what_does_not_stand_in_the_way(self, locks: StoredLocks) -> None:
        others = [
            lock("l1"),
            lock("l2", change_type=ChangeType.MIGRATION),
            lock("l3", level=LockLevel.WARN),
            lock("l4", automatic=True, hard=True),
            lock("l5", scope=Scope(environment=PRODUCTION.environment, service=ServiceName("checkout"))),
        ]
        for one in others:
            await locks.place(one)
        assert await locks.current(at=NOON) == others

    async def test_the_same_lock_again_changes_nothing(
        self, locks: StoredLocks, freezes: StoredFreezes, audit: StoredAudit
    ) -> None:
        first, *rest = await asyncio.gather(*(locks.place(lock()) for _ in range(10)))
        assert all(one == first for one in rest)
        assert (await freezes.epoch(), len(await acts(audit))) == (1, 1)

    async def test_one_that_is_over_is_in_nobodys_way(self, locks: StoredLocks, audit: StoredAudit) -> None:
        old = lock(until=NOON + HOUR)
        await locks.place(old)
        assert await locks.current(at=NOON + HOUR - timedelta(seconds=1)) == [old]
        assert await locks.current(at=NOON + HOUR) == []
        new = lock("l2", owner=GRACE, at=NOON + 2 * HOUR)
        await locks.place(new)
        assert await locks.current(at=NOON + 2 * HOUR) == [new]
        assert [act for act, *_ in await acts(audit)] == ["lock.placed", "lock.expired", "lock.placed"]
        with pytest.raises(NothingToDo, match="ended by itself"):
            await locks.lift("l1", deed=deed())

    async def test_each_end_is_told_once(self, locks: StoredLocks, audit: StoredAudit) -> None:
        ending = [lock(f"l{n}", scope=Scope(service=ServiceName(f"s{n}")), until=NOON + n * HOUR) for n in (1, 2, 3)]
        for one in ending:
            await locks.place(one)
        found = await asyncio.gather(*(locks.expire(at=NOON + 2 * HOUR) for _ in range(5)))
        assert sorted((one for told in found for one in told), key=lambda one: one.id) == ending[:2]
        assert [one for one in await acts(audit) if one[0] == "lock.expired"] == [
            ("lock.expired", "Deployment", "")
        ] * 2

    async def test_of_two_who_lift_one_does(self, locks: StoredLocks, audit: StoredAudit) -> None:
        await locks.place(lock())
        people = [replace(GRACE, id=f"U{n}") for n in range(10)]
        lifted, refused = await outcomes(*(locks.lift("l1", deed=deed(one)) for one in people))
        assert len(lifted) == 1
        assert {str(error) for error in refused} == {"Grace Hopper has lifted that lock already."}
        assert len(await acts(audit)) == 2
        with pytest.raises(NothingToDo, match="no such lock"):
            await locks.lift("l9", deed=deed())

    async def test_it_is_kept_longer(self, locks: StoredLocks, audit: StoredAudit) -> None:
        await locks.place(lock(until=NOON + 2 * HOUR))
        kept = await locks.extend("l1", longer=2 * HOUR, deed=deed(ADA))
        assert (kept.until, kept.nags_at) == (NOON + 3 * HOUR, NOON + 3 * HOUR)
        assert await locks.current(at=NOON) == [kept]
        assert await locks.extend("l1", longer=2 * HOUR, deed=deed(ADA)) == kept
        assert [act for act, *_ in await acts(audit)] == ["lock.placed", "lock.extended"]
        with pytest.raises(NothingToDo, match="ended by itself"):
            await locks.extend("l1", longer=HOUR, deed=deed(ADA, hours=3))

    async def test_it_is_taken_over(self, locks: StoredLocks, freezes: StoredFreezes, audit: StoredAudit) -> None:
        await locks.place(lock())
        mine = await locks.take_over("l1", deed=deed(GRACE, reason="Ada is away"))
        assert (mine.owner, mine.reason, mine.at) == (GRACE, "Ada is away", NOON + HOUR)
        assert await locks.current(at=NOON) == [mine]
        assert await freezes.epoch() == 2
        assert (await acts(audit))[-1] == ("lock.taken_over", "Grace", "Ada is away")
        await locks.lift("l1", deed=deed())
        with pytest.raises(NothingToDo, match="Grace Hopper has lifted"):
            await locks.take_over("l1", deed=deed(LINUS))

    async def test_of_two_who_take_it_from_its_owner_one_does(self, locks: StoredLocks, audit: StoredAudit) -> None:
        await locks.place(lock())
        takes = [deed(who, reason=who.name) for who in (GRACE, LINUS)]
        taken, refused = await outcomes(*(locks.take_over("l1", deed=one, owner=ADA) for one in takes))
        assert (len(taken), len(refused)) == (1, 1)
        assert isinstance(refused[0], SomebodyWasFaster)
        assert str(refused[0]).startswith(f"{taken[0].owner.name} has taken that lock over meanwhile")
        assert taken[0].taken_from == ADA
        assert await locks.current(at=NOON) == taken
        own = next(one for one in takes if one.actor == taken[0].owner)
        assert await locks.take_over("l1", deed=own, owner=ADA) == taken[0]
        assert [act for act, *_ in await acts(audit)] == ["lock.placed", "lock.taken_over"]

    async def test_what_ended_is_told_with_who_ended_it(self, locks: StoredLocks) -> None:
        await locks.place(lock("l1", until=NOON + HOUR))
        await locks.place(lock("l2", change_type=ChangeType.CONFIG))
        await locks.place(lock("l3", change_type=ChangeType.MIGRATION))
        await locks.lift("l2", deed=deed(GRACE, hours=2))
        assert [(one.id, by) for one, by in await locks.ended(since=NOON)] == [("l2", GRACE)]
        await locks.expire(at=NOON + 3 * HOUR)
        ended = await locks.ended(since=NOON)
        assert [(one.id, one.until, by) for one, by in ended] == [
            ("l1", NOON + HOUR, None),
            ("l2", NOON + 2 * HOUR, GRACE),
        ]
        assert [one.id for one, _ in await locks.ended(since=NOON + 2 * HOUR)] == ["l2"]

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        made=st.builds(
            StickyLock,
            id=st.just(""),
            scope=scopes,
            change_type=st.sampled_from(ChangeType),
            level=st.sampled_from(LockLevel),
            reason=anything,
            owner=actors,
            at=instants,
            hard=st.booleans(),
            pause=st.booleans(),
            incident=st.none() | anything,
            automatic=st.booleans(),
            kept_until=st.none() | instants,
            taken_from=st.none() | actors,
        )
    )
    async def test_it_comes_back_as_it_was(self, locks: StoredLocks, made: StickyLock) -> None:
        made = replace(made, id=str(uuid4()))  # the same example may come again
        await locks.place(made)
        assert await locks.current(at=NOON) == [made]
        await locks.lift(made.id, deed=deed())


class TestFreezes:
    async def test_one_is_put_and_lifted(self, freezes: StoredFreezes, audit: StoredAudit) -> None:
        assert await freezes.epoch() == 0
        assert await freezes.place(freeze()) == freeze()
        assert await freezes.place(freeze()) == freeze()
        assert (await freezes.current(at=NOON), await freezes.epoch()) == ([freeze()], 1)
        lifted, refused = await outcomes(*(freezes.lift("f1", deed=deed(one)) for one in (GRACE, LINUS)))
        assert (len(lifted), len(refused)) == (1, 1)
        assert "has lifted that freeze already" in str(refused[0])
        assert (await freezes.current(at=NOON), await freezes.epoch()) == ([], 2)
        assert [act for act, *_ in await acts(audit)] == ["freeze.placed", "freeze.lifted"]
        with pytest.raises(NothingToDo, match="no such freeze"):
            await freezes.lift("f9", deed=deed())

    async def test_what_ended_is_told_with_who_ended_it(self, freezes: StoredFreezes) -> None:
        for one in (freeze("f1", until=NOON + HOUR), freeze("f2"), freeze("f3")):
            await freezes.place(one)
        await freezes.lift("f2", deed=deed(GRACE, hours=2))
        await freezes.expire(at=NOON + 3 * HOUR)
        ended = await freezes.ended(since=NOON)
        assert [(one.id, one.until, by) for one, by in ended] == [
            ("f1", NOON + HOUR, None),
            ("f2", NOON + 2 * HOUR, GRACE),
        ]
        assert [one.id for one, _ in await freezes.ended(since=NOON + 2 * HOUR)] == ["f2"]

    async def test_they_end_by_themselves_and_are_told_once(self, freezes: StoredFreezes, audit: StoredAudit) -> None:
        ending = freeze(until=NOON + HOUR)
        await freezes.place(ending)
        await freezes.place(freeze("f2", scope=PRODUCTION, at=NOON + 5 * HOUR))
        assert [one.id for one in await freezes.current(at=NOON)] == ["f1", "f2"]
        assert [one.id for one in await freezes.current(at=NOON + HOUR)] == ["f2"]
        found = await asyncio.gather(*(freezes.expire(at=NOON + HOUR) for _ in range(5)))
        assert [one for told in found for one in told] == [ending]
        assert [act for act, *_ in await acts(audit)] == ["freeze.placed", "freeze.placed", "freeze.expired"]
        with pytest.raises(NothingToDo, match="ended by itself"):
            await freezes.lift("f1", deed=deed())

    async def test_every_change_raises_the_epoch_once(self, freezes: StoredFreezes, locks: StoredLocks) -> None:
        many = [freezes.place(freeze(f"f{n}")) for n in range(20)]
        many += [locks.place(lock(f"l{n}", scope=Scope(service=ServiceName(f"s{n}")))) for n in range(20)]  # type: ignore[misc]  # both are awaited
        await asyncio.gather(*many)
        assert await freezes.epoch() == 40

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(made=st.builds(Freeze, id=st.just(""), scope=scopes, reason=anything, by=actors, at=instants))
    async def test_it_comes_back_as_it_was(self, freezes: StoredFreezes, made: Freeze) -> None:
        made = replace(made, id=str(uuid4()))  # the same example may come again
        await freezes.place(made)
        assert await freezes.current(at=NOON) == [made]
        await freezes.lift(made.id, deed=deed())


class TestBallots:
    async def test_the_same_word_counts_once(
        self, deployments: StoredDeployments, ballots: StoredBallots, audit: StoredAudit
    ) -> None:
        made = await store(deployments)
        cast = await asyncio.gather(*(ballots.cast(made.id, ballot()) for _ in range(10)))
        assert set(cast) == {ballot()}
        await ballots.cast(made.id, ballot(LINUS))
        await ballots.cast(made.id, ballot(subject="s2"))
        assert await ballots.of(made.id) == [ballot(), ballot(LINUS), ballot(subject="s2")]
        assert [act for act, *_ in await acts(audit)][1:] == ["ballot.approved"] * 3

    async def test_who_changes_their_mind_has_one_word(
        self, deployments: StoredDeployments, ballots: StoredBallots, audit: StoredAudit
    ) -> None:
        made = await store(deployments)
        await ballots.cast(made.id, ballot())
        no = ballot(approve=False, reason="the tax is wrong")
        assert await ballots.cast(made.id, no) == no
        assert await ballots.of(made.id) == [no]
        assert (await acts(audit))[-1] == ("ballot.rejected", "Grace", "the tax is wrong")
        both = await asyncio.gather(*(ballots.cast(made.id, ballot(approve=bool(n % 2))) for n in range(10)))
        assert len(both) == 10
        assert len(await ballots.of(made.id)) == 1

    async def test_they_are_made_void(
        self, deployments: StoredDeployments, ballots: StoredBallots, audit: StoredAudit
    ) -> None:
        made, other = await store(deployments), await store(deployments)
        for one in (ballot(), ballot(LINUS), ballot(subject="s2")):
            await ballots.cast(made.id, one)
        await ballots.cast(other.id, ballot())
        assert await ballots.void(made.id, deed=deed(GRACE), person=GRACE, subject_hash="s1") == [ballot()]
        assert await ballots.void(made.id, deed=deed(GRACE), person=GRACE, subject_hash="s1") == []
        assert await ballots.of(made.id) == [ballot(LINUS), ballot(subject="s2")]
        assert len(await ballots.void(made.id, deed=deed(reason="the plan changed"))) == 2
        assert (await ballots.of(made.id), len(await ballots.of(other.id))) == ([], 1)
        await ballots.cast(made.id, ballot())  # and may be cast anew
        assert await ballots.of(made.id) == [ballot()]
        assert [act for act, *_ in await acts(audit)].count("ballot.voided") == 3

    async def test_for_a_deployment_that_is_not_there(self, ballots: StoredBallots, audit: StoredAudit) -> None:
        with pytest.raises(UnknownDeployment):
            await ballots.cast(NOTHING, ballot())
        assert await acts(audit) == []

    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        made=st.builds(
            Ballot,
            actor=actors,
            approve=st.booleans(),
            reason=anything,
            at=instants,
            subject_hash=plain,
            linked=st.frozensets(anything, max_size=3),
        )
    )
    async def test_one_comes_back_as_it_was(
        self, deployments: StoredDeployments, ballots: StoredBallots, made: Ballot
    ) -> None:
        made = replace(made, actor=replace(made.actor, workspace="T1"))  # a part of the key: as Slack writes it
        of = await store(deployments)
        await ballots.cast(of.id, made)
        assert await ballots.of(of.id) == [made]


class TestSchedules:
    async def test_a_time_is_set_comes_and_is_over(
        self, deployments: StoredDeployments, schedules: StoredSchedules, audit: StoredAudit
    ) -> None:
        made = await store(deployments)
        due, expires = NOON + HOUR, NOON + 2 * HOUR
        one = await schedules.set(made.id, at=due, expires=expires, deed=deed(ADA))
        assert await schedules.set(made.id, at=due, expires=expires, deed=deed(ADA)) == one
        with pytest.raises(SomebodyWasFaster, match="Ada Lovelace has given it a time"):
            await schedules.set(made.id, at=due + HOUR, expires=expires + HOUR, deed=deed())
        assert await schedules.due(before=due - timedelta(seconds=1)) == []
        assert await schedules.due(before=due) == [one] == await schedules.all()
        assert await schedules.of(made.id) == one
        fired = await asyncio.gather(*(schedules.close(made.id, deed=deed(LINUS, hours=n)) for n in range(5)))
        assert fired.count(True) == 1
        assert (await schedules.due(before=expires), await schedules.of(made.id)) == ([], None)
        with pytest.raises(NothingToDo, match="has fired already"):
            await schedules.cancel(made.id, deed=deed())
        # And once more, for one that was held back when it came.
        again = await schedules.set(made.id, at=due + HOUR, expires=expires + HOUR, deed=deed())
        assert again.version == 3
        assert not await schedules.close(made.id, deed=deed(hours=8), version=1), "that was the time before"
        assert await schedules.of(made.id) == again
        assert await schedules.close(made.id, deed=deed(hours=9), expired=True, version=3)
        assert [act for act, *_ in await acts(audit)][1:] == [
            "schedule.set",
            "schedule.fired",
            "schedule.set",
            "schedule.expired",
        ]

    async def test_it_is_moved_by_who_saw_it_as_it_is(
        self, deployments: StoredDeployments, schedules: StoredSchedules, audit: StoredAudit
    ) -> None:
        made = await store(deployments)
        await schedules.set(made.id, at=NOON, expires=NOON + HOUR, deed=deed(ADA))
        calls = [
            schedules.move(made.id, at=NOON + n * HOUR, expires=NOON + 9 * HOUR, deed=deed(), version=1)
            for n in range(1, 6)
        ]
        moved, refused = await outcomes(*calls)
        assert (len(moved), len(refused)) == (1, 4)
        assert {str(error) for error in refused} == {"Grace Hopper has moved it meanwhile."}
        assert await schedules.of(made.id) == moved[0]
        assert [act for act, *_ in await acts(audit)][1:] == ["schedule.set", "schedule.moved"]

    async def test_it_is_cancelled_once(
        self, deployments: StoredDeployments, schedules: StoredSchedules, audit: StoredAudit
    ) -> None:
        made = await store(deployments)
        await schedules.set(made.id, at=NOON, expires=NOON + HOUR, deed=deed(ADA))
        with pytest.raises(SomebodyWasFaster):
            await schedules.cancel(made.id, deed=deed(), version=7)
        cancelled, refused = await outcomes(*(schedules.cancel(made.id, deed=deed(who)) for who in (GRACE, LINUS)))
        assert (len(cancelled), len(refused)) == (1, 1)
        assert "has cancelled it already" in str(refused[0])
        assert not await schedules.close(made.id, deed=deed(hours=3))
        for act in (schedules.cancel(NOTHING, deed=deed()), schedules.close(NOTHING, deed=deed())):
            with pytest.raises(UnknownDeployment):
                await act
        with pytest.raises(NothingToDo, match="waits for no time"):
            await schedules.cancel((await store(deployments)).id, deed=deed())

    async def test_a_time_that_cannot_be_met_is_refused(
        self, deployments: StoredDeployments, schedules: StoredSchedules
    ) -> None:
        made = await store(deployments)
        with pytest.raises(ValueError, match="expire after"):
            await schedules.set(made.id, at=NOON, expires=NOON, deed=deed())

    async def test_they_come_in_order(self, deployments: StoredDeployments, schedules: StoredSchedules) -> None:
        made = [await store(deployments) for _ in range(5)]
        for n, one in enumerate(made):
            await schedules.set(one.id, at=NOON - n * HOUR, expires=NOON + HOUR, deed=deed())
        assert [one.deployment for one in await schedules.all()] == [one.id for one in reversed(made)]
        assert [one.deployment for one in await schedules.due(before=NOON, limit=2)] == [made[4].id, made[3].id]


class TestWhenTheDatabaseFails:
    @pytest.mark.parametrize("what", ["lock", "freeze", "ballot", "schedule"])
    async def test_what_cannot_be_audited_is_not_done(self, database: Database, what: str) -> None:
        deployments = StoredDeployments(database)
        made = await store(deployments)

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(text("DELETE FROM audit_head"))

        await database.write(work)
        locks, freezes = StoredLocks(database), StoredFreezes(database)
        ballots, schedules = StoredBallots(database), StoredSchedules(database)
        calls: dict[str, Callable[[], Any]] = {
            "lock": lambda: locks.place(lock()),
            "freeze": lambda: freezes.place(freeze()),
            "ballot": lambda: ballots.cast(made.id, ballot()),
            "schedule": lambda: schedules.set(made.id, at=NOON, expires=NOON + HOUR, deed=deed()),
        }
        with pytest.raises(StoreError, match="nothing was changed"):
            await calls[what]()
        assert await locks.current(at=NOON) == []
        assert await freezes.current(at=NOON) == []
        assert await ballots.of(made.id) == []
        assert await schedules.all() == []
        assert await freezes.epoch() == 0

    @pytest.mark.postgres
    @pytest.mark.parametrize("arrives", [True, False], ids=["written", "lost"])
    async def test_a_connection_that_breaks_in_a_commit_does_nothing_twice(
        self, postgres_url: str, arrives: bool
    ) -> None:
        async with CutWire(postgres_url) as wire, await Database.open(wire.url) as database:
            await migrate(database)
            made = deployment()
            await StoredDeployments(database).add(made, event=requested(made))
            locks, freezes, audit = StoredLocks(database), StoredFreezes(database), StoredAudit(database)
            ballots, schedules = StoredBallots(database), StoredSchedules(database)
            later: dict[str, Any] = {"at": NOON + HOUR, "expires": NOON + 2 * HOUR}
            calls: list[Callable[[], Any]] = [
                lambda: locks.place(lock()),
                lambda: locks.extend("l1", longer=9 * HOUR, deed=deed()),
                lambda: locks.take_over("l1", deed=deed()),
                lambda: locks.lift("l1", deed=deed()),
                lambda: freezes.place(freeze()),
                lambda: freezes.lift("f1", deed=deed()),
                lambda: ballots.cast(made.id, ballot()),
                lambda: ballots.void(made.id, deed=deed()),
                lambda: schedules.set(made.id, at=NOON, expires=NOON + HOUR, deed=deed()),
                lambda: schedules.move(made.id, **later, deed=deed(), version=1),
                lambda: schedules.cancel(made.id, deed=deed(), version=2),
            ]
            for call in calls:
                wire.cut_next_commit(arrives=arrives)
                await call()
            assert wire.cuts == len(calls)
            assert [act for act, *_ in await acts(audit)][1:] == [
                "lock.placed",
                "lock.extended",
                "lock.taken_over",
                "lock.lifted",
                "freeze.placed",
                "freeze.lifted",
                "ballot.approved",
                "ballot.voided",
                "schedule.set",
                "schedule.moved",
                "schedule.cancelled",
            ]
