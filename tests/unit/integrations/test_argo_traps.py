"""What must be written to a Rollout's status, and what must not, for every state that its sources know."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.domain.errors import ProviderRejected
from bot.domain.ids import OperationId
from bot.domain.rollout import Handle
from integrations._shared.workloads.judging import Stand
from integrations.argo_rollouts import books, judging, observing, steps
from integrations.argo_rollouts.books import GOALS, Entry
from integrations.argo_rollouts.steps import END

STOPS = [{"setWeight": 25}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}]
CLEARED = {"pauseConditions": None}
FULL = {"promoteFull": True}
SAME = {"currentPodHash": "a", "stableRS": "a"}
OTHER = {"currentPodHash": "b", "stableRS": "a"}


def paused(*reasons: str, at: int = 1, **status: Any) -> dict[str, Any]:
    conditions = [{"reason": reason, "startTime": "2026-11-23T12:00:00Z"} for reason in reasons]
    return {**OTHER, "pauseConditions": conditions, "controllerPause": True, "currentStepIndex": at, **status}


def rollout(
    status: dict[str, Any], *, stops: list[Any] | None = None, blue_green: dict[str, Any] | None = None, **spec: Any
) -> dict[str, Any]:
    strategy = {"blueGreen": blue_green} if blue_green is not None else {"canary": {"steps": stops or STOPS}}
    return {
        "metadata": {"name": "checkout", "uid": "u", "generation": 7, "resourceVersion": "9"},
        "spec": {"replicas": 4, "strategy": strategy, **spec},
        "status": {"observedGeneration": "7", **status},
    }


def inconclusive(*more: str, of_step: bool, at: int = 1) -> dict[str, Any]:
    kind = "currentStepAnalysisRunStatus" if of_step else "currentBackgroundAnalysisRunStatus"
    run = {kind: {"name": "checkout-b-2", "status": "Inconclusive"}}
    return paused(*more, "InconclusiveAnalysisRun", at=at, canary=run)


@pytest.mark.parametrize(
    ("status", "goal", "wanted"),
    [
        # A pause ends by its conditions alone: whoever counts the step up as well leaves one out.
        (paused("CanaryPauseStep"), 50, CLEARED),
        (paused("CanaryPauseStep", at=3), END, CLEARED),
        (paused("CanaryPauseStep"), END, FULL),
        # Given once more it is no word: it is where it was to be, or beyond.
        (paused("CanaryPauseStep"), 25, None),
        (paused("CanaryPauseStep", at=3), 50, None),
        (paused("CanaryPauseStep", at=3), 25, None),
        # It moves, or has been told to, or its status is about something else.
        ({**OTHER, "currentStepIndex": 2}, 50, None),
        ({**OTHER, "controllerPause": True, "currentStepIndex": 1}, 50, None),
        ({**paused("CanaryPauseStep"), "observedGeneration": "6"}, END, None),
        ({**paused("CanaryPauseStep"), "observedGeneration": 7}, END, None),
        # Over, or taken back.
        ({**paused("CanaryPauseStep"), **SAME}, END, None),
        ({**paused("CanaryPauseStep"), "abort": True}, END, None),
        # A pause that ends by itself is nobody's.
        (paused("CanaryPauseStep", at=0), END, None),
        (paused("SomethingNew"), END, None),
    ],
)
def test_the_word_to_go_on(status: dict[str, Any], goal: int, wanted: dict[str, Any] | None) -> None:
    assert steps.release_patch(rollout(status), goal) == wanted


def test_from_one_rest_over_another_only_the_weight_before_the_third_is_gone_to() -> None:
    stops = [part for each in (10, 30, 60) for part in ({"setWeight": each}, {"pause": {}})]
    one = rollout(paused("CanaryPauseStep"), stops=stops)
    assert steps.release_patch(one, 60) == {"pauseConditions": None, "controllerPause": False, "currentStepIndex": 4}
    assert steps.release_patch(one, 30) == CLEARED


@pytest.mark.parametrize(
    ("status", "goal", "wanted"),
    [
        (inconclusive(of_step=True, at=2), 50, {**CLEARED, "controllerPause": False, "currentStepIndex": 3}),
        (inconclusive(of_step=False, at=2), 50, CLEARED),
        (inconclusive("CanaryPauseStep", of_step=False), 50, CLEARED),
        (inconclusive("CanaryPauseStep", of_step=False), END, FULL),
        (inconclusive("CanaryPauseStep", of_step=False, at=3), END, CLEARED),
    ],
)
def test_what_could_not_tell_is_passed_only_by_who_wants_it_again(
    status: dict[str, Any], goal: int, wanted: dict[str, Any]
) -> None:
    one = rollout(status)
    assert steps.release_patch(one, goal) is None
    assert steps.release_patch(one, goal, again=True) == wanted
    assert steps.undecided(one)
    assert steps.resting(one) is None, "it is no rest that was reached"


def test_to_stay_at_a_rest_ends_the_other_pause_and_not_the_rest() -> None:
    one = rollout(inconclusive("CanaryPauseStep", of_step=False))
    patch = steps.release_patch(one, 25, again=True)
    assert patch is not None
    assert [each["reason"] for each in patch["pauseConditions"]] == ["CanaryPauseStep"]


def test_blue_green_is_never_counted_up() -> None:
    waits = {"autoPromotionEnabled": False}
    status = paused("BlueGreenPause", "InconclusiveAnalysisRun", at=0)
    status["blueGreen"] = {"prePromotionAnalysisRunStatus": {"name": "r", "status": "Inconclusive"}}
    one = rollout(status, blue_green=waits)
    assert steps.release_patch(one, END) is None
    assert steps.release_patch(one, END, again=True) == CLEARED
    resting = rollout(paused("BlueGreenPause", at=0), blue_green=waits)
    assert steps.release_patch(resting, 0) is None
    assert steps.release_patch(resting, END) == CLEARED
    itself = rollout(paused("BlueGreenPause", at=0), blue_green={**waits, "autoPromotionSeconds": 30})
    assert steps.resting(itself) is None
    assert steps.release_patch(itself, 0) is None
    assert steps.release_patch(itself, END) == CLEARED


@pytest.mark.parametrize(
    ("status", "wanted"),
    [({**OTHER, "abort": True}, {"abort": False}), (OTHER, None), ({**SAME, "abort": True}, None)],
)
def test_a_retry_is_for_what_was_aborted(status: dict[str, Any], wanted: dict[str, Any] | None) -> None:
    assert steps.retry_patch(rollout(status)) == wanted


def held(*entries: tuple[str, int, str]) -> dict[str, Any]:
    listed = [[operation, goal, "v", digest] for operation, goal, digest in entries]
    return {"metadata": {"annotations": {GOALS: json.dumps(listed)}}}


@pytest.mark.parametrize(
    ("entries", "wanted"),
    [
        ([("a", 25, "d"), ("b", 50, "d")], False),
        ([("a", 25, "d"), ("b", 50, "d"), ("c", 50, "d")], True),
        ([("b", 50, "d"), ("x", 101, "other"), ("c", 50, "d")], False),
        ([("b", 50, "d"), ("a", 25, "d"), ("c", 50, "d")], True),
        ([("c", 50, "d"), ("b", 50, "d")], False),
        ([("c", 50, "d")], False),
        ([], False),
    ],
)
def test_what_is_wanted_again(entries: list[tuple[str, int, str]], wanted: bool) -> None:
    assert books.wanted_before(held(*entries), "c") is wanted


def judged(one: dict[str, Any], goal: int = END, version: int = 0) -> Stand:
    annotations = {
        GOALS: json.dumps([["op", goal, "v", "d"]]),
        "deployment-architect.io/operation-id": "op",
        "deployment-architect.io/history": "op@3",
        "deployment-architect.io/images": '{"web": "r/web:2"}',
    }
    one["metadata"]["annotations"] = annotations
    one["spec"]["template"] = {"spec": {"containers": [{"name": "web", "image": "r/web:2"}]}}
    mine = judging.Mine(name="checkout", operation=OperationId("op"), uid="u", version=version)
    return judging.judge(one, one, mine).stand


def test_one_that_was_made_anew_under_its_name_is_not_ours() -> None:
    other = rollout(HEALTHY)
    other["metadata"]["uid"] = "another"
    assert judged(other) is Stand.DELETED


def test_what_is_older_than_our_own_answer_tells_nothing() -> None:
    assert judged(rollout(HEALTHY), version=10) is Stand.WAITING
    assert judged(rollout(HEALTHY), version=9) is Stand.DONE


@pytest.mark.parametrize(
    ("more", "conditions", "wanted"),
    [
        ({"paused": True}, [], Stand.FAILED),
        ({}, [{"type": "InvalidSpec", "reason": "InvalidSpec", "message": "no"}], Stand.FAILED),
        ({}, [{"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "late"}], Stand.FAILED),
        ({}, [{"type": "Progressing", "reason": "ReplicaSetUpdated", "message": "on"}], Stand.WAITING),
    ],
)
def test_what_never_goes_on_is_said_at_once(more: dict[str, Any], conditions: list[Any], wanted: Stand) -> None:
    status = {**OTHER, "phase": "Degraded", "conditions": conditions, "updatedReplicas": 1}
    assert judged(rollout(status, **more)) is wanted


@pytest.mark.parametrize(("active", "wanted"), [("b", 100), ("a", 0), ("", 0)])
def test_blue_green_has_all_of_the_traffic_or_none(active: str, wanted: int) -> None:
    one = rollout({**OTHER, "blueGreen": {"activeSelector": active}}, blue_green={"autoPromotionEnabled": False})
    assert steps.weight(one) == wanted


def test_an_aborted_one_has_no_traffic_whatever_its_steps_say() -> None:
    assert steps.weight(rollout({**paused("CanaryPauseStep"), "abort": True})) == 0
    assert steps.weight(rollout(paused("CanaryPauseStep"))) == 25
    assert steps.weight(rollout({**OTHER, "currentStepIndex": 2})) is None


def test_two_pauses_at_one_weight_cannot_be_told_apart() -> None:
    wait = {"pause": {}}
    with pytest.raises(ProviderRejected, match="pauses twice at the same weight"):
        steps.check(rollout({}, stops=[{"setWeight": 25}, wait, wait]), "checkout", [25])
    steps.check(rollout({}, stops=[{"setWeight": 25}, wait, {"pause": {"duration": "1h"}}]), "checkout", [25, 100])


HEALTHY = {**SAME, "phase": "Healthy", "updatedReplicas": 4}


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        (HEALTHY, Stand.DONE),
        ({**HEALTHY, **OTHER}, Stand.WAITING),
        ({**HEALTHY, "observedGeneration": "6"}, Stand.WAITING),
        ({**HEALTHY, "observedGeneration": "07"}, Stand.WAITING),
        ({**HEALTHY, "controllerPause": True}, Stand.WAITING),
        ({**HEALTHY, "phase": "Progressing"}, Stand.WAITING),
        ({**HEALTHY, "currentPodHash": "", "stableRS": ""}, Stand.WAITING),
        ({**HEALTHY, "canary": {"weights": {"canary": {"weight": 50}}}}, Stand.WAITING),
        ({**HEALTHY, "canary": {"weights": {"canary": {"weight": 0}}}}, Stand.DONE),
    ],
)
def test_healthy_counts_once_it_is_about_what_is_there_now(status: dict[str, Any], wanted: Stand) -> None:
    assert judged(rollout(status)) is wanted


def test_a_template_elsewhere_counts_once_its_generation_was_seen() -> None:
    holder = {"metadata": {"uid": "other", "generation": 3}}
    for seen, wanted in (("3", True), ("2", False), (3, False), (None, False)):
        assert steps.taken_up(rollout({**SAME, "workloadObservedGeneration": seen}), holder) is wanted


def test_a_rest_counts_only_for_who_was_let_up_to_it() -> None:
    at = rollout({**paused("CanaryPauseStep"), "phase": "Paused"})
    assert judged(at, 25) is Stand.DONE
    assert judged(at, 50) is Stand.WAITING


@pytest.mark.parametrize("generation", ["", ":", "u:", ":1", "u:-1", "u:\u0661", "u:" + "9" * 39, "x"])
def test_a_handle_of_something_else_leads_nowhere(generation: str) -> None:
    handle = Handle(operation=OperationId("op"), generation=generation)
    workload = type("Named", (), {"name": "checkout"})()
    with pytest.raises(ProviderRejected, match="another Rollout"):
        observing._mine(workload, handle)


@pytest.mark.parametrize("odd", [None, [], "x", 7, {"canary": "x"}, {"pauseConditions": "x"}, {"pauseConditions": [1]}])
def test_a_status_of_any_shape_breaks_nothing(odd: Any) -> None:
    one = rollout({})
    one["status"] = odd
    for goal in (0, 25, END):
        assert steps.release_patch(one, goal, again=True) is None
    assert steps.retry_patch(one) is None
    assert steps.weight(one) is None
    assert not steps.undecided(one)


def test_entries_of_an_operation_are_kept_once_and_the_oldest_go() -> None:
    holder: dict[str, Any] = {"metadata": {"annotations": {}}}
    for number in range(30):
        entry = Entry(OperationId(f"op-{number}"), number, "v", "d")
        for _ in range(2):
            holder["metadata"]["annotations"][GOALS] = books.written(holder, entry)
    kept = books.read(holder)
    assert [each.goal for each in kept] == list(range(10, 30))
