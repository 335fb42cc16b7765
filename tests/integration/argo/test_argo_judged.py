"""Who took a Rollout's canary back, and why: its own analysis, its own deadline, or a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from kube.argo_world import OLD, release, seen, weigh, world

from bot.domain.ids import OperationId
from bot.domain.rollout import OutcomeKind
from bot.ports.target import TellsTakenBack

if TYPE_CHECKING:
    from kube.argo_world import World

pytestmark = pytest.mark.long

NEW = release("v1.1")
STEPS = [{"setWeight": 25}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}]
STRATEGY: dict[str, Any] = {
    "canary": {
        "steps": STEPS,
        "trafficRouting": {"nginx": {"stableIngress": "checkout"}},
        "analysis": {"templates": [{"templateName": "error-rate"}]},
    }
}


async def gone(there: World) -> None:
    await there.server.until(lambda: there.status.get("abort") is True)
    await there.until("Degraded")


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("Failed", 'failed: Metric "error-rate" assessed Failed due to failed (1) > failureLimit (0).'),
        (
            "Error",
            'could not be made: Metric "error-rate" assessed Error due to consecutiveErrors (5) > consecutive',
        ),
    ],
)
async def test_an_analysis_is_named_with_its_metric_and_what_it_says(verdict: str, words: str) -> None:
    async with world(strategy=STRATEGY) as there:
        target = there.target()
        assert isinstance(target, TellsTakenBack)
        there.controller.analyses.verdict = lambda _run: "Running"
        before = await target.current()
        assert (await weigh(target, "v1.1", 25, "op-1")).kind is OutcomeKind.SUCCEEDED
        assert await target.taken_back(release=NEW) is None
        there.controller.analyses.verdict = lambda _run: verdict
        await gone(there)
        assert await target.weight(release=NEW) == 0
        found = await target.taken_back(release=NEW)
        assert found is not None
        assert found.by_platform
        assert found.why.startswith("Argo Rollouts took v1.1 back: its analysis checkout-")
        assert words in found.why
        back = await target.take_back(to=before, operation=OperationId("back"))
        assert (await seen(target, back))[1].kind is OutcomeKind.SUCCEEDED
        assert there.image() == OLD.artifact.location
        found = await target.taken_back(release=NEW)
        assert found is None or not found.by_platform, "that is over"


async def test_a_step_that_an_analysis_ends_has_failed_and_can_be_taken_back() -> None:
    analysis = {"analysis": {"templates": [{"templateName": "error-rate"}]}}
    async with world(steps=[*STEPS[:2], analysis, *STEPS[2:]]) as there:
        target = there.target()
        before = await target.current()
        assert (await weigh(target, "v1.1", 25, "op-1")).kind is OutcomeKind.SUCCEEDED
        there.controller.analyses.verdict = lambda _run: "Failed"
        outcome = await weigh(target, "v1.1", 50, "op-2")
        assert outcome.kind is OutcomeKind.FAILED, "so that who follows it puts the template back"
        assert "its analysis checkout-" in outcome.message
        assert 'failed: Metric "error-rate" assessed Failed' in outcome.message
        back = await target.take_back(to=before, operation=OperationId("back"))
        assert (await seen(target, back))[1].kind is OutcomeKind.SUCCEEDED
        assert (there.traffic, there.image()) == (0, OLD.artifact.location)


async def test_a_person_who_aborts_it_is_named_and_is_no_verdict() -> None:
    async with world() as there:
        target = there.target()
        await weigh(target, "v1.1", 25, "op-1")
        there.kubectl({"abort": True})
        for look in (lambda: None, lambda: gone(there)):  # before the controller has seen it, and after
            if (waits := look()) is not None:
                await waits
            found = await target.taken_back(release=NEW)
            assert found is not None
            assert not found.by_platform
            assert found.why.startswith("kubectl-argo-rollouts at ")
            assert found.why.endswith(" UTC aborted checkout.")


async def test_a_person_who_sets_another_image_is_named() -> None:
    async with world() as there:
        target = there.target()
        await weigh(target, "v1.1", 25, "op-1")
        there.set_image(OLD.artifact.location)
        assert await target.weight(release=NEW) == 0
        found = await target.taken_back(release=NEW)
        assert found is not None
        assert not found.by_platform
        assert found.why.startswith("kubectl-set at ")
        assert "its container web is set to" in found.why


@pytest.mark.parametrize(("manager", "by_platform"), [("rollouts-controller", True), ("kubectl-argo-rollouts", False)])
async def test_an_abort_without_a_reason_is_whose_hand_wrote_it(manager: str, by_platform: bool) -> None:
    """As after ``progressDeadlineAbort``: what the controller says of it then has no reason in it."""
    async with world() as there:
        target = there.target()
        await weigh(target, "v1.1", 25, "op-1")
        there.kubectl({"abort": True}, manager=manager)
        await gone(there)
        found = await target.taken_back(release=NEW)
        assert found is not None
        assert found.by_platform is by_platform
        if by_platform:
            assert found.why == "Argo Rollouts took v1.1 back: Rollout aborted update to revision 2."


async def test_a_reason_of_before_is_not_told_of_what_came_after() -> None:
    """A person lets it try again after an analysis has failed, and aborts it then."""
    async with world() as there:
        target = there.target()
        await weigh(target, "v1.1", 25, "op-1")
        words = {"type": "Progressing", "status": "Unknown", "reason": "RolloutPaused", "message": "odd: words"}
        there.kubectl({"conditions": [words], "abort": True})
        found = await target.taken_back(release=NEW)
        assert found is not None
        assert not found.by_platform


async def test_what_stands_in_a_status_is_only_text() -> None:
    async with world() as there:
        target = there.target()
        await weigh(target, "v1.1", 25, "op-1")
        await there.controller.stop()
        for odd in ([], "x", {"name": 1, "status": ["Failed"]}, {"name": "<!channel>", "status": "Failed"}):
            there.kubectl({"abort": True, "canary": {"currentBackgroundAnalysisRunStatus": odd}, "conditions": "x"})
            found = await target.taken_back(release=NEW)
            assert found is not None
            assert found.by_platform is (isinstance(odd, dict) and odd["status"] == "Failed")


@pytest.mark.parametrize(("kind", "percent"), [("pre", 0), ("post", 100)])
async def test_an_analysis_beside_a_switch_is_named_too(kind: str, percent: int) -> None:
    wanted = {"templates": [{"templateName": "smoke"}]}
    switch = {"activeService": "a", "previewService": "p", "autoPromotionEnabled": False}
    async with world(strategy={"blueGreen": {**switch, f"{kind}PromotionAnalysis": wanted}}) as there:
        target = there.target()
        there.controller.analyses.verdict = lambda _run: "Running"
        before = await target.current()
        handle = await target.set_weight(release=NEW, percent=0, operation=OperationId("op-1"))
        if kind == "post":
            assert (await seen(target, handle))[1].kind is OutcomeKind.SUCCEEDED
            handle = await target.set_weight(release=NEW, percent=percent, operation=OperationId("op-2"))
            await there.server.until(lambda: "postPromotionAnalysisRunStatus" in there.status.get("blueGreen", {}))
        assert await target.taken_back(release=NEW) is None
        there.controller.analyses.verdict = lambda _run: "Failed"
        await gone(there)
        assert await target.weight(release=NEW) == 0
        found = await target.taken_back(release=NEW)
        assert found is not None
        assert found.by_platform
        assert 'failed: Metric "smoke" assessed Failed' in found.why
        outcome = (await seen(target, handle))[1]
        assert outcome.kind is OutcomeKind.FAILED
        back = await target.take_back(to=before, operation=OperationId("back"))
        assert (await seen(target, back))[1].kind is OutcomeKind.SUCCEEDED
        assert there.image() == OLD.artifact.location


async def test_without_our_marks_nobody_takes_somebody_elses_image_for_ours() -> None:
    async with world(steps=STEPS) as there:
        target = there.target()
        assert (await weigh(target, "v1.1", 25, "op-1")).kind is OutcomeKind.SUCCEEDED

        def change(live: dict[str, Any]) -> dict[str, Any]:
            del live["metadata"]["annotations"]["deployment-architect.io/images"]
            live["spec"]["template"]["spec"]["containers"][0]["image"] = release("v6.6").artifact.location
            return live

        there.server.change("rollouts", "shop", "checkout", change, manager="kubectl-edit")
        await there.server.until(
            lambda: there.status["observedGeneration"] == str(there.get()["metadata"]["generation"])
        )
        await there.server.until(lambda: there.traffic == 25 and there.status.get("phase") == "Paused")
        outcome = await weigh(target, "v1.1", 50, "op-1")
        assert outcome.kind is OutcomeKind.SUPERSEDED
        assert "Somebody removed our marks from checkout" in outcome.message
        assert there.traffic == 25, "our word is not for what others brought"
