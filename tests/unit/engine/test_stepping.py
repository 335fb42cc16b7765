"""The changes of a canary, each made once: whatever dies on the way, whatever the target answers, whoever decides."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from canary_world import ERRORS, Canaries, play, story

from bot.domain.analysis.check import Comparison
from bot.domain.deployment import Resolution
from bot.domain.dora import failed_at, restored_after
from bot.domain.errors import OutcomeUnknown, ProviderRejected, RequestRefused
from bot.domain.lifecycle import Phase
from bot.domain.rollout import OutcomeKind
from bot.domain.strategy.kinds import BlueGreen, Step

if TYPE_CHECKING:
    from bot.domain.deployment import Deployment

pytestmark = pytest.mark.long

SHORT = (Step(weight=20, bake=3), Step(weight=50, approval=True))
WHOLE = ["20 %", "50 %", "100 %", "promote"]


async def _to_its_end(w: Canaries, one: Deployment) -> Deployment:
    """Say yes wherever somebody is asked, and start whatever has died, until it has ended."""
    for _ in range(600):
        if not w.hands.replica.life.alive:
            await w.hands.replica.start()
        row = await w.row(one)
        if row.phase.final:
            return row
        if row.phase is Phase.PAUSED and row.progression and row.progression.question:
            with contextlib.suppress(RequestRefused):  # its checks have not been looked at yet
                await w.say("promote", one, to=100)
        await w.hands.wait(0.3)
    raise AssertionError(f"it has no end: {await w.row(one)}")


def _points(folder: pytest.TempPathFactory, **about: Any) -> int:
    """How many places there are at which a process can die on the way of one canary."""
    passed = 0

    async def tell(w: Canaries) -> None:
        nonlocal passed
        one = await w.deploy()
        w.hands.replica.life.dies(at="", after=100_000)
        done = await _to_its_end(w, one)
        left = w.hands.replica.life.dies_after
        assert left is not None
        passed = 100_000 - left
        assert done.phase.final

    play(tell, folder, **about)
    return passed


def _crash(folder: pytest.TempPathFactory, after: int) -> None:
    async def tell(w: Canaries) -> None:
        one = await w.deploy()
        w.hands.replica.life.dies(at="", after=after)
        done = await _to_its_end(w, one)
        assert done.phase is Phase.SUCCEEDED
        assert w.site.whats() == WHOLE
        assert w.phases(done).count(Phase.PAUSED) == 1
        acts = await w.events(one)
        assert acts.count("deployment.step") == 4
        assert acts.count("deployment.promoted") == 1

    play(tell, folder, steps=SHORT)


def _crash_while_failing(folder: pytest.TempPathFactory, after: int) -> None:
    async def tell(w: Canaries) -> None:
        w.numbers.shares["v2"] = 0.3
        one = await w.deploy()
        w.hands.replica.life.dies(at="", after=after)
        done = await _to_its_end(w, one)
        assert done.phase is Phase.FAILED
        assert w.site.whats() == ["20 %", "take back"]
        assert w.site.stable is not None
        assert w.site.stable.version == "v1"

    play(tell, folder, countdown=2)


def test_a_crash_now_and_then_makes_each_move_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    points = _points(tmp_path_factory, steps=SHORT)
    assert points > 100
    for after in range(3, points, points // 12):
        _crash(tmp_path_factory, after)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_crash_anywhere_makes_each_move_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    for after in range(0, _points(tmp_path_factory, steps=SHORT), 12):
        _crash(tmp_path_factory, after)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_crash_anywhere_takes_what_fails_back_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    for after in range(0, 260, 24):
        _crash_while_failing(tmp_path_factory, after)


@pytest.mark.parametrize("after", range(10, 250, 40))
def test_a_crash_now_and_then_takes_what_fails_back_once(after: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    _crash_while_failing(tmp_path_factory, after)


@story(steps=SHORT)
async def test_a_canary_that_does_not_come_up_is_taken_back(w: Canaries) -> None:
    w.site.ends["20 %"] = OutcomeKind.FAILED
    done = await w.ended(await w.deploy())
    assert done.phase is Phase.FAILED
    assert w.site.whats() == ["20 %", "take back"]
    assert failed_at(done) is not None


@story(steps=(Step(weight=20, bake=300),), countdown=20)
async def test_a_canary_that_was_taken_back_counts_as_a_failure_from_when_its_checks_failed(w: Canaries) -> None:
    one = await w.deploy()
    await w.hands.wait(100)
    w.numbers.shares["v2"] = 0.3
    done = await w.ended(one)
    assert failed_at(done) == done.since
    stood = restored_after(done)
    assert stood is not None
    assert 20 <= stood < 22


@story(steps=SHORT)
async def test_a_target_that_refuses_the_first_move_is_left_alone(w: Canaries) -> None:
    w.site.refuses["20 %"] = ProviderRejected("No quota.", provider="fake")
    done = await w.ended(await w.deploy())
    assert done.phase is Phase.ERRORED
    assert "No quota" in done.note
    assert w.site.whats() == []


@story(steps=SHORT)
async def test_a_target_that_refuses_a_later_move_is_put_back(w: Canaries) -> None:
    w.site.refuses["50 %"] = ProviderRejected("No quota.", provider="fake")
    done = await w.ended(await w.deploy())
    assert done.phase is Phase.FAILED
    assert w.site.whats() == ["20 %", "take back"]


@story(steps=SHORT)
async def test_what_cannot_be_told_asks_a_person_and_retry_goes_on_from_there(w: Canaries) -> None:
    w.site.refuses["50 %"] = OutcomeUnknown("The line broke.", provider="fake")
    one = await w.deploy()
    await w.when(one, lambda row: row.phase is Phase.NEEDS_ATTENTION)
    w.site.refuses.clear()
    resolve = w.hands.engine.requests.resolve
    await w.hands.do(resolve(one.id, Resolution.RETRY, requester=w.hands.who("Linus")))
    done = await _to_its_end(w, one)
    assert done.phase is Phase.SUCCEEDED
    assert w.site.whats() == WHOLE
    assert len({made.operation for made in w.site.made}) == 4


@story(steps=SHORT)
async def test_what_was_made_although_nobody_could_tell_is_not_called_somebody_elses(w: Canaries) -> None:
    w.site.forgets["50 %"] = OutcomeUnknown("The line broke.", provider="fake")
    one = await w.deploy()
    await w.when(one, lambda row: row.phase is Phase.NEEDS_ATTENTION)
    await w.hands.wait(5)
    resolve = w.hands.engine.requests.resolve
    await w.hands.do(resolve(one.id, Resolution.RETRY, requester=w.hands.who("Linus")))
    done = await _to_its_end(w, one)
    assert done.phase is Phase.SUCCEEDED
    assert w.site.whats() == WHOLE
    assert "deployment.progressed" not in await w.events(one)


@story(steps=SHORT)
async def test_a_person_can_take_it_back_from_there(w: Canaries) -> None:
    w.site.refuses["50 %"] = OutcomeUnknown("The line broke.", provider="fake")
    one = await w.deploy()
    await w.when(one, lambda row: row.phase is Phase.NEEDS_ATTENTION)
    resolve = w.hands.engine.requests.resolve
    await w.hands.do(resolve(one.id, Resolution.ROLL_BACK, requester=w.hands.who("Linus")))
    done = await w.ended(one)
    assert done.phase is Phase.FAILED
    assert w.site.whats() == ["20 %", "take back"]


@story(steps=SHORT)
async def test_what_may_have_been_promoted_is_put_back_and_not_taken_for_a_canary(w: Canaries) -> None:
    w.site.forgets["promote"] = OutcomeUnknown("The line broke.", provider="fake")
    one = await w.deploy()
    await w.asked(one, 50)
    await w.hands.wait(5)
    await w.say("promote", one, to=100)
    await w.when(one, lambda row: row.phase is Phase.NEEDS_ATTENTION)
    resolve = w.hands.engine.requests.resolve
    await w.hands.do(resolve(one.id, Resolution.ROLL_BACK, requester=w.hands.who("Linus")))
    done = await w.ended(one)
    assert done.phase is Phase.FAILED
    assert w.site.whats() == [*WHOLE, "restore"]
    assert w.site.stable is not None
    assert w.site.stable.version == "v1"


@story(steps=SHORT)
async def test_an_abort_during_the_promotion_brings_back_what_was_there(w: Canaries) -> None:
    one = await w.deploy()
    await w.asked(one, 50)
    await w.hands.wait(5)
    w.site.settles = 10
    await w.say("promote", one, to=100)
    await w.when(one, lambda row: row.handle and "promote" in row.handle.operation)
    await w.abort(one)
    assert (await w.ended(one)).phase is Phase.ABORTED
    assert w.site.stable is not None
    assert w.site.stable.version == "v1"


@story(steps=SHORT)
async def test_what_is_not_well_once_it_is_promoted_is_put_back(w: Canaries) -> None:
    w.site.sick = True
    one = await w.deploy()
    done = await _to_its_end(w, one)
    assert done.phase is Phase.FAILED
    assert w.site.whats() == [*WHOLE, "restore"]
    assert w.site.stable is not None
    assert w.site.stable.version == "v1"


@story(strategy=BlueGreen(keep=6, verify=3))
async def test_blue_green_is_verified_without_traffic_and_switched_at_once(w: Canaries) -> None:
    done = await w.ended(await w.deploy())
    assert done.phase is Phase.SUCCEEDED
    assert w.site.whats() == ["0 %", "100 %", "promote"]


@story(
    strategy=BlueGreen(keep=6, verify=3),
    checks=(replace(ERRORS, against_stable=Comparison(ratio=1.5, tolerance=0.01)),),
)
async def test_what_is_kept_after_the_switch_gets_no_traffic_and_is_not_compared_with(w: Canaries) -> None:
    w.numbers.shares["v1"] = None  # as it is with a release that nobody asks anything
    done = await w.ended(await w.deploy(), within=60)
    assert done.phase is Phase.SUCCEEDED
    switched = next(made.at for made in w.site.made if made.what == "100 %")
    assert "v1" not in {version for at, version in w.numbers.asked if at > switched}


@story(strategy=BlueGreen(keep=60, verify=3))
async def test_blue_green_is_switched_back_to_what_was_kept(w: Canaries) -> None:
    w.numbers.shares["v2"] = 0.3
    done = await w.ended(await w.deploy())
    assert done.phase is Phase.FAILED
    assert w.site.whats() == ["0 %", "100 %", "take back"]
    assert not w.site.stopped_stable


@story(steps=SHORT, runs=None)
async def test_the_very_first_release_comes_in_steps_too(w: Canaries) -> None:
    one = await w.deploy()
    assert (await _to_its_end(w, one)).phase is Phase.SUCCEEDED


@pytest.mark.parametrize("after", [1.0, 3.2, 4.0, 9.0])
def test_another_replica_goes_on_where_one_died(after: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    async def tell(w: Canaries) -> None:
        one = await w.deploy()
        await w.hands.wait(after)
        owner = next(row.executor for row in w.journal.rows.values() if row.name == "turn")
        w.hands.via = "b" if owner == "a" else "a"
        w.replicas[owner].kill()
        done = await _to_its_end(w, one)
        assert done.phase is Phase.SUCCEEDED
        assert w.site.whats() == WHOLE

    play(tell, tmp_path_factory, steps=SHORT, replicas=2, shared=True)


@pytest.mark.parametrize("after", [0.1, 1.0, 4.0])
def test_one_that_was_taken_for_dead_changes_nothing(after: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    async def tell(w: Canaries) -> None:
        one = await w.deploy()
        await w.hands.wait(after)
        owner = next(row.executor for row in w.journal.rows.values() if row.name == "turn")
        w.hands.via = "b" if owner == "a" else "a"
        w.replicas[owner].life.cut_until = w.loop.time() + 40
        done = await _to_its_end(w, one)
        await w.hands.wait(90)
        assert done.phase is Phase.SUCCEEDED
        assert w.site.whats() == WHOLE
        w.rows.clear()
        await w.hands.wait(60)
        assert [row.number for row in w.rows] == []

    play(tell, tmp_path_factory, steps=SHORT, replicas=2, shared=True)


@pytest.mark.parametrize("after", [0.05, 0.3, 1.0, 3.5, 6.0])
def test_a_replica_that_stops_as_it_is_asked_to_goes_on_later(
    after: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async def tell(w: Canaries) -> None:
        one = await w.deploy()
        await w.hands.wait(after)
        await w.hands.replica.stop()
        done = await _to_its_end(w, one)
        assert done.phase is Phase.SUCCEEDED
        assert w.site.whats() == WHOLE

    play(tell, tmp_path_factory, steps=SHORT)


@story(strategy=BlueGreen(keep=6, verify=30))
async def test_what_needs_traffic_is_not_looked_at_before_there_is_any(w: Canaries) -> None:
    done = await w.ended(await w.deploy())
    assert done.phase is Phase.SUCCEEDED
    assert done.progression is not None
    switched = next(made.at for made in w.site.made if made.what == "100 %")
    assert [version for at, version in w.numbers.asked if version == "v2" and at < switched] == []
    assert [len(one.judgements) for one in done.progression.steps] == [0, 1]


@story(strategy=BlueGreen(keep=6, verify=3, approval=True))
async def test_what_is_taken_back_before_the_switch_says_that_nothing_was_switched(w: Canaries) -> None:
    one = await w.deploy()
    await w.asked(one, 0)
    await w.abort(one)
    assert (await w.ended(one)).note == "no good. v1 serves as before; nothing was switched."
    two = await w.deploy()
    await w.asked(two, 0)
    await w.say("promote", two, by="Hedy", to=100)
    await w.when(two, lambda row: row.progression and row.progression.position.weight == 100)
    await w.abort(two)
    assert (await w.ended(two)).note == "no good. v1 serves again."
