"""Flagger for canaries of Deployments: what its controller does at every tick of the analysis interval.

Follows flagger 1.44.0, pkg/controller/scheduler.go, scheduler_hooks.go and pkg/canary/{status,spec,ready}.go. Kept on
purpose, since a deployer stumbles over each: after a patch the old Succeeded or Failed stays until the next tick; in
Failed the ``lastAppliedSpec`` follows the template before the phase does; confirm-rollout is asked before the status
is synced (its checksum is of the spec before) and the rollback hook not at all meanwhile; in WaitingPromotion the
status has no weight although the traffic is split; a template that was promoted already, or was applied last, is not
analysed again; a promotion that fails ends in Failed with all the traffic on the canary. Hashes are not Flagger's,
and nobody may count on them. There is no mesh: `traffic` says what its routes would be.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from .actor import Paced, condition, owner_reference
from .copying import deepcopy
from .failures import ApiFailure
from .flagger_facts import (
    analysis_of,
    checksum,
    hooks_of,
    name_of,
    phase_of,
    place_of,
    primary_template,
    target_of,
    template_hash,
)
from .flagger_status import WANTED, promoted, readiness
from .resources import BY_PLURAL
from .webhooks import Webhooks

if TYPE_CHECKING:
    from collections.abc import Callable

    from .deployments import DeploymentController
    from .resources import Object
    from .server import KubeServer

TOTAL = 100
GOING_ON = ("Progressing", "WaitingPromotion", "Promoting", "Finalising")


class FlaggerController(Paced):
    """`tick` by hand, or ``async with FlaggerController(...)`` for a tick every ``pace`` seconds."""

    manager = component = "flagger"

    def __init__(
        self, server: KubeServer, deployments: DeploymentController, *, pace: float = 0.05, sync_first: bool = False
    ) -> None:
        """``sync_first``: the status is synced before confirm-rollout is asked (flagger pull request 1780)."""
        super().__init__(server, deployments.clock)
        self.pace, self._sync_first = pace, sync_first
        self.hooks = Webhooks()
        self.check: Callable[[Object, str], str] = lambda _canary, _image: ""
        """What is wrong with the canary's metrics: (Canary, image of its first container) -> words; empty: nothing."""
        self._routes: dict[tuple[str, str], int] = {}

    def traffic(self, namespace: str, name: str) -> int:
        """How many per cent really go to the canary, whatever its status says."""
        return self._routes.get((namespace, name), 0)

    async def tick(self) -> None:
        """One interval, for every Canary."""
        for canary in self.store.all(BY_PLURAL["canaries"]):
            try:
                await self._advance(canary)
            except ApiFailure as failure:
                if failure.code not in (404, 409):
                    raise

    async def _advance(self, canary: Object) -> None:
        if canary["spec"].get("suspend"):
            await self._say(canary, "skipping canary run as object is suspended")
            return
        target = self._deployment(canary)
        if target is None:
            said = f"deployment {canary['spec']['targetRef']['name']}.{canary['metadata']['namespace']} get query error"
            await self._say(canary, said, warning=True)
            return
        if phase_of(canary) in ("", "Initializing") and not await self._initialize(canary, target):
            return
        canary, target = self._fresh(canary), self._deployment(canary) or target
        if phase_of(canary) in ("", "Initializing"):
            canary = self._sync(canary, "Initialized")
            await self._say(canary, f"Initialization done! {name_of(canary)}")
        if not self._should_advance(canary, target):
            return
        if not canary["spec"].get("skipAnalysis"):
            primary = self._deployment(canary, "-primary")
            said, retriable = readiness(primary, self.clock.now(), canary)
            if said:
                await self._say(canary, said, warning=True)
                if not retriable:
                    await self._roll_back(canary, target)
                return
        if phase_of(canary) not in GOING_ON:
            await self._begin(canary, target)
        elif phase_of(canary) in ("Progressing", "WaitingPromotion") and self._changed(canary, target):
            self._route(canary, 0)
            self._scale(target, self._size(canary))
            canary = self._sync(canary, "Progressing")
            await self._say(canary, f"New revision detected! Restarting analysis for {target_of(canary)}")
        else:
            await self._analyse(canary, target)

    def _should_advance(self, canary: Object, target: Object) -> bool:
        phase = phase_of(canary)
        if phase in (*GOING_ON, "Waiting"):
            return True
        if phase == "Failed":  # the hash follows even then, before anything is decided
            weight = canary["status"].get("canaryWeight", 0)
            self._sync(canary, "Failed", weight=weight, failed=canary["status"].get("failedChecks", 0))
        return self._changed(canary, target)

    def _changed(self, canary: Object, target: Object) -> bool:
        """Not for what was promoted last (taken as a rollback by hand), nor for what was applied last."""
        status, now = canary.get("status") or {}, template_hash(target)
        return now != status.get("lastPromotedSpec") and now != status.get("lastAppliedSpec")

    async def _begin(self, canary: Object, target: Object) -> None:
        if self._sync_first:
            canary = self._sync(canary, "Progressing")
        for hook in hooks_of(canary, "confirm-rollout"):
            open_ = await self._ask(canary, hook, phase=phase_of(canary))
            canary = self._fresh(canary)
            if not open_:
                if phase_of(canary) != "Waiting":
                    canary = self._set_phase(canary, "Waiting")
                    said = f"Halt {name_of(canary)} advancement waiting for approval {hook['name']}"
                    await self._say(canary, said, warning=True)
                return
            if phase_of(canary) == "Waiting":
                canary = self._set_phase(canary, "Progressing")
                await self._say(canary, f"Confirm-rollout check {hook['name']} passed")
                return
        await self._say(canary, f"New revision detected! Scaling up {target_of(canary)}")
        self._scale(target, self._size(canary))
        self._sync(canary, "Progressing")

    async def _analyse(self, canary: Object, target: Object) -> None:
        said, retriable = readiness(target, self.clock.now(), canary)
        phase = phase_of(canary)
        if said:
            await self._say(canary, said, warning=True)
            if not retriable:
                await self._roll_back(canary, target)
            return
        if canary["spec"].get("skipAnalysis"):
            self._route(canary, 0)
            await self._promote(canary, target)
            self._scale(target, 0)
            canary = self._set_phase(canary, "Succeeded")
            await self._say(canary, f"Promotion completed! Canary analysis was skipped for {target_of(canary)}")
            return
        if phase in ("Progressing", "WaitingPromotion"):
            for hook in hooks_of(canary, "rollback"):
                if await self._ask(canary, hook, phase=phase):
                    await self._say(canary, f"Rollback check {hook['name']} passed", warning=True)
                    await self._say(canary, f"Rolling back {name_of(canary)} manual webhook invoked", warning=True)
                    await self._roll_back(canary, target)
                    return
                await self._say(canary, f"Rollback hook {hook['name']} not signaling a rollback")
        if phase == "Promoting":
            await self._shift_back(canary)
        elif phase == "Finalising":
            self._scale(target, 0)
            canary = self._set_phase(canary, "Succeeded")
            for hook in hooks_of(canary, "post-rollout"):
                await self._ask(canary, hook, phase="Succeeded")
            await self._say(canary, f"Promotion completed! Scaling down {target_of(canary)}")
        elif canary["status"].get("failedChecks", 0) >= analysis_of(canary).get("threshold", 1):
            await self._roll_back(canary, target)
        elif not await self._checked(canary, target):
            failed = self._fresh(canary)["status"].get("failedChecks", 0) + 1
            self._status(canary, {"failedChecks": failed})
        else:
            await self._step(canary, target)

    async def _checked(self, canary: Object, target: Object) -> bool:
        weight, iterations = self.traffic(*place_of(canary)), canary["status"].get("iterations", 0)
        if not weight and iterations <= 0 and phase_of(canary) == "Progressing":
            await self._say(canary, f"Starting canary analysis for {target_of(canary)}")
            return await self._all(canary, "pre-rollout", "Pre-rollout")
        for hook in hooks_of(canary, "rollout"):
            if not await self._ask(canary, hook):
                said = f"Halt {name_of(canary)} advancement external check {hook['name']} failed"
                await self._say(canary, said, warning=True)
                return False
        wrong = self.check(canary, target["spec"]["template"]["spec"]["containers"][0]["image"])
        if wrong:
            await self._say(canary, f"Halt {name_of(canary)} advancement {wrong}", warning=True)
        return not wrong

    async def _step(self, canary: Object, target: Object) -> None:
        analysis, phase = analysis_of(canary), phase_of(canary)
        if analysis.get("iterations", 0) > 0:
            await self._iterate(canary, target)
            return
        weight = self.traffic(*place_of(canary))
        if phase == "Progressing" and not await self._all(
            canary, "confirm-traffic-increase", "Confirm-traffic-increase"
        ):
            return
        steps, most = analysis.get("stepWeights") or [], int(analysis.get("maxWeight") or TOTAL)
        if steps:
            most = min(TOTAL, steps[-1])
        if weight < most:
            following = (
                next((each for each in steps if each > weight), TOTAL) if steps else weight + analysis["stepWeight"]
            )
            self._route(canary, min(TOTAL, following))
            self._status(canary, {"canaryWeight": min(TOTAL, following)})
            await self._say(canary, f"Advance {name_of(canary)} canary weight {min(TOTAL, following)}")
        elif await self._may_promote(canary):
            await self._promote(canary, target)
            self._set_phase(canary, "Promoting")

    async def _iterate(self, canary: Object, target: Object) -> None:
        """Blue/green: so many rounds of checks, then all traffic at once."""
        done, wanted = canary["status"].get("iterations", 0), analysis_of(canary)["iterations"]
        if done < wanted:
            self._status(canary, {"iterations": done + 1})
            await self._say(canary, f"Advance {name_of(canary)} canary iteration {done + 1}/{wanted}")
        elif not await self._may_promote(canary):
            return
        elif done == wanted:
            if canary["spec"].get("provider") != "kubernetes":
                await self._say(canary, "Routing all traffic to canary")
                self._route(canary, TOTAL)
            self._status(canary, {"iterations": done + 1})
        else:
            await self._promote(canary, target)
            self._set_phase(canary, "Promoting")

    async def _may_promote(self, canary: Object) -> bool:
        for hook in hooks_of(canary, "confirm-promotion"):
            if not await self._ask(canary, hook):
                if phase_of(self._fresh(canary)) != "WaitingPromotion":
                    said = f"Halt {name_of(canary)} advancement waiting for promotion approval {hook['name']}"
                    await self._say(self._set_phase(canary, "WaitingPromotion"), said, warning=True)
                return False
            await self._say(canary, f"Confirm-promotion check {hook['name']} passed")
        return True

    async def _promote(self, canary: Object, target: Object) -> None:
        primary = self._deployment(canary, "-primary")
        assert primary is not None
        await self._say(canary, f"Copying {target_of(canary)} template spec to {primary['metadata']['name']}")
        template = primary_template(target)
        self.write("deployments", primary, lambda live: live["spec"].update(template=template))

    async def _shift_back(self, canary: Object) -> None:
        step, weight = analysis_of(canary).get("stepWeightPromotion", 0), self.traffic(*place_of(canary))
        left = max(0, weight - step) if step else 0
        said = f"Advance {name_of(canary)} primary weight {TOTAL - left}" if step else "Routing all traffic to primary"
        await self._say(canary, said)
        self._route(canary, left)
        if left:
            self._status(canary, {"canaryWeight": left})
        else:
            self._set_phase(canary, "Finalising")

    async def _roll_back(self, canary: Object, target: Object) -> None:
        failed = canary["status"].get("failedChecks", 0)
        if failed >= analysis_of(canary).get("threshold", 1):
            await self._say(
                canary, f"Rolling back {name_of(canary)} failed checks threshold reached {failed}", warning=True
            )
        if phase_of(canary) == "Promoting":  # the primary has the new template already and does not come up
            self._route(canary, TOTAL)
            await self._say(canary, f"Promotion failed! All traffic goes to {target_of(canary)}", warning=True)
            self._sync(canary, "Failed", weight=TOTAL)
        else:
            self._route(canary, 0)
            await self._say(canary, f"Canary failed! Scaling down {name_of(canary)}", warning=True)
            self._scale(target, 0)
            self._sync(canary, "Failed")
        for hook in hooks_of(canary, "post-rollout"):
            await self._ask(canary, hook, phase="Failed")

    async def _initialize(self, canary: Object, target: Object) -> bool:
        """Make the primary and wait for it; then it alone gets the traffic and the target sleeps."""
        primary = self._deployment(canary, "-primary")
        if primary is None:
            if not phase_of(canary):
                canary = self._set_phase(canary, "Initializing")
            meta = target["metadata"]
            primary = self.create("deployments", meta["namespace"], {
                "metadata": {"name": f"{meta['name']}-primary", "namespace": meta["namespace"],
                             "labels": {"app": f"{meta['name']}-primary"},
                             "ownerReferences": [owner_reference(canary)]},
                "spec": {
                    **{key: deepcopy(value) for key, value in target["spec"].items() if key != "paused"},
                    "selector": {"matchLabels": {"app": f"{meta['name']}-primary"}},
                    "template": primary_template(target),
                },
            })  # fmt: skip
        said, _ = readiness(primary, self.clock.now(), canary)
        if said or condition(primary.get("status") or {}, "Available") is None:
            await self._say(
                canary,
                f"{primary['metadata']['name']}.{canary['metadata']['namespace']} not ready: {said}",
                warning=True,
            )
            return False
        self._scale(target, 0)
        return True

    # What it writes.

    def _set_phase(self, canary: Object, phase: str) -> Object:
        def change(live: Object) -> None:
            status = live.setdefault("status", {})
            if phase not in ("Progressing", "Waiting", "Promoting"):
                status |= {"canaryWeight": 0, "iterations": 0}
                if phase == "WaitingPromotion":
                    status["iterations"] = analysis_of(live).get("iterations", 0) - 1
            if phase in ("Initialized", "Succeeded"):
                status["lastPromotedSpec"] = status.get("lastAppliedSpec", "")
            status["phase"] = phase
            promoted(live, phase, self.clock.stamp())

        return self._write(canary, change)

    def _sync(self, canary: Object, phase: str, *, weight: int = 0, failed: int = 0) -> Object:
        target = self._deployment(canary)
        now = template_hash(target) if target else ""

        def change(live: Object) -> None:
            status = live.setdefault("status", {})
            status |= {
                "phase": phase,
                "canaryWeight": weight,
                "failedChecks": failed,
                "iterations": 0,
                "lastAppliedSpec": now,
            }
            if phase == "Initialized":
                status["lastPromotedSpec"] = now
            promoted(live, phase, self.clock.stamp())

        return self._write(canary, change)

    def _status(self, canary: Object, more: Object) -> Object:
        return self._write(canary, lambda live: live["status"].update(more))

    def _write(self, canary: Object, change: Callable[[Object], Any]) -> Object:
        def stamped(live: Object) -> None:
            change(live)
            live["status"]["lastTransitionTime"] = self.clock.stamp()

        return self.write("canaries", canary, stamped, status=True) or canary

    def _scale(self, target: Object, replicas: int) -> None:
        self.write("deployments", target, lambda live: live["spec"].update(replicas=replicas))

    def _size(self, canary: Object) -> int:
        primary = self._deployment(canary, "-primary")
        return int(primary["spec"]["replicas"]) if primary else 1

    def _route(self, canary: Object, weight: int) -> None:
        self._routes[place_of(canary)] = weight

    def _deployment(self, canary: Object, suffix: str = "") -> Object | None:
        name = canary["spec"]["targetRef"]["name"] + suffix
        return self.store.get(BY_PLURAL["deployments"], canary["metadata"]["namespace"], name)

    def _fresh(self, canary: Object) -> Object:
        return self.registry.read(BY_PLURAL["canaries"], *place_of(canary))

    # What it asks and tells.

    async def _all(self, canary: Object, kind: str, called: str) -> bool:
        for hook in hooks_of(canary, kind):
            if not await self._ask(canary, hook):
                said = f"Halt {name_of(canary)} advancement {WANTED[kind]} {hook['name']}"
                await self._say(canary, said, warning=True)
                return False
            await self._say(canary, f"{called} check {hook['name']} passed")
        return True

    async def _ask(self, canary: Object, hook: Object, *, phase: str = "Progressing") -> bool:
        return await self.hooks.call(canary, hook, phase=phase, checksum=checksum(canary))

    async def _say(self, canary: Object, said: str, *, warning: bool = False) -> None:
        kind = "Warning" if warning else "Normal"
        self.event(canary, "Synced", said, kind)
        more = {"eventMessage": said, "eventType": kind, "timestamp": str(int(time.time() * 1000))}
        for hook in hooks_of(canary, "event"):
            await self.hooks.call(canary, hook, phase=phase_of(canary), checksum=checksum(canary), more=more)

    async def run(self) -> None:
        while True:
            await self.tick()
            await asyncio.sleep(self.pace)
