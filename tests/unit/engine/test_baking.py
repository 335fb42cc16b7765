"""The time after a success: what fails its checks then is rolled back once, by itself, or people are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from canary_world import CHECKOUT, ERRORS, PRODUCTION, Canaries, play, story
from unit.engine.simulation.outside import release

from bot.domain.analysis.countdown import CountdownState
from bot.domain.lifecycle import Phase
from bot.domain.strategy.kinds import Step

if TYPE_CHECKING:
    from bot.domain.deployment import Deployment

QUICK = (Step(weight=20, bake=5),)


async def _serving(w: Canaries, version: str = "v2", **more: Any) -> Deployment:
    one = await w.deploy(version, **more)
    return await w.when(one, lambda row: row.phase is Phase.SUCCEEDED)


async def _back(w: Canaries, one: Deployment) -> Deployment:
    return await w.when(one, lambda row: row.phase is Phase.ROLLED_BACK)


@story(steps=QUICK, bake=60)
async def test_a_release_that_fails_afterwards_is_rolled_back_once(w: Canaries) -> None:
    one = await _serving(w)
    w.numbers.shares["v2"] = 0.3
    counted = await w.counting(one)
    assert counted.countdown is not None
    await _back(w, one)
    assert w.site.whats()[-2:] == ["promote", "apply"]
    assert (w.site.made[-1].at - counted.countdown.deadline).total_seconds() < 1
    assert w.site.stable is not None
    assert w.site.stable.version == "v1"
    w.numbers.shares["v1"] = 0.9
    await w.hands.wait(120)
    assert w.site.whats().count("apply") == 1
    history = await w.store.deployments.history(CHECKOUT, PRODUCTION, limit=9)
    assert [row.is_rollback for row in history] == [True, False]
    assert history[0].requester.name != "Ada"


@story(bake=60)
async def test_so_is_one_that_came_in_one_go(w: Canaries) -> None:
    one = await _serving(w, strategy="rolling")
    w.numbers.shares["v2"] = 0.3
    await w.counting(one)
    await _back(w, one)
    assert w.site.whats() == ["apply", "apply"]


@story(bake=30)
async def test_what_failed_just_so_before_is_not_held_against_it(w: Canaries) -> None:
    w.numbers.shares |= {"v1": 0.3, "v2": 0.3}
    one = await _serving(w, strategy="rolling")
    await w.hands.wait(60)
    row = await w.row(one)
    assert row.phase is Phase.SUCCEEDED
    assert row.countdown is None
    assert row.progression is not None
    assert all(look.last and look.last.pre_existing for look in row.progression.looks)


@story(steps=QUICK, bake=20)
async def test_it_is_watched_for_its_time_and_no_longer(w: Canaries) -> None:
    one = await _serving(w)
    await w.hands.wait(25)
    asked = len(w.numbers.asked)
    w.numbers.shares["v2"] = 0.9
    await w.hands.wait(60)
    assert len(w.numbers.asked) == asked
    assert (await w.row(one)).phase is Phase.SUCCEEDED


@story(steps=QUICK, bake=60, countdown=30)
async def test_recovering_before_the_deadline_keeps_it(w: Canaries) -> None:
    one = await _serving(w)
    w.numbers.shares["v2"] = 0.3
    await w.counting(one)
    w.numbers.shares["v2"] = 0.001
    row = await w.when(one, lambda row: row.countdown and row.countdown.state.over)
    assert row.countdown is not None
    assert row.countdown.state is CountdownState.RECOVERED
    await w.hands.wait(90)
    assert (await w.row(one)).phase is Phase.SUCCEEDED


@story(steps=QUICK, bake=60)
async def test_a_cancelled_countdown_leaves_it_to_people(w: Canaries) -> None:
    one = await _serving(w)
    w.numbers.shares["v2"] = 0.3
    await w.counting(one)
    await w.say("cancel_countdown", one)
    await w.hands.wait(120)
    assert (await w.row(one)).phase is Phase.SUCCEEDED
    assert w.site.whats()[-1] == "promote"


@pytest.mark.parametrize("hangs", [False, True], ids=["the source answers", "the source hangs"])
def test_roll_back_now_does_not_wait(hangs: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
    async def tell(w: Canaries) -> None:
        one = await _serving(w)
        w.numbers.shares["v2"] = 0.3
        await w.counting(one)
        w.numbers.hangs = hangs
        await w.hands.wait(3)
        clicked = w.now()
        await w.say("roll_back_now", one)
        await _back(w, one)
        assert (w.site.made[-1].at - clicked).total_seconds() < 0.25

    play(tell, tmp_path_factory, steps=QUICK, bake=60)


@story(steps=QUICK, bake=60)
async def test_a_source_that_hangs_does_not_put_the_deadline_off(w: Canaries) -> None:
    one = await _serving(w)
    w.numbers.shares["v2"] = 0.3
    counted = await w.counting(one)
    w.numbers.hangs = True
    await _back(w, one)
    assert counted.countdown is not None
    assert (w.site.made[-1].at - counted.countdown.deadline).total_seconds() < 0.5


@pytest.mark.parametrize("away", [False, True], ids=["nothing is proven", "the registry is away"])
def test_without_a_way_back_people_are_called(away: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
    async def tell(w: Canaries) -> None:
        one = await _serving(w, strategy="rolling")
        w.registry_down = away
        w.numbers.shares["v2"] = 0.3
        row = await w.when(one, lambda row: row.countdown and row.countdown.state is CountdownState.PAGED)
        assert row.countdown is not None
        assert ("registry does not answer" if away else "nothing to roll back to") in row.countdown.barred
        assert row.phase is Phase.SUCCEEDED
        assert w.site.whats() == ["apply"]
        assert (await w.events(one))[-1] == "deployment.countdown"
        await w.hands.wait(120)
        assert w.site.whats() == ["apply"]

    play(tell, tmp_path_factory, bake=60, runs="v1" if away else None)


@story(steps=QUICK, bake=60, countdown=300)
async def test_who_rolls_it_back_by_hand_ends_the_countdown(w: Canaries) -> None:
    one = await _serving(w)
    w.numbers.shares["v2"] = 0.3
    await w.counting(one)
    requests = w.hands.engine.requests
    await w.hands.do(requests.roll_back(one.id, requester=w.hands.who("Linus"), origin="slack:9"))
    row = await w.when(one, lambda row: row.phase is Phase.ROLLED_BACK and row.countdown and row.countdown.state.over)
    assert row.countdown is not None
    assert row.countdown.by is not None
    assert row.countdown.by.name == "Linus"
    await w.hands.wait(400)
    assert w.site.whats().count("apply") == 1


@story(steps=QUICK, bake=60, checks=(ERRORS,))
async def test_what_was_forced_through_is_not_rolled_back_for_it(w: Canaries) -> None:
    w.numbers.shares["v2"] = 0.3
    one = await w.deploy()
    await w.counting(one)
    await w.say("promote", one, by="Linus", force=True, to=100, reason="the check is wrong")
    await w.when(one, lambda row: row.phase is Phase.SUCCEEDED)
    await w.hands.wait(90)
    assert (await w.row(one)).phase is Phase.SUCCEEDED
    assert w.site.stable is not None
    assert w.site.stable.same_as(release(CHECKOUT, "v2"))


@story(steps=QUICK, bake=60)
async def test_a_next_deployment_ends_the_watch_of_the_one_before(w: Canaries) -> None:
    one = await _serving(w)
    two = await _serving(w, "v3")
    w.numbers.shares["v2"] = 0.9
    await w.hands.wait(90)
    assert (await w.row(one)).countdown is None
    assert (await w.row(two)).phase is Phase.SUCCEEDED


def test_a_crash_while_it_is_counted_down_changes_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    async def tell(w: Canaries) -> None:
        one = await _serving(w)
        w.numbers.shares["v2"] = 0.3
        counted = await w.counting(one)
        w.hands.replica.kill()
        await w.hands.wait(4)
        await w.hands.replica.start()
        await _back(w, one)
        assert counted.countdown is not None
        assert 0 <= (w.site.made[-1].at - counted.countdown.deadline).total_seconds() < 1

    play(tell, tmp_path_factory, steps=QUICK, bake=60)
