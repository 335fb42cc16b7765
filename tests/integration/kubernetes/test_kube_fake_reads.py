"""The fake API server's lists and watches, who may do what, and what may go wrong, by the real client."""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from kube.clients import Client, connected, said
from kube.manifests import deployment
from kube.patches import MERGE
from kube.server import KubeServer
from kubernetes.aio import client, watch
from kubernetes.aio.client.exceptions import ApiException

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kube.resources import Object

DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"
RULES = [
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list", "watch", "patch"],
     "resourceNames": ["web"]},
    {"apiGroups": [""], "resources": ["pods", "events"], "verbs": ["list"]},
]  # fmt: skip


@pytest.fixture
async def server() -> AsyncIterator[KubeServer]:
    async with KubeServer.running() as server:
        for name in ("web", "api", "cart"):
            server.add("deployments", "shop", deployment(name, {"web": "r/web:1"}))
        yield server


@pytest.fixture
async def cluster(server: KubeServer) -> AsyncIterator[Client]:
    async with connected(server) as cluster:
        yield cluster


class Stream:
    """A watch over plain HTTP, an event at a time."""

    def __init__(self, server: KubeServer, **query: str) -> None:
        self._url, self._query = f"{server.url}{DEPLOYMENTS}", {"watch": "true", **query}

    async def __aenter__(self) -> Stream:
        self._session = aiohttp.ClientSession(headers={"Authorization": "Bearer t"})
        self.answer = await self._session.get(self._url, params=self._query)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.answer.close()
        await self._session.close()

    async def next(self) -> tuple[str, Object]:
        async with asyncio.timeout(5):
            event = json.loads(await self.answer.content.readline())
        return event["type"], event["object"]

    async def ended(self) -> bool:
        async with asyncio.timeout(5):
            return await self.answer.content.readline() == b""


def label(server: KubeServer, name: str, **labels: str | None) -> None:
    server.change("deployments", "shop", name, {"metadata": {"labels": labels}})


async def test_a_list_comes_in_consistent_chunks(server: KubeServer, cluster: Client) -> None:
    first = await cluster.call("GET", DEPLOYMENTS, limit="2")
    assert [each["metadata"]["name"] for each in first["items"]] == ["api", "cart"]
    assert first["metadata"]["remainingItemCount"] == 1
    server.delete("deployments", "shop", "web")
    rest = await cluster.call("GET", DEPLOYMENTS, limit="2", **{"continue": first["metadata"]["continue"]})
    assert [each["metadata"]["name"] for each in rest["items"]] == ["web"]  # as it was at the first chunk
    assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    server.store.compact()
    server.add("configmaps", "shop", {"metadata": {"name": "later"}})
    server.store.compact()
    with pytest.raises(ApiException) as refused:
        await cluster.call("GET", DEPLOYMENTS, limit="2", **{"continue": first["metadata"]["continue"]})
    assert (refused.value.status, said(refused.value)["reason"]) == (410, "Expired")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"labelSelector": "app=web"}, ["web"]),
        ({"labelSelector": "app in (web, cart)"}, ["cart", "web"]),
        ({"labelSelector": "app!=web,app"}, ["api", "cart"]),
        ({"labelSelector": "!app"}, []),
        ({"fieldSelector": "metadata.name=api"}, ["api"]),
        ({"fieldSelector": "metadata.name!=api,metadata.namespace=shop"}, ["cart", "web"]),
    ],
)
async def test_selectors(cluster: Client, query: dict[str, str], names: list[str]) -> None:
    found = await cluster.call("GET", DEPLOYMENTS, **query)
    assert [each["metadata"]["name"] for each in found["items"]] == names


async def test_a_field_that_is_not_indexed_is_a_bad_request(server: KubeServer, cluster: Client) -> None:
    with pytest.raises(ApiException, match="400"):
        await cluster.call("GET", DEPLOYMENTS, fieldSelector="spec.replicas=3")
    about = {"kind": "Pod", "name": "web-1", "namespace": "shop", "uid": "1"}
    server.add(
        "events", "shop", {"metadata": {"name": "e"}, "involvedObject": about, "reason": "BackOff", "message": ""}
    )
    asked = "involvedObject.name=web-1,reason=BackOff"
    found = await cluster.call("GET", "/api/v1/namespaces/shop/events", fieldSelector=asked)
    assert len(found["items"]) == 1


async def test_a_watch_tells_of_every_kind_of_change(server: KubeServer) -> None:
    since = str(server.store.version)
    asked = {"resourceVersion": since, "labelSelector": "app", "allowWatchBookmarks": "true", "timeoutSeconds": "60"}
    async with Stream(server, **asked) as stream:
        label(server, "web", team="a")
        assert (await stream.next())[0] == "MODIFIED"
        label(server, "web", app=None)
        assert (await stream.next())[0] == "DELETED"  # it does not match any more
        label(server, "web", app="web")
        assert (await stream.next())[0] == "ADDED"
        server.delete("deployments", "shop", "web")
        kind, found = await stream.next()
        assert (kind, found["metadata"]["resourceVersion"]) == ("DELETED", str(server.store.version))
        server.add("configmaps", "shop", {"metadata": {"name": "elsewhere"}})
        server.faults.bookmark()
        kind, found = await stream.next()
        assert (kind, found["metadata"]["resourceVersion"]) == ("BOOKMARK", str(server.store.version))


async def test_a_watch_without_a_version_begins_with_what_is_there(server: KubeServer) -> None:
    async with Stream(server, timeoutSeconds="60") as stream:
        assert {(await stream.next())[1]["metadata"]["name"] for _ in range(3)} == {"web", "api", "cart"}


async def test_a_watch_ends_when_its_time_is_up_with_a_bookmark(server: KubeServer) -> None:
    asked = {"resourceVersion": str(server.store.version), "timeoutSeconds": "1", "allowWatchBookmarks": "true"}
    async with Stream(server, **asked) as stream:
        assert (await stream.next())[0] == "BOOKMARK"
        assert await stream.ended()


async def test_versions_that_are_too_old_or_too_new(server: KubeServer) -> None:
    label(server, "web", a="1")
    server.store.compact()
    async with Stream(server, resourceVersion="601") as stream:
        kind, status = await stream.next()
        assert (kind, status["code"], status["reason"]) == ("ERROR", 410, "Expired")
        assert await stream.ended()
    server.faults.gone_http = 1
    async with Stream(server, resourceVersion="601") as stream:
        assert stream.answer.status == 410
    async with Stream(server, resourceVersion="99999") as stream:
        kind, status = await stream.next()
        assert (kind, status["code"], status["reason"]) == ("ERROR", 504, "Timeout")
        assert status["message"].startswith("Too large resource version: 99999, current: ")
        assert status["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


async def test_the_clients_own_watch_asks_once_more_after_410_and_then_gives_up(
    server: KubeServer, cluster: Client
) -> None:
    server.faults.gone_stream = 2
    async with watch.Watch() as stream:
        with pytest.raises(ApiException) as refused:
            async for _ in stream.stream(
                cluster.apps.list_namespaced_deployment, "shop", resource_version="601", timeout_seconds=30
            ):
                pass
    assert refused.value.status == 410


async def test_watches_that_are_cut_repeated_and_late(server: KubeServer) -> None:
    since = str(server.store.version)
    server.faults.repeat_events = server.faults.stale_events = True
    async with Stream(server, resourceVersion=since, timeoutSeconds="60") as stream:
        label(server, "web", a="1")
        told = [(await stream.next())[1]["metadata"] for _ in range(3)]
        assert told[0] == told[1]
        assert int(told[2]["resourceVersion"]) < int(told[0]["resourceVersion"])
        server.faults.cut_watches()
        with pytest.raises(aiohttp.ClientError):
            await stream.next()


async def test_names_in_a_rule_allow_lists_of_that_name_only(server: KubeServer) -> None:
    server.allow("limited", RULES, namespace="shop")
    async with connected(server, token="limited") as cluster:
        assert await cluster.deployment("web")
        found = await cluster.call("GET", DEPLOYMENTS, fieldSelector="metadata.name=web")
        assert len(found["items"]) == 1
        with pytest.raises(ApiException) as refused:
            await cluster.call("GET", DEPLOYMENTS)
        assert refused.value.status == 403
        assert said(refused.value)["message"] == (
            'deployments.apps is forbidden: User "system:serviceaccount:shop:deployer" cannot list resource'
            ' "deployments" in API group "apps" in the namespace "shop"'
        )
        with pytest.raises(ApiException) as refused:
            await cluster.patch("api", [{"op": "remove", "path": "/spec/paused"}])
        assert said(refused.value)["message"].startswith('deployments.apps "api" is forbidden: ')
        with pytest.raises(ApiException, match="403"):
            await cluster.call("PATCH", f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": 0}}, MERGE)
        with pytest.raises(ApiException, match="403"):
            await cluster.call("GET", "/api/v1/namespaces/other/pods")


async def test_everybody_may_ask_what_they_may_do(server: KubeServer) -> None:
    server.allow("limited", RULES, namespace="shop")

    async def may(cluster: Client, verb: str, resource: str, **more: str) -> bool:
        wanted = client.V1ResourceAttributes(namespace="shop", verb=verb, resource=resource, **more)
        review = client.V1SelfSubjectAccessReview(spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=wanted))
        return bool((await cluster.reviews.create_self_subject_access_review(review)).status.allowed)

    async with connected(server, token="limited") as cluster:
        assert await may(cluster, "patch", "deployments", group="apps", name="web")
        assert not await may(cluster, "patch", "deployments", group="apps", name="api")
        assert not await may(cluster, "update", "deployments", group="apps", name="web")
        assert not await may(cluster, "list", "secrets")
        assert await may(cluster, "list", "pods")


async def test_roles_and_bindings_count(server: KubeServer) -> None:
    api = "rbac.authorization.k8s.io/v1"
    server.issue("bound", "system:serviceaccount:shop:bot")
    role = {"kind": "Role", "apiGroup": api.partition("/")[0], "name": "deployer"}
    server.load(
        "shop",
        {"apiVersion": api, "kind": "Role", "metadata": {"name": "deployer"}, "rules": RULES},
        {"apiVersion": api, "kind": "RoleBinding", "metadata": {"name": "bot"}, "roleRef": role,
         "subjects": [{"kind": "ServiceAccount", "name": "bot", "namespace": "shop"}]},
    )  # fmt: skip
    async with connected(server, token="bound") as cluster:
        assert await cluster.deployment("web")
        with pytest.raises(ApiException, match="403"):
            await cluster.deployment("api")


async def test_a_token_that_is_no_good(server: KubeServer, cluster: Client) -> None:
    server.expire("t")
    with pytest.raises(ApiException) as refused:
        await cluster.deployment("web")
    assert said(refused.value) == {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "Unauthorized",
        "reason": "Unauthorized", "code": 401,
    }  # fmt: skip


async def test_tls_with_a_ca_of_its_own_and_client_certificates() -> None:
    async with KubeServer.running(tls=True) as server:
        server.add("deployments", "shop", deployment("web", {"web": "r/web:1"}))
        async with connected(server) as cluster:
            assert await cluster.deployment("web")
        pair = server.client_certificate("ada")
        server.authoriser.given.append(("ada", None, RULES))
        (server.folder / "ada.crt").write_bytes(pair.certificate)
        (server.folder / "ada.key").write_bytes(pair.key)
        assert server.authority is not None
        trusted = ssl.create_default_context(cadata=server.authority.pem.decode())
        trusted.load_cert_chain(server.folder / "ada.crt", server.folder / "ada.key")
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await session.get(f"{server.url}/version")
            answer = await session.get(f"{server.url}{DEPLOYMENTS}/web", ssl=trusted)
            assert answer.status == 200
            answer = await session.get(f"{server.url}{DEPLOYMENTS}/api", ssl=trusted)
            assert 'User "ada" cannot get' in (await answer.json())["message"]


async def test_an_answer_that_is_lost_after_the_change_was_made(server: KubeServer, cluster: Client) -> None:
    server.faults.lose_answer(verb="patch", path="/web")
    patch: list[Any] = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "r/web:2"}]
    with pytest.raises(aiohttp.ClientError):
        await cluster.patch("web", patch)
    found = await cluster.deployment("web")
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "r/web:2"


async def test_refusals_and_being_down(server: KubeServer, cluster: Client) -> None:
    server.faults.refuse(429, verb="get", retry_after=7)
    with pytest.raises(ApiException) as refused:
        await cluster.deployment("web")
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "7")
    assert await cluster.deployment("web")
    server.faults.down()
    with pytest.raises(aiohttp.ClientError):
        await cluster.deployment("web")
    server.faults.up()
    assert await cluster.deployment("web")


async def test_the_log_tells_what_was_asked(server: KubeServer, cluster: Client) -> None:
    await cluster.patch("web", {"metadata": {"labels": {"a": "b"}}}, MERGE, field_manager="tests", dry_run="All")
    call = server.log[-1]
    assert (call.verb, call.path, call.content_type) == ("patch", f"{DEPLOYMENTS}/web", MERGE)
    assert (call.user, call.dry_run, call.code, call.writes) == ("kubernetes-admin", True, 200, False)
    assert call.query["fieldManager"] == "tests"
