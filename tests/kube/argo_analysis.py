"""AnalysisRuns of a Rollout: made at an analysis step, in the background, before or after a switch; and what their
verdict does.

Follows argo-rollouts 1.9.1, rollout/analysis.go: Failed and Error abort the update, Inconclusive pauses it, and who
ends that pause has another run made. What a run finds is told by the test (`verdict`); nothing is measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .actor import Actor, owner_reference
from .argo_conditions import REVISION, pause_for
from .argo_steps import blue_green_of, canary_of, current_step, index_of
from .resources import BY_PLURAL
from .revisions import ROLLOUT_HASH

if TYPE_CHECKING:
    from collections.abc import Callable

    from .resources import Object

DONE = ("Successful", "Failed", "Error", "Inconclusive")
TOLD = {
    "canary": ("currentStepAnalysisRunStatus", "currentBackgroundAnalysisRunStatus"),
    "blueGreen": ("prePromotionAnalysisRunStatus", "postPromotionAnalysisRunStatus"),
}


class Analyses(Actor):
    """Makes the runs and lets them end."""

    manager = component = "rollouts-controller"

    verdict: Callable[[Object], str]
    """AnalysisRun -> Running, Successful, Failed, Error or Inconclusive, asked once a round."""

    def setup(self) -> Analyses:
        self.verdict = lambda _run: "Successful"
        return self

    def reconcile(self, rollout: Object, status: Object, pod_hash: str, revision: str) -> tuple[str, str]:
        """(what it means: "", abort or pause; in which words). Writes the runs' states into ``status["canary"]``."""
        step, index = current_step(rollout, status), index_of(rollout, status)
        told: dict[str, Any] = status.setdefault("canary", {})
        result = ("", "")
        if step and "analysis" in step:
            base = f"{rollout['metadata']['name']}-{pod_hash}-{revision}-{index}"
            name = self._name(status, told, "currentStepAnalysisRunStatus", base)
            run = self._run(
                rollout, name, step["analysis"], pod_hash, {"rollout-type": "Step", "step-index": str(index)}
            )
            told["currentStepAnalysisRunStatus"] = _told(run)
            result = _meaning(run, "Step-based")
        else:
            told.pop("currentStepAnalysisRunStatus", None)
        background = (canary_of(rollout) or {}).get("analysis")
        if (
            background
            and index >= int(background.get("startingStep", 0))
            and status.get("stableRS") not in ("", None, pod_hash)
        ):
            base = f"{rollout['metadata']['name']}-{pod_hash}-{revision}-background"
            name = self._name(status, told, "currentBackgroundAnalysisRunStatus", base)
            run = self._run(rollout, name, background, pod_hash, {"rollout-type": "Background"}, endless=True)
            told["currentBackgroundAnalysisRunStatus"] = _told(run)
            result = _meaning(run, "Background") if not result[0] else result
        else:
            told.pop("currentBackgroundAnalysisRunStatus", None)
        if not told:
            del status["canary"]
        return result

    def beside(self, rollout: Object, status: Object, new: Object, *, ready: bool) -> tuple[str, str]:
        """The same of blue/green: one run before the switch, one after it. Also "wait", while one goes on."""
        wanted, told = blue_green_of(rollout) or {}, status.setdefault("blueGreen", {})
        mine, active = status["currentPodHash"], told.get("activeSelector")
        if not ready or not active or status.get("stableRS") == mine or status.get("promoteFull"):
            return "", ""
        after = active == mine
        kind, key = ("Post", "postPromotionAnalysis") if after else ("Pre", "prePromotionAnalysis")
        if not (analysis := wanted.get(key)):
            return "", ""
        revision = new["metadata"]["annotations"][REVISION]
        base = f"{rollout['metadata']['name']}-{mine}-{revision}-{kind.lower()}"
        name = self._name(status, told, f"{key}RunStatus", base)
        run = self._run(rollout, name, analysis, mine, {"rollout-type": f"{kind}Promotion"})
        told[f"{key}RunStatus"] = _told(run)
        meaning, words = _meaning(run, f"{kind}-promotion")
        return ("wait", "") if not meaning and run["status"]["phase"] != "Successful" else (meaning, words)

    def forget(self, status: Object) -> None:
        """There is another release, so what was found is about none."""
        for kind, keys in TOLD.items():
            for key in keys:
                (status.get(kind) or {}).pop(key, None)

    def _name(self, status: Object, told: Object, key: str, base: str) -> str:
        """Of the run under way, or of the next one where a person has ended the pause for an inconclusive one."""
        now = told.get(key) or {}
        if not str(now.get("name", "")).startswith(base):
            return base
        resumed = status.get("controllerPause") and not pause_for(status, "InconclusiveAnalysisRun")
        if now.get("status") != "Inconclusive" or not resumed:
            return str(now["name"])
        number = str(now["name"]).removeprefix(base).lstrip(".") or "0"
        return f"{base}.{int(number) + 1}"

    def _run(
        self,
        rollout: Object,
        name: str,
        wanted: Object,
        pod_hash: str,
        labels: dict[str, str],
        *,
        endless: bool = False,
    ) -> Object:
        meta = rollout["metadata"]
        found = self.store.get(BY_PLURAL["analysisruns"], meta["namespace"], name)
        if found is None:
            templates = [each["templateName"] for each in wanted.get("templates", [])]
            self.event(rollout, "AnalysisRunRunning", f"AnalysisRun '{name}' status: Running")
            return self.create("analysisruns", meta["namespace"], {
                "metadata": {
                    "name": name, "namespace": meta["namespace"], "labels": {ROLLOUT_HASH: pod_hash, **labels},
                    "ownerReferences": [owner_reference(rollout)],
                },
                "spec": {"metrics": [{"name": each} for each in templates], "args": wanted.get("args", [])},
                "status": {"phase": "Running", "startedAt": self.clock.stamp()},
            })  # fmt: skip
        if found["status"]["phase"] in DONE:
            return found
        verdict = self.verdict(found)
        if verdict == "Running" or (
            endless and verdict == "Successful"
        ):  # the background goes on until the update ends
            return found
        metrics = [{"name": each["name"], "phase": verdict} for each in found["spec"]["metrics"]]
        words = {
            "Failed": "assessed Failed due to failed (1) > failureLimit (0)",
            "Error": "assessed Error due to consecutiveErrors (5) > consecutiveErrorLimit (4)",
            "Inconclusive": "assessed Inconclusive due to inconclusive (1) > inconclusiveLimit (0)",
        }
        name_ = metrics[0]["name"] if metrics else "metric"
        message = f'Metric "{name_}" {words[verdict]}' if verdict in words else ""

        def end(live: Object) -> None:
            live["status"] |= {"phase": verdict, "metricResults": metrics, "completedAt": self.clock.stamp()}
            live["status"] |= {"message": message} if message else {}

        kind = "Normal" if verdict == "Successful" else "Warning"
        self.event(rollout, f"AnalysisRun{verdict}", f"AnalysisRun '{name}' status: {verdict}", kind)
        return self.write("analysisruns", found, end) or found


def _told(run: Object) -> Object:
    status = run["status"]
    told = {"name": run["metadata"]["name"], "status": status["phase"], "message": status.get("message", "")}
    return {key: value for key, value in told.items() if value}


def _meaning(run: Object, kind: str) -> tuple[str, str]:
    status = run["status"]
    if status["phase"] in ("Failed", "Error"):
        return "abort", f"{kind} analysis phase error/failed: {status.get('message', '')}"
    return ("pause", "") if status["phase"] == "Inconclusive" else ("", "")
