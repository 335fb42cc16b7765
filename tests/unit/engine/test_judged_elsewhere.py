"""A platform that judges canaries too: what it takes back between two steps of ours has failed, and is put back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from canary_world import Canaries, play, story

from bot.domain.analysis.countdown import CountdownState
from bot.domain.errors import InvalidTransition
from bot.domain.lifecycle import Phase
from bot.domain.rollout import TakenBack
from bot.domain.strategy.kinds import BlueGreen, Step

if TYPE_CHECKING:
    from bot.domain.deployment import Deployment

pytestmark = pytest.mark.long

STEPS = (Step(weight=20, bake=3), Step(weight=50, approval=True))
WHY = "The platform took v2 back: its own analysis failed."
BACK = ["20 %", "50 %", "take back"]


def judge(w: Canaries, *, by_platform: bool = True, why: str = WHY) -> None:
    """All traffic goes to the stable release, the canary's template stays."""
    w.site.percent, w.site.judged = 0, TakenBack(by_platform=by_platform, why=why)


async def at_its_end(w: Canaries, one: Deployment) -> Deployment:
    """Whatever dies on the way."""
    for _ in range(600):
        if not w.hands.replica.life.alive:
            await w.hands.replica.start()
        row = await w.row(one)
        if row.phase.final:
            return row
        await w.hands.wait(0.3)
    raise AssertionError(f"it has no end: {await w.row(one)}")


@story(steps=STEPS)
async def test_while_people_are_asked_it_fails_with_the_reason_and_is_put_back(w: Canaries) -> None:
    one = await w.deploy()
    await w.asked(one)
    judge(w)
    done = await w.ended(one)
    assert done.phase is Phase.FAILED
    assert done.note == f"{WHY} v1 serves again."
    assert w.site.whats() == BACK
    assert (w.site.canary, w.site.stopped_stable) == (None, False)
    with pytest.raises(InvalidTransition, match="over already"):
        await w.say("promote", one, to=100)


@story(steps=(Step(weight=20, bake=60),))
async def test_while_it_bakes_it_does_not_wait_for_the_end_of_that(w: Canaries) -> None:
    one = await w.deploy()
    await w.when(one, lambda row: row.progression and row.progression.position.begun)
    begun = w.now()
    judge(w)
    done = await w.ended(one)
    assert done.phase is Phase.FAILED
    assert (done.since - begun).total_seconds() < 10
    assert "deployment.progressed" in await w.events(one)


@story(steps=STEPS)
async def test_while_somebody_holds_it(w: Canaries) -> None:
    one = await w.deploy()
    await w.asked(one)
    await w.say("hold", one, reason="lunch")
    judge(w)
    assert (await w.ended(one)).phase is Phase.FAILED
    assert w.site.whats() == BACK


@story(strategy=BlueGreen(keep=6, verify=600))
async def test_before_it_gets_any_traffic(w: Canaries) -> None:
    one = await w.deploy()
    await w.when(one, lambda row: row.progression and row.progression.position.begun)
    await w.hands.wait(10)
    assert not (await w.row(one)).phase.final, "that it gets none is as it should be"
    judge(w)
    done = await w.ended(one)
    assert done.phase is Phase.FAILED
    assert done.note == f"{WHY} v1 serves as before; nothing was switched."
    assert w.site.whats() == ["0 %", "take back"]


@story(steps=STEPS)
async def test_what_somebody_took_back_there_stays_theirs(w: Canaries) -> None:
    one = await w.deploy()
    await w.asked(one)
    judge(w, by_platform=False, why="kubectl-set at 12:00:00 UTC changed checkout.")
    done = await w.ended(one)
    assert done.phase is Phase.SUPERSEDED
    assert done.note.endswith("from 50 % to 0 %. kubectl-set at 12:00:00 UTC changed checkout.")
    assert w.site.whats() == ["20 %", "50 %"]


@pytest.mark.parametrize("by_platform", [True, False])
def test_while_it_is_counted_down_nobody_says_that_its_checks_recovered(
    by_platform: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async def tell(w: Canaries) -> None:
        w.numbers.shares["v2"] = 0.3
        one = await w.deploy()
        await w.counting(one)
        judge(w, by_platform=by_platform)
        done = await w.ended(one)
        assert done.phase is (Phase.FAILED if by_platform else Phase.SUPERSEDED)
        assert WHY in done.note
        assert done.countdown is not None
        assert done.countdown.state is (CountdownState.FIRED if by_platform else CountdownState.RUNNING)

    play(tell, tmp_path_factory, steps=STEPS, countdown=60)


def test_a_crash_now_and_then_puts_it_back_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    deaths = 0

    def tell_until(after: int) -> None:
        async def tell(w: Canaries) -> None:
            nonlocal deaths
            one = await w.deploy()
            await w.asked(one)
            w.hands.replica.life.dies(at="", after=after)
            judge(w)
            done = await at_its_end(w, one)
            deaths += any("a replica dies" in line for line in w.story)
            assert done.phase is Phase.FAILED
            assert w.site.whats() == BACK
            assert (await w.events(one)).count("deployment.progressed") == 1

        play(tell, tmp_path_factory, steps=STEPS)

    for after in range(1, 90, 8):
        tell_until(after)
    assert deaths > 5
