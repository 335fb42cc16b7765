"""The way to the queue: times, holds and whatever closes on the way. One bot, a real database, a clock tests turn."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from unit.engine.simulation.outside import PRODUCTION, STAGING, catalog, release

from bot.domain.catalog import QueuePolicy
from bot.domain.errors import Blocked, InvalidTransition, NoRollback, NotAuthorized
from bot.domain.lifecycle import Phase
from bot.domain.policy.scope import Scope

if TYPE_CHECKING:
    from unit.conftest import Happens
    from unit.engine.simulation.hands import Hands

IN_STAGING = Scope(environment=STAGING)
IN_PRODUCTION = Scope(environment=PRODUCTION)


def test_it_waits_for_its_time_and_then_starts(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.until(await hands.deploy("v1", "staging", after=120), Phase.SCHEDULED)
        schedule = await hands.world.store.schedules.of(one.id)
        assert schedule is not None
        assert one.wish is not None
        assert schedule.at == one.wish.at
        await hands.wait(110)
        assert hands.changes(environment="staging") == []
        done = await hands.until(one, Phase.SUCCEEDED)
        queued = done.reached(Phase.QUEUED)
        assert queued is not None
        assert timedelta() <= queued.at - schedule.at < timedelta(seconds=10)
        assert await hands.world.store.schedules.all() == []

    happens(story)


def test_what_is_too_late_expires_and_never_starts_late(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.until(await hands.deploy("v1", "staging", after=120, good_for=3600), Phase.SCHEDULED)
        await hands.later(minutes=62)
        done = await hands.until(one, Phase.EXPIRED)
        assert done.note == "Its time had passed before it could start; nothing was changed."
        assert hands.changes(environment="staging") == []
        assert await hands.world.store.schedules.all() == []

    happens(story)


def test_what_came_due_while_nobody_was_there_starts_if_it_is_not_too_late(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        early = await hands.until(await hands.deploy("v1", "staging", after=120, good_for=3600), Phase.SCHEDULED)
        late = await hands.until(
            await hands.deploy("v1", "staging", service="search", after=120, good_for=60), Phase.SCHEDULED
        )
        hands.replica.kill()
        await hands.world.jump(timedelta(minutes=30))
        await hands.replica.start()
        await hands.until(early, Phase.SUCCEEDED)
        await hands.until(late, Phase.EXPIRED)

    happens(story)


def test_two_replicas_and_a_repetition_start_it_once(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.until(await hands.deploy("v1", "staging", after=20), Phase.SCHEDULED)
        await hands.until(one, Phase.QUEUED, Phase.DEPLOYING)
        for replica in hands.world.replicas.values():
            await replica.act(replica.engine.durable.fire(one.id, 1))
        done = await hands.until(one, Phase.SUCCEEDED)
        assert done.times_queued == 1
        assert hands.changes(environment="staging") == [f"{one.id}-apply-1"]
        assert sum(row.name == "due" for row in hands.world.journal.rows.values()) == 1

    happens(story, replicas=2, haste=0.5)


def test_a_moved_time_counts_and_the_old_one_comes_to_nothing(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.until(await hands.deploy("v1", "staging", after=60), Phase.SCHEDULED)
        later = hands.world.now() + timedelta(seconds=300)
        moved = await hands.do(hands.engine.scheduling.move(one.id, at=later, requester=hands.who("Ada"), version=1))
        assert moved.version == 2
        assert await hands.do(hands.engine.admission.fire(one.id, 1)) is False
        await hands.wait(200)
        assert (await hands.now(one)).phase is Phase.SCHEDULED
        done = await hands.until(one, Phase.SUCCEEDED)
        queued = done.reached(Phase.QUEUED)
        assert queued is not None
        assert queued.at >= later
        assert done.wish is not None
        assert done.wish.at == later

    happens(story)


def test_fired_before_its_time_nothing_happens(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.until(await hands.deploy("v1", "staging", after=60), Phase.SCHEDULED)
        await hands.do(hands.engine.admission.fire(one.id, 7))
        assert (await hands.now(one)).phase is Phase.SCHEDULED
        assert await hands.world.store.schedules.of(one.id) is not None
        await hands.until(one, Phase.SUCCEEDED)

    happens(story)


def test_to_abort_it_takes_its_time_away(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.until(await hands.deploy("v1", "staging", after=60), Phase.SCHEDULED)
        await hands.do(hands.engine.requests.abort(one.id, requester=hands.who("Ada")))
        assert await hands.world.store.schedules.all() == []
        await hands.wait(90)
        assert (await hands.now(one)).phase is Phase.ABORTED
        assert hands.changes(environment="staging") == []

    happens(story)


def test_it_is_approved_before_its_time_and_asked_anew_if_something_changed(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.approved("v1", after=120)
        await hands.until(one, Phase.SCHEDULED)
        other = await hands.approved("v1", service="search", after=120)
        await hands.until(other, Phase.SCHEDULED)
        hands.place("search").change_outside(release("search", "v3"))
        await hands.until(one, Phase.SUCCEEDED, within=200)
        asked = await hands.been(other, Phase.AWAITING_APPROVAL, times=2)
        assert asked.note == "Grace's approval does not count any more: the plan has changed."
        assert hands.changes("search") == []
        await hands.approve(asked)
        await hands.until(other, Phase.SUCCEEDED)

    happens(story)


def test_an_approval_that_comes_after_its_time_was_over_starts_nothing(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.awaited("v1", after=60, good_for=60)
        await hands.world.jump(timedelta(minutes=5))
        await hands.approve(one)
        done = await hands.until(one, Phase.EXPIRED)
        assert "Its time had passed" in done.note
        assert hands.changes() == []

    happens(story)


def test_a_freeze_holds_what_waits_and_a_person_starts_it_again(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        first = await hands.deploy("v1", "staging")
        await hands.until(first, Phase.DEPLOYING)
        second = await hands.deploy("v2", "staging")
        await hands.until(second, Phase.QUEUED)
        await hands.freeze()
        await hands.until(first, Phase.SUCCEEDED)
        held = await hands.until(second, Phase.HELD)
        assert held.hold is not None
        assert (held.hold.gate, held.hold.resumes, held.turn) == ("freeze", False, None)
        assert held.note == "Everything is frozen by Linus: stop"
        with pytest.raises(Blocked, match="frozen by Linus"):
            await hands.do(hands.engine.admission.start(second.id, requester=hands.who("Ada")))
        lifted = await hands.unfreeze()
        assert [one.number for one in lifted.held] == [2]
        await hands.wait(90)
        assert (await hands.now(second)).phase is Phase.HELD
        with pytest.raises(NotAuthorized):
            await hands.do(hands.engine.admission.start(second.id, requester=hands.who("Mallory")))
        await hands.do(hands.engine.admission.start(second.id, requester=hands.who("Ada")))
        await hands.until(second, Phase.SUCCEEDED)
        with pytest.raises(InvalidTransition, match="there is nothing to start"):
            await hands.do(hands.engine.admission.start(second.id, requester=hands.who("Ada")))

    happens(story)


def test_a_lock_that_one_waits_for_lets_it_go_on_by_itself(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        await hands.lock(scope=IN_STAGING)
        with pytest.raises(Blocked, match="locked by Linus"):
            await hands.deploy("v1", "staging")
        one = await hands.until(await hands.deploy("v1", "staging", waits=True), Phase.HELD)
        assert one.hold is not None
        assert (one.hold.gate, one.hold.resumes) == ("lock", True)
        await hands.wait(60)
        assert (await hands.now(one)).phase is Phase.HELD
        await hands.unlock(scope=IN_STAGING)
        await hands.until(one, Phase.SUCCEEDED)

    happens(story)


def test_to_start_what_a_lock_holds_is_to_wait_for_it(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        first = await hands.deploy("v1", "staging")
        await hands.until(first, Phase.DEPLOYING)
        second = await hands.until(await hands.deploy("v2", "staging"), Phase.QUEUED)
        await hands.lock(scope=IN_STAGING)
        held = await hands.until(second, Phase.HELD)
        assert held.hold is not None
        assert not held.hold.resumes
        started = await hands.do(hands.engine.admission.start(second.id, requester=hands.who("Ada")))
        assert started.phase is Phase.HELD
        assert started.hold is not None
        assert started.hold.resumes
        await hands.unlock(scope=IN_STAGING)
        await hands.until(second, Phase.SUCCEEDED)

    happens(story)


def test_a_lock_that_ends_by_itself_lets_go_on_what_waits_for_it(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        until = hands.world.now() + timedelta(minutes=10)
        await hands.lock(scope=IN_STAGING, until=until)
        one = await hands.until(await hands.deploy("v1", "staging", waits=True), Phase.HELD)
        assert one.hold is not None
        assert one.hold.until == until
        await hands.later(minutes=10)
        await hands.until(one, Phase.SUCCEEDED)

    happens(story)


def test_nobody_starting_it_for_a_day_expires_it(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        await hands.lock(scope=IN_STAGING)
        one = await hands.until(await hands.deploy("v1", "staging", waits=True), Phase.HELD)
        await hands.later(hours=23, minutes=50)
        assert (await hands.now(one)).phase is Phase.HELD
        await hands.later(minutes=10)
        done = await hands.until(one, Phase.EXPIRED)
        assert done.note.startswith("It was held too long.")

    happens(story)


def test_to_be_held_again_does_not_begin_the_day_anew(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        await hands.lock(scope=IN_STAGING)
        one = await hands.until(await hands.deploy("v1", "staging", waits=True), Phase.HELD)
        assert one.hold is not None
        expires = one.hold.expires
        await hands.later(hours=20)
        await hands.lock(by="Grace", scope=Scope(service=one.service))
        await hands.unlock(scope=IN_STAGING)
        await hands.wait(40)
        held = await hands.now(one)
        assert held.hold is not None
        assert "Grace" in held.hold.sentence
        assert held.hold.expires == expires

    happens(story)


def test_who_is_kept_does_not_keep_those_behind_it(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        running = await hands.until(await hands.deploy("v1", "staging"), Phase.DEPLOYING)
        kept = await hands.until(await hands.deploy("v2", "staging", by="Ada"), Phase.QUEUED)
        goes = await hands.until(await hands.deploy("v3", "staging", by="Hedy"), Phase.QUEUED)
        hands.world.outside.people.unknown.add("Ada")
        hands.world.watch.remember()
        await hands.until(running, Phase.SUCCEEDED)
        await hands.until(goes, Phase.SUCCEEDED)
        held = await hands.now(kept)
        assert held.phase is Phase.HELD
        assert hands.changes(environment="staging") == [f"{running.id}-apply-1", f"{goes.id}-apply-1"]

    happens(story)


def test_not_to_know_who_asked_holds_it_until_it_is_known_again(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.deploy("v1", "staging")
        hands.world.outside.people.unknown.add("Ada")
        hands.world.watch.remember()
        held = await hands.until(one, Phase.HELD)
        assert held.hold is not None
        assert (held.hold.gate, held.hold.resumes) == ("access", True)
        assert "Not to know is a no." in held.hold.sentence
        await hands.wait(60)
        assert (await hands.now(one)).phase is Phase.HELD
        hands.world.outside.people.unknown.clear()
        hands.world.watch.remember()
        await hands.until(one, Phase.SUCCEEDED)

    happens(story)


def test_an_artifact_that_is_gone_by_then_holds_it(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        first = await hands.until(await hands.deploy("v1", "staging"), Phase.DEPLOYING)
        second = await hands.until(await hands.deploy("v2", "staging"), Phase.QUEUED)
        hands.world.outside.lost.add(second.release.artifact.digest)
        held = await hands.until(second, Phase.HELD)
        assert held.hold is not None
        assert held.hold.gate == "artifact"
        await hands.until(first, Phase.SUCCEEDED)
        with pytest.raises(Blocked, match="#2 cannot go on: The artifact of v2"):
            await hands.do(hands.engine.admission.start(second.id, requester=hands.who("Ada")))
        hands.world.outside.lost.clear()
        await hands.do(hands.engine.admission.start(second.id, requester=hands.who("Ada")))
        await hands.until(second, Phase.SUCCEEDED)

    happens(story)


def test_a_place_that_is_gone_from_the_configuration_holds_it(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.until(await hands.deploy("v1", "staging", after=30), Phase.SCHEDULED)
        now = hands.world.outside.catalogs.now
        services = {name: service for name, service in now.services.items() if name != "checkout"}
        hands.world.outside.catalogs.reload(replace(now, revision="r2", services=services))
        held = await hands.until(one, Phase.HELD)
        assert held.hold is not None
        assert held.hold.gate == "configuration"
        assert hands.changes(environment="staging") == []

    happens(story)


def test_the_newest_takes_the_place_of_what_waits(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        running = await hands.until(await hands.deploy("v1", "staging"), Phase.DEPLOYING)
        older = await hands.until(await hands.deploy("v2", "staging"), Phase.QUEUED)
        newest = await hands.until(await hands.deploy("v3", "staging"), Phase.QUEUED)
        gone = await hands.until(older, Phase.SUPERSEDED)
        assert gone.note == "Superseded by #3."
        await hands.until(running, Phase.SUCCEEDED)
        await hands.until(newest, Phase.SUCCEEDED)
        assert [name.split("-")[0] for name in hands.changes(environment="staging")] == [running.id, newest.id]

    happens(story, configuration=catalog(queue=QueuePolicy.NEWEST))


def test_a_rollback_passes_freezes_approval_and_the_queue(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        await hands.until(await hands.approved("v1"), Phase.SUCCEEDED)
        second = await hands.until(await hands.approved("v2"), Phase.SUCCEEDED)
        running = await hands.until(await hands.approved("v3", force=True), Phase.DEPLOYING)
        waits = await hands.until(await hands.approved("v1", by="Hedy"), Phase.AWAITING_APPROVAL, Phase.QUEUED)
        await hands.freeze()
        back = await hands.do(hands.engine.requests.roll_back(second.id, requester=hands.who("Ada"), origin="b1"))
        done = await hands.until(back, Phase.SUCCEEDED)
        assert done.release.version == "v1"
        assert (await hands.now(running)).phase is Phase.SUCCEEDED
        assert (await hands.now(waits)).phase in {Phase.AWAITING_APPROVAL, Phase.HELD}

    happens(story)


def test_while_a_change_is_under_way_nobody_takes_back_what_it_replaces(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        async def asked() -> NoRollback:
            back = hands.engine.requests.roll_back_place("checkout", "staging", requester=hands.who("Ada"), origin="b1")
            with pytest.raises(NoRollback) as refusal:
                await hands.do(back)
            return refusal.value

        assert "was never deployed from here" in (await asked()).message
        running = await hands.until(await hands.deploy("v1", "staging"), Phase.DEPLOYING)
        refusal = await asked()
        assert "#1, checkout v1, is deploying in staging just now" in refusal.message
        assert "`/deploy abort #1` stops it" in (refusal.hint or "")
        await hands.until(running, Phase.SUCCEEDED)
        running = await hands.until(await hands.deploy("v2", "staging"), Phase.DEPLOYING)
        refusal = await asked()
        assert "a rollback would take back v1, which it replaces" in refusal.message
        assert "brings v1 back" in (refusal.hint or "")
        await hands.until(running, Phase.SUCCEEDED)

    happens(story)


def test_who_rolls_back_twice_leaves_one_lock_and_both_are_rolled_back(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        first = await hands.until(await hands.deploy("v1", "staging"), Phase.SUCCEEDED)
        second = await hands.until(await hands.deploy("v2", "staging"), Phase.SUCCEEDED)
        third = await hands.until(await hands.deploy("v3", "staging"), Phase.SUCCEEDED)
        back, ada = hands.engine.requests.roll_back, hands.who("Ada")
        to_second = await hands.until(await hands.do(back(third.id, requester=ada, origin="b1")), Phase.SUCCEEDED)
        await hands.until(third, Phase.ROLLED_BACK)
        # What was rolled back to is taken back too, while the lock of the first time is still there.
        await hands.until(await hands.do(back(to_second.id, requester=ada, origin="b2")), Phase.SUCCEEDED)
        await hands.until(to_second, Phase.ROLLED_BACK)
        [left] = [lock for lock in await hands.engine.locking.current() if lock.automatic]
        assert left.reason == f"#{to_second.number} rolled back v3 (#{third.number})"
        assert [(await hands.now(one)).phase for one in (first, second)] == [Phase.SUCCEEDED] * 2

    happens(story)


def test_what_is_asked_for_is_found_by_whoever_starts_next_if_its_replica_dies_over_it(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        hands.replica.life.dies(at="before d00000001:intake is started", after=0)
        hands.replica.act(hands.engine.requests.deploy(hands.order("v1", "staging")))
        await hands.wait(5)
        assert [one.phase for one in hands.world.watch.active()] == [Phase.REQUESTED]
        await hands.replica.start()
        await hands.until(await hands.world.get(1), Phase.SUCCEEDED)

    happens(story)
