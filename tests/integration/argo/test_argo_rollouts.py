"""A Rollout is led from rest to rest, and never further than somebody allowed.

On the stand-in always, on a real cluster with Argo Rollouts where TEST_KUBECONFIG names one. The last two tests are the
stand-in's alone: they need a server that fails at a certain call, and a controller that stands still.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from kube.argo_places import place
from kube.argo_world import CHECKOUT, release, seen, weigh, world
from kube.real import EVERYWHERE

from bot.domain.catalog import HealthCheck
from bot.domain.errors import ProviderRejected, ProviderUnavailable
from bot.domain.ids import OperationId
from bot.domain.rollout import Handle, OutcomeKind, Running
from bot.ports.target import ChecksSteps, SupportsAbort, SupportsPromote, SupportsTrafficWeight

if TYPE_CHECKING:
    from integrations.argo_rollouts.target import ArgoRolloutsTarget

DONE = OutcomeKind.SUCCEEDED


async def stable(target: ArgoRolloutsTarget) -> Running:
    found = await target.current()
    assert found is not None
    return found


@EVERYWHERE
async def test_from_rest_to_rest_to_the_end(where: str) -> None:
    async with place(where) as there:
        target = there.target()
        assert isinstance(target, SupportsTrafficWeight)
        assert isinstance(target, SupportsPromote)
        assert isinstance(target, SupportsAbort)
        assert isinstance(target, ChecksSteps)
        before = await stable(target)
        assert before.release.same_as(there.old)
        assert (before.healthy, before.instances) == (4, 4)
        plan = await target.plan(release=there.new)
        assert len(plan.changes) == 1
        assert not plan.no_change
        assert await there.image() == there.old.artifact.location, "a plan changes nothing"

        first = await there.weigh(target, "v1.1", 25, "op-1")
        assert (first.kind, await there.traffic()) == (DONE, 25), first
        assert await target.weight(release=there.new) == 25
        assert (await stable(target)).release.same_as(there.old), "while traffic is split, what is stable runs"
        second = await there.weigh(target, "v1.1", 50, "op-2")
        assert (second.kind, await there.traffic()) == (DONE, 50), second
        third = await there.weigh(target, "v1.1", 100, "op-3")
        assert third.kind is DONE, third
        handle = await target.promote(release=there.new, operation=OperationId("op-4"))
        assert (await there.seen(target, handle))[1].kind is DONE
        assert await target.weight(release=there.new) == 100
        now = await stable(target)
        assert (now.release, now.healthy, now.operation) == (there.new, 4, "op-4")
        assert (await target.health(release=there.new, check=HealthCheck(path="/health"))).ok
        assert (await target.plan(release=there.new)).no_change


@EVERYWHERE
async def test_without_a_word_it_rests_where_it_is(where: str) -> None:
    async with place(where) as there:
        target = there.target()
        assert (await there.weigh(target, "v1.1", 25, "op-1")).kind is DONE
        for _ in range(3):  # whatever is repeated late, and by however many replicas
            await there.weigh(target, "v1.1", 25, "op-1")
        await asyncio.gather(*(there.weigh(target, "v1.1", 25, "op-1") for _ in range(3)))
        assert (await there.traffic(), await there.step()) == (25, 1)


@EVERYWHERE
async def test_a_step_that_is_allowed_twice_is_made_once(where: str) -> None:
    async with place(where) as there:
        target = there.target()
        await there.weigh(target, "v1.1", 25, "op-1")
        several = [target.set_weight(release=there.new, percent=50, operation=OperationId("op-2")) for _ in range(4)]
        handles = await asyncio.gather(*several)
        ends = [(await there.seen(target, handle))[1].kind for handle in handles]
        assert ends == [DONE] * 4
        assert (await there.traffic(), await there.step()) == (50, 3)
        again = await target.set_weight(release=there.new, percent=50, operation=OperationId("op-2"))
        assert (await there.seen(target, again))[1].kind is DONE
        assert (await there.traffic(), await there.step()) == (50, 3)


@EVERYWHERE
async def test_who_lets_it_go_on_leaves_no_step_out(where: str) -> None:
    wait = {"pause": {"duration": "1000s"}}
    steps = [{"setWeight": 25}, {"pause": {}}, wait, {"setWeight": 50}, {"pause": {}}]
    async with place(where, steps=steps) as there:
        target = there.target()
        await there.weigh(target, "v1.1", 25, "op-1")
        await target.set_weight(release=there.new, percent=50, operation=OperationId("op-2"))

        async def gone_on() -> bool:
            return await there.step() >= 2

        await there.hands.until(gone_on)
        await there.until("Paused", reason="CanaryPauseStep")
        assert await there.step() == 2


@EVERYWHERE
async def test_steps_that_are_left_out_are_left_out_and_no_others(where: str) -> None:
    steps = [part for weight in (10, 30, 60) for part in ({"setWeight": weight}, {"pause": {}})]
    async with place(where, steps=steps, replicas=10) as there:
        target = there.target()
        await there.weigh(target, "v1.1", 10, "op-1")
        assert (await there.weigh(target, "v1.1", 60, "op-2")).kind is DONE
        assert (await there.traffic(), await there.step()) == (60, 5)


@EVERYWHERE
async def test_what_is_promoted_elsewhere_is_seen_and_gone_on_from(where: str) -> None:
    async with place(where) as there:
        target = there.target()
        await there.weigh(target, "v1.1", 25, "op-1")
        await there.kubectl({"pauseConditions": None})

        async def gone_on() -> bool:
            return await there.step() == 3 and await there.traffic() == 50

        await there.hands.until(gone_on)
        await there.until("Paused")
        assert await target.weight(release=there.new) == 50
        assert (await there.weigh(target, "v1.1", 50, "op-2")).kind is DONE, "it is there already"
        await there.kubectl({"promoteFull": True})
        await there.until("Healthy")
        handle = await target.promote(release=there.new, operation=OperationId("op-3"))
        assert (await there.seen(target, handle))[1].kind is DONE


@EVERYWHERE
async def test_it_is_taken_back_at_once_and_for_good(where: str) -> None:
    async with place(where) as there:
        target = there.target()
        before = await stable(target)
        await there.weigh(target, "v1.1", 25, "op-1")
        for _ in range(2):
            handle = await target.take_back(to=before, operation=OperationId("op-2"))
            assert (await there.seen(target, handle))[1].kind is DONE
        assert (await there.traffic(), await there.image()) == (0, there.old.artifact.location)
        assert (await stable(target)).release.same_as(there.old)
        assert await target.weight(release=there.new) == 0
        assert (await there.weigh(target, "v1.1", 25, "op-3")).kind is DONE, "and it can be tried again"


@EVERYWHERE
async def test_a_release_that_was_promoted_is_put_back_without_any_rest(where: str) -> None:
    async with place(where) as there:
        target = there.target()
        before = await stable(target)
        for number, percent in enumerate((25, 50, 100)):
            await there.weigh(target, "v1.1", percent, f"op-{number}")
        handle = await target.restore(to=before, operation=OperationId("back"))
        assert (await there.seen(target, handle))[1].kind is DONE
        assert (await stable(target)).release.same_as(there.old)
        # As a rollback of the rollback goes.
        handle = await target.apply(release=there.new, operation=OperationId("forth"))
        assert (await there.seen(target, handle))[1].kind is DONE
        assert (await stable(target)).release == there.new


@EVERYWHERE
async def test_pods_that_do_not_come_up_are_told_in_plain_words(where: str) -> None:
    async with place(where) as there:
        target, bad = there.target(), there.release(there.failing)
        handle = await target.set_weight(release=bad, percent=25, operation=OperationId("op-1"))
        (_, outcome), _ = await asyncio.gather(there.seen(target, handle), there.give_up())
        assert outcome.kind is OutcomeKind.FAILED
        assert "made no progress" in outcome.message
        assert there.says in outcome.message.lower()


@EVERYWHERE
async def test_somebody_aborts_it(where: str) -> None:
    async with place(where) as there:
        target = there.target()
        await there.weigh(target, "v1.1", 25, "op-1")
        handle = Handle(operation=OperationId("op-1"), generation=f"{(await there.get())['metadata']['uid']}:0")
        await there.kubectl({"abort": True})
        await there.until("Degraded")
        outcome = (await there.seen(target, handle))[1]
        assert outcome.kind is OutcomeKind.ROLLED_BACK_BY_PLATFORM
        assert await target.weight(release=there.new) == 0


@EVERYWHERE
async def test_somebody_sets_another_image(where: str) -> None:
    async with place(where) as there:
        target = there.target()
        handle = await target.set_weight(release=there.new, percent=25, operation=OperationId("op-1"))
        await there.set_image(there.release("v9").artifact.location)
        outcome = (await there.seen(target, handle))[1]
        assert outcome.kind is OutcomeKind.SUPERSEDED
        assert "kubectl-set" in outcome.message
        assert await target.weight(release=there.new) == 0


@EVERYWHERE
async def test_somebody_deletes_it(where: str) -> None:
    async with place(where) as there:
        target = there.target()
        handle = await target.set_weight(release=there.new, percent=25, operation=OperationId("op-1"))
        await there.hands.gone("rollouts", "checkout")
        assert (await there.seen(target, handle))[1].kind is OutcomeKind.DELETED
        assert await target.current() is None
        with pytest.raises(ProviderRejected, match=f"no Rollout checkout in namespace {there.hands.namespace}"):
            await target.plan(release=there.new)


@EVERYWHERE
@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([25, 50, 100], None),
        ([20, 50, 100], "stops at 20 %, 50 %.*pauses without an end at 25 %, 50 %.*setWeight: 20"),
        ([25, 100], "both must be the same"),
        ([], "pauses for a person at 25 %, 50 %.*weight: 25, approval: true"),
    ],
)
async def test_a_strategy_that_cannot_pace_it_is_refused_with_what_to_write(
    where: str, weights: list[int], said: str | None
) -> None:
    async with place(where) as there:
        target = there.target()
        if said is None:
            await target.check_steps(weights=weights)
            return
        with pytest.raises(ProviderRejected, match=said):
            await target.check_steps(weights=weights)


@EVERYWHERE
async def test_steps_without_a_person_need_no_strategy_of_ours(where: str) -> None:
    async with place(where, steps=[{"setWeight": 50}, {"pause": {"duration": "1s"}}]) as there:
        target = there.target()
        await target.check_steps(weights=[])
        handle = await target.apply(release=there.new, operation=OperationId("op-1"))
        told, outcome = await there.seen(target, handle)
        assert outcome.kind is DONE
        assert any("step" in each.message for each in told)
        assert (await stable(target)).release == there.new


@EVERYWHERE
async def test_blue_green_switches_when_it_is_let(where: str) -> None:
    strategy = {"blueGreen": {"activeService": "a", "previewService": "p", "autoPromotionEnabled": False}}
    async with place(where, strategy=strategy) as there:
        target = there.target()
        await target.check_steps(weights=[0, 100])
        with pytest.raises(ProviderRejected, match="blue_green"):
            await target.check_steps(weights=[20, 100])
        before = await stable(target)
        assert (await there.weigh(target, "v1.1", 0, "op-1")).kind is DONE
        assert await target.weight(release=there.new) == 0
        assert (await stable(target)).release.same_as(there.old)
        assert (await there.weigh(target, "v1.1", 100, "op-2")).kind is DONE
        assert await target.weight(release=there.new) == 100
        handle = await target.restore(to=before, operation=OperationId("back"))
        assert (await there.seen(target, handle))[1].kind is DONE
        assert (await stable(target)).release.same_as(there.old)


@EVERYWHERE
async def test_a_template_that_stands_in_a_deployment_is_changed_there(where: str) -> None:
    async with place(where, referred=True) as there:
        target = there.target()
        before = await stable(target)
        assert (await there.weigh(target, "v1.1", 25, "op-1")).kind is DONE
        assert await there.image("deployments") == there.new.artifact.location
        assert (await there.weigh(target, "v1.1", 50, "op-2")).kind is DONE
        handle = await target.take_back(to=before, operation=OperationId("op-3"))
        assert (await there.seen(target, handle))[1].kind is DONE
        assert await there.image("deployments") == there.old.artifact.location


@EVERYWHERE
async def test_what_its_owners_write_there_is_heeded_or_refused(where: str) -> None:
    async with place(where) as there:
        target = there.target()

        async def says(value: str) -> None:
            await there.change({"metadata": {"annotations": {"deployment-architect.io/strategy": value}}})

        await says("canary")
        await target.plan(release=there.new)
        for wrong in ("blue-green", "rolling", "<!channel>"):
            await says(wrong)
            with pytest.raises(ProviderRejected, match="another strategy"):
                await target.plan(release=there.new)
        await there.change({"spec": {"paused": True}})
        with pytest.raises(ProviderRejected, match="is paused"):
            await target.plan(release=there.new)


@EVERYWHERE
async def test_books_that_somebody_has_written_into_lead_nowhere(where: str) -> None:
    async with place(where) as there:
        target = there.target()
        for value in ("{", "[]", '[["op-1", 101]]', '[["op-1","x","",""]]', '[["<!channel>",25,"",""]]', "[" * 5000):
            await there.change({"metadata": {"annotations": {"deployment-architect.io/goals": value}}})
            assert await target.find(operation=OperationId("op-1")) is None
        assert (await there.weigh(target, "v1.1", 25, "op-1")).kind is DONE


@EVERYWHERE
async def test_every_call_is_within_the_role_that_is_documented(where: str) -> None:
    async with place(where) as there:
        target = there.target()
        before = await stable(target)
        await target.plan(release=there.new)
        await there.weigh(target, "v1.1", 25, "op-1")
        await there.seen(target, await target.take_back(to=before, operation=OperationId("op-2")))
        findings = await target.examine()
        assert all(finding.ok for finding in findings)
        assert before.release.service == CHECKOUT


async def test_the_bot_dies_between_its_mark_and_its_word() -> None:
    async with world() as there:
        target = there.target()
        await weigh(target, "v1.1", 25, "op-1")
        there.server.faults.refuse(500, verb="patch", path="/status", times=50)
        with pytest.raises(ProviderUnavailable):
            await target.set_weight(release=release("v1.1"), percent=50, operation=OperationId("op-2"))
        there.server.faults.clear()
        assert there.traffic == 25
        assert await target.find(operation=OperationId("op-2")) is None, "what was noted and not said changed nothing"
        again = await target.set_weight(release=release("v1.1"), percent=50, operation=OperationId("op-2"))
        assert (await seen(target, again))[1].kind is DONE
        assert (there.traffic, there.status["currentStepIndex"]) == (50, 3)


async def test_the_healthy_of_before_is_not_believed() -> None:
    async with world() as there:
        target = there.target()
        await there.controller.stop()
        handle = await target.set_weight(release=release("v1.1"), percent=25, operation=OperationId("op-1"))
        assert there.status["phase"] == "Healthy"
        told = target.observe(handle=handle)
        first = await anext(told)
        assert "looking" in first.message or "waiting" in first.message
        there.controller.start()
        everything = [each async for each in told]
        assert everything[-1].kind is DONE  # type: ignore[union-attr]  # the last is the outcome
        assert there.traffic == 25
