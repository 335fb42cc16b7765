"""What pods answer through the API server leads nowhere else, and the client's connection keeps its limits."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from kube.deployment_world import REPOSITORY, deploy, release, world

from bot.domain.catalog import HealthCheck
from bot.domain.errors import ProviderError, ProviderRejected, ProviderUnavailable
from integrations._shared.kube.access import Access
from integrations._shared.kube.api import Elsewhere, Kube
from integrations._shared.workloads import health as healths
from integrations._shared.workloads.running import look

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

pytestmark = pytest.mark.timeout(60)


@asynccontextmanager
async def serving(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield "http://{}:{}".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


class At:
    """A server that always has the same address and token."""

    name = "main"

    def __init__(self, server: str) -> None:
        self.server, self.fresh = server, 0

    async def access(self, *, fresh: bool = False) -> Access:
        self.fresh += fresh
        return Access(server=self.server, token="t")


POD = "/api/v1/namespaces/shop/pods/checkout-1:8080/proxy/health"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed(status: int) -> None:
    asked: list[str] = []

    async def inside(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers.get("Authorization", ""))
        return web.Response(text="the crown jewels")

    async with serving(inside) as elsewhere:

        async def api(_: web.Request) -> web.StreamResponse:
            return web.Response(status=status, headers={"Location": f"{elsewhere}/latest/meta-data"})

        async with serving(api) as server:
            kube = Kube(At(server))
            with pytest.raises(Elsewhere):
                await kube.ask(POD, timeout=2.0)
            with pytest.raises(ProviderRejected, match="sends us elsewhere"):
                await kube.get("/api/v1/namespaces/shop")
            await kube.close()
    assert asked == []


async def test_a_401_of_a_pod_is_no_word_about_our_token() -> None:
    async def api(_: web.Request) -> web.StreamResponse:
        return web.Response(status=401)

    async with serving(api) as server:
        access = At(server)
        kube = Kube(access)
        assert await kube.ask(POD, timeout=2.0) == 401
        assert access.fresh == 0
        with pytest.raises(ProviderRejected, match="does not accept our credentials"):
            await kube.get("/api/v1/namespaces/shop")
        assert access.fresh == 1, "asked for once, not for ever"
        await kube.close()


async def test_an_answer_that_never_ends_or_is_no_json_is_an_error() -> None:
    async def api(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/nonsense"):
            return web.Response(text="<html>")
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)
            await asyncio.sleep(0)

    async with serving(api) as server:
        kube = Kube(At(server), timeout=5.0)
        with pytest.raises(ProviderUnavailable):
            await kube.get("/api/v1/namespaces/nonsense")
        with pytest.raises(ProviderError, match="answered more than"):
            await kube.text("/api/v1/namespaces/shop/pods/a/log", largest=200_000)
        await kube.close()


async def test_a_watch_ends_quietly_when_it_is_cut_in_the_middle_of_an_event() -> None:
    async def api(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n\n{"type":"MODIF')
        await response.write(b'IED","object":{"metadata":{"name":"b"}}}\n{"type":"MODIFIED","obj')
        assert request.transport is not None
        request.transport.close()
        return response

    async with serving(api) as server:
        kube = Kube(At(server))
        events = [event async for event in kube.watch("/api/v1/pods", since="5")]
        assert [(event.kind, event.object["metadata"]["name"]) for event in events] == [
            ("ADDED", "a"),
            ("MODIFIED", "b"),
        ]
        await kube.close()


@pytest.mark.parametrize("address", ["http://192.0.2.1:6443", "ftp://x", "https://user:pass@x", "", "https://"])
async def test_no_cluster_is_reached_without_tls_or_with_a_password_in_its_address(address: str) -> None:
    kube = Kube(At(address))
    with pytest.raises(ProviderRejected) as refusal:
        await kube.get("/api/v1/pods")
    assert "pass" not in refusal.value.message
    await kube.close()


@pytest.mark.parametrize(
    ("annotation", "probe_port", "readiness", "asks"),
    [
        (None, None, None, None),
        (None, 9000, None, "9000/health"),
        (None, 9000, {"path": "/health", "port": 9000}, None),
        ("/health", None, {"path": "/health", "port": "http"}, None),
        ("/live", None, {"path": "/health", "port": "http"}, "8080/live"),
        (":9000/health", None, {"path": "/health", "port": "http"}, "9000/health"),
        (":8080/health", None, {"path": "/health", "port": "http"}, None),
        ("/health", None, {"path": "/health", "port": 8080, "host": "elsewhere.example"}, "8080/health"),
    ],
)
async def test_where_health_is_asked_for(
    annotation: str | None, probe_port: int | None, readiness: dict[str, Any] | None, asks: str | None
) -> None:
    container: dict[str, Any] = {"name": "web", "ports": [{"name": "http", "containerPort": 8080}]}
    if readiness is not None:
        container["readinessProbe"] = {"httpGet": readiness}
    marks = {} if annotation is None else {"deployment-architect.io/health-check": annotation}
    one = {"metadata": {"annotations": marks}, "spec": {"template": {"spec": {"containers": [container]}}}}
    probe = healths.asked_at(one, "web", port=probe_port, path="/health")
    assert (None if probe is None else f"{probe.port}{probe.path}") == asks


@pytest.mark.parametrize(("status", "ok"), [(200, True), (204, True), (500, False), (403, False), (302, False)])
async def test_a_pod_is_well_when_its_own_answer_says_so(status: int, ok: bool) -> None:
    """Pods and Deployment are the fake's; only what asks pods goes to a server that answers for them."""
    asked: list[str] = []

    async def api(request: web.Request) -> web.StreamResponse:
        asked.append(request.raw_path)
        return web.Response(status=status, headers={"Location": "http://127.0.0.1:1/"} if status == 302 else {})

    async with world(replicas=2) as here, serving(api) as server:
        target = here.target()
        await deploy(target, "v1.1", "one")
        [workload] = target._workloads
        found = await look(workload, await workload.there())
        pods = Kube(At(server))
        found = replace(found, workload=replace(workload, kube=pods))
        health = await healths.health([found], release("v1.1"), HealthCheck(path="/live/now"), port=8080)
        await pods.close()
        assert (health.ok, health.healthy) == (ok, 2 if ok else 0)
        assert health.message == "" if ok else "/live/now" in health.message
        assert sorted(asked) == sorted(
            f"/api/v1/namespaces/shop/pods/{pod['metadata']['name']}:8080/proxy/live/now" for pod in found.pods
        )
        assert here.image().startswith(REPOSITORY)
