"""Where a Rollout rests for somebody's word, and what lets it go on from there. Pure.

Follows argo-rollouts 1.9.1, pkg/kubectl-argo-rollouts/cmd/promote: one pause is ended by taking its conditions away and
nothing else, since the controller itself counts the step up; who counts it up as well leaves a step out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.domain.errors import ProviderRejected
from integrations._shared.kube import raw
from integrations._shared.kube.errors import PROVIDER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from integrations._shared.kube.raw import Object

CANNOT_TELL = "InconclusiveAnalysisRun"
END = 101
"""The goal beyond all rests: the release is the stable one."""


@dataclass(frozen=True, slots=True)
class Rest:
    """A pause without an end: it waits there for a person."""

    index: int
    weight: int
    """Per cent of the traffic that the release gets meanwhile."""


def is_blue_green(one: Object) -> bool:
    """Whether it switches at once instead of step by step."""
    return isinstance(raw.at(one, "spec", "strategy", "blueGreen"), dict)


def steps_of(one: Object) -> list[Object]:
    """The steps of a canary."""
    return raw.items(one, "spec", "strategy", "canary", "steps")


def rests(one: Object) -> list[Rest]:
    """Where it waits for a person, in order."""
    if is_blue_green(one):
        waits = raw.at(one, "spec", "strategy", "blueGreen", "autoPromotionEnabled") is False
        waits = waits and not raw.count(one, "spec", "strategy", "blueGreen", "autoPromotionSeconds")
        return [Rest(0, 0)] if waits else []
    found, weight = [], 0
    for index, step in enumerate(steps_of(one)):
        if "setWeight" in step:
            weight = raw.count(step, "setWeight")
        elif "pause" in step and not raw.at(step, "pause", "duration"):
            found.append(Rest(index, weight))
    return found


def index_of(one: Object) -> int:
    """The step that it is at; one more than there are when all are done."""
    return raw.count(one, "status", "currentStepIndex")


def observed(one: Object) -> bool:
    """Whether its status is about what it is now, and no pause is just being ended."""
    said = raw.text(one, "status", "observedGeneration")
    if said != str(raw.at(one, "metadata", "generation")):
        return False
    return not (raw.at(one, "status", "controllerPause") is True and not raw.items(one, "status", "pauseConditions"))


def taken_up(one: Object, holder: Object) -> bool:
    """Whether its status is about the very template that ``holder`` has now: itself, or a Deployment."""
    if not observed(one):
        return False
    if raw.uid(holder) == raw.uid(one):
        return True
    return raw.text(one, "status", "workloadObservedGeneration") == str(raw.at(holder, "metadata", "generation"))


def stable(one: Object) -> bool:
    """Whether its newest template is the stable one."""
    current = raw.text(one, "status", "currentPodHash")
    return bool(current) and raw.text(one, "status", "stableRS") == current


def shifting(one: Object) -> bool:
    """Whether its routes still lead to another ReplicaSet beside the stable one.

    Where pods follow traffic (dynamicStableScale), Healthy is told before the stable ones have taken over all of it.
    """
    return raw.count(one, "status", "canary", "weights", "canary", "weight") > 0


def reason(one: Object) -> str:
    """Why it pauses: CanaryPauseStep, BlueGreenPause or InconclusiveAnalysisRun; empty when it does not.

    Of several, the one that matters most: whatever else it waits for, an analysis that cannot tell is no yes.
    """
    found = [raw.text(each, "reason") for each in raw.items(one, "status", "pauseConditions")]
    return CANNOT_TELL if CANNOT_TELL in found else next(iter(found), "")


def switching_back(one: Object) -> bool:
    """Whether it was aborted after a switch that is not undone yet."""
    if not is_blue_green(one) or raw.at(one, "status", "abort") is not True:
        return False
    active, wanted = raw.text(one, "status", "blueGreen", "activeSelector"), raw.text(one, "status", "stableRS")
    return bool(active and wanted) and active != wanted


def undecided(one: Object) -> bool:
    """Whether it waits for a person because an analysis could not tell."""
    stands = raw.at(one, "spec", "paused") is True or raw.at(one, "status", "abort") is True
    return not stands and observed(one) and reason(one) == CANNOT_TELL


def resting(one: Object) -> Rest | None:
    """The rest that it has reached; None while it moves, or where it goes on by itself."""
    if not observed(one) or raw.at(one, "status", "abort") is True:
        return None
    return None if reason(one) == CANNOT_TELL else _at_rest(one)


def _at_rest(one: Object) -> Rest | None:
    """The rest that it is at, whatever else it waits for."""
    found = {raw.text(each, "reason") for each in raw.items(one, "status", "pauseConditions")}
    if "BlueGreenPause" in found:
        return next(iter(rests(one)), None)
    if "CanaryPauseStep" not in found:
        return None
    return next((rest for rest in rests(one) if rest.index == index_of(one)), None)


def weight(one: Object) -> int | None:
    """How many per cent the newest template gets; None while that changes."""
    if not observed(one):
        return None
    if stable(one):
        return 100
    if raw.at(one, "status", "abort") is True:
        return 0
    if is_blue_green(one):
        active = raw.text(one, "status", "blueGreen", "activeSelector")
        return 100 if active and active == raw.text(one, "status", "currentPodHash") else 0
    rest = resting(one)
    if rest is not None:
        return rest.weight
    if reason(one) == CANNOT_TELL:
        done = [raw.count(step, "setWeight") for step in steps_of(one)[: index_of(one)] if "setWeight" in step]
        return done[-1] if done else 0
    return None


def release_patch(one: Object, goal: int, *, again: bool = False) -> dict[str, Any] | None:
    """What must be written to its status so that it goes on to ``goal``; None when nothing must.

    ``goal`` is the weight of a rest, or `END`. ``again``: this was wanted before and people have seen what became of
    it; only then is it let past an analysis that could not tell.
    """
    if not observed(one) or stable(one) or raw.at(one, "status", "abort") is True:
        return None
    here = _at_rest(one)
    if reason(one) == CANNOT_TELL:
        if not again:
            return None
        if _is_of_step(one):
            # The only pause that does not end with its conditions: the step itself is what cannot tell.
            return {"pauseConditions": None, "controllerPause": False, "currentStepIndex": index_of(one) + 1}
        if here is None:
            return {"pauseConditions": None}
        if goal <= here.weight:  # the rest itself is not over
            conditions = raw.items(one, "status", "pauseConditions")
            return {"pauseConditions": [each for each in conditions if raw.text(each, "reason") != CANNOT_TELL]}
    if here is None:  # it switches by itself in the end, and may now
        return {"pauseConditions": None} if reason(one) == "BlueGreenPause" and goal > 0 else None
    if goal <= here.weight:
        return None
    later = [rest for rest in rests(one) if rest.index > here.index]
    if goal >= END:
        return {"promoteFull": True} if later else {"pauseConditions": None}
    if not later or later[0].weight >= goal:
        return {"pauseConditions": None}
    wanted = next((rest for rest in later if rest.weight >= goal), None)
    if wanted is None:
        return {"promoteFull": True}
    before = [number for number, step in enumerate(steps_of(one)[: wanted.index]) if "setWeight" in step]
    return {"pauseConditions": None, "controllerPause": False, "currentStepIndex": before[-1]}


def retry_patch(one: Object) -> dict[str, Any] | None:
    """What must be written to the status of one that was aborted so that it begins anew; None when it was not."""
    return {"abort": False} if raw.at(one, "status", "abort") is True and not stable(one) else None


def _is_of_step(one: Object) -> bool:
    """Whether what cannot tell is the analysis that its present step consists of."""
    return (
        not is_blue_green(one)
        and raw.text(one, "status", "canary", "currentStepAnalysisRunStatus", "status") == "Inconclusive"
    )


def check(one: Object, name: str, weights: Sequence[int]) -> None:
    """Raise `ProviderRejected` unless a strategy that stops at ``weights`` can pace it."""
    has = [rest.weight for rest in rests(one)]
    if is_blue_green(one):
        if weights and 0 not in weights:
            raise _refused(f"The Rollout {name} switches at once; give it a strategy of the kind blue_green.")
        if weights and not has:
            raise _refused(
                f"The Rollout {name} switches by itself; set spec.strategy.blueGreen.autoPromotionEnabled to false, so "
                "that it waits for the bot's word."
            )
        if has and not weights:
            raise _refused(f"The Rollout {name} waits for a person before it switches; give it a blue_green strategy.")
        return
    if len(set(has)) != len(has):
        raise _refused(f"The Rollout {name} pauses twice at the same weight; keep one of these pauses.")
    asked = [each for each in weights if each < 100]
    if sorted(asked) == sorted(each for each in has if each < 100):
        return
    says = _list(has) if has else "never"
    if not asked:
        wanted = ", ".join(f"{{ weight: {each}, approval: true }}" for each in has)
        raise _refused(
            f"The Rollout {name} pauses for a person at {says}, and this strategy asks nobody; give the service a "
            f"canary strategy with steps: [{wanted}]."
        )
    wanted = ", ".join(f"{{ setWeight: {each} }}, {{ pause: {{}} }}" for each in asked)
    raise _refused(
        f"The strategy stops at {_list(asked)}, and the Rollout {name} pauses without an end at {says}; both must be "
        f"the same. In the Rollout: steps: [{wanted}]."
    )


def _list(weights: Sequence[int]) -> str:
    return ", ".join(f"{each} %" for each in weights)


def _refused(message: str) -> ProviderRejected:
    return ProviderRejected(message, provider=PROVIDER)
