"""A canary under Flagger from the first step to its end, over the wire: no traffic before it was allowed.

On the stand-in always, on a real cluster with Flagger where TEST_KUBECONFIG names one. The tests from
`test_the_success_of_the_run_before_is_not_believed` on are the stand-in's alone: they need a Flagger that stands still,
or metrics and promotions that fail when it suits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kube.flagger_places import place
from kube.flagger_world import V1, V2, V3, promote, seen, step, until, world
from kube.real import EVERYWHERE

from bot.domain.errors import ProviderRejected
from bot.domain.gate import Hook
from bot.domain.ids import OperationId
from bot.domain.rollout import OutcomeKind

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.long

DONE, FAILED = OutcomeKind.SUCCEEDED, OutcomeKind.FAILED


@EVERYWHERE
async def test_goes_up_step_by_step_and_no_further_than_was_said(tmp_path: Path, where: str) -> None:
    async with place(where, tmp_path) as one:
        target = one.target()
        before = await target.current()
        assert before is not None
        assert before.release.same_as(one.v1)
        assert before.all_healthy
        for percent in (20, 40, 60):
            outcome = await one.step(percent)
            assert (outcome.kind, await one.weight()) == (DONE, percent), outcome.message
            held = await one.mark()
            await one.rounds(5)
            assert set(one.ticks[held:]) == {percent}, "it was held there"
            assert await target.weight(release=one.v2) == percent
        top = await one.step(100)
        assert top.kind is DONE
        assert "highest step" in top.message
        assert await one.weight() == 60
        assert await target.weight(release=one.v2) is None
        await one.rounds(3)
        assert await one.phase() == "Progressing"
        assert True not in one.asked(Hook.PROMOTION)
        outcome = await one.promote()
        assert outcome.kind is DONE, outcome.message
        assert await one.phase() == "Succeeded"
        assert await one.image("checkout-primary") == one.v2.artifact.location
        assert await target.weight(release=one.v2) == 100
        now = await target.current()
        assert now is not None
        assert now.release == one.v2
        assert now.all_healthy
        gate = await one.gate()
        assert (gate.held, gate.promote, gate.ceiling) == (False, False, 0), "it is closed again"
        assert sorted(set(one.ticks)) == [0, 20, 40, 60]


@EVERYWHERE
async def test_several_of_flaggers_steps_between_two_of_ours(tmp_path: Path, where: str) -> None:
    async with place(where, tmp_path) as one:
        assert (await one.step(0)).kind is DONE
        await one.rounds(4)
        assert await one.weight() == 0
        assert await one.phase() == "Progressing"
        assert (await one.step(60)).kind is DONE
        assert await one.weight() == 60
        assert one.ticks.count(40) >= 1


@EVERYWHERE
async def test_goes_its_own_way_when_nobody_is_to_be_asked(tmp_path: Path, where: str) -> None:
    async with place(where, tmp_path) as one:
        target = one.target()
        operation = OperationId("d1-apply-1")
        handle = await target.apply(release=one.v2, operation=operation)
        told, outcome = await one.seen(target, handle)
        assert outcome.kind is DONE
        assert await one.image("checkout-primary") == one.v2.artifact.location
        assert any("% of the traffic" in each.message for each in told)
        assert await target.apply(release=one.v2, operation=operation) == handle
        assert (await one.seen(one.target(), handle))[1].kind is DONE
        plan = await target.plan(release=one.v2)
        assert plan.no_change
        assert not (await target.plan(release=one.v3)).no_change


@EVERYWHERE
async def test_the_same_release_again_is_analysed_again(tmp_path: Path, where: str) -> None:
    """Flagger analyses no template twice: a mark in it makes it another one."""
    async with place(where, tmp_path) as one:
        target = one.target()
        await one.seen(target, await target.apply(release=one.v2, operation=OperationId("d1-apply-1")))
        _, outcome = await one.seen(target, await target.apply(release=one.v2, operation=OperationId("d2-apply-1")))
        assert outcome.kind is DONE
        assert one.times(60) >= 2
        marks = (await one.template())["metadata"]["annotations"]
        assert marks["deployment-architect.io/retry"] == "d2-apply-1"


@EVERYWHERE
async def test_what_was_promoted_is_restored_without_analysis(tmp_path: Path, where: str) -> None:
    async with place(where, tmp_path) as one:
        target = one.target()
        before = await target.current()
        await one.seen(target, await target.apply(release=one.v2, operation=OperationId("d1-apply-1")))
        rounds, operation = await one.mark(), OperationId("d1-restore-1")
        await target.restore(to=before, operation=operation)
        # The bot dies here, and the step is repeated by another one.
        again = one.target()
        handle = await again.restore(to=before, operation=operation)
        assert (await one.seen(again, handle))[1].kind is DONE
        assert set(one.ticks[rounds:]) == {0}, "nothing was analysed"
        assert (await one.canary())["spec"]["skipAnalysis"] is False
        now = await target.current()
        assert now is not None
        assert now.release.same_as(one.v1)
        assert now.all_healthy
        assert (await one.seen(one.target(), handle))[1].kind is DONE, "and once more after it is over"
        await one.rounds(4)
        assert await one.phase() == "Succeeded"


@EVERYWHERE
async def test_what_its_owner_skips_stays_skipped(tmp_path: Path, where: str) -> None:
    async with place(where, tmp_path) as one:
        await one.set_canary(skipAnalysis=True)
        target = one.target()
        before = await target.current()
        await one.seen(target, await target.apply(release=one.v2, operation=OperationId("d1-apply-1")))
        back = await target.restore(to=before, operation=OperationId("d1-restore-1"))
        assert (await one.seen(target, back))[1].kind is DONE
        assert (await one.canary())["spec"]["skipAnalysis"] is True


@EVERYWHERE
async def test_pods_that_do_not_come_up_are_told_and_can_be_taken_back(tmp_path: Path, where: str) -> None:
    async with place(where, tmp_path) as one:
        target, bad = one.target(), one.release(one.bad)
        before = await target.current()
        handle = await target.set_weight(release=bad, percent=20, operation=OperationId("d1-weight20-1"))
        messages = []
        async for each in target.observe(handle=handle):
            messages.append(each.message)
            if "cannot pull" in each.message:
                break
        back = await target.take_back(to=before, operation=OperationId("d1-restore-1"))
        outcome = (await one.seen(target, back))[1]
        assert outcome.kind is DONE, outcome.message
        assert await one.image() == one.v1.artifact.location
        assert await one.weight() == 0
        await one.becomes("Failed")


@EVERYWHERE
async def test_a_suspended_canary_is_not_begun(tmp_path: Path, where: str) -> None:
    async with place(where, tmp_path) as one:
        await one.set_canary(suspend=True)
        target = one.target()
        with pytest.raises(ProviderRejected, match="is suspended"):
            await target.plan(release=one.v2)
        with pytest.raises(ProviderRejected, match="is suspended"):
            await target.set_weight(release=one.v2, percent=20, operation=OperationId("d1-weight20-1"))
        assert await one.image() == one.v1.artifact.location
        assert not (await one.gate()).held


async def test_the_success_of_the_run_before_is_not_believed(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        target = one.target()
        await seen(target, await target.apply(release=V2, operation=OperationId("d1-apply-1")))
        assert one.phase == "Succeeded"
        await one.flagger.stop()
        handle = await target.apply(release=V3, operation=OperationId("d2-apply-1"))
        slow = one.target(pickup=0.6)
        told, outcome = await seen(slow, handle)
        assert outcome.kind is FAILED
        assert "did not pick it up" in outcome.message
        assert one.phase == "Succeeded"
        assert "waiting for Flagger" in told[0].message


async def test_a_canary_that_is_suspended_before_it_is_taken_up_has_failed(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        target = one.target(pickup=0.5)
        await one.flagger.stop()
        handle = await target.set_weight(release=V2, percent=20, operation=OperationId("d1-weight20-1"))
        one.set_canary(suspend=True)
        outcome = (await seen(target, handle))[1]
        assert outcome.kind is FAILED
        assert "is suspended" in outcome.message


async def test_a_failed_analysis_is_told_with_its_reason_and_the_weight(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        target = one.target()
        before = await target.current()
        assert (await step(one, 20)).kind is DONE
        one.flagger.check = lambda _canary, image: "error rate 12 % > 1 %" if image == V2.artifact.location else ""
        await until(lambda: one.phase == "Failed")
        assert await target.weight(release=V2) == 0, "and the engine takes it for over"
        outcome = await step(one, 40)
        assert outcome.kind is FAILED, "a step is no new beginning"
        assert "no traffic goes to it" in outcome.message
        assert "error rate 12 %" in outcome.message
        back = await target.take_back(to=before, operation=OperationId("d1-restore-1"))
        assert (await seen(target, back))[1].kind is DONE
        assert one.image() == V1.artifact.location
        assert one.weight == 0
        assert not (await one.gate()).held
        now = await target.current()
        assert now is not None
        assert now.release.same_as(V1)
        assert now.all_healthy


async def test_a_failed_run_can_be_tried_again(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        assert (await step(one, 20)).kind is DONE
        one.flagger.check = lambda _canary, image: "too slow" if image == V2.artifact.location else ""
        await until(lambda: one.phase == "Failed")
        assert (await step(one, 40)).kind is FAILED
        one.flagger.check = lambda _canary, _image: ""
        assert (await step(one, 40, turn=2)).kind is DONE
        assert one.weight == 40


async def test_a_promotion_that_fails_tells_where_the_traffic_is_and_is_restored(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        target = one.target()
        before = await target.current()
        assert (await step(one, 60)).kind is DONE
        assert (await step(one, 100)).kind is DONE
        one.flagger.spoil = lambda: one.set_image("r/side-unready:1", name="checkout-primary", container=1)
        outcome = await promote(one)
        assert outcome.kind is FAILED
        assert "100 % of the traffic stays on the canary" in outcome.message
        assert await target.weight(release=V2) == 100 == one.weight
        one.flagger.spoil = lambda: None
        back = await target.take_back(to=before, operation=OperationId("d1-restore-1"))
        assert one.canary["spec"]["skipAnalysis"] is True
        outcome = (await seen(target, back))[1]
        assert outcome.kind is DONE, outcome.message
        assert one.weight == 0
        assert one.canary["spec"]["skipAnalysis"] is False
        assert one.image() == one.image("checkout-primary") == V1.artifact.location
        assert not (await one.gate()).held
        assert True not in one.asked(Hook.ROLLBACK)
