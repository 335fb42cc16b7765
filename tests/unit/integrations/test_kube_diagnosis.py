"""What a pod's own status says about why it does not come up, in plain words and without what could do harm."""

from __future__ import annotations

from typing import Any

import pytest

from integrations._shared.workloads.diagnosis import _look

NODE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}


def pod(state: dict[str, Any], *, kind: str = "containerStatuses", **more: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "checkout-1"},
        "spec": {"containers": [{"name": "web", "image": "r/web:1"}]},
        "status": {kind: [{"name": "web", "ready": False, "restartCount": 0, "state": state, **more}]},
    }


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


EVICTED = "ended: Evicted: The node was low"
AGAIN: dict[str, Any] = {"running": {}}
ENDED = {"terminated": {"exitCode": 137, "reason": "OOMKilled", "message": "the end"}}


@pytest.mark.parametrize(
    ("one", "words", "stuck"),
    [
        (pod(waiting("ImagePullBackOff", "not found")), "cannot pull the image r/web:1: not found", True),
        (pod(waiting("ErrImagePull"), kind="initContainerStatuses"), "cannot pull the image r/web:1", True),
        (
            pod(waiting("CreateContainerConfigError", 'secret "x" not found')),
            'cannot start web: secret "x" not found',
            True,
        ),
        (pod(waiting("CrashLoopBackOff"), lastState=ENDED), "crashes: web ended with code 137, out of memory", True),
        (pod(ENDED), "crashes: web ended with code 137, out of memory", True),
        (
            pod({"running": {}}, lastState=ENDED, restartCount=1),
            "crashes: web ended with code 137, out of memory",
            False,
        ),
        (pod({"running": {}}), "runs web, which is not ready", False),
        ({"status": {"phase": "Failed", "reason": "Evicted", "message": "The node was low"}}, EVICTED, False),
        ({"status": {"phase": "Failed"}}, "ended: no reason was given", False),
        ({"status": {"conditions": [NODE]}}, "finds no node to run on: 0/3 nodes are available", True),
    ],
)
def test_what_is_wrong_is_said(one: dict[str, Any], words: str, stuck: bool) -> None:
    found = _look(one)
    assert found is not None
    assert (found.words, found.stuck) == (words, stuck)


@pytest.mark.parametrize(
    "one",
    [
        pod(waiting("ContainerCreating")),
        pod(waiting("PodInitializing")),
        pod({"terminated": {"exitCode": 0}}, kind="initContainerStatuses"),
        {"status": {"conditions": "none", "containerStatuses": {"web": 1}}},
        {"status": None},
        {},
    ],
)
def test_what_only_takes_its_time_is_no_trouble(one: dict[str, Any]) -> None:
    assert _look(one) is None


def test_what_a_cluster_says_is_one_line_without_secrets() -> None:
    found = _look(pod(waiting("ErrImagePull", "no\nway\x1b[31m password=hunter2 " + "x" * 9000)))
    assert found is not None
    assert "\n" not in found.words
    assert "hunter2" not in found.words
    assert len(found.words) < 500
    evil = pod({"running": {}}, name="<!channel> *web*")
    found = _look(evil)
    assert found is not None
    assert "<!channel>" not in found.words
