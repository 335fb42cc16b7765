"""The last question before a target is changed, and what becomes of a change that is on its way when it is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from unit.engine.simulation.outside import STAGING, Weather

from bot.domain.deployment import Resolution
from bot.domain.lifecycle import Phase
from bot.domain.policy.scope import Scope
from bot.engine.permits import WRITE_WITHIN, WRITING, ClosedError

if TYPE_CHECKING:
    from unit.conftest import Happens
    from unit.engine.simulation.hands import Hands


async def held(hands: Hands) -> list[str]:
    """The permits that are out now."""
    return list(await hands.world.store.leases.held(WRITING, at=hands.world.now()))


async def freeze_and_restart(hands: Hands) -> None:
    """The replica that died over a change starts anew, and meanwhile somebody has stopped the line."""
    hands.via = "b"
    frozen = await hands.freeze(scope=Scope(environment=STAGING))
    assert [one.number for one in frozen.writing] == [1]
    hands.via = "a"
    await hands.replica.start()


def test_a_change_is_made_within_a_permit_and_it_is_given_back(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        out: list[str] = []

        async def look() -> None:
            out.extend(await held(hands))

        hands.meanwhile("before target.change", look)
        one = await hands.until(await hands.deploy("v1", "staging"), Phase.VERIFYING)
        assert len(out) == 1
        assert one.id in out[0]
        assert await held(hands) == []

    happens(story)


def test_a_freeze_that_comes_after_the_permit_was_taken_is_seen(happens: Happens) -> None:
    """Whoever freezes writes first and looks for permits then: what has a permit already sees the freeze."""

    async def story(hands: Hands) -> None:
        freezing = []

        async def freeze() -> None:
            freezing.append(hands.replica.act(hands.engine.freezing.freeze(
                scope=Scope(environment=STAGING), requester=hands.who("Linus"), reason="stop"
            )))  # fmt: skip
            await hands.wait(0.5)

        hands.meanwhile("after permit", freeze)
        one = await hands.until(await hands.deploy("v1", "staging"), Phase.HELD)
        frozen = await freezing[0]
        assert (frozen.writing, hands.changes(environment="staging")) == ([], [])
        assert one.hold is not None
        assert one.hold.gate == "freeze"
        assert (one.previous_recorded, one.handle) == (False, None)
        await hands.unfreeze(scope=Scope(environment=STAGING))
        await hands.do(hands.engine.admission.start(one.id, requester=hands.who("Ada")))
        done = await hands.until(one, Phase.SUCCEEDED)
        assert done.times_queued == 2
        assert done.previous is not None
        assert done.previous.release.version == "v0"

    happens(story)


def test_who_freezes_waits_for_what_has_its_permit(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        changed: list[int] = []

        async def freeze() -> None:
            hands.replica.act(froze())

        async def froze() -> None:
            frozen = await hands.engine.freezing.freeze(
                scope=Scope(environment=STAGING), requester=hands.who("Linus"), reason="stop"
            )
            changed.append(len(hands.changes(environment="staging")))
            assert frozen.writing == []
            assert [one.number for one in frozen.under_way] == [1]

        hands.meanwhile("before target.change", freeze)
        await hands.until(await hands.deploy("v1", "staging"), Phase.SUCCEEDED)
        assert changed == [1]

    happens(story)


def test_a_lock_that_is_there_before_the_permit_holds_it(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        hands.meanwhile("before permit", lambda: hands.lock(scope=Scope(environment=STAGING)))
        one = await hands.until(await hands.deploy("v1", "staging"), Phase.HELD)
        assert one.hold is not None
        assert one.hold.gate == "lock"
        assert hands.changes(environment="staging") == []

    happens(story)


def test_an_approval_that_is_void_at_the_last_moment_is_asked_for_anew(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        async def reload() -> None:
            hands.world.outside.configure()

        hands.meanwhile("before permit", reload)
        one = await hands.approved("v1")
        again = await hands.been(one, Phase.AWAITING_APPROVAL, times=2)
        assert hands.changes() == []
        assert "Grace" in again.note
        await hands.approve(again, by="Hedy")
        await hands.until(one, Phase.SUCCEEDED)

    happens(story)


def test_who_is_not_known_at_the_last_moment_is_waited_for(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        async def forget() -> None:
            hands.world.outside.people.unknown.add("Ada")
            hands.world.watch.remember()

        hands.meanwhile("before permit", forget)
        one = await hands.until(await hands.deploy("v1", "staging"), Phase.HELD)
        assert one.hold is not None
        assert one.hold.resumes
        hands.world.outside.people.unknown.clear()
        hands.world.watch.remember()
        await hands.until(one, Phase.SUCCEEDED)

    happens(story)


def test_refused_after_a_crash_what_was_begun_is_followed_to_its_end(happens: Happens) -> None:
    """The change was made, its journal entry was not: a freeze in between does not make two halves of it."""

    async def story(hands: Hands) -> None:
        hands.replica.life.dies(at="after target.change", after=0)
        one = await hands.deploy("v1", "staging")
        await hands.until(one, Phase.DEPLOYING)
        await hands.wait(2)
        assert not hands.replica.life.alive
        assert len(hands.changes(environment="staging")) == 1
        await freeze_and_restart(hands)
        done = await hands.until(one, Phase.SUCCEEDED)
        assert hands.changes(environment="staging") == [f"{one.id}-apply-1"]
        assert done.handle is not None

    happens(story, replicas=2)


def test_what_a_dead_replica_had_sent_is_waited_for_before_it_is_taken_for_unmade(happens: Happens) -> None:
    """A request outlives its sender: to look at once and find nothing would set the place free for others."""

    async def story(hands: Hands) -> None:
        hands.world.weather = Weather(slow=1.0)
        hands.world.random.uniform = lambda low, high: high  # type: ignore[method-assign]  # the longest that it takes
        one = await hands.until(await hands.deploy("v1", "staging"), Phase.DEPLOYING)
        await hands.wait(2)
        hands.replica.kill()
        assert hands.changes(environment="staging") == []
        await freeze_and_restart(hands)
        done = await hands.until(one, Phase.SUCCEEDED)
        assert hands.changes(environment="staging") == [f"{one.id}-apply-1"]
        assert done.reached(Phase.HELD) is None

    happens(story, replicas=2)


def test_refused_after_a_crash_that_came_before_the_change_it_is_held(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        hands.replica.life.dies(at="before target.change", after=0)
        one = await hands.until(await hands.deploy("v1", "staging"), Phase.DEPLOYING)
        await hands.wait(2)
        await freeze_and_restart(hands)
        found = await hands.until(one, Phase.HELD)
        assert hands.changes(environment="staging") == []
        assert found.hold is not None
        assert found.hold.gate == "freeze"

    happens(story, replicas=2)


def test_refused_and_nobody_can_tell_whether_it_was_begun_asks_a_person(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        hands.replica.life.dies(at="after target.change", after=0)
        one = await hands.until(await hands.deploy("v1", "staging"), Phase.DEPLOYING)
        await hands.wait(2)
        hands.world.weather = Weather(dark=True)
        await freeze_and_restart(hands)
        found = await hands.until(one, Phase.NEEDS_ATTENTION)
        assert "It cannot be told whether the change was begun." in found.note
        assert (await hands.world.store.deployments.holder(one.scope)) is not None
        hands.world.weather = Weather()
        await hands.do(hands.engine.requests.resolve(one.id, Resolution.ROLL_BACK, requester=hands.who("Ada")))
        await hands.until(one, Phase.FAILED)
        assert hands.place(environment="staging").running is not None

    happens(story, replicas=2)


def test_refused_when_it_is_tried_again_asks_a_person(happens: Happens) -> None:
    """An earlier try may have left something behind, so it cannot just be held and give the place to others."""

    async def story(hands: Hands) -> None:
        hands.world.weather = Weather(silent=1.0)
        one = await hands.until(await hands.deploy("v1", "staging"), Phase.NEEDS_ATTENTION)
        hands.world.weather = Weather()
        await hands.freeze(scope=Scope(environment=STAGING))
        await hands.do(hands.engine.requests.resolve(one.id, Resolution.RETRY, requester=hands.who("Ada")))
        again = await hands.been(one, Phase.NEEDS_ATTENTION, times=2)
        assert "It was not tried again." in again.note
        assert [name for name in hands.changes(environment="staging") if name.endswith("-2")] == []

    happens(story)


def test_a_change_that_takes_too_long_asks_a_person_and_keeps_its_permit_until_it_runs_out(happens: Happens) -> None:
    """What was sent may still arrive: whoever freezes now is told that a change is on its way."""

    async def story(hands: Hands) -> None:
        world = hands.world
        world.random.uniform = lambda low, high: high  # type: ignore[method-assign]  # the longest that it takes
        world.weather = Weather(slow=1.0)
        one = await hands.until(await hands.deploy("v1", "staging"), Phase.NEEDS_ATTENTION)
        assert "may or may not have taken the change" in one.note
        began = one.reached(Phase.DEPLOYING)
        assert began is not None
        assert one.since - began.at >= timedelta(seconds=WRITE_WITHIN)
        frozen = await hands.freeze(scope=Scope(environment=STAGING))
        assert [found.number for found in frozen.writing] == [1]
        await hands.wait(20)
        assert await held(hands) == []

    happens(story)


def test_two_never_have_a_permit_for_one_deployment(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.until(await hands.deploy("v1", "staging"), Phase.DEPLOYING)
        inside: list[str] = []

        async def enter(name: str) -> None:
            async with hands.world.replicas[name].engine.durable.steps.rollout.permits.forward(one.id, 1):
                inside.append(name)
                assert len(inside) == 1
                await hands.wait(1)
                inside.remove(name)

        await hands.wait(0.5)
        if (await hands.now(one)).phase is Phase.DEPLOYING:
            both = [hands.world.replicas[name].act(enter(name)) for name in ("a", "b")]
            for entered in both:
                await entered
        await hands.until(one, Phase.SUCCEEDED)

    happens(story, replicas=2)


def test_no_permit_for_what_does_not_have_its_place(happens: Happens) -> None:
    """A replica that was taken for dead wakes up: what it was about to do is not its business any more."""

    async def story(hands: Hands) -> None:
        one = await hands.until(await hands.deploy("v1", "staging"), Phase.SUCCEEDED)
        permits = hands.engine.durable.steps.rollout.permits

        async def enter() -> None:
            async with permits.forward(one.id, 1):
                raise AssertionError("it was let in")

        with pytest.raises(ClosedError):
            await hands.do(enter())
        assert await held(hands) == []

    happens(story)
