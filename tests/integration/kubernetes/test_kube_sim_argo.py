"""The simulated Argo Rollouts controller: steps, pauses, aborts, analyses, and blue/green."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from kube.argo import ArgoController
from kube.argo_steps import is_unpausing
from kube.deployments import DeploymentController
from kube.manifests import deployment, rollout
from kube.server import KubeServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kube.resources import Object


class Stage:
    """A cluster with a Rollout."""

    def __init__(self, server: KubeServer) -> None:
        self.server = server
        self.pods = DeploymentController(server)
        self.argo = ArgoController(server, self.pods)

    def begin(self, **wanted: Any) -> None:
        self.server.add("rollouts", "shop", rollout("web", {"web": "r/web:1"}, **wanted))
        self.argo.settle()
        assert self.told() == ("Healthy", "")

    def change(self, image: str) -> None:
        containers = [{"name": "web", "image": image}]
        self.server.change("rollouts", "shop", "web", {"spec": {"template": {"spec": {"containers": containers}}}})

    def patch(self, **status: Any) -> None:
        """Through ``/status``, as all control of a Rollout goes; then what comes of it."""
        self.server.change("rollouts", "shop", "web", {"status": status}, status=True)
        self.argo.settle()

    @property
    def status(self) -> Object:
        return dict(self.server.get("rollouts", "shop", "web")["status"])

    def told(self) -> tuple[str, str]:
        return self.status["phase"], self.status.get("message", "")

    @property
    def at(self) -> tuple[int, int]:
        """(step, weight)"""
        return self.status["currentStepIndex"], self.argo.traffic("shop", "web")

    def running(self) -> set[str]:
        return {pod["spec"]["containers"][0]["image"] for pod in self.server.all("pods", "shop")}


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with KubeServer.running() as server:
        yield Stage(server)


async def test_a_new_version_goes_from_pause_to_pause(stage: Stage) -> None:
    stage.begin()
    done = stage.status
    stage.change("r/web:2")
    assert stage.status == done  # the old Healthy stays until it is seen
    stage.argo.tick()
    assert stage.status["observedGeneration"] == "2"
    assert stage.told() == ("Progressing", "more replicas need to be updated")
    stage.argo.settle()
    assert (stage.told(), stage.at) == (("Paused", "CanaryPauseStep"), (1, 25))
    assert stage.status["controllerPause"] is True
    stage.server.change("rollouts", "shop", "web", {"status": {"pauseConditions": None}}, status=True)
    assert is_unpausing(stage.status)
    stage.argo.settle()
    assert (stage.told(), stage.at) == (("Paused", "CanaryPauseStep"), (3, 50))
    stage.patch(pauseConditions=None)
    assert (stage.told(), stage.running()) == (("Healthy", ""), {"r/web:2"})
    assert stage.status["stableRS"] == stage.status["currentPodHash"] != done["stableRS"]


async def test_clearing_the_pause_and_counting_up_as_well_skips_a_pause(stage: Stage) -> None:
    stage.begin(steps=[{"setWeight": 25}, {"pause": {}}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}])
    stage.change("r/web:2")
    stage.argo.settle()
    stage.patch(pauseConditions=None)
    assert stage.at == (2, 25)
    stage.patch(pauseConditions=None)
    assert stage.at == (4, 50)
    stage.change("r/web:3")
    stage.argo.settle()
    stage.patch(pauseConditions=None, currentStepIndex=2)
    assert stage.at == (4, 50)  # the second pause never was


async def test_a_pause_with_a_duration_ends_by_itself(stage: Stage) -> None:
    stage.begin(steps=[{"setWeight": 25}, {"pause": {"duration": "1m"}}])
    stage.change("r/web:2")
    stage.argo.settle()
    stage.pods.advance(59)
    stage.argo.settle()
    assert stage.told()[0] == "Paused"
    stage.pods.advance(2)
    stage.argo.settle()
    assert stage.told()[0] == "Healthy"


async def test_abort_retry_and_going_back(stage: Stage) -> None:
    stage.begin()
    stage.change("r/web:2")
    stage.argo.settle()
    stage.patch(abort=True)
    assert stage.told() == ("Degraded", "RolloutAborted: Rollout aborted update to revision 2")
    assert stage.at == (0, 0)
    template = stage.server.get("rollouts", "shop", "web")["spec"]["template"]
    assert template["spec"]["containers"][0]["image"] == "r/web:2"  # it stays
    stage.patch(abort=False)
    assert (stage.told()[0], stage.at) == ("Paused", (1, 25))
    stage.patch(abort=True)
    stage.change("r/web:1")
    stage.argo.settle()
    assert (stage.told(), stage.at) == (("Healthy", ""), (4, 0))
    assert "SkipSteps" in {each["reason"] for each in stage.server.all("events", "shop")}
    assert "abort" not in stage.status


async def test_full_promotion_skips_what_is_left_and_is_dropped_when_done(stage: Stage) -> None:
    stage.begin()
    stage.change("r/web:2")
    stage.argo.settle()
    stage.patch(promoteFull=True)
    assert (stage.told(), "promoteFull" in stage.status) == (("Healthy", ""), False)


async def test_another_version_in_the_midst_of_it_begins_anew(stage: Stage) -> None:
    stage.begin()
    stage.change("r/web:2")
    stage.argo.settle()
    stage.patch(pauseConditions=None)
    assert stage.at == (3, 50)
    stage.change("r/web:3")
    stage.argo.settle()
    assert (stage.told()[0], stage.at) == ("Paused", (1, 25))
    assert stage.running() == {"r/web:1", "r/web:3"}


async def test_paused_by_hand_it_stands_still(stage: Stage) -> None:
    stage.begin()
    stage.server.change("rollouts", "shop", "web", {"spec": {"paused": True}})
    stage.change("r/web:2")
    stage.argo.settle()
    assert (stage.told(), stage.running()) == (("Paused", "manually paused"), {"r/web:1"})
    stage.server.change("rollouts", "shop", "web", {"spec": {"paused": False}})
    stage.argo.settle()
    assert (stage.told(), stage.at) == (("Paused", "CanaryPauseStep"), (1, 25))


async def test_a_pause_that_was_cleared_while_paused_by_hand_is_made_again(stage: Stage) -> None:
    stage.begin()
    stage.change("r/web:2")
    stage.argo.settle()
    stage.server.change("rollouts", "shop", "web", {"spec": {"paused": True}})
    stage.patch(pauseConditions=None)
    assert "controllerPause" not in stage.status
    stage.server.change("rollouts", "shop", "web", {"spec": {"paused": False}})
    stage.argo.settle()
    assert (stage.told(), stage.at) == (("Paused", "CanaryPauseStep"), (1, 25))


async def test_without_traffic_routing_the_pods_are_the_weight(stage: Stage) -> None:
    stage.begin(routed=False)
    stage.change("r/web:2")
    stage.argo.settle()
    assert stage.at == (1, 25)
    images = [pod["spec"]["containers"][0]["image"] for pod in stage.server.all("pods", "shop")]
    assert sorted(images) == ["r/web:1"] * 3 + ["r/web:2"]


@pytest.mark.parametrize(("aborting", "told"), [(False, "Progressing"), (True, "Degraded")])
async def test_a_deadline_degrades_and_may_abort(stage: Stage, aborting: bool, told: str) -> None:
    stage.begin(progressDeadlineSeconds=10, progressDeadlineAbort=aborting)
    stage.change("r/web:missing")
    stage.argo.settle()
    assert stage.told()[0] == "Progressing"
    stage.pods.advance(11)
    stage.argo.settle()
    assert stage.told()[0] == "Degraded"
    assert stage.status.get("abort", False) is aborting
    stage.pods.behaves("missing", "well")
    stage.argo.settle()
    assert (stage.told()[0] == "Degraded") is aborting  # it may recover


ABORTED = "RolloutAborted: Rollout aborted update to revision 2"


@pytest.mark.parametrize(
    ("verdict", "phase", "words"),
    [
        ("Successful", "Healthy", ""),
        ("Failed", "Degraded", f'{ABORTED}: Step-based analysis phase error/failed: Metric "rate" assessed Failed'),
        ("Error", "Degraded", f'{ABORTED}: Step-based analysis phase error/failed: Metric "rate" assessed Error'),
        ("Inconclusive", "Paused", "InconclusiveAnalysisRun"),
    ],
)
async def test_an_analysis_decides(stage: Stage, verdict: str, phase: str, words: str) -> None:
    stage.argo.analyses.verdict = lambda _run: verdict
    stage.begin(steps=[{"setWeight": 25}, {"analysis": {"templates": [{"templateName": "rate"}]}}])
    stage.change("r/web:2")
    stage.argo.settle()
    assert stage.told()[0] == phase
    assert stage.told()[1].startswith(words)
    (run,) = stage.server.all("analysisruns", "shop")
    assert run["status"]["phase"] == verdict
    assert run["metadata"]["ownerReferences"][0]["name"] == "web"


async def test_an_inconclusive_analysis_is_passed_by_counting_up(stage: Stage) -> None:
    stage.argo.analyses.verdict = lambda _run: "Inconclusive"
    stage.begin(steps=[{"setWeight": 25}, {"analysis": {"templates": [{"templateName": "rate"}]}}, {"pause": {}}])
    stage.change("r/web:2")
    stage.argo.settle()
    assert stage.at == (1, 25)
    stage.patch(pauseConditions=None, controllerPause=False, currentStepIndex=2)
    assert (stage.told(), stage.at) == (("Paused", "CanaryPauseStep"), (2, 25))


async def test_background_analysis_aborts_at_any_step(stage: Stage) -> None:
    canary = {
        "steps": [{"setWeight": 25}, {"pause": {}}],
        "trafficRouting": {"nginx": {"stableIngress": "web"}},
        "analysis": {"templates": [{"templateName": "rate"}]},
    }
    stage.begin(strategy={"canary": canary})
    stage.change("r/web:2")
    stage.argo.settle()
    assert stage.status["canary"]["currentBackgroundAnalysisRunStatus"]["status"] == "Running"
    stage.argo.analyses.verdict = lambda _run: "Failed"
    stage.argo.settle()
    assert stage.told()[0] == "Degraded"


async def test_blue_green_waits_for_promotion_and_keeps_the_old_for_a_while(stage: Stage) -> None:
    for name in ("active", "preview"):
        stage.server.add("services", "shop", {"metadata": {"name": name}, "spec": {"selector": {"app": "web"}}})
    services = {"activeService": "active", "previewService": "preview", "autoPromotionEnabled": False}
    stage.begin(strategy={"blueGreen": services})
    stable = stage.status["stableRS"]
    stage.change("r/web:2")
    stage.argo.settle()
    assert stage.told() == ("Paused", "BlueGreenPause")

    def selected(name: str) -> str:
        return str(stage.server.get("services", "shop", name)["spec"]["selector"]["rollouts-pod-template-hash"])

    assert (selected("active"), selected("preview")) == (stable, stage.status["currentPodHash"])
    stage.patch(pauseConditions=None)
    assert stage.told() == ("Healthy", "")
    assert selected("active") == stage.status["stableRS"] != stable
    assert stage.running() == {"r/web:1", "r/web:2"}
    stage.pods.advance(31)
    stage.argo.settle()
    assert stage.running() == {"r/web:2"}


ROUTED = {"trafficRouting": {"nginx": {"stableIngress": "web"}}}
STOPS = [{"setWeight": 25}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}]


def sizes(stage: Stage) -> dict[str, int]:
    found = stage.server.all("replicasets", "shop")
    return {each["spec"]["template"]["spec"]["containers"][0]["image"]: each["spec"]["replicas"] for each in found}


async def test_where_pods_follow_traffic_the_stable_ones_come_back_before_it_does(stage: Stage) -> None:
    stage.begin(strategy={"canary": {"steps": STOPS, "dynamicStableScale": True, **ROUTED}})
    stage.change("r/web:2")
    stage.argo.settle()
    assert (stage.at, sizes(stage)) == ((1, 25), {"r/web:1": 3, "r/web:2": 1})
    stage.patch(pauseConditions=None)
    assert (stage.at, sizes(stage)) == ((3, 50), {"r/web:1": 2, "r/web:2": 2})
    stage.server.change("rollouts", "shop", "web", {"status": {"abort": True}}, status=True)
    stage.argo.tick()
    assert (stage.told()[0], stage.at[1], sizes(stage)) == ("Degraded", 50, {"r/web:1": 4, "r/web:2": 2})
    stage.argo.settle()
    assert (stage.at[1], sizes(stage)) == (0, {"r/web:1": 4, "r/web:2": 0})
    stage.patch(abort=False)
    assert (stage.at, sizes(stage)) == ((1, 25), {"r/web:1": 3, "r/web:2": 1})
    stage.change("r/web:1")
    stage.argo.tick()  # it is seen
    stage.argo.tick()
    assert (stage.at[1], sizes(stage)) == (25, {"r/web:1": 4, "r/web:2": 1})
    stage.argo.settle()
    assert (stage.told(), stage.at[1], sizes(stage)) == (("Healthy", ""), 0, {"r/web:1": 4, "r/web:2": 0})


async def test_a_pause_and_an_analysis_that_cannot_tell_stand_side_by_side(stage: Stage) -> None:
    analysis = {"templates": [{"templateName": "rate"}]}
    stage.begin(strategy={"canary": {"steps": STOPS, "analysis": analysis, **ROUTED}})
    stage.change("r/web:2")
    stage.argo.settle()
    stage.argo.analyses.verdict = lambda _run: "Inconclusive"
    stage.argo.settle()
    reasons = [each["reason"] for each in stage.status["pauseConditions"]]
    assert reasons == ["CanaryPauseStep", "InconclusiveAnalysisRun"]
    assert stage.status["canary"]["currentBackgroundAnalysisRunStatus"]["status"] == "Inconclusive"
    stage.argo.analyses.verdict = lambda _run: "Running"
    stage.patch(pauseConditions=None)
    assert (stage.told(), stage.at) == (("Paused", "CanaryPauseStep"), (3, 50))
    assert len(stage.server.all("analysisruns", "shop")) == 2, "it is analysed anew"
    assert stage.status["canary"]["currentBackgroundAnalysisRunStatus"]["status"] == "Running"


@pytest.mark.parametrize("when", ["pre", "post"])
@pytest.mark.parametrize(("verdict", "phase"), [("Successful", "Healthy"), ("Failed", "Degraded")])
async def test_blue_green_is_analysed_before_and_after_the_switch(
    stage: Stage, when: str, verdict: str, phase: str
) -> None:
    for name in ("active", "preview"):
        stage.server.add("services", "shop", {"metadata": {"name": name}, "spec": {"selector": {"app": "web"}}})
    analysis = {f"{when}PromotionAnalysis": {"templates": [{"templateName": "smoke"}]}}
    stage.begin(strategy={"blueGreen": {"activeService": "active", "previewService": "preview", **analysis}})
    stable = stage.status["stableRS"]
    stage.argo.analyses.verdict = lambda _run: "Running"
    stage.change("r/web:2")
    stage.argo.settle()
    told = stage.status["blueGreen"]
    assert told[f"{when}PromotionAnalysisRunStatus"]["status"] == "Running"
    assert (told["activeSelector"] == stable) is (when == "pre")
    assert stage.status["stableRS"] == stable
    stage.argo.analyses.verdict = lambda _run: verdict
    stage.argo.settle()
    assert stage.told()[0] == phase
    assert (stage.status["stableRS"] == stable) is (verdict == "Failed")
    assert stage.status["blueGreen"]["activeSelector"] == stage.status["stableRS"], "back, or there for good"


async def test_a_template_that_is_elsewhere(stage: Stage) -> None:
    stage.server.add("deployments", "shop", deployment("source", {"web": "r/web:1"}, replicas=0))
    wanted = rollout("web", {}, workloadRef={"apiVersion": "apps/v1", "kind": "Deployment", "name": "source"})
    del wanted["spec"]["template"], wanted["spec"]["selector"]
    stage.server.add("rollouts", "shop", wanted)
    stage.argo.settle()
    assert stage.status["workloadObservedGeneration"] == "1"
    containers = [{"name": "web", "image": "r/web:2"}]
    stage.server.change("deployments", "shop", "source", {"spec": {"template": {"spec": {"containers": containers}}}})
    stage.argo.settle()
    assert (stage.status["workloadObservedGeneration"], stage.told()[0]) == ("2", "Paused")


async def test_a_template_that_nothing_selects_is_degraded(stage: Stage) -> None:
    stage.begin()
    labels = {"spec": {"template": {"metadata": {"labels": {"app": "another"}}}}}
    stage.server.change("rollouts", "shop", "web", labels)
    stage.argo.settle()
    assert stage.told()[0] == "Degraded"
    assert "`selector` does not match template `labels`" in stage.told()[1]


async def test_what_makes_no_sense_is_degraded(stage: Stage) -> None:
    stage.server.add("rollouts", "shop", rollout("web", {"web": "r/web:1"}, strategy={"nothing": {}}))
    stage.argo.settle()
    assert stage.told()[0] == "Degraded"
    assert stage.told()[1].startswith("InvalidSpec: ")


async def test_it_goes_on_by_itself(stage: Stage) -> None:
    stage.begin()
    stage.argo.pace = stage.pods.pace = 0.005
    async with stage.pods, stage.argo:
        stage.change("r/web:2")
        await stage.server.until(lambda: stage.told()[0] == "Paused", timeout=20)
        stage.server.change("rollouts", "shop", "web", {"status": {"promoteFull": True}}, status=True)
        await stage.server.until(lambda: stage.told()[0] == "Healthy", timeout=20)
