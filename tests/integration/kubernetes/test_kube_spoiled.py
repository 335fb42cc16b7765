"""A cluster where one thing is not what it should be, anywhere: a target says so or does without, and never breaks."""

from __future__ import annotations

import json
from contextlib import aclosing
from copy import deepcopy
from typing import TYPE_CHECKING, Any, cast

import pytest
from aiohttp import web
from integration.kubernetes.test_kube_hostile import answering
from kube.deployment_world import CHECKOUT, STAGING, release

from bot.domain.catalog import HealthCheck
from bot.domain.errors import ProviderError, ProviderRejected
from bot.domain.ids import OperationId
from integrations._shared.workloads import marks
from integrations._shared.workloads.diagnosis import diagnose
from integrations.kubernetes.options import KubernetesOptions
from integrations.kubernetes.target import KubernetesTarget

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator

    from integrations._shared.kube.api import Kube

pytestmark = pytest.mark.timeout(60)
DIGEST = release("v1.0").artifact.digest
LABELS = {"app": "checkout", "pod-template-hash": "abc"}
TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": LABELS},
    "spec": {
        "containers": [
            {
                "name": "web",
                "image": f"r/web:1@{DIGEST}",
                "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
                "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}},
            }
        ],
        "initContainers": [{"name": "init", "image": "r/init:1"}],
    },
}
FIELDS = {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"web"}': {"f:image": {}}}}}}}
DEPLOYMENT: dict[str, Any] = {
    "metadata": {
        "name": "checkout",
        "namespace": "shop",
        "uid": "u1",
        "generation": 4,
        "resourceVersion": "7",
        "labels": {"team": "a"},
        "annotations": {
            marks.OPERATION: "one",
            marks.VERSION: "v1.0",
            marks.DIGEST: DIGEST,
            marks.HISTORY: "zero@3 one@4",
            marks.IMAGES: json.dumps({"web": f"r/web:1@{DIGEST}"}),
            marks.PREVIOUS: json.dumps({"web": "r/web:0"}),
            marks.STRATEGY: "rolling",
            marks.HEALTH_CHECK: ":8080/health",
        },
        "managedFields": [{"manager": "helm", "time": "2026-11-23T10:00:00Z", "fieldsV1": FIELDS}],
    },
    "spec": {
        "replicas": 2,
        "paused": False,
        "progressDeadlineSeconds": 600,
        "minReadySeconds": 0,
        "strategy": {"type": "RollingUpdate"},
        "selector": {"matchLabels": {"app": "checkout"}, "matchExpressions": [{"key": "a", "operator": "Exists"}]},
        "template": {**TEMPLATE, "metadata": {"labels": {"app": "checkout"}}},
    },
    "status": {
        "observedGeneration": 4,
        "replicas": 2,
        "updatedReplicas": 2,
        "availableReplicas": 1,
        "conditions": [
            {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"},
            {"type": "ReplicaFailure", "status": "False", "message": "exceeded quota"},
        ],
    },
}
POD: dict[str, Any] = {
    "metadata": {
        "name": "checkout-abc-1",
        "labels": LABELS,
        "ownerReferences": [{"kind": "ReplicaSet", "name": "checkout-abc", "uid": "r1"}],
    },
    "spec": TEMPLATE["spec"],
    "status": {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "PodScheduled", "status": "True"}],
        "containerStatuses": [
            {
                "name": "web",
                "imageID": f"r/web@{DIGEST}",
                "ready": True,
                "restartCount": 2,
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
                "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "message": "bye"}},
            }
        ],
    },
}
REPLICA_SET: dict[str, Any] = {
    "metadata": {
        "name": "checkout-abc",
        "annotations": {"deployment.kubernetes.io/revision": "3", marks.HISTORY: "zero@3"},
        "ownerReferences": [{"kind": "Deployment", "name": "checkout", "uid": "u1"}],
    },
    "spec": {"template": TEMPLATE},
}
KINDS = {"deployments": DEPLOYMENT, "pods": POD, "replicasets": REPLICA_SET}
JUNK: list[Any] = [
    None, 7, -1, True, 2**70, 10**400, 1e308, "", "line\nbreak \x1b[31m<!channel> *x*" * 40, [], {}, [None], {"a": [1]},
]  # fmt: skip


def places(one: object, *path: str | int) -> Iterator[tuple[str | int, ...]]:
    """Every place in an object, the object itself left out."""
    if path:
        yield path
    inside = one.items() if isinstance(one, dict) else enumerate(one) if isinstance(one, list) else ()
    for key, value in inside:
        yield from places(value, *path, key)


def spoiled(one: dict[str, Any], path: tuple[str | int, ...], junk: object) -> dict[str, Any]:
    found = deepcopy(one)
    at: Any = found
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = junk
    return found


class Answers:
    """A cluster of a few objects that are exchanged at will, and what a target says of them."""

    def __init__(self) -> None:
        self.objects = KINDS
        self.kube: Kube
        self.said: list[str] = []

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if request.path.endswith("selfsubjectaccessreviews"):
            return web.json_response({"status": {"allowed": True}})
        if request.path.endswith("/log") or "/proxy/" in request.path:
            # What runs now has only just begun; why it crashed is in the log of the one before.
            return web.Response(text="last words\n" if request.query.get("previous") == "true" else "hello again\n")
        if request.path.endswith("/deployments/checkout"):
            return web.json_response(self.objects["deployments"])
        plural = request.path.rpartition("/")[2]
        items = [self.objects[plural]] if plural in self.objects else []
        return web.json_response({"items": items, "metadata": {"resourceVersion": "9"}})

    async def with_one(self, kind: str, path: tuple[str | int, ...], junk: object) -> None:
        """What is said when one place is not what it should be. Raises what is no `ProviderError`."""
        self.objects = {**KINDS, kind: spoiled(KINDS[kind], path, junk)}
        self.said = []
        await self.asked()
        for each in self.said:
            assert each.isprintable(), (path, junk, each)
            assert len(each) < 1500, (path, junk, each)

    def target(self) -> KubernetesTarget:
        options = {"cluster": "main", "namespace": "shop", "workload": "checkout", "container": "web"}
        return KubernetesTarget(
            options=KubernetesOptions.model_validate(options), service=CHECKOUT, environment=STAGING, kube=self.kube
        )

    async def asked(self) -> None:
        target = self.target()
        running = await self._told(target.current())
        plan = await self._told(target.plan(release=release("v1.0")))
        self.said += [] if plan is None else [*plan.changes, *plan.warnings]
        handle = await self._told(target.find(operation=OperationId("one")))
        await self._told(target.apply(release=release("v1.1"), operation=OperationId("one")))
        for to in (running, None):
            await self._told(target.restore(to=to, operation=OperationId("zero")))
        await self._told(target.health(release=release("v1.0"), check=HealthCheck(path="/health")))
        for finding in await self._told(target.examine()) or ():
            self.said.append(finding.what)
        if handle is not None:
            async with aclosing(cast("AsyncGenerator[Any]", target.observe(handle=handle))) as seen:
                await self._told(anext(seen))

    async def _told(self, deed: Awaitable[Any]) -> Any:
        try:
            found = await deed
        except ProviderError as error:
            self.said.append(error.message)
            return None
        self.said.append(str(getattr(found, "message", "")))
        return found


@pytest.fixture
async def answers() -> AsyncIterator[Answers]:
    found = Answers()
    async with answering(found.serve) as found.kube:
        yield found


async def test_as_it_should_be_it_is_understood(answers: Answers) -> None:
    await answers.asked()
    assert any("1 of 2 pods available" in each for each in answers.said)
    assert any("owned by Helm" in each for each in answers.said)


@pytest.mark.parametrize(
    ("path", "value", "healthy", "words"),
    [
        ((), None, 1, "1 of 2 pods of checkout are ready with v1.0."),
        (("status", "conditions", 0, "status"), "False", 0, "0 of 2 pods of checkout are ready with v1.0."),
        (("status", "conditions", 0, "type"), "ContainersReady", 0, "0 of 2 pods of checkout are ready with v1.0."),
        (("spec", "containers", 0, "image"), f"r/web@sha256:{'b' * 64}", 0, "No pod of checkout runs v1.0."),
        (("metadata", "name"), "../../../secrets", 0, "A pod has a name that cannot be asked."),
    ],
)
async def test_only_pods_of_the_release_that_are_ready_are_healthy(
    path: tuple[str | int, ...], value: object, healthy: int, words: str, answers: Answers
) -> None:
    if path:
        answers.objects = {**KINDS, "pods": spoiled(POD, path, value)}
    seen = await answers.target().health(release=release("v1.0"), check=HealthCheck(path="/health"))
    assert (seen.healthy, seen.instances, seen.message) == (healthy, 2, words)


@pytest.mark.parametrize("wanted", [7, True, False, 0, [], {}, ["rolling"], "", " rolling", "ROLLING"], ids=repr)
@pytest.mark.parametrize("key", [marks.STRATEGY, marks.HEALTH_CHECK])
async def test_what_its_owners_want_is_never_passed_over(key: str, wanted: object, answers: Answers) -> None:
    answers.objects = {**KINDS, "deployments": spoiled(DEPLOYMENT, ("metadata", "annotations", key), wanted)}
    with pytest.raises(ProviderRejected, match=key):
        await answers.target().plan(release=release("v1.0"))
    with pytest.raises(ProviderRejected, match=key):
        await answers.target().apply(release=release("v1.1"), operation=OperationId("two"))


@pytest.mark.parametrize("key", [marks.STRATEGY, marks.HEALTH_CHECK])
async def test_what_its_owners_want_for_the_next_release_keeps_nobody_from_going_back(
    key: str, answers: Answers
) -> None:
    answers.objects = {**KINDS, "deployments": spoiled(DEPLOYMENT, ("metadata", "annotations", key), "canary")}
    assert (await answers.target().restore(to=None, operation=OperationId("back"))).generation == "u1:4"


@pytest.mark.parametrize("left", [None, "{}", 7, '{"web": "r/web:of-somebody-else"}'])
async def test_without_our_marks_what_runs_is_no_operation_of_ours(left: object, answers: Answers) -> None:
    target = answers.target()
    running = await target.current()
    assert running is not None
    assert running.operation == "one"
    answers.objects = {**KINDS, "deployments": spoiled(DEPLOYMENT, ("metadata", "annotations", marks.IMAGES), left)}
    running = await target.current()
    assert running is not None
    assert running.operation is None


@pytest.mark.parametrize(
    ("path", "value", "healthy"),
    [
        (("spec", "nodeName"), "node-1", 1),
        (("metadata", "ownerReferences", 0, "name"), "checkout-next-abc", 0),
        (("metadata", "ownerReferences", 0, "kind"), "StatefulSet", 0),
        (("metadata", "ownerReferences"), [], 0),
        (("metadata", "deletionTimestamp"), "2026-11-23T10:00:00Z", 0),
        (("status", "conditions", 0, "status"), "False", 0),
    ],
)
async def test_only_its_own_pods_that_are_ready_and_stay_are_counted(
    path: tuple[str | int, ...], value: object, healthy: int, answers: Answers
) -> None:
    """Selectors of Deployments may overlap: that a pod is among those selected says little."""
    answers.objects = {**KINDS, "pods": spoiled(POD, path, value)}
    running = await answers.target().current()
    assert running is not None
    assert running.healthy == healthy


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("spec", "nodeName"), "node-1", True),
        (("spec", "containers", 0, "image"), f"r/web@sha256:{'b' * 64}", False),
        (("spec", "containers", 0, "image"), "r/web:before", False),
        (("spec", "initContainers", 0, "image"), "r/init:before", False),
        (("metadata", "ownerReferences", 0, "name"), "checkout-next-abc", False),
    ],
)
async def test_what_is_wrong_with_pods_of_before_is_not_blamed_on_the_release(
    path: tuple[str | int, ...], value: object, told: bool, answers: Answers
) -> None:
    crashing = spoiled(POD, ("status", "conditions", 0, "status"), "False")
    answers.objects = {**KINDS, "pods": spoiled(crashing, path, value)}
    [workload] = answers.target()._workloads
    found = await diagnose(workload, DEPLOYMENT, log_lines=1)
    assert [each.sentence for each in found] == (
        ["The new pod crashes: web ended with code 1. Its last words: last words."] if told else []
    )


async def test_what_a_webhook_makes_of_the_image_is_found_by_trying(answers: Answers) -> None:
    """Whatever is asked for here, the cluster answers with what it has."""
    with pytest.raises(
        ProviderRejected, match=r"makes r/web:1@\S+ of the image of checkout, .* would run is not v1\.1"
    ):
        await answers.target().plan(release=release("v1.1"))
    image = f"mirror.example.com/web@{release('v1.1').artifact.digest}"
    place = ("spec", "template", "spec", "containers", 0, "image")
    answers.objects = {**KINDS, "deployments": spoiled(DEPLOYMENT, place, image)}
    await answers.target().plan(release=release("v1.1"))


async def test_only_its_own_replica_sets_tell_what_was_done_to_it(answers: Answers) -> None:
    undone = spoiled(REPLICA_SET, ("metadata", "annotations", marks.HISTORY), "undone@3")
    for owner, found in (("u1", "u1:3"), ("u2", None)):
        answers.objects = {**KINDS, "replicasets": spoiled(undone, ("metadata", "ownerReferences", 0, "uid"), owner)}
        handle = await answers.target().find(operation=OperationId("undone"))
        assert (handle.generation if handle is not None else None) == found


ALL = [(kind, path) for kind, one in KINDS.items() for path in places(one)]


@pytest.mark.parametrize("part", range(4))
async def test_one_thing_of_the_wrong_kind_anywhere_is_no_crash(part: int, answers: Answers) -> None:
    for number, (kind, path) in list(enumerate(ALL))[part::4]:
        await answers.with_one(kind, path, JUNK[number % len(JUNK)])


@pytest.mark.long
@pytest.mark.timeout(170)
@pytest.mark.parametrize("wrong", JUNK, ids=range(len(JUNK)))
async def test_anything_of_the_wrong_kind_anywhere_is_no_crash(wrong: object, answers: Answers) -> None:
    for kind, path in ALL:
        await answers.with_one(kind, path, wrong)
