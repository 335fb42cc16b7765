"""A strategy of several steps from its first move to its end: what the checks, people, time and others make of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from canary_world import INTERVAL, PRODUCTION, reload, story

from bot.domain.analysis.countdown import CountdownState
from bot.domain.errors import Blocked, ConfigurationError, InvalidTransition, ProviderUnavailable, SomebodyWasFaster
from bot.domain.ids import ServiceName
from bot.domain.lifecycle import Phase
from bot.domain.policy.approval import ApprovalRule
from bot.domain.policy.freeze import WhileRunning
from bot.domain.policy.scope import Scope
from bot.domain.strategy.kinds import OnTimeout, Step

if TYPE_CHECKING:
    from canary_world import Canaries

pytestmark = pytest.mark.long

PLACE = Scope(service=ServiceName("checkout"), environment=PRODUCTION)


@story()
async def test_a_healthy_canary_goes_up_with_two_promotes(w: Canaries) -> None:
    one = await w.deploy()
    asked = await w.asked(one)
    assert asked.progression is not None
    assert asked.progression.question is not None
    assert asked.progression.question.options == (100,)
    await w.say("promote", one, step=1, to=100)
    done = await w.ended(one)
    assert done.phase is Phase.SUCCEEDED
    assert w.site.whats() == ["20 %", "50 %", "100 %", "promote"]
    assert w.site.stable is not None
    assert w.site.stable.version == "v2"
    assert len({one.operation for one in w.site.made}) == 4
    assert w.phases(done).count(Phase.PAUSED) == 1


@story(steps=(Step(weight=20, bake=10, approval=True), Step(weight=50, bake=10, approval=True)))
async def test_each_step_that_asks_is_asked_by_itself(w: Canaries) -> None:
    one = await w.deploy()
    first = await w.asked(one, 20)
    await w.say("promote", one, step=0, to=50)
    await w.asked(one, 50)
    await w.say("promote", one, step=1, to=100)
    done = await w.ended(one)
    assert done.phase is Phase.SUCCEEDED
    assert w.phases(done).count(Phase.PAUSED) == 2
    assert first.progression is not None


@story()
async def test_a_failing_check_is_counted_down_and_taken_back(w: Canaries) -> None:
    w.numbers.shares["v2"] = 0.3
    one = await w.deploy()
    counted = await w.counting(one)
    assert counted.countdown is not None
    assert counted.countdown.deadline - counted.countdown.began == timedelta(seconds=10)
    done = await w.ended(one)
    assert done.phase is Phase.FAILED
    assert "errors" in done.note
    assert "v1 serves again" in done.note
    assert w.site.whats() == ["20 %", "take back"]
    assert w.site.stable is not None
    assert w.site.stable.version == "v1"
    assert not w.site.stopped_stable
    late = (w.site.made[-1].at - counted.countdown.deadline).total_seconds()
    assert 0 <= late < 0.5


@story()
async def test_recovering_before_the_deadline_calls_it_off(w: Canaries) -> None:
    w.numbers.shares["v2"] = 0.3
    one = await w.deploy()
    await w.counting(one)
    w.numbers.shares["v2"] = 0.001
    recovered = await w.when(one, lambda row: row.countdown and row.countdown.state.over)
    assert recovered.countdown is not None
    assert recovered.countdown.state is CountdownState.RECOVERED
    await w.asked(one)
    await w.say("promote", one)
    assert (await w.ended(one)).phase is Phase.SUCCEEDED


@story(on_timeout=OnTimeout.HOLD)
async def test_a_cancelled_countdown_leaves_it_to_people(w: Canaries) -> None:
    w.numbers.shares["v2"] = 0.3
    one = await w.deploy()
    await w.counting(one)
    await w.say("cancel_countdown", one)
    asked = await w.asked(one, 20)
    assert asked.progression is not None
    assert asked.progression.question is not None
    assert asked.progression.question.refused
    await w.hands.wait(120)
    assert w.site.whats() == ["20 %"]
    with pytest.raises(SomebodyWasFaster, match="Ada has cancelled"):
        await w.say("roll_back_now", one, by="Linus")
    await w.abort(one)
    assert (await w.ended(one)).phase is Phase.ABORTED
    assert w.site.whats() == ["20 %", "take back"]


@story()
async def test_snoozing_puts_it_off_by_ten_minutes(w: Canaries) -> None:
    w.numbers.shares["v2"] = 0.3
    one = await w.deploy()
    await w.counting(one)
    before = w.now()
    await w.say("snooze", one)
    await w.hands.wait(595)
    assert w.site.whats() == ["20 %"]
    assert (await w.ended(one)).phase is Phase.FAILED
    assert 600 <= (w.site.made[-1].at - before).total_seconds() < 601


@story()
async def test_roll_back_now_does_not_wait(w: Canaries) -> None:
    w.numbers.shares["v2"] = 0.3
    one = await w.deploy()
    await w.counting(one)
    clicked = w.now()
    await w.say("roll_back_now", one, by="Linus")
    done = await w.ended(one)
    assert done.phase is Phase.FAILED
    assert (w.site.made[-1].at - clicked).total_seconds() < 0.25
    assert done.countdown is not None
    assert done.countdown.by is not None
    assert done.countdown.by.name == "Linus"
    assert w.site.whats() == ["20 %", "take back"]


@story()
async def test_roll_back_now_is_heard_while_a_source_does_not_answer(w: Canaries) -> None:
    w.numbers.shares["v2"] = 0.3
    one = await w.deploy()
    await w.counting(one)
    w.numbers.hangs = True
    await w.hands.wait(INTERVAL + 1)
    clicked = w.now()
    await w.say("roll_back_now", one)
    assert (await w.ended(one)).phase is Phase.FAILED
    assert (w.site.made[-1].at - clicked).total_seconds() < 0.25


@story()
async def test_an_abort_is_heard_while_a_source_does_not_answer(w: Canaries) -> None:
    one = await w.deploy()
    await w.when(one, lambda row: row.progression and row.progression.position.begun)
    w.numbers.hangs = True
    await w.hands.wait(INTERVAL + 1)
    clicked = w.now()
    await w.abort(one)
    assert (await w.ended(one)).phase is Phase.ABORTED
    assert (w.site.made[-1].at - clicked).total_seconds() < 0.25


@pytest.mark.parametrize(
    "share", [None, ProviderUnavailable("It is away.", provider="fake"), ConfigurationError("No."), ValueError("odd")]
)
def test_no_data_asks_a_person_and_never_promotes(
    share: Exception | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    @story(steps=(Step(weight=20, bake=10),), timeout=100, on_timeout=OnTimeout.PROMOTE)
    async def tell(w: Canaries) -> None:
        w.numbers.shares["v2"] = share
        one = await w.deploy()
        asked = await w.asked(one, 20)
        assert asked.progression is not None
        assert asked.progression.question is not None
        assert "errors" in asked.progression.question.refused
        with pytest.raises(Exception, match="It is not promoted"):
            await w.say("promote", one)
        await w.hands.wait(150)  # nobody answers, and the strategy would promote what passes
        held = await w.row(one)
        assert held.phase is Phase.PAUSED
        assert held.progression is not None
        assert held.progression.position.held is not None
        assert w.site.whats() == ["20 %"]
        assert held.countdown is None
        await w.abort(one)
        await w.ended(one)

    tell(tmp_path_factory)


@story(steps=(Step(weight=20, bake=10),))
async def test_nothing_goes_on_before_what_is_looked_at_just_now_is_known(w: Canaries) -> None:
    one = await w.deploy()
    await w.hands.wait(9)
    w.numbers.hangs = True  # every look until now was good
    await w.hands.wait(30)
    assert w.site.whats() == ["20 %"]
    await w.abort(one)
    assert (await w.ended(one)).phase is Phase.ABORTED


@story(on_timeout=OnTimeout.ABORT)
async def test_nobody_answers_and_it_is_taken_back(w: Canaries) -> None:
    one = await w.deploy()
    await w.asked(one)
    done = await w.ended(one)
    assert done.phase is Phase.FAILED
    assert "Nobody answered in 1 min" in done.note
    assert w.site.whats() == ["20 %", "50 %", "take back"]


@story(on_timeout=OnTimeout.HOLD, deadline=5)
async def test_nobody_answers_and_it_is_held_until_somebody_resumes(w: Canaries) -> None:
    one = await w.deploy()
    await w.asked(one)
    held = await w.when(one, lambda row: row.progression and row.progression.position.held)
    assert held.phase is Phase.PAUSED
    await w.hands.wait(100)  # longer than the deadline of any one change
    assert (await w.row(one)).phase is Phase.PAUSED
    await w.say("resume", one)
    await w.asked(one)
    await w.say("promote", one)
    assert (await w.ended(one)).phase is Phase.SUCCEEDED


@story(on_timeout=OnTimeout.PROMOTE)
async def test_nobody_answers_and_what_passes_goes_on(w: Canaries) -> None:
    one = await w.deploy()
    assert (await w.ended(one)).phase is Phase.SUCCEEDED
    assert w.site.whats() == ["20 %", "50 %", "100 %", "promote"]
    assert "deployment.progressed" in await w.events(one)


@story()
async def test_promoted_outside_is_adopted(w: Canaries) -> None:
    one = await w.deploy()
    await w.when(one, lambda row: row.progression and row.progression.position.begun)
    w.site.percent = 50
    moved = await w.when(one, lambda row: row.progression and row.progression.position.weight == 50, within=4)
    assert moved.progression is not None
    assert moved.progression.position.step == 1
    assert w.site.whats() == ["20 %"]
    assert "deployment.progressed" in await w.events(one)
    await w.asked(one)
    await w.say("promote", one)
    assert (await w.ended(one)).phase is Phase.SUCCEEDED
    assert w.site.whats() == ["20 %", "100 %", "promote"]


@story()
async def test_lowered_outside_is_held(w: Canaries) -> None:
    one = await w.deploy()
    await w.asked(one)
    w.site.percent = 20
    held = await w.when(one, lambda row: row.progression and row.progression.position.held, within=4)
    assert held.phase is Phase.PAUSED
    assert held.progression is not None
    assert held.progression.question is None
    assert held.progression.position.weight == 20
    await w.say("resume", one)
    await w.when(one, lambda row: row.progression and row.progression.question)
    await w.abort(one)
    assert (await w.ended(one)).phase is Phase.ABORTED


@story()
async def test_taken_back_outside_is_superseded_and_nothing_is_changed(w: Canaries) -> None:
    one = await w.deploy()
    await w.asked(one)
    w.site.canary, w.site.percent = None, 0
    done = await w.ended(one)
    assert done.phase is Phase.SUPERSEDED
    assert "taken back outside the bot" in done.note
    assert w.site.whats() == ["20 %", "50 %"]


@story()
async def test_an_abort_while_it_is_paused_takes_it_back(w: Canaries) -> None:
    one = await w.deploy()
    await w.asked(one)
    await w.abort(one)
    stopping = await w.when(one, lambda row: row.handle and "restore" in row.handle.operation)
    assert stopping.progression is not None
    assert stopping.progression.question is None
    done = await w.ended(one)
    assert done.phase is Phase.ABORTED
    assert done.timeline[-1].actor.name == "Ada"
    assert w.site.whats() == ["20 %", "50 %", "take back"]
    assert not w.site.stopped_stable


@story()
async def test_an_abort_during_a_weight_change_takes_it_back(w: Canaries) -> None:
    w.site.settles = 30
    one = await w.deploy()
    await w.when(one, lambda row: row.handle is not None)
    asked_at = w.now()
    await w.abort(one)
    done = await w.ended(one)
    assert done.phase is Phase.ABORTED
    assert w.site.whats() == ["20 %", "take back"]
    assert (w.site.made[-1].at - asked_at).total_seconds() < 1


@story()
async def test_an_abort_before_the_first_move_leaves_the_stable_release(w: Canaries) -> None:
    w.hands.meanwhile("before permit", lambda: w.abort(w.rows[-1]))
    one = await w.deploy()
    done = await w.ended(one)
    assert done.phase is Phase.ABORTED
    assert w.site.stable is not None
    assert w.site.stable.version == "v1"
    assert not w.site.stopped_stable


@story(freeze_running=WhileRunning.PAUSE)
async def test_a_freeze_between_steps_waits_and_goes_on_afterwards(w: Canaries) -> None:
    one = await w.deploy()
    await w.when(one, lambda row: row.progression and row.progression.position.begun)
    await w.hands.freeze()
    waiting = await w.when(one, lambda row: row.progression and "stop" in row.progression.why)
    await w.hands.wait(300)
    waiting = await w.row(one)
    assert waiting.phase is Phase.PAUSED
    assert waiting.progression is not None
    assert "stop" in waiting.progression.why
    assert w.site.whats() == ["20 %"]
    await w.hands.unfreeze()
    await w.asked(one)
    assert w.site.whats() == ["20 %", "50 %"]
    await w.say("promote", one)
    assert (await w.ended(one)).phase is Phase.SUCCEEDED


@story()
async def test_a_lock_that_pauses_holds_it_before_its_next_step_and_no_longer_than_it_stands(w: Canaries) -> None:
    one = await w.deploy()
    await w.when(one, lambda row: row.progression and row.progression.position.begun)
    await w.hands.lock(scope=PLACE, pause=True)
    kept = await w.when(one, lambda row: row.progression and row.progression.stop)
    assert kept.progression is not None
    stop = kept.progression.stop
    assert stop == "checkout@production is locked by Linus: we look into it"
    await w.hands.wait(300)
    kept = await w.row(one)
    assert (kept.phase, w.site.whats()) == (Phase.PAUSED, ["20 %"])
    await w.hands.unlock(scope=PLACE)
    asked = await w.asked(one)
    assert asked.progression is not None
    assert (asked.progression.stop, asked.progression.steps[0].kept) == ("", stop)
    assert w.site.whats() == ["20 %", "50 %"]
    await w.say("promote", one)
    assert (await w.ended(one)).phase is Phase.SUCCEEDED


@story()
async def test_a_lock_without_pause_lets_what_has_begun_come_to_its_end_and_holds_the_next(w: Canaries) -> None:
    one = await w.deploy()
    await w.when(one, lambda row: row.progression and row.progression.position.begun)
    await w.hands.lock(scope=PLACE, hard=True)
    await w.asked(one)
    await w.say("promote", one)
    done = await w.ended(one)
    assert done.phase is Phase.SUCCEEDED
    assert all(step.kept == "" for step in (done.progression.steps if done.progression else ()))
    with pytest.raises(Blocked, match="locked by Linus"):
        await w.deploy("v3")


@story()
async def test_what_a_lock_pauses_goes_on_when_whoever_asked_for_it_takes_the_lock_over(w: Canaries) -> None:
    one = await w.deploy()
    await w.when(one, lambda row: row.progression and row.progression.position.begun)
    lock = await w.hands.lock(scope=PLACE, pause=True)
    await w.when(one, lambda row: row.progression and row.progression.stop)
    taken = w.engine.locking.take_over(lock.id, requester=w.hands.who("Ada"), reason="it is mine to finish")
    await w.hands.do(taken)
    await w.asked(one)
    assert w.site.whats() == ["20 %", "50 %"]
    await w.abort(one)
    assert (await w.ended(one)).phase is Phase.ABORTED


@story(freeze_running=WhileRunning.PAUSE)
async def test_who_is_asked_while_it_is_frozen_can_see_what_keeps_it(w: Canaries) -> None:
    one = await w.deploy()
    await w.asked(one)
    await w.hands.freeze()
    kept = await w.when(one, lambda row: row.progression and row.progression.stop)
    assert kept.progression is not None
    assert kept.progression.question is not None
    await w.say("promote", one)
    await w.hands.wait(60)
    kept = await w.row(one)
    assert kept.progression is not None
    assert (kept.phase, kept.progression.question) == (Phase.PAUSED, None)
    assert "frozen by" in kept.progression.stop
    assert w.site.whats() == ["20 %", "50 %"]
    await w.hands.unfreeze()
    assert (await w.ended(one)).phase is Phase.SUCCEEDED


@story(freeze_running=WhileRunning.PAUSE)
async def test_checks_are_looked_at_while_a_freeze_keeps_it(w: Canaries) -> None:
    one = await w.deploy()
    await w.when(one, lambda row: row.progression and row.progression.position.begun)
    await w.hands.freeze()
    await w.hands.wait(60)
    assert w.site.whats() == ["20 %"]
    w.numbers.shares["v2"] = 0.4
    assert (await w.ended(one)).phase is Phase.FAILED
    assert w.site.whats() == ["20 %", "take back"]


@story(freeze_running=WhileRunning.CONTINUE)
async def test_a_freeze_lets_it_go_on_where_the_catalog_says_so(w: Canaries) -> None:
    one = await w.deploy()
    await w.when(one, lambda row: row.progression and row.progression.position.begun)
    await w.hands.freeze()
    await w.asked(one)
    await w.say("promote", one)
    assert (await w.ended(one)).phase is Phase.SUCCEEDED


@story()
async def test_a_reload_does_not_touch_what_is_under_way(w: Canaries) -> None:
    one = await w.deploy()
    await w.asked(one)
    places = dict(w.outside.catalogs.now.environments)
    places[PRODUCTION] = replace(places[PRODUCTION], approval=ApprovalRule(quorum=2), strategy="rolling")
    reload(w, environments=places, strategies={}, metrics={})
    await w.say("promote", one)
    done = await w.ended(one)
    assert done.phase is Phase.SUCCEEDED
    assert Phase.AWAITING_APPROVAL not in w.phases(done)
    assert w.site.whats() == ["20 %", "50 %", "100 %", "promote"]


@story()
async def test_a_second_deployment_waits_meanwhile(w: Canaries) -> None:
    one = await w.deploy("v2")
    await w.asked(one)
    two = await w.deploy("v3")
    await w.hands.wait(30)
    assert (await w.row(two)).phase is Phase.QUEUED
    await w.say("promote", one)
    assert (await w.ended(one)).phase is Phase.SUCCEEDED
    asked = await w.asked(two)
    assert asked.previous is not None
    assert asked.previous.release.version == "v2"
    await w.abort(two)
    await w.ended(two)
    assert w.site.stable is not None
    assert w.site.stable.version == "v2"


@story(timeout=36000)
async def test_looking_for_long_writes_little_and_lengthens_nothing(w: Canaries) -> None:
    one = await w.deploy()
    await w.asked(one)
    w.rows.clear()
    asked = len(w.numbers.asked)
    await w.hands.wait(200)
    looks = (len(w.numbers.asked) - asked) / 2  # the canary and the stable track
    row = await w.row(one)
    assert 95 <= looks <= 105
    assert len(w.rows) <= looks + 2
    assert w.phases(row).count(Phase.PAUSED) == 1
    await w.abort(one)
    await w.ended(one)


@story(timeout=36000, shared=True)
async def test_a_source_that_is_silent_does_not_make_it_write_every_second(w: Canaries) -> None:
    one = await w.deploy()
    await w.asked(one)
    w.numbers.hangs = True
    await w.hands.wait(60)
    w.rows.clear()
    await w.hands.wait(200)
    assert len(w.rows) <= 200 / 10 + 5
    await w.abort(one)
    assert (await w.ended(one)).phase is Phase.ABORTED


@story()
async def test_a_word_that_comes_late_or_is_refused_changes_nothing(w: Canaries) -> None:
    one = await w.deploy()
    before = await w.asked(one)
    with pytest.raises(SomebodyWasFaster, match="step 1 of 3; it is at step 2"):
        await w.say("promote", one, step=0, to=50)
    with pytest.raises(SomebodyWasFaster, match="not held"):
        await w.say("resume", one, step=1)
    with pytest.raises(InvalidTransition, match="No automatic rollback"):
        await w.say("snooze", one)
    after = await w.row(one)
    assert after.version == before.version
    await w.abort(one)
    await w.ended(one)
