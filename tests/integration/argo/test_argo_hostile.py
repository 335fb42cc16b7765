"""A Rollout that others abort, that an analysis cannot judge, or whose words come late: nothing goes on unasked."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from kube.argo_world import CHECKOUT, OLD, STAGING, release, seen, weigh, world

from bot.domain.errors import ProviderRejected, ProviderUnavailable
from bot.domain.ids import OperationId
from bot.domain.rollout import OutcomeKind
from integrations._shared.kube.api import Kube
from integrations._shared.workloads.options import WorkloadOptions
from integrations.argo_rollouts import driving
from integrations.argo_rollouts.options import ArgoRolloutsOptions
from integrations.argo_rollouts.target import ArgoRolloutsTarget
from integrations.argo_rollouts.workload import RolloutWorkload

if TYPE_CHECKING:
    from kube.argo_world import World

NEW = release("v1.1")
DONE = OutcomeKind.SUCCEEDED
STOPS = [{"setWeight": 25}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}]
RATE = {"templates": [{"templateName": "rate"}]}
ROUTED = {"trafficRouting": {"nginx": {"stableIngress": "checkout"}}}
RBAC = Path(__file__).parents[3] / "deploy" / "kubernetes" / "rbac" / "argo-rollouts.yaml"


async def test_what_somebody_aborted_is_retried_by_deploying_it_again() -> None:
    async with world() as there:
        target = there.target()
        await weigh(target, "v1.1", 25, "op-1")
        there.kubectl({"abort": True})
        await there.until("Degraded")
        assert there.image() == NEW.artifact.location, "an abort leaves the template"
        plan = await target.plan(release=NEW)
        assert "checkout: web runs" in plan.changes[0], "those who are served get something else"
        assert OLD.artifact.digest[7:19] in plan.changes[0]
        assert (await weigh(target, "v1.1", 50, "op-2")).kind is not DONE, "to go on is no retry"
        assert there.traffic == 0
        outcome = await weigh(target, "v1.1", 25, "op-3")
        assert (outcome.kind, there.traffic) == (DONE, 25), outcome.message
        there.kubectl({"abort": True})
        await there.until("Degraded")
        repeated = await target.set_weight(release=NEW, percent=25, operation=OperationId("op-3"))
        assert (await seen(target, repeated))[1].kind is not DONE, "a repetition overrules nobody"
        assert there.traffic == 0


@pytest.mark.parametrize("steps", [STOPS, [{"setWeight": 50}, {"pause": {"duration": "1s"}}]])
async def test_a_release_that_was_aborted_can_be_brought_all_the_way(steps: list[Any]) -> None:
    async with world(steps=steps) as there:
        target = there.target()
        await target.apply(release=NEW, operation=OperationId("op-1"))
        there.kubectl({"abort": True})
        await there.server.until(lambda: there.status.get("abort") is True or there.status["phase"] == "Healthy")
        handle = await target.apply(release=NEW, operation=OperationId("op-2"))
        assert (await seen(target, handle))[1].kind is DONE
        now = await target.current()
        assert now is not None
        assert now.release == NEW


async def test_a_retry_that_was_not_noted_is_noted_by_whoever_repeats_it() -> None:
    """The bot dies after its word and before its mark."""
    async with world() as there:
        target = there.target()
        await weigh(target, "v1.1", 25, "op-1")
        there.kubectl({"abort": True})
        await there.until("Degraded")
        named = WorkloadOptions(name="checkout", container="web")
        await driving.retry(RolloutWorkload(there.kube, "shop", named))
        assert await target.find(operation=OperationId("op-2")) is None
        assert (await weigh(target, "v1.1", 25, "op-2")).kind is DONE


def written(there: World, since: int = 0) -> list[tuple[str, Any]]:
    """What was changed over HTTP, in order: where, and of a status what."""
    calls = [call for call in there.server.log[since:] if call.writes and call.code == 200]
    assert all(call.body["metadata"]["resourceVersion"] for call in calls if call.subresource == "status"), (
        "a word is about what was looked at, and about nothing that came later"
    )
    return [(call.subresource, call.body["status"] if call.subresource == "status" else None) for call in calls]


async def test_traffic_is_taken_away_before_the_template_is_put_back() -> None:
    async with world() as there:
        target = there.target()
        before = await target.current()
        await weigh(target, "v1.1", 25, "op-1")
        since = len(there.server.log)
        await seen(target, await target.take_back(to=before, operation=OperationId("op-2")))
        words = written(there, since)
        assert words[:2] == [("status", {"abort": True}), ("", None)]
        assert ("status", {"promoteFull": True}) not in words, "it is the stable one already"
        since = len(there.server.log)
        await seen(target, await target.restore(to=before, operation=OperationId("op-3")))
        assert [where for where, _ in written(there, since)] == [""]


@pytest.mark.parametrize("referred", [False, True])
async def test_what_somebody_has_paused_goes_no_further_and_can_still_be_taken_back(referred: bool) -> None:
    async with world(referred=referred) as there:
        target = there.target()
        before = await target.current()
        await weigh(target, "v1.1", 25, "op-1")
        pause = {"spec": {"paused": True}}
        there.server.change("rollouts", "shop", "checkout", pause, manager="kubectl-argo-rollouts")
        outcome = await weigh(target, "v1.1", 50, "op-2")
        assert outcome.kind is OutcomeKind.FAILED
        assert "paused by kubectl-argo-rollouts" in outcome.message
        assert there.get()["spec"]["paused"] is True, "nobody's pause is ended to go on"
        assert there.traffic == 25
        handle = await target.take_back(to=before, operation=OperationId("op-3"))
        assert (await seen(target, handle))[1].kind is DONE
        assert there.traffic == 0
        assert there.image("deployments" if referred else "rollouts") == OLD.artifact.location


async def test_a_word_that_comes_late_is_not_for_what_others_brought_meanwhile() -> None:
    async with world() as there:
        target = there.target()
        await weigh(target, "v1.1", 25, "op-1")
        there.server.faults.refuse(500, verb="patch", path="/status", times=50)
        with pytest.raises(ProviderUnavailable):
            await target.set_weight(release=NEW, percent=50, operation=OperationId("op-2"))
        there.server.faults.clear()
        there.set_image(release("v9").artifact.location)
        await there.server.until(lambda: there.status.get("observedGeneration") == "3")
        await there.until("Paused", reason="CanaryPauseStep")
        since = len(there.server.log)
        handle = await target.set_weight(release=NEW, percent=50, operation=OperationId("op-2"))
        assert (await seen(target, handle))[1].kind is OutcomeKind.SUPERSEDED
        assert [each for each in written(there, since) if each[0] == "status"] == []
        assert (there.traffic, there.status["currentStepIndex"]) == (25, 1)


@pytest.mark.long
async def test_a_word_is_not_given_to_what_has_changed_since_the_look() -> None:
    """Somebody else aborts it in the very moment between the look and the word."""
    async with world() as there:
        target = there.target()
        await weigh(target, "v1.1", 25, "op-1")
        aborted: list[bool] = []

        async def meanwhile(call: Any) -> None:
            if call.subresource == "status" and not aborted:
                aborted.append(True)
                there.kubectl({"abort": True})

        there.server.faults.under_way = meanwhile
        handle = await target.set_weight(release=NEW, percent=50, operation=OperationId("op-2"))
        assert aborted
        assert (await seen(target, handle))[1].kind is not DONE
        assert [status for where, status in written(there) if where == "status"] == []


async def test_an_analysis_that_cannot_tell_is_asked_about_and_passed_only_by_a_retry() -> None:
    steps = [*STOPS[:2], {"analysis": RATE}, *STOPS[2:]]
    async with world(steps=steps) as there:
        there.controller.analyses.verdict = lambda _run: "Inconclusive"
        target = there.target()
        assert (await weigh(target, "v1.1", 25, "op-1")).kind is DONE
        for _ in range(2):  # however often the same step is begun
            handle = await target.set_weight(release=NEW, percent=50, operation=OperationId("op-2"))
            with pytest.raises(ProviderRejected, match=r"could not tell.*Inconclusive.*A retry lets it past"):
                await seen(target, handle)
            assert (there.traffic, there.status["currentStepIndex"]) == (25, 2)
            assert await target.weight(release=NEW) == 25
        outcome = await weigh(target, "v1.1", 50, "op-3")
        assert (outcome.kind, there.traffic) == (DONE, 50), outcome.message


async def test_without_any_rest_it_is_asked_about_as_well() -> None:
    async with world(steps=[{"setWeight": 50}, {"analysis": RATE}]) as there:
        there.controller.analyses.verdict = lambda _run: "Inconclusive"
        target = there.target()
        for _ in range(2):
            handle = await target.apply(release=NEW, operation=OperationId("op-1"))
            with pytest.raises(ProviderRejected, match="could not tell"):
                await seen(target, handle)
        handle = await target.apply(release=NEW, operation=OperationId("op-2"))
        assert (await seen(target, handle))[1].kind is DONE
        # What one release was let past, the next one is not.
        handle = await target.apply(release=release("v1.2"), operation=OperationId("op-3"))
        with pytest.raises(ProviderRejected, match="could not tell"):
            await seen(target, handle)


async def test_beside_a_pause_an_analysis_that_cannot_tell_is_not_passed_with_it() -> None:
    async with world(strategy={"canary": {"steps": STOPS, "analysis": RATE, **ROUTED}}) as there:
        there.controller.analyses.verdict = lambda _run: "Running"
        target = there.target()
        assert (await weigh(target, "v1.1", 25, "op-1")).kind is DONE
        there.controller.analyses.verdict = lambda _run: "Inconclusive"
        await there.until("Paused", reason="InconclusiveAnalysisRun")
        handle = await target.set_weight(release=NEW, percent=50, operation=OperationId("op-2"))
        with pytest.raises(ProviderRejected, match="could not tell"):
            await seen(target, handle)
        assert (there.traffic, there.status["currentStepIndex"]) == (25, 1)
        there.controller.analyses.verdict = lambda _run: "Running"
        assert (await weigh(target, "v1.1", 50, "op-3")).kind is DONE
        assert (there.traffic, there.status["currentStepIndex"]) == (50, 3), "no rest was left out"


@pytest.mark.parametrize("when", ["pre", "post"])
async def test_an_analysis_before_or_after_a_switch_is_shown_and_decides(when: str) -> None:
    services = {"activeService": "a", "previewService": "p", "autoPromotionEnabled": False}
    async with world(strategy={"blueGreen": {**services, f"{when}PromotionAnalysis": RATE}}) as there:
        there.controller.analyses.verdict = lambda _run: "Running"
        target = there.target()
        before = await target.current()
        handle = await target.set_weight(release=NEW, percent=0, operation=OperationId("op-1"))
        assert (await seen(target, handle))[1].kind is DONE
        assert await target.weight(release=NEW) == 0
        going = await target.set_weight(release=NEW, percent=100, operation=OperationId("op-2"))
        messages = []
        async for each in target.observe(handle=going):
            messages.append(each.message)
            if "Analysis checkout-" in each.message:
                there.controller.analyses.verdict = lambda _run: "Failed"
        assert any("Running" in each for each in messages)
        assert 'Metric "rate" assessed Failed' in messages[-1]
        assert await target.weight(release=NEW) == 0
        back = await target.take_back(to=before, operation=OperationId("op-3"))
        assert (await seen(target, back))[1].kind is DONE
        assert there.image() == OLD.artifact.location


@pytest.mark.long
async def test_a_switch_is_undone_before_the_template_goes_back() -> None:
    """Put back in the midst of it, the way back would be a switch as well, and rest before it for ever."""
    services = {"activeService": "a", "previewService": "p", "autoPromotionEnabled": False}
    async with world(strategy={"blueGreen": {**services, "postPromotionAnalysis": RATE}}) as there:
        there.controller.analyses.verdict = lambda _run: "Running"
        target = there.target()
        before = await target.current()
        await weigh(target, "v1.1", 0, "op-1")
        await target.set_weight(release=NEW, percent=100, operation=OperationId("op-2"))
        await there.server.until(lambda: "postPromotionAnalysisRunStatus" in there.status["blueGreen"])
        await there.controller.stop()
        since = len(there.server.log)
        back = asyncio.create_task(target.take_back(to=before, operation=OperationId("op-3")))
        async with asyncio.timeout(20):
            while len([call for call in there.server.log[since:] if call.verb == "get"]) < 5:
                await asyncio.sleep(0.01)
        assert there.status["abort"] is True
        assert there.image() == NEW.artifact.location
        there.controller.start()
        assert (await seen(target, await back))[1].kind is DONE
        assert there.status["blueGreen"]["activeSelector"] == there.status["stableRS"]
        assert there.image() == OLD.artifact.location


async def test_analyses_of_a_canary_are_shown_while_they_run() -> None:
    steps = [*STOPS[:2], {"analysis": RATE}, *STOPS[2:]]
    async with world(steps=steps) as there:
        there.controller.analyses.verdict = lambda _run: "Running"
        target = there.target()
        await weigh(target, "v1.1", 25, "op-1")
        handle = await target.set_weight(release=NEW, percent=50, operation=OperationId("op-2"))
        messages = []
        async for each in target.observe(handle=handle):
            messages.append(each.message)
            if "Analysis checkout-" in each.message:
                there.controller.analyses.verdict = lambda _run: "Successful"
        assert any("step 3 of 5" in each and ": Running." in each for each in messages), messages


async def test_where_pods_follow_traffic_it_is_taken_back_when_the_stable_ones_are_up_again() -> None:
    async with world(strategy={"canary": {"steps": STOPS, "dynamicStableScale": True, **ROUTED}}) as there:
        target = there.target()
        before = await target.current()
        assert before is not None
        await weigh(target, "v1.1", 25, "op-1")
        await weigh(target, "v1.1", 50, "op-2")
        during = await target.current()
        assert during is not None
        assert during.release.same_as(OLD)
        assert (during.healthy, during.instances) == (2, 4), "half of them sleep"
        template = json.loads(during.details["template"])["checkout"]
        assert "rollouts-pod-template-hash" not in template["metadata"]["labels"], "what its controller adds"
        handle = await target.take_back(to=before, operation=OperationId("op-3"))
        assert (await seen(target, handle))[1].kind is DONE
        assert there.traffic == 0
        now = await target.current()
        assert now is not None
        assert now.all_healthy


async def test_the_role_that_comes_with_it_is_enough_and_every_word_goes_to_the_status() -> None:
    async with world() as there:
        role = next(each for each in yaml.safe_load_all(RBAC.read_text()) if each["kind"] == "Role")
        there.server.allow("narrow", [{**rule, "namespace": "shop"} for rule in role["rules"]])
        kube = Kube(there.server.access(token="narrow"))
        try:
            options = ArgoRolloutsOptions(cluster="main", namespace="shop", rollout="checkout", container="web")
            target = ArgoRolloutsTarget(options=options, service=CHECKOUT, environment=STAGING, kube=kube)
            assert [each.what for each in await target.examine() if not each.ok] == []
            before, since = await target.current(), len(there.server.log)
            assert (await target.plan(release=NEW)).changes
            for number, percent in enumerate((25, 50, 100)):
                assert (await weigh(target, "v1.1", percent, f"op-{number}")).kind is DONE
            await seen(target, await target.restore(to=before, operation=OperationId("back-1")))
            await weigh(target, "v1.1", 25, "op-8")
            await seen(target, await target.take_back(to=before, operation=OperationId("back-2")))
            mine = [call for call in there.server.log[since:] if call.user not in ("admin", "system:admin")]
            assert 403 not in {call.code for call in mine}
            written = {f"{call.resource}/{call.subresource}" for call in mine if call.writes}
            assert written == {"rollouts/", "rollouts/status"}
        finally:
            await kube.close()
