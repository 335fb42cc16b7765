"""A rollout is followed to its right end whatever the API server, the network or the tokens do meanwhile.

On the stand-in only: nobody can have somebody's real API server fail, forget, repeat itself or be away when it suits.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from kube.deployment_world import REPOSITORY, World, deploy, release, seen, world
from kube.server import KubeServer

from bot.domain.catalog import HealthCheck
from bot.domain.errors import ProviderError, ProviderRejected, ProviderUnavailable
from bot.domain.ids import OperationId
from bot.domain.rollout import OutcomeKind
from integrations._shared.kube.api import Kube
from integrations._shared.kube.names import path_to
from integrations._shared.kube.permissions import Permission, missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from integrations._shared.kube.access import Access

pytestmark = pytest.mark.timeout(60)
ONE, TWO, BACK = OperationId("one"), OperationId("two"), OperationId("back")
DEPLOYMENTS = path_to("apps/v1", "deployments", namespace="shop")


def cut(here: World) -> None:
    here.server.faults.cut_watches_every = 0.05


def gone_in_stream(here: World) -> None:
    here.server.faults.gone_stream = 3


def gone_at_once(here: World) -> None:
    here.server.faults.gone_http = 3


def too_large(here: World) -> None:
    here.server.faults.too_large_stream = 3


def repeated(here: World) -> None:
    here.server.faults.repeat_events = True


def stale(here: World) -> None:
    here.server.faults.stale_events = True


def refused(here: World) -> None:
    for code in (500, 503, 429):
        here.server.faults.refuse(code, verb="list", path="deployments", times=1)


def all_of_it(here: World) -> None:
    for fault in (cut, gone_in_stream, too_large, repeated, stale):
        fault(here)


@pytest.mark.parametrize(
    "fault",
    [cut, gone_in_stream, gone_at_once, too_large, repeated, stale, refused, all_of_it],
    ids=lambda f: f.__name__,
)
async def test_the_end_is_the_right_one_whatever_happens_to_the_watch(fault: Callable[[World], None]) -> None:
    async with world() as here:
        target = here.target()
        for version, kind in (("v1.1", OutcomeKind.SUCCEEDED), ("v1.5-crash", OutcomeKind.FAILED)):
            fault(here)
            progress, outcome = await deploy(target, version, version)
            assert outcome.kind is kind
            settled = here.get()["status"]
            assert settled["observedGeneration"] == here.get()["metadata"]["generation"], "it was told too early"
            assert all(0 <= each.done <= each.total for each in progress)


async def test_a_lost_answer_is_looked_up_and_the_change_is_made_once() -> None:
    async with world() as here:
        target = here.target()
        here.server.faults.lose_answer(verb="patch")
        handle = await target.apply(release=release("v1.1"), operation=ONE)
        assert here.calls().count("patch deployments") == 1
        assert handle.generation.endswith(":2")
        assert await target.find(operation=ONE) == handle
        assert (await seen(target, handle))[1].kind is OutcomeKind.SUCCEEDED


async def test_a_change_that_was_refused_with_trouble_is_tried_again() -> None:
    async with world() as here:
        here.server.faults.refuse(503, verb="patch", times=2)
        handle = await here.target().apply(release=release("v1.1"), operation=ONE)
        assert handle.generation.endswith(":2")


async def test_who_changes_it_between_the_look_and_the_patch_is_not_overwritten_unseen() -> None:
    async with world() as here:
        here.server.faults.refuse(409, verb="patch", times=1)
        target = here.target()
        handle = await target.apply(release=release("v1.1"), operation=ONE)
        assert here.calls().count("patch deployments") == 2
        one = await here.kube.get(f"{DEPLOYMENTS}/checkout")
        assert one is not None
        here.server.change("deployments", "shop", "checkout", {"spec": {"replicas": 4}})
        # What was looked at before is not patched any more.
        from integrations._shared.kube import patches
        from integrations._shared.kube.api import Conflict

        stale_patch = [*patches.same_object(one), *patches.set_images(one, {"web": "r/web:stale"})]
        with pytest.raises(Conflict):
            await here.kube.patch(f"{DEPLOYMENTS}/checkout", stale_patch, kind="json")
        assert here.image() == release("v1.1").artifact.location
        assert (await seen(target, handle))[1].kind is OutcomeKind.SUCCEEDED


async def test_a_server_that_is_away_is_waited_for_and_people_are_told() -> None:
    async with world(progressDeadlineSeconds=3000) as here:
        target = here.target()
        handle = await target.apply(release=release("v1.1"), operation=ONE)
        here.server.faults.down()
        told = []
        async for each in target.observe(handle=handle):
            told.append(each)
            if "cannot be reached" in getattr(each, "message", ""):
                here.server.faults.up()
        assert any("waiting: The cluster main cannot be reached" in each.message for each in told)
        assert getattr(told[-1], "kind", None) is OutcomeKind.SUCCEEDED


async def test_a_server_that_stays_away_is_an_error_that_may_be_tried_again() -> None:
    async with world() as here:
        here.server.faults.down()
        states = here.kube.follow(DEPLOYMENTS, field="metadata.name=checkout", patience=0.3)
        with pytest.raises(ProviderUnavailable) as failure:
            await anext(states)
        assert failure.value.retryable
        with pytest.raises(ProviderUnavailable, match="cannot be reached"):
            await here.target().current()


@dataclass
class Renewed:
    """Gives a new token whenever the old one was refused, as clouds' clusters do."""

    server: KubeServer
    name: str = "main"
    count: int = 0

    async def access(self, *, fresh: bool = False) -> Access:
        self.count += fresh
        found: Access = await self.server.access(token=f"token-{self.count}").access()
        return found


async def test_a_token_that_expires_on_the_way_is_renewed_once_for_all() -> None:
    async with world() as here:
        for number in range(3):
            here.server.issue(f"token-{number}")
        access = Renewed(here.server)
        kube = Kube(access)
        try:
            here.kube, own = kube, here.kube
            target = here.target()
            here.server.expire("token-0")
            await asyncio.gather(*(target.current() for _ in range(10)))
            assert access.count == 1
            handle = await target.apply(release=release("v1.1"), operation=ONE)
            here.server.expire("token-1")
            here.server.faults.cut_watches_every = 0.05
            assert (await seen(target, handle))[1].kind is OutcomeKind.SUCCEEDED
            assert access.count <= 2
            here.server.expire("token-2")
            with pytest.raises(ProviderRejected, match="does not accept our credentials"):
                await target.current()
        finally:
            await kube.close()
            here.kube = own


async def test_over_tls_only_the_pinned_authority_is_believed() -> None:
    async with world(tls=True) as here:
        assert (await deploy(here.target(), "v1.1", "one"))[1].kind is OutcomeKind.SUCCEEDED

        async with KubeServer.running(tls=True) as other:

            class Stranger:
                name = "main"

                async def access(self, *, fresh: bool = False) -> Access:
                    found: Access = await here.server.access().access()
                    return replace(found, ca=other.authority.pem if other.authority else None)

            kube = Kube(Stranger())
            with pytest.raises(ProviderUnavailable, match="certificate"):
                await kube.get(DEPLOYMENTS)
            await kube.close()


async def test_with_the_least_permissions_it_works_and_without_them_it_says_which_are_missing() -> None:
    named = {"apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["checkout"]}
    rules: list[dict[str, Any]] = [
        {**named, "verbs": ["get", "list", "watch", "patch"]},
        {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["pods", "events"], "verbs": ["list"]},
    ]
    async with world() as here:
        here.server.allow("least", rules, namespace="shop")
        less = [{**named, "verbs": ["get", "list", "watch"]}, *rules[1:]]
        here.server.allow("less", less, namespace="shop", user="system:serviceaccount:shop:less")
        whole = here.kube
        here.kube = Kube(here.server.access(token="least"))
        target = here.target()
        before = await target.current()
        assert (await target.plan(release=release("v1.1"))).changes
        assert (await deploy(target, "v1.1", "one"))[1].kind is OutcomeKind.SUCCEEDED
        _, outcome = await deploy(target, "v1.5-crash", "two")
        assert "crashes: web ended with code 1" in outcome.message, "also when its log may not be read"
        await target.restore(to=before, operation=BACK)
        await here.kube.close()

        here.kube = Kube(here.server.access(token="less"))
        target = here.target()
        with pytest.raises(ProviderRejected, match=r"patch deployments \(apps\) checkout in namespace shop"):
            await target.plan(release=release("v1.1"))
        with pytest.raises(ProviderRejected, match="does not allow us to patch deployments checkout in namespace shop"):
            await target.apply(release=release("v1.2"), operation=OperationId("three"))
        bad = [finding for finding in await target.examine() if not finding.ok]
        assert [finding.what.partition(",")[0] for finding in bad] == [
            "may not patch deployments (apps) checkout in namespace shop",
            "may not get pods/log in namespace shop",
        ]
        assert 'apiGroups: ["apps"], resources: [deployments], verbs: [patch], resourceNames: [checkout]' in bad[0].fix
        wanted = [Permission("get", "", "secrets", "shop"), Permission("list", "", "pods", "shop")]
        assert await missing(here.kube, wanted) == wanted[:1]
        await here.kube.close()
        here.kube = whole


@pytest.mark.parametrize(
    ("annotations", "says"),
    [
        ({"deployment-architect.io/strategy": "canary"}, "flagger or argo_rollouts"),
        ({"deployment-architect.io/strategy": "rolling\nupdate"}, "which nobody knows"),
        ({"deployment-architect.io/strategy": "recreate"}, "spec.strategy.type is RollingUpdate"),
        ({"deployment-architect.io/health-check": "http://169.254.169.254/latest"}, "it can be a path"),
        ({"deployment-architect.io/health-check": "//evil.example/x"}, "it can be a path"),
        ({"deployment-architect.io/health-check": "/../../../../secrets"}, "it can be a path"),
        ({"deployment-architect.io/health-check": "/%2e%2e/secrets"}, "it can be a path"),
        ({"deployment-architect.io/health-check": ":99999/health"}, "it can be a path"),
        ({"deployment-architect.io/health-check": "/health?to=evil"}, "it can be a path"),
    ],
)
async def test_what_its_owners_write_is_taken_at_its_word_or_refused(annotations: dict[str, str], says: str) -> None:
    async with world() as here:
        here.server.change("deployments", "shop", "checkout", {"metadata": {"annotations": annotations}})
        for refused in (
            here.target().plan(release=release("v1.1")),
            here.target().apply(release=release("v1.1"), operation=ONE),
        ):
            with pytest.raises(ProviderRejected) as refusal:
                await refused
            assert says in refusal.value.message
            assert "\n" not in refusal.value.message
        assert here.image() == f"{REPOSITORY}:v1.0"


async def test_hostile_marks_are_neither_believed_nor_shown() -> None:
    evil = "v1 <!channel>\n*all good*"
    marks = {
        "deployment-architect.io/version": evil,
        "deployment-architect.io/operation-id": evil,
        "deployment-architect.io/history": "x@y " + evil + " one@99999999999999999999999 two@-1 three@３",
        "deployment-architect.io/images": "[" * 50_000,
        "deployment-architect.io/previous": '{"web": 7, "sidecar-that-is-not-there": "r/x:1"}',
        "deployment-architect.io/digest": "sha256:" + "0" * 64,
    }
    async with world() as here:
        here.server.change("deployments", "shop", "checkout", {"metadata": {"annotations": marks}}, manager=evil)
        target = here.target()
        running = await target.current()
        assert running is not None
        assert (running.release.version, running.operation) == ("v1.0", None)
        assert "<!channel>" not in json.dumps([str(running), str(await target.plan(release=release("v1.1")))])
        with pytest.raises(ProviderRejected):
            await target.restore(to=None, operation=BACK)
        for operation in ("one", "two", "three"):
            assert await target.find(operation=OperationId(operation)) is None
        assert (await deploy(target, "v1.1", "one"))[1].kind is OutcomeKind.SUCCEEDED


@pytest.mark.parametrize("operation", ["", "a b", "a@1", "x" * 500, "line\nbreak", "../up"])
async def test_an_operation_that_could_not_be_found_again_is_refused(operation: str) -> None:
    async with world() as here:
        with pytest.raises(ProviderRejected):
            await here.target().apply(release=release("v1.1"), operation=OperationId(operation))


async def test_only_an_image_by_digest_goes_into_a_cluster_and_only_into_a_container_that_is_there() -> None:
    async with world() as here:
        loose = release("v1.1")
        loose = replace(loose, artifact=replace(loose.artifact, location="ghcr.io/acme/checkout:v1.1@sha256:beef"))
        with pytest.raises(ProviderRejected, match="pinned to a digest"):
            await here.target().plan(release=loose)
        with pytest.raises(ProviderRejected, match="has no container wbe; it has: web, side"):
            await here.target(container="wbe").apply(release=release("v1.1"), operation=ONE)
        with pytest.raises(ProviderRejected, match="the catalog must say which"):
            await here.target(container=None).plan(release=release("v1.1"))
        with pytest.raises(ProviderRejected, match="There is no Deployment nothing in namespace shop"):
            await here.target(workload="nothing").plan(release=release("v1.1"))
        assert await here.target(workload="nothing").current() is None


async def test_a_health_path_is_asked_of_pods_only_through_the_api_server() -> None:
    async with world() as here:
        target = here.target(probe_port=8080)
        await deploy(target, "v1.1", "one")
        since = len(here.server.log)
        health = await target.health(release=release("v1.1"), check=HealthCheck(path="/health"))
        assert not health.ok, "the fake runs no containers: no pod answers"
        assert "/health" in health.message
        with pytest.raises(ProviderRejected, match="No pod can be asked"):
            await target.health(release=release("v1.1"), check=HealthCheck(path="/../../../secrets"))
        assert all("secrets" not in call.path for call in here.server.log[since:])


async def test_a_call_never_outlasts_its_deadline() -> None:
    async with world() as here:
        here.server.faults.latency = 5.0
        kube = Kube(here.server.access(), timeout=0.2)
        began = asyncio.get_running_loop().time()
        with pytest.raises(ProviderError) as failure:
            await kube.get(f"{DEPLOYMENTS}/checkout")
        assert failure.value.retryable
        assert asyncio.get_running_loop().time() - began < 2.0
        await kube.close()


async def test_following_several_at_once_costs_one_list_and_one_watch_each() -> None:
    async with world() as here:
        names = [f"service-{number}" for number in range(6)]
        for name in names:
            here.add(name, {"web": f"{REPOSITORY}:v1.0"}, replicas=1)
        for name in names:
            await here.settled(name)
        since = len(here.server.log)
        targets = [here.target(workload=name, look_after=30.0) for name in names]
        ends = await asyncio.gather(*(deploy(target, "v1.1", "one") for target in targets))
        assert {outcome.kind for _, outcome in ends} == {OutcomeKind.SUCCEEDED}
        calls = here.calls(since)
        assert calls.count("list deployments") == 6
        assert calls.count("watch deployments") <= 6
        assert len(calls) <= 6 * 5, "get, list of ReplicaSets, patch, list, watch"


async def test_tokens_are_in_no_error_and_in_no_text_of_an_object() -> None:
    async with KubeServer.running(token="very-secret-token") as server:
        access = await server.access().access()
        access = replace(access, expires=datetime.now(UTC) + timedelta(minutes=1))
        assert "very-secret-token" not in repr(access)
        kube = Kube(server.access(token="also-very-secret"))
        with pytest.raises(ProviderRejected) as refusal:
            await kube.get(DEPLOYMENTS)
        assert "secret" not in repr(refusal.value)
        assert refusal.value.__cause__ is None
        await kube.close()


@pytest.mark.long
@pytest.mark.timeout(100)
async def test_half_a_minute_without_a_server_changes_nothing_but_the_time() -> None:
    async with world(progressDeadlineSeconds=30000) as here:
        target = here.target()
        handle = await target.apply(release=release("v1.1"), operation=ONE)
        await here.controller.stop()

        def back() -> None:
            here.server.faults.up()
            here.controller.start()

        async with aclosing(target.observe(handle=handle)) as telling:
            await anext(telling)
            here.server.faults.down()
            asyncio.get_running_loop().call_later(30, back)
            told = [each async for each in telling]
        assert any("cannot be reached" in each.message for each in told)
        assert getattr(told[-1], "kind", None) is OutcomeKind.SUCCEEDED
