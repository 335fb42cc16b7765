"""The proxy alone, in front of real servers that behave well and badly."""

from __future__ import annotations

import asyncio
import gzip
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web

from integrations.local.agent.instance import Instance
from integrations.local.agent.model import Build
from integrations.local.agent.ports import free_port
from integrations.local.agent.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection


class InOrder:
    """Gives the instances in the order of its list, as far as they were not tried."""

    def __init__(self, *ports: int) -> None:
        build = Build(version="v1", digest="d", location="/", command=("x",), variables={}, health_path="/")
        self.instances = [
            Instance(name=f"i{port}", build=build, port=port, log=Path("log"), number=1) for port in ports
        ]
        self.under_way = 0

    def pick(self, *, avoid: Collection[str]) -> Instance | None:
        chosen = next((one for one in self.instances if one.id not in avoid), None)
        self.under_way += chosen is not None
        return chosen

    def release(self, instance: Instance) -> None:
        self.under_way -= 1


@asynccontextmanager
async def upstream(handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> AsyncIterator[int]:
    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def proxied(*ports: int) -> AsyncIterator[tuple[str, Proxy, InOrder]]:
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
        router = InOrder(*ports)
        proxy = Proxy(router=router, session=session)
        port = await proxy.listen(None)
        try:
            yield f"http://127.0.0.1:{port}", proxy, router
        finally:
            await proxy.close()
            assert router.under_way == 0


async def echo(request: web.BaseRequest) -> web.StreamResponse:
    body = await request.read()
    return web.json_response(
        {"method": request.method, "path": request.raw_path, "body": len(body), "headers": dict(request.headers)}
    )


async def test_requests_arrive_as_they_were_sent(http: aiohttp.ClientSession) -> None:
    async with upstream(echo) as port, proxied(port) as (address, _, _):
        headers = {"X-Own": "1", "Connection": "X-Drop", "X-Drop": "1", "Host": "shop.example"}
        async with http.put(address + "/a%2Fb//c?q=%20x&q=ü", data=b"x" * 300_000, headers=headers) as answer:
            seen = await answer.json()
            assert answer.headers["X-Served-By"] == "v1"
        assert (seen["method"], seen["path"], seen["body"]) == ("PUT", "/a%2Fb//c?q=%20x&q=%C3%BC", 300_000)
        assert seen["headers"]["Host"] == "shop.example"
        assert seen["headers"]["X-Forwarded-Host"] == "shop.example"
        assert seen["headers"]["X-Forwarded-For"] == "127.0.0.1"
        assert seen["headers"]["X-Own"] == "1"
        assert "X-Drop" not in seen["headers"]


async def test_a_caller_that_asks_for_nothing_gets_nothing_added() -> None:
    async with upstream(echo) as port, proxied(port) as (address, _, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
        writer.write(b"GET http://shop.example/abs?x=1 HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        assert answer.startswith(b"HTTP/1.1 200")
        assert b'"path": "/abs?x=1"' in answer
        for name in (b"Accept", b"User-Agent", b"Content-Type: application/octet"):
            assert name not in answer.partition(b"\r\n\r\n")[2]


async def test_a_dead_instance_costs_no_request_not_even_one_with_a_body(http: aiohttp.ClientSession) -> None:
    async with upstream(echo) as port, proxied(free_port(), port) as (address, proxy, _):
        async with http.post(address, data=b"x" * 200_000) as answer:
            assert (answer.status, (await answer.json())["body"]) == (200, 200_000)
        stats = proxy.stats({})["v1"]
        assert (stats["requests"], stats["errors"], stats["connect_failures"]) == (2, 1, 1)


async def test_nobody_there(http: aiohttp.ClientSession) -> None:
    async with proxied() as (address, _, _), http.get(address) as answer:
        assert answer.status == 503
    async with proxied(free_port()) as (address, _, _), http.get(address) as answer:
        assert answer.status == 502


async def test_a_broken_answer_is_asked_for_again_only_when_that_is_harmless(http: aiohttp.ClientSession) -> None:
    async def drop(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with upstream(drop) as bad, upstream(echo) as good, proxied(bad, good) as (address, proxy, _):
        async with http.get(address) as answer:
            assert answer.status == 200
        async with http.post(address, data=b"pay once") as answer:
            assert answer.status == 502
        assert proxy.stats({})["v1"]["errors"] == 2


async def test_answers_of_every_form(http: aiohttp.ClientSession) -> None:
    async def forms(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/chunks":
            response = web.StreamResponse()
            await response.prepare(request)
            for _ in range(10):
                await response.write(b"x" * 50_000)
            return response
        if request.path == "/gzip":
            return web.Response(body=gzip.compress(b"hello"), headers={"Content-Encoding": "gzip"})
        if request.path == "/cookies":
            return web.Response(headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
        if request.path == "/large":
            return web.Response(body=b"y" * 1_000_000)
        return web.Response(status=int(request.path[1:]), headers={"Location": "/elsewhere"})

    async with upstream(forms) as port, proxied(port) as (address, proxy, _):
        for path, length in (("/chunks", 500_000), ("/large", 1_000_000), ("/gzip", 5)):
            async with http.get(address + path) as answer:
                assert len(await answer.read()) == length
        async with http.get(address + "/cookies") as answer:
            assert answer.headers.getall("Set-Cookie") == ["a=1", "b=2"]
        async with http.head(address + "/large") as answer:
            assert (answer.headers["Content-Length"], await answer.read()) == ("1000000", b"")
        for status in (204, 302, 304, 404, 500, 503):
            async with http.get(f"{address}/{status}", allow_redirects=False) as answer:
                assert answer.status == status
        assert proxy.stats({})["v1"]["errors"] == 2


async def test_an_answer_that_breaks_off_is_broken_off_and_counted(http: aiohttp.ClientSession) -> None:
    async def half(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000000"})
        await response.prepare(request)
        await response.write(b"x" * 200_000)
        assert request.transport is not None
        request.transport.abort()
        return response

    async with upstream(half) as port, proxied(port) as (address, proxy, _):
        with pytest.raises(aiohttp.ClientError):
            async with http.get(address) as answer:
                await answer.read()
        assert proxy.stats({})["v1"]["errors"] == 1


async def test_a_caller_that_leaves_is_no_error_of_the_service(http: aiohttp.ClientSession) -> None:
    begun, left = asyncio.Event(), asyncio.Event()

    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        begun.set()
        while not left.is_set():
            await response.write(b"x" * 100_000)
        return response

    async with upstream(endless) as port, proxied(port) as (address, proxy, router):
        async with http.get(address) as answer:
            await begun.wait()
            answer.close()
        async with asyncio.timeout(10):
            while router.under_way:
                await asyncio.sleep(0.01)
        left.set()
        assert proxy.stats({})["v1"]["errors"] == 0


async def test_upgraded_connections_are_refused(http: aiohttp.ClientSession) -> None:
    async with upstream(echo) as port, proxied(port) as (address, _, _):
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await http.ws_connect(address)
        assert caught.value.status == 501
