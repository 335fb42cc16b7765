"""Deployments: numbers, compare-and-swap, acts that happen once, taking back, and every question asked of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from store_samples import (
    ADA,
    CHECKOUT,
    GRACE,
    NOON,
    SCOPE,
    STAGING,
    deployment,
    moved,
    requested,
    store,
)

from bot.domain.actor import BOT
from bot.domain.deployment import Deployment, Moment, Request
from bot.domain.dora import figures
from bot.domain.errors import InvalidTransition, SomebodyWasFaster, StoreError, UnknownDeployment
from bot.domain.history import Event
from bot.domain.ids import DeploymentId, EnvironmentName, LockScope, ServiceName
from bot.domain.lifecycle import Phase
from bot.store.deployments import StoredDeployments
from bot.store.engine import Database

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bot.domain.actor import Actor

P = Phase
RUNS = (P.QUEUED, P.DEPLOYING)
SUCCEEDS = (P.QUEUED, P.DEPLOYING, P.VERIFYING, P.SUCCEEDED)


def noted(after: Deployment, key: str) -> Event:
    return Event(deployment=after.id, key=key, kind="noted", actor=BOT, at=NOON)


def named(key: str) -> Callable[[Deployment, Deployment], Event]:
    return lambda _, after: noted(after, key)


def aborts(who: Actor) -> Callable[[Deployment], Deployment]:
    return lambda now: now.ask(Request(actor=who, at=NOON))


def roll_back(now: Deployment) -> Deployment:
    return now.advance(P.ROLLING_BACK, actor=GRACE, at=NOON)


class TestAdd:
    async def test_numbers_are_dense_however_many_come_at_once(self, deployments: StoredDeployments) -> None:
        made = [deployment() for _ in range(100)]
        added = await asyncio.gather(*(deployments.add(one, event=requested(one)) for one in made))
        assert sorted(one.number for one in added) == list(range(1, 101))
        assert [one.number for one in await deployments.active()] == list(range(1, 101))
        assert {one.id for one in added} == {one.id for one in made}

    async def test_events_are_in_the_order_of_numbers(self, deployments: StoredDeployments) -> None:
        made = [deployment() for _ in range(40)]
        added = await asyncio.gather(*(deployments.add(one, event=requested(one)) for one in made))
        sequences = [(await deployments.events(one.id))[0].sequence for one in sorted(added, key=lambda d: d.number)]
        assert sequences == sorted(sequences)

    async def test_the_same_act_is_one_deployment(self, deployments: StoredDeployments) -> None:
        made = [deployment(origin="slack:once") for _ in range(20)]
        added = await asyncio.gather(*(deployments.add(one, event=requested(one)) for one in made))
        assert len({one.id for one in added}) == 1
        assert [one.number for one in await deployments.active()] == [1]
        other = deployment()
        assert (await deployments.add(other, event=requested(other))).number == 2

    async def test_a_repeated_step_finds_what_it_stored(self, deployments: StoredDeployments) -> None:
        made = deployment()
        first = await deployments.add(made, event=requested(made))
        await deployments.update(made.id, lambda now: now.advance(P.QUEUED, actor=BOT, at=NOON))
        again = await deployments.add(made, event=requested(made))
        assert (again.number, again.phase) == (first.number, P.QUEUED)
        assert len(await deployments.events(made.id)) == 1

    async def test_an_id_is_not_given_twice(self, deployments: StoredDeployments) -> None:
        made = await store(deployments)
        with pytest.raises(StoreError, match="another deployment"):
            await deployments.add(replace(made, origin="another"), event=requested(made))
        assert (await store(deployments)).number == 2

    async def test_a_value_that_fits_nowhere_is_refused(self, deployments: StoredDeployments) -> None:
        made = deployment(origin="\ud800")
        with pytest.raises(StoreError, match="refused a value"):
            await deployments.add(made, event=requested(made))
        assert (await store(deployments)).number == 1


class TestTakingBack:
    async def test_both_happen(self, deployments: StoredDeployments) -> None:
        past = await store(deployments, *SUCCEEDS)
        made = deployment(rollback_of=past.id)
        record = noted(past, "taken back")
        await deployments.add(
            made, event=requested(made), taking_back=past.id, change=roll_back, taking_back_event=record
        )
        assert (await deployments.get(past.id)).phase is P.ROLLING_BACK
        assert [event.key for event in await deployments.events(past.id)][-1] == "taken back"
        assert (await deployments.get(made.id)).rollback_of == past.id

    async def test_or_neither(self, deployments: StoredDeployments) -> None:
        past = await store(deployments, P.QUEUED)
        made = deployment(rollback_of=past.id)
        with pytest.raises(InvalidTransition):
            await deployments.add(made, event=requested(made), taking_back=past.id, change=roll_back)
        with pytest.raises(UnknownDeployment):
            await deployments.get(made.id)
        assert await deployments.get(past.id) == past
        assert await deployments.events(made.id) == []
        assert (await store(deployments)).number == past.number + 1

    async def test_what_is_not_there_cannot_be_taken_back(self, deployments: StoredDeployments) -> None:
        made = deployment()
        with pytest.raises(UnknownDeployment):
            await deployments.add(made, event=requested(made), taking_back=DeploymentId("nowhere"), change=roll_back)
        assert await deployments.active() == []

    async def test_of_many_at_once_one_wins(self, deployments: StoredDeployments) -> None:
        past = await store(deployments, *SUCCEEDS)
        made = [deployment(rollback_of=past.id) for _ in range(20)]
        outcomes = await asyncio.gather(
            *(deployments.add(one, event=requested(one), taking_back=past.id, change=roll_back) for one in made),
            return_exceptions=True,
        )
        won = [outcome for outcome in outcomes if isinstance(outcome, Deployment)]
        assert len(won) == 1
        assert sum(isinstance(outcome, InvalidTransition) for outcome in outcomes) == 19
        assert [one.id for one in await deployments.active()] == [won[0].id]
        assert won[0].number == past.number + 1

    async def test_the_same_act_takes_back_once(self, deployments: StoredDeployments) -> None:
        past = await store(deployments, *SUCCEEDS)
        made = deployment(rollback_of=past.id)
        for _ in range(2):
            await deployments.add(made, event=requested(made), taking_back=past.id, change=roll_back)
        assert (await deployments.get(past.id)).version == past.version + 1


class TestUpdate:
    async def test_a_transition_and_its_event_are_stored_together(self, deployments: StoredDeployments) -> None:
        made = await store(deployments)
        after = await deployments.update(
            made.id, lambda now: now.advance(P.QUEUED, actor=ADA, at=NOON, note="Planned."), event=moved
        )
        assert after == await deployments.get(made.id)
        assert (after.phase, after.version, after.note) == (P.QUEUED, 2, "Planned.")
        event = (await deployments.events(made.id))[-1]
        assert (event.kind, event.before, event.after) == ("moved", P.REQUESTED, P.QUEUED)

    async def test_a_hundred_writers_are_all_applied_once(self, deployments: StoredDeployments) -> None:
        made = await store(deployments)

        def change(now: Deployment) -> Deployment:
            return replace(now, view=now.view + 1, note=now.note + "x")

        await asyncio.gather(*(deployments.update(made.id, change, event=named(f"n{n}")) for n in range(100)))
        after = await deployments.get(made.id)
        assert (after.view, after.note) == (made.view + 100, "x" * 100)
        assert {event.key for event in await deployments.events(made.id)} == {
            "requested",
            *(f"n{n}" for n in range(100)),
        }

    async def test_writers_of_several_replicas_are_all_applied_once(
        self, database_url: str, deployments: StoredDeployments
    ) -> None:
        made = await store(deployments)
        others = [await Database.open(database_url) for _ in range(3)]
        try:
            replicas = [deployments, *(StoredDeployments(other) for other in others)]
            await asyncio.gather(*(replicas[n % 4].update(made.id, lambda now: now.touch()) for n in range(80)))
        finally:
            for other in others:
                await other.close()
        assert (await deployments.get(made.id)).view == made.view + 80

    async def test_an_act_with_a_key_happens_once(self, deployments: StoredDeployments) -> None:
        made = await store(deployments)
        calls = []

        def change(now: Deployment) -> Deployment:
            calls.append(now.view)
            return now.touch()

        outcomes = await asyncio.gather(
            *(
                deployments.update(made.id, change, event=lambda _, after: noted(after, "act"), key="act")
                for _ in range(30)
            )
        )
        assert {outcome.view for outcome in outcomes} == {made.view + 1}
        assert (await deployments.get(made.id)).view == made.view + 1
        before = len(calls)
        await deployments.update(made.id, change, key="act")
        assert len(calls) == before

    async def test_a_key_without_an_event_is_remembered_too(self, deployments: StoredDeployments) -> None:
        made = await store(deployments)
        for _ in range(3):
            await deployments.update(made.id, lambda now: now.touch(), key="told")
        assert (await deployments.get(made.id)).view == made.view + 1
        assert [event.key for event in await deployments.events(made.id)] == ["requested", "told"]

    async def test_an_event_of_a_known_key_changes_nothing(self, deployments: StoredDeployments) -> None:
        made = await store(deployments)
        for _ in range(3):
            await deployments.update(made.id, lambda now: now.touch(), event=lambda _, after: noted(after, "act"))
        assert (await deployments.get(made.id)).view == made.view + 1

    async def test_what_the_change_raises_is_passed_on(self, deployments: StoredDeployments) -> None:
        made = await store(deployments, *RUNS)

        def refuse(_: Deployment) -> Deployment:
            raise SomebodyWasFaster("Grace was first.")

        def stumble(_: Deployment) -> Deployment:
            # Looks like what the database's driver raises, and is none of its business.
            raise FileNotFoundError("elsewhere")

        with pytest.raises(SomebodyWasFaster, match="Grace was first"):
            await deployments.update(made.id, refuse, event=moved, key="abort")
        with pytest.raises(FileNotFoundError):
            await deployments.update(made.id, stumble, event=moved, key="abort")
        assert await deployments.get(made.id) == made
        assert "abort" not in {event.key for event in await deployments.events(made.id)}

    async def test_an_equal_deployment_is_not_written(self, deployments: StoredDeployments) -> None:
        made = await store(deployments)
        assert await deployments.update(made.id, lambda now: replace(now), event=moved, key="nothing") == made
        assert len(await deployments.events(made.id)) == 1

    async def test_a_change_that_nobody_could_see_is_a_mistake(self, deployments: StoredDeployments) -> None:
        made = await store(deployments)
        with pytest.raises(ValueError, match="raise its view"):
            await deployments.update(made.id, lambda now: replace(now, note="hidden"))

    async def test_of_two_aborts_one_is_obeyed(self, deployments: StoredDeployments) -> None:
        made = await store(deployments, *RUNS)
        outcomes = await asyncio.gather(
            *(deployments.update(made.id, aborts(who)) for who in (ADA, GRACE)),
            return_exceptions=True,
        )
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Deployment", "SomebodyWasFaster"]

    async def test_a_cancelled_update_leaves_all_or_nothing(self, deployments: StoredDeployments) -> None:
        made = await store(deployments)

        async def interrupted(n: int) -> None:
            update = asyncio.ensure_future(
                deployments.update(made.id, lambda now: now.touch(), event=lambda _, d: noted(d, f"n{n}"))
            )
            for _ in range(n):
                await asyncio.sleep(0)
            update.cancel()
            await asyncio.gather(update, return_exceptions=True)

        for n in range(40):
            await interrupted(n)
        after = await deployments.update(made.id, lambda now: now.touch())
        assert after.view - made.view == len(await deployments.events(made.id))

    async def test_what_is_not_there_is_named(self, deployments: StoredDeployments) -> None:
        nowhere = DeploymentId("nowhere")
        with pytest.raises(UnknownDeployment, match="nowhere"):
            await deployments.update(nowhere, lambda now: now.touch())
        with pytest.raises(UnknownDeployment, match="nowhere"):
            await deployments.get(nowhere)
        for number in (0, -1, 99, 2**63, 10**30):
            with pytest.raises(UnknownDeployment, match=f"#{number}"):
                await deployments.by_number(number)


class TestQuestions:
    async def test_the_queue_has_rollbacks_first_then_numbers(self, deployments: StoredDeployments) -> None:
        past = await store(deployments, *SUCCEEDS)
        first = await store(deployments, P.QUEUED)
        second = await store(deployments, P.QUEUED)
        urgent = await store(deployments, P.QUEUED, rollback_of=past.id)
        await store(deployments)
        await store(deployments, *RUNS)
        await store(deployments, P.QUEUED, scope=LockScope("elsewhere"))
        assert [one.id for one in await deployments.queue(SCOPE)] == [urgent.id, first.id, second.id]

    async def test_who_is_hurried_goes_after_the_rollbacks_and_before_the_others(
        self, deployments: StoredDeployments
    ) -> None:
        past = await store(deployments, *SUCCEEDS)
        first, second, third = [await store(deployments, P.QUEUED) for _ in range(3)]
        urgent = await store(deployments, P.QUEUED, rollback_of=past.id)

        def hurry(now: Deployment) -> Deployment:
            return replace(now, hurried=not now.hurried, version=now.version + 1, view=now.view + 1)

        await deployments.update(third.id, hurry)
        assert [one.id for one in await deployments.queue(SCOPE)] == [urgent.id, third.id, first.id, second.id]
        await deployments.update(third.id, hurry)
        assert [one.id for one in await deployments.queue(SCOPE)] == [urgent.id, first.id, second.id, third.id]

    async def test_those_that_wait_in_a_place_are_of_exactly_that_place(self, deployments: StoredDeployments) -> None:
        ways = ((P.AWAITING_APPROVAL,), (P.SCHEDULED,), (P.HELD,), (P.QUEUED,))
        waiting = [await store(deployments, *way) for way in ways]
        for way in ((), RUNS, SUCCEEDS, (P.ABORTED,), (*RUNS, P.NEEDS_ATTENTION)):
            await store(deployments, *way)
        # The scope is shared, the place is not.
        elsewhere = await store(deployments, P.HELD, environment=EnvironmentName("production"))
        other = await store(deployments, P.HELD, service=ServiceName("payments"))
        assert await deployments.waiting(CHECKOUT, STAGING) == waiting
        assert await deployments.waiting(ServiceName("payments"), STAGING) == [other]
        assert await deployments.waiting(ServiceName("nobody"), STAGING) == []
        assert await deployments.held() == [waiting[2], elsewhere, other]

    async def test_what_ended_in_a_period_is_what_its_figures_need(self, deployments: StoredDeployments) -> None:
        day = timedelta(days=1)

        async def run(*phases: Phase, begins: float, **changes: Any) -> Deployment:
            """One whose phases come a day after each other."""
            asked = Moment(phase=P.REQUESTED, at=NOON + begins * day, actor=ADA)
            found = await store(deployments, timeline=(asked,), **changes)
            for n, phase in enumerate(phases, 1):
                at = NOON + (begins + n) * day

                def change(now: Deployment, to: Phase = phase, at: datetime = at) -> Deployment:
                    return now.advance(to, actor=BOT, at=at)

                found = await deployments.update(found.id, change, event=moved)
            return found

        taken_back = (*SUCCEEDS, P.ROLLING_BACK, P.ROLLED_BACK)
        began_before = await run(*SUCCEEDS, begins=-2)
        on_the_border = await run(*SUCCEEDS, begins=-4)
        asked_back = await run(*taken_back, begins=-4.5)
        restored_after = await run(*taken_back, begins=2.5)
        failed = await run(*RUNS, P.FAILED, begins=5)
        rollback = await run(*SUCCEEDS, begins=4, rollback_of=began_before.id)
        aborted = await run(P.QUEUED, P.ABORTED, begins=1)
        other = await run(*SUCCEEDS, begins=1, service=ServiceName("payments"))
        production = await run(*SUCCEEDS, begins=2, environment=EnvironmentName("production"))
        for way, begins in ((SUCCEEDS, -9.0), (SUCCEEDS, 6.0), (taken_back, -9.0), (taken_back, 6.0), (RUNS, 1.0)):
            await run(*way, begins=begins)
        everything: dict[str, Any] = {"since": NOON, "until": NOON + 10 * day}

        async def ended(**which: Any) -> list[int]:
            return [one.number for one in await deployments.ended(**everything, **which)]

        here = [began_before, on_the_border, asked_back, restored_after, failed, rollback, aborted]
        assert await ended() == [one.number for one in (*here, other, production)]
        assert await ended(service=ServiceName("payments")) == [other.number]
        assert await ended(environment=STAGING) == [one.number for one in (*here, other)]
        assert await ended(service=CHECKOUT, environment=EnvironmentName("production")) == [production.number]
        # The figures are those that somebody who has read the whole past comes to.
        past = await deployments.history(CHECKOUT, None, limit=99)
        for since, until in ((0, 10), (0, 1), (3, 4), (6, 7), (-9, 30)):
            period: dict[str, Any] = {"since": NOON + since * day, "until": NOON + until * day}
            some = await deployments.ended(**period, service=CHECKOUT)
            assert figures(some, **period) == figures(past, **period)
        assert len(await deployments.ended(since=NOON, until=NOON + timedelta(microseconds=1))) == 1
        assert on_the_border.finished_at == NOON

    async def test_being_planned_looks_at_earlier_requests_only(self, deployments: StoredDeployments) -> None:
        await store(deployments, P.QUEUED)
        planned = await store(deployments)
        await store(deployments, scope=LockScope("elsewhere"))
        assert not await deployments.being_planned(SCOPE, before=planned.number)
        assert await deployments.being_planned(SCOPE, before=planned.number + 1)

    @pytest.mark.parametrize("phase", [phase for phase in P if phase.holds_lock])
    async def test_the_holder_is_who_has_the_scope(self, deployments: StoredDeployments, phase: Phase) -> None:
        await store(deployments, P.QUEUED)
        await store(deployments, *SUCCEEDS)
        assert await deployments.holder(SCOPE) is None
        way = RUNS if phase is P.DEPLOYING else (*RUNS, phase)
        holder = await store(deployments, *way)
        assert await deployments.holder(SCOPE) == holder
        assert await deployments.holder(LockScope("elsewhere")) is None

    async def test_a_turn_knows_what_it_claimed(self, deployments: StoredDeployments) -> None:
        assert await deployments.of_turn("turn-1") is None
        made = await store(deployments)
        await store(deployments)
        claimed = await deployments.update(made.id, lambda now: now.evolve(turn="turn-1"))
        assert await deployments.of_turn("turn-1") == claimed

    async def test_active_is_what_is_not_over(self, deployments: StoredDeployments) -> None:
        waiting = await store(deployments)
        await store(deployments, *SUCCEEDS)
        await store(deployments, P.ABORTED)
        stuck = await store(deployments, *RUNS, P.NEEDS_ATTENTION)
        assert [one.id for one in await deployments.active()] == [waiting.id, stuck.id]

    async def test_history_comes_in_pages_that_fit_together(self, deployments: StoredDeployments) -> None:
        production = EnvironmentName("production")
        for n in range(12):
            await store(deployments, environment=STAGING if n % 3 else production)
        await store(deployments, service=ServiceName("payments"))
        everything = [one.number for one in await deployments.history(CHECKOUT, None, limit=50)]
        assert everything == list(range(12, 0, -1))
        assert [one.number for one in await deployments.history(CHECKOUT, production, limit=50)] == [10, 7, 4, 1]
        pages: list[int] = []
        before = None
        while page := await deployments.history(CHECKOUT, None, limit=5, before=before):
            pages += [one.number for one in page]
            before = page[-1].number
        assert pages == everything
        assert await deployments.history(ServiceName("nobody"), None, limit=5) == []
