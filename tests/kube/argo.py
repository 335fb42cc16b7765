"""Argo Rollouts for canaries and blue/green: what its controller does at every reconciliation.

Follows argo-rollouts 1.9.1, rollout/{controller,canary,bluegreen,sync,pause}.go. Kept on purpose, since a deployer
stumbles over each: after a patch the old Healthy stays until the next round; ``observedGeneration`` is a string; a
pause ends when ``pauseConditions`` are gone while ``controllerPause`` is still true, so that clearing them and
counting the step up as well skips a step; a new template resets steps, pauses and abort; after an abort the template
stays and the phase is Degraded; going back to the stable template skips all steps; ``promoteFull`` is dropped when it
is done.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from .actor import Paced, condition, drop_condition, owner_reference, set_condition
from .argo_analysis import Analyses
from .argo_conditions import (
    REVISION,
    available,
    condition_of,
    conditions,
    hash_of,
    past,
    pause_for,
    revision_of,
    seconds_of,
)
from .argo_steps import (
    blue_green_of,
    canary_of,
    counts,
    current_step,
    dynamic,
    index_of,
    phase,
    promoted,
    routed,
    set_weight,
    split,
    steps_hash,
    steps_of,
)
from .copying import deepcopy
from .failures import ApiFailure
from .resources import BY_PLURAL
from .revisions import ROLLOUT_HASH, bare, template_hash

if TYPE_CHECKING:
    from .deployments import DeploymentController
    from .resources import Object
    from .server import KubeServer

WORKLOAD = "rollout.argoproj.io/workload-generation"
SCALE_DOWN_DELAY = 30


class ArgoController(Paced):
    """`tick` by hand (with the rounds of ``deployments`` for the pods), or ``async with``: one a ``pace``."""

    manager = component = "rollouts-controller"

    def __init__(self, server: KubeServer, deployments: DeploymentController, *, pace: float = 0.02) -> None:
        super().__init__(server, deployments.clock)
        self.pace, self._pods = pace, deployments
        self.analyses = Analyses(server, deployments.clock).setup()

    def tick(self) -> bool:
        """One reconciliation of every Rollout; whether anything was written."""
        before = len(self.store.changes)
        for found in self.store.all(BY_PLURAL["rollouts"]):
            try:
                self._sync(found)
            except ApiFailure as failure:
                if failure.code == 422:
                    self._refuse(found, failure.message)
                elif failure.code not in (404, 409):
                    raise
        return len(self.store.changes) > before

    def settle(self, rounds: int = 200) -> None:
        """Rounds, of the pods too, until nothing is left to do."""
        for _ in range(rounds):
            if not any([self.tick(), self._pods.round()]):
                return
        raise AssertionError(f"still not settled after {rounds} rounds")

    def traffic(self, namespace: str, name: str) -> int:
        """How many per cent go to the canary."""
        found = self.store.get(BY_PLURAL["rollouts"], namespace, name) or {}
        status = found.get("status") or {}
        weights = (status.get("canary") or {}).get("weights")
        if weights:
            return int(weights["canary"]["weight"])
        ready = status.get("availableReplicas", 0)
        return 0 if promoted(status) or not ready else round(100 * status.get("updatedReplicas", 0) / ready)

    def _sync(self, found: Object) -> None:
        template = self._template(found)
        if (canary_of(found) is None) == (blue_green_of(found) is None) or template is None:
            self._refuse(found, "Rollout has missing field '.spec.strategy.canary or .spec.strategy.blueGreen'")
            return
        before: Object = found.get("status") or {}
        sets = self.owned("replicasets", found)
        wanted = template_hash(template)
        new = next((each for each in sets if hash_of(each) == wanted), None)
        stable = next((each for each in sets if hash_of(each) == before.get("stableRS")), None)
        status = deepcopy(before)
        drop_condition(status, "InvalidSpec")
        status["currentPodHash"] = wanted
        if canary_of(found) is not None:
            status["currentStepHash"] = steps_hash(found)
        known = bool(before.get("currentPodHash"))
        if known and any(before.get(key) != status.get(key) for key in ("currentPodHash", "currentStepHash")):
            self._reset(found, status, new)
            self._tell(found, status, sets, new, "")
            return
        words = ""
        if not found["spec"].get("paused") and not pause_for(status, "InconclusiveAnalysisRun"):
            if new is None:
                new = self._make(found, template, wanted, sets)
                sets = [*sets, new]
            act = self._canary if canary_of(found) is not None else self._blue_green
            words = act(found, status, sets, new, stable)
        self._tell(found, status, sets, new, words)

    def _template(self, found: Object) -> Object | None:
        reference = found["spec"].get("workloadRef")
        if not reference:
            template: Object | None = found["spec"].get("template")
            return template
        workload = self.store.get(BY_PLURAL["deployments"], found["metadata"]["namespace"], reference["name"])
        if workload is None:
            return None
        generation = str(workload["metadata"]["generation"])
        if (found["metadata"].get("annotations") or {}).get(WORKLOAD) != generation:
            self._annotate(found, WORKLOAD, generation)
            found["metadata"].setdefault("annotations", {})[WORKLOAD] = generation
        return dict(workload["spec"]["template"])

    def _reset(self, found: Object, status: Object, new: Object | None) -> None:
        """Another template or other steps: from the beginning; to the end of the steps where it is the stable one."""
        for key in ("abort", "abortedAt", "pauseConditions", "controllerPause", "promoteFull"):
            status.pop(key, None)
        self.analyses.forget(status)
        if steps_of(found):
            back = new is not None and hash_of(new) == status.get("stableRS")
            status["currentStepIndex"] = len(steps_of(found)) if back else 0
            if back:
                self.event(found, "SkipSteps", "Rollback to stable")
        now = condition(status, "Progressing")
        if now and now["reason"] in ("RolloutAborted", "ProgressDeadlineExceeded"):
            drop_condition(status, "Progressing")

    def _canary(self, found: Object, status: Object, sets: list[Object], new: Object, stable: Object | None) -> str:
        size, steps = found["spec"].get("replicas", 1), steps_of(found)
        if stable is None or stable["metadata"]["uid"] == new["metadata"]["uid"]:
            self._scale(found, new, size)
            left = self._left(found, status, new)
            if not left:
                self._rest(found, sets, [new])
            if not status.get("stableRS") and available(new) >= size:
                self._promote(found, status, new)
            self._weigh(found, status, left)
            return ""
        words = ""
        if status.get("promoteFull"):
            self._unpause(status)
            status.pop("abort", None)
            status["currentStepIndex"] = len(steps)
        aborted = bool(status.get("abort"))
        if not aborted and not status.get("promoteFull"):
            meaning, words = self.analyses.reconcile(found, status, status["currentPodHash"], revision_of(new))
            if meaning == "abort":
                status["abort"] = aborted = True
            elif meaning == "pause" and not pause_for(status, "InconclusiveAnalysisRun"):
                self._pause(status, "InconclusiveAnalysisRun")
                return ""
        canary, rest = counts(found, status, aborted=aborted)
        if aborted:
            status.setdefault("abortedAt", self.clock.stamp())
        if not aborted or not routed(found) or dynamic(found) or self._past(status["abortedAt"], SCALE_DOWN_DELAY):
            self._scale(found, new, canary)
        self._scale(found, stable, max(rest, min(size, size - min(available(new), canary))))
        self._rest(found, sets, [new, stable])
        there = available(new) >= canary and new["spec"]["replicas"] == canary and available(stable) >= rest
        there = there and (routed(found) or stable["status"].get("replicas", 0) == rest)
        if aborted:
            self._weigh(found, status, self._left(found, status, stable))
            self._unpause(status)
            if steps:
                status["currentStepIndex"] = 0
            return words
        self._weigh(found, status, set_weight(found, status, before=not there))
        if index_of(found, status) >= len(steps) and available(new) >= size:
            self._promote(found, status, new)
        elif not status.get("promoteFull"):
            self._step(found, status, there)
        return words

    def _step(self, found: Object, status: Object, there: bool) -> None:
        step = current_step(found, status)
        if step is None:
            return
        done = True
        if "pause" in step:
            done = self._pause_is_over(status, (step["pause"] or {}).get("duration"))
        elif "setWeight" in step:
            done = there
        elif "analysis" in step:
            told = (status.get("canary") or {}).get("currentStepAnalysisRunStatus") or {}
            done = told.get("status") == "Successful"
        if done:
            status["currentStepIndex"] = index_of(found, status) + 1
            self._unpause(status)
            (status.get("canary") or {}).pop("currentStepAnalysisRunStatus", None)
            said = f"Rollout step {status['currentStepIndex']}/{len(steps_of(found))} completed ({next(iter(step))})"
            self.event(found, "RolloutStepCompleted", said)

    def _pause_is_over(self, status: Object, duration: Any) -> bool:
        paused = pause_for(status, "CanaryPauseStep")
        if paused is not None:
            return duration is not None and self._past(paused["startTime"], seconds_of(duration))
        if status.get("controllerPause"):
            return True
        self._pause(status, "CanaryPauseStep")
        return False

    def _blue_green(self, found: Object, status: Object, sets: list[Object], new: Object, stable: Object | None) -> str:
        wanted, size = blue_green_of(found) or {}, found["spec"].get("replicas", 1)
        told = status.setdefault("blueGreen", {})
        mine = status["currentPodHash"]
        if status.get("promoteFull"):
            self._unpause(status)
            status.pop("abort", None)
        if status.get("abort"):
            self._unpause(status)
            status.setdefault("abortedAt", self.clock.stamp())
            told["previewSelector"] = status.get("stableRS", mine)
            told["activeSelector"] = status.get("stableRS", mine)
            if stable is not None and stable is not new and self._past(status["abortedAt"], SCALE_DOWN_DELAY):
                self._scale(found, new, 0)
            self._select(found, wanted, told)
            return ""
        self._scale(found, new, size)
        told["previewSelector"] = mine
        meaning, words = self.analyses.beside(found, status, new, ready=available(new) >= size)
        if meaning == "abort":
            status["abort"] = True
            return words
        if meaning == "pause" and not pause_for(status, "InconclusiveAnalysisRun"):
            self._pause(status, "InconclusiveAnalysisRun")
        may = available(new) >= size and told.get("activeSelector") != mine and self._may_switch(status, wanted, told)
        if may and meaning not in ("pause", "wait"):
            told["activeSelector"] = mine
            self._unpause(status)
            said = f"Switched selector for service '{wanted.get('activeService')}' to '{mine}'"
            self.event(found, "SwitchService", said)
            meaning, words = self.analyses.beside(found, status, new, ready=True)
        if told.get("activeSelector") == mine and status.get("stableRS") != mine and not meaning:
            self._promote(found, status, new)
            status["switchedAt"] = self.clock.stamp()
        elif status.get("stableRS") == mine:
            delay = int(wanted.get("scaleDownDelaySeconds", SCALE_DOWN_DELAY))
            if self._past(status.get("switchedAt"), delay):
                self._rest(found, sets, [new])
        self._select(found, wanted, told)
        return ""

    def _may_switch(self, status: Object, wanted: Object, told: Object) -> bool:
        if not told.get("activeSelector") or status.get("promoteFull") or wanted.get("autoPromotionEnabled", True):
            return True
        paused = pause_for(status, "BlueGreenPause")
        if paused is not None:
            seconds = wanted.get("autoPromotionSeconds")
            return bool(seconds) and self._past(paused["startTime"], int(seconds or 0))
        if status.get("controllerPause"):
            return True
        self._pause(status, "BlueGreenPause")
        return False

    def _select(self, found: Object, wanted: Object, told: Object) -> None:
        for service, key in (("activeService", "activeSelector"), ("previewService", "previewSelector")):
            there = self.store.get(BY_PLURAL["services"], found["metadata"]["namespace"], wanted.get(service, ""))
            if there is not None and key in told and there["spec"].get("selector", {}).get(ROLLOUT_HASH) != told[key]:
                selector = (there["spec"].get("selector") or {}) | {ROLLOUT_HASH: told[key]}
                self.change("services", there, {"spec": {"selector": selector}})

    # Smaller things.

    def _left(self, found: Object, status: Object, stable: Object) -> int:
        """What the canary still gets on the way back: where pods follow traffic, what the stable ones cannot take."""
        size = found["spec"].get("replicas", 1)
        return min(split(status), 100 - 100 * min(available(stable), size) // max(size, 1)) if dynamic(found) else 0

    def _promote(self, found: Object, status: Object, new: Object) -> None:
        status["stableRS"] = hash_of(new)
        status.pop("promoteFull", None)
        if steps_of(found):
            status["currentStepIndex"] = len(steps_of(found))
        self._weigh(found, status, 0)
        (status.get("canary") or {}).pop("currentBackgroundAnalysisRunStatus", None)
        said = f"Rollout completed update to revision {revision_of(new)} ({hash_of(new)})"
        self.event(found, "RolloutCompleted", said)

    def _weigh(self, found: Object, status: Object, weight: int) -> None:
        if routed(found):
            status.setdefault("canary", {})["weights"] = {
                "canary": {"podTemplateHash": status["currentPodHash"], "weight": weight},
                "stable": {"podTemplateHash": status.get("stableRS", ""), "weight": 100 - weight},
            }

    def _pause(self, status: Object, reason: str) -> None:
        status.setdefault("pauseConditions", []).append({"reason": reason, "startTime": self.clock.stamp()})
        status["controllerPause"] = True

    def _unpause(self, status: Object) -> None:
        status.pop("pauseConditions", None)
        status.pop("controllerPause", None)

    def _past(self, since: str | None, seconds: float) -> bool:
        return since is None or past(since, seconds, self.clock)

    def _make(self, found: Object, template: Object, wanted: str, sets: list[Object]) -> Object:
        meta, copied = found["metadata"], bare(template)
        copied.setdefault("metadata", {}).setdefault("labels", {})[ROLLOUT_HASH] = wanted
        selector = deepcopy(found["spec"].get("selector") or {"matchLabels": dict(copied["metadata"]["labels"])})
        selector.setdefault("matchLabels", {})[ROLLOUT_HASH] = wanted
        number = str(max([int(revision_of(each)) for each in sets], default=0) + 1)
        self._annotate(found, REVISION, number)
        return self.create("replicasets", meta["namespace"], {
            "metadata": {
                "name": f"{meta['name']}-{wanted}", "namespace": meta["namespace"], "annotations": {REVISION: number},
                "labels": copied["metadata"]["labels"], "ownerReferences": [owner_reference(found)],
            },
            "spec": {"replicas": 0, "selector": selector, "template": copied},
        })  # fmt: skip

    def _scale(self, found: Object, which: Object, size: int) -> None:
        before = which["spec"]["replicas"]
        if before != size:
            which |= self.write("replicasets", which, lambda live: live["spec"].update(replicas=size)) or {}
            way = "up" if size > before else "down"
            said = f"Scaled {way} ReplicaSet {which['metadata']['name']} from {before} to {size}"
            self.event(found, "ScalingReplicaSet", said)

    def _annotate(self, found: Object, key: str, value: str) -> None:
        self.change("rollouts", found, {"metadata": {"annotations": {key: value}}})

    def _rest(self, found: Object, sets: list[Object], kept: list[Object]) -> None:
        names = {each["metadata"]["name"] for each in kept}
        for each in sets:
            if each["metadata"]["name"] not in names:
                self._scale(found, each, 0)

    def _refuse(self, found: Object, why: str) -> None:
        now = self.clock.stamp()

        def change(live: Object) -> None:
            status = live.setdefault("status", {})
            set_condition(status, condition_of("InvalidSpec", "True", "InvalidSpec", why, now))
            status["observedGeneration"] = str(live["metadata"]["generation"])
            status["phase"], status["message"] = phase(live, status)

        self.write("rollouts", found, change, status=True)

    def _tell(self, found: Object, status: Object, sets: list[Object], new: Object | None, words: str) -> None:
        def total(key: str, which: list[Object]) -> int:
            return sum(each.get("status", {}).get(key, 0) for each in which)

        before: Object = found.get("status") or {}
        mine = [new] if new else []
        status |= {
            "replicas": total("replicas", sets), "updatedReplicas": total("replicas", mine),
            "readyReplicas": total("readyReplicas", sets), "availableReplicas": total("availableReplicas", sets),
            "HPAReplicas": total("replicas", sets), "observedGeneration": str(found["metadata"]["generation"]),
        }  # fmt: skip
        if generation := (found["metadata"].get("annotations") or {}).get(WORKLOAD):
            status["workloadObservedGeneration"] = generation
        conditions(found, before, status, new, words, self.clock)
        status["phase"], status["message"] = phase(found, status)
        if not status.get("pauseConditions"):
            status.pop("controllerPause", None)
        for key in ("abort", "promoteFull"):
            if not status.get(key):
                status.pop(key, None)
        empty: tuple[Any, ...] = ("", None, {}, [])
        status = {key: value for key, value in status.items() if value not in empty or key == "conditions"}
        if status != before:
            self.write("rollouts", found, lambda live: live.update(status=status), status=True)

    async def run(self) -> None:
        while True:
            seen = len(self.store.changes)
            if self.tick():
                await asyncio.sleep(self.pace)
            else:
                await self.store.news(seen, max(self.clock.second, self.pace) if self.clock.second else 10 * self.pace)
