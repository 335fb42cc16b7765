"""Whatever a cluster answers ends in an error of our own: short, of one line, without a token; and never in a crash."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from wire import serving

from bot.domain.errors import ProviderError, ProviderRejected, ProviderUnavailable
from integrations._shared.kube.access import Access
from integrations._shared.kube.api import Expired, Kube

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(60)
TOKEN = "a-token-that-nobody-may-see"
PODS = "/api/v1/namespaces/shop/pods"


class At:
    """A cluster that always has the same address and token."""

    name = "main"

    def __init__(self, server: str) -> None:
        self.server = server

    async def access(self, *, fresh: bool = False) -> Access:
        return Access(server=self.server, token=TOKEN)


@asynccontextmanager
async def answering(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]], *, host: str = "127.0.0.1"
) -> AsyncIterator[Kube]:
    """A client of a server that answers as ``handler`` does, reached by the name ``host``."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    kube = Kube(At(f"http://{host}:{runner.addresses[0][1]}"))
    try:
        yield kube
    finally:
        await kube.close()
        await runner.cleanup()


@asynccontextmanager
async def saying(content: bytes) -> AsyncIterator[str]:
    """The address of a server that says just that, whatever it is asked."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(content)
        await writer.drain()

    async with serving(serve) as port:
        yield f"http://127.0.0.1:{port}"


def chained(error: BaseException | None) -> Iterator[BaseException]:
    """All that hangs on an error, hidden or not."""
    if error is not None:
        yield error
        yield from chained(error.__cause__)
        yield from chained(error.__context__)


@pytest.mark.parametrize(
    "content",
    [
        b"HTTP/1.1 2\x1b[31mxx evil\n<!channel>\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nBad Header \x01: <!channel>\r\nfoo\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
    ],
    ids=range(7),
)
async def test_what_is_no_answer_is_told_in_a_line_and_nothing_of_the_request_hangs_on_it(content: bytes) -> None:
    async with saying(content) as server:
        kube = Kube(At(server))
        failures = [await failed(kube.get(PODS)), await failed(anext(kube.watch(PODS, since="1"), None))]
        failures.append(await failed(kube.ask(f"{PODS}/a:80/proxy/x", timeout=5)))
        await kube.close()
        assert failures[0] is not None
        for failure in filter(None, failures):
            assert failure.message.isprintable()
            for each in chained(failure):
                assert TOKEN not in f"{each!r} {each} {getattr(each, '__dict__', {})}"


async def failed(deed: Awaitable[object]) -> ProviderUnavailable | None:
    """How it failed, if it did: who reads no content, or only its beginning, does not see what is wrong with it."""
    try:
        await deed
    except ProviderUnavailable as error:
        return error
    return None


async def test_a_cookie_of_a_pod_is_not_sent_back_to_the_cluster() -> None:
    sent: list[str | None] = []

    async def pod(request: web.Request) -> web.StreamResponse:
        sent.append(request.headers.get("Cookie"))
        answer = web.json_response({"kind": "Pod"})
        answer.set_cookie("R_SESS", "of-somebody-else", path="/")
        return answer

    async with answering(pod, host="localhost") as kube:
        assert await kube.ask(f"{PODS}/checkout-1:8080/proxy/health", timeout=5) == 200
        await kube.get(f"{PODS}/checkout-1")
    assert sent == [None, None]


async def test_neither_a_netrc_nor_a_proxy_gets_between_us_and_a_server_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("default login somebody password else\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    sent: list[str | None] = []

    async def api(request: web.Request) -> web.StreamResponse:
        sent.append(request.headers.get("Authorization"))
        return web.json_response({"kind": "Pod"})

    async with saying(b"HTTP/1.1 502 Bad Gateway\r\n\r\n") as proxy, answering(api) as kube:
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.setenv("https_proxy", proxy)
        assert await kube.get(f"{PODS}/a") == {"kind": "Pod"}
    assert sent == [f"Bearer {TOKEN}"]


async def test_the_proxy_that_the_environment_names_is_used_and_sees_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")

    async with serving(proxy) as port:
        monkeypatch.setenv("https_proxy", f"http://us:hidden-password@127.0.0.1:{port}")
        monkeypatch.setenv("no_proxy", "left.out.invalid")
        kube = Kube(At("https://cluster.invalid:6443"), timeout=5.0)
        with pytest.raises(ProviderUnavailable) as failure:
            await kube.get(PODS)
        await kube.close()
        assert seen[0].startswith(b"CONNECT cluster.invalid:6443 ")
        assert b"Proxy-Authorization: Basic " in seen[0]
        assert TOKEN.encode() not in seen[0]
        assert "hidden-password" not in failure.value.message

        kube = Kube(At("https://left.out.invalid:6443"), timeout=5.0)
        with pytest.raises(ProviderError):
            await kube.get(PODS)
        await kube.close()
        assert len(seen) == 1


@pytest.mark.parametrize(
    "page",
    [
        {"items": 5},
        {"items": "abc"},
        {"items": {"a": 1}},
        {"items": [None, 1, []]},
        {"items": None, "metadata": [1]},
        {"metadata": "x"},
        {"metadata": {"continue": 7, "resourceVersion": ["1"]}},
    ],
)
async def test_a_list_of_the_wrong_shape_lists_nothing(page: dict[str, Any]) -> None:
    async def api(_: web.Request) -> web.StreamResponse:
        return web.json_response(page)

    async with answering(api) as kube:
        assert await kube.list(PODS) == ([], "")


async def test_a_list_without_an_end_is_given_up() -> None:
    async def api(request: web.Request) -> web.StreamResponse:
        return web.json_response({"items": [], "metadata": {"continue": "again"}})

    async with answering(api) as kube:
        with pytest.raises(ProviderError, match="no end to its list of pods in namespace shop"):
            await kube.list(PODS)


@pytest.mark.parametrize(
    ("line", "means"),
    [
        ({"type": "ERROR", "object": {"kind": "Status", "code": 410}}, Expired),
        ({"type": "ERROR", "object": {"kind": "Status", "code": 504, "reason": "Timeout"}}, Expired),
        ({"type": "ERROR", "object": {"kind": "Status", "code": 500, "reason": "Expired"}}, Expired),
        ({"type": "ERROR", "object": {"kind": "Status", "code": 429}}, ProviderUnavailable),
        ({"type": "ERROR", "object": {"kind": "Status", "code": 403, "message": ["x"]}}, ProviderRejected),
        ({"type": "ERROR", "object": {"code": float("inf"), "reason": {}, "details": "x"}}, ProviderUnavailable),
        ({"type": "ERROR", "object": {"code": "x"}}, ProviderUnavailable),
        ({"type": "MODIFIED", "object": None}, Expired),
        ({"type": ["MODIFIED"], "object": {}}, ProviderUnavailable),
        ({"type": "MODIFIED"}, Expired),
        ([], Expired),
        (None, Expired),
    ],
    ids=str,
)
async def test_whatever_a_watch_tells_it_is_listed_anew_or_said_why_not(line: Any, means: type[ProviderError]) -> None:
    async def api(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(json.dumps(line).encode() + b"\n")
        return answer

    async with answering(api) as kube:
        with pytest.raises(ProviderError) as failure:
            await anext(kube.watch(PODS, since="5"))
        assert type(failure.value) is means
