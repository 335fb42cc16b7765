"""The HTTP probe: what it measures, and that it cannot be led anywhere else."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from integration.metrics.door import serve
from integration.metrics.labs import about, built

from bot.domain.errors import ProviderRejected, ProviderUnavailable
from bot.domain.metric import Track

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.domain.metric import Reading

pytestmark = pytest.mark.xdist_group("metrics")


class Service:
    """Answers one status after the other, round and round; None: hangs up."""

    def __init__(self, *statuses: int | None) -> None:
        self.statuses = statuses
        self.asked: list[str] = []
        self.connections: set[object] = set()
        self.headers: list[dict[str, str]] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        status = self.statuses[len(self.asked) % len(self.statuses)]
        self.asked.append(request.raw_path)
        self.headers.append(dict(request.headers))
        assert request.transport is not None
        self.connections.add(request.transport.get_extra_info("peername"))
        if status is None:
            request.transport.abort()
            raise ConnectionResetError
        headers = {"Location": "http://127.0.0.1:9/elsewhere", "Set-Cookie": "seen=1"} if 300 <= status < 400 else {}
        return web.Response(status=status, headers=headers)


@asynccontextmanager
async def running(service: Service) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", service.handle)
    async with serve(app) as address:
        yield address


async def probe(service: Service, path: str = "/health", **options: Any) -> Reading:
    async with running(service) as address:
        known = {"address": address, "pause": 0, "probes": len(service.statuses), "timeout": 2.0, **options}
        return await built("http_probe", **known).read(path, subject=about(), window=60.0)


@pytest.mark.parametrize(
    ("statuses", "errors", "worst"),
    [
        ([200, 204], 0.0, 2.0),
        ([200, 302], 0.0, 3.0),
        ([200, 200, 404, 200], 25.0, 4.0),
        ([500, 503], 100.0, 5.0),
        ([200, None], 50.0, 5.0),
        ([None, None], 100.0, 5.0),
    ],
)
async def test_errors_and_status(statuses: list[int | None], errors: float, worst: float) -> None:
    reading = await probe(Service(*statuses), measure="errors")
    assert (reading.value, reading.samples) == (errors, len(statuses))
    assert bool(reading.why) == (errors > 0)
    assert (await probe(Service(*statuses), measure="status")).value == worst


async def test_latency_is_that_of_good_answers() -> None:
    reading = await probe(Service(200, 500, 200))
    assert reading.value is not None
    assert 0 < reading.value < 2
    assert reading.samples == 2
    assert "1 of 3 probes failed: it answered 500" in reading.why
    assert (await probe(Service(500))).value is None
    with pytest.raises(ProviderUnavailable, match="None of 2 probes was answered"):
        await probe(Service(None, None))


async def test_latency_is_the_median() -> None:
    waits = iter([0.0, 0.3, 0.0])

    async def slow(_: web.Request) -> web.Response:
        await asyncio.sleep(next(waits))
        return web.Response()

    app = web.Application()
    app.router.add_get("/health", slow)
    async with serve(app) as address:
        source = built("http_probe", address=address, probes=3, pause=0)
        reading = await source.read("/health", subject=about(), window=60.0)
    assert reading.value is not None
    assert reading.value < 0.2


async def test_each_probe_is_a_new_visitor() -> None:
    service = Service(302, 302, 302)
    await probe(service)
    assert len(service.asked) == 3, "a redirect is an answer, and nobody follows it"
    assert len(service.connections) == 3
    assert all("Cookie" not in headers for headers in service.headers)


async def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert (await probe(Service(200))).value is not None


async def test_the_canary_may_have_an_address_of_its_own() -> None:
    stable, canary = Service(200), Service(200)
    async with running(stable) as one, running(canary) as other:
        source = built("http_probe", address=one, canary_address=other, probes=1)
        await source.read("/stable", subject=about(track=Track.STABLE), window=60.0)
        await source.read("/canary", subject=about(track=Track.CANARY), window=60.0)
    assert (stable.asked, canary.asked) == (["/stable"], ["/canary"])


async def test_values_are_escaped() -> None:
    service = Service(200)
    await probe(service, "/v/{version}?e={environment}&d={digest}&w={window}")
    assert service.asked == ["/v/v1.2?e=production&d=sha256%3A" + "ab" * 32 + "&w=60"]
    async with running(service) as address:
        source = built("http_probe", address=address + "/base/", probes=1)
        await source.read("/v/{version}", subject=about("a/b?c=d&e#f%2e"), window=60.0)
    assert service.asked[-1] == "/base/v/a%2Fb%3Fc%3Dd%26e%23f%252e"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "health",
        "//elsewhere.example/",
        "http://elsewhere.example/",
        "@elsewhere.example/",
        "/\\elsewhere.example",
        "/a/../../admin",
        "/a/%2e%2E/admin",
        "/./a",
        "/a b",
        "/a\r\nX: y",
        "/ä",
        "/a#b",
        "{version}",
    ],
)
async def test_only_paths_are_asked_for(path: str) -> None:
    service = Service(200)
    with pytest.raises(ProviderRejected, match=re.compile("path of a probe|query of a probe")):
        await probe(service, path)
    assert not service.asked


async def test_a_version_cannot_climb() -> None:
    async with running(Service(200)) as address:
        with pytest.raises(ProviderRejected, match="path of a probe"):
            await built("http_probe", address=address).read("/v/{version}/x", subject=about(".."), window=60.0)
