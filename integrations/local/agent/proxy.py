"""The reverse proxy of one place: picks an instance for each request, counts what came of it.

It never decides who may serve; its place's `Router` does. A request that could not have reached an instance is sent to
another one; one that may have reached it only if repeating it is harmless.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from integrations.local.agent.ports import HOST
from integrations.local.agent.recent import Recent
from integrations.local.agent.stats import Counter

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Collection

    from integrations.local.agent.instance import Instance
    from integrations.local.agent.model import Build
    from integrations.local.wire import VersionStats

_HOP_BY_HOP = frozenset(
    {"connection", "expect", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te",
     "trailer", "transfer-encoding", "upgrade"}
)  # fmt: skip
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})
_IN_ONE_PIECE = 65_536
_CHUNK = 65_536


class Router(Protocol):
    """Chooses instances."""

    def pick(self, *, avoid: Collection[str]) -> Instance | None:
        """The instance for the next request, already counted as having it under way; None when there is none."""

    def release(self, instance: Instance) -> None:
        """The request that `pick` gave to ``instance`` is over."""


class Proxy:
    """Listens on one port for one place."""

    def __init__(self, *, router: Router, session: aiohttp.ClientSession) -> None:
        self._router = router
        self._session = session
        self._runner: web.ServerRunner | None = None
        self._counters: dict[str, Counter] = {}
        self.recent = Recent()
        self.port: int | None = None

    async def listen(self, port: int | None) -> int:
        """Listen on ``port`` of 127.0.0.1, or on a free one; raises `OSError` when it is taken."""
        server = web.Server(self._handle, access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, HOST, port or 0)
        try:
            await site.start()
        except OSError:
            await runner.cleanup()
            raise
        await self.close()
        self._runner = runner
        address: tuple[str, int] = runner.addresses[0]
        self.port = address[1]
        return self.port

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
            self.port = None

    def stats(self, in_flight: dict[str, int]) -> dict[str, VersionStats]:
        """The numbers of each version that ever got a request; ``in_flight`` are those not answered yet."""
        versions = {*self._counters, *(version for version, number in in_flight.items() if number)}
        return {
            version: self._counters.get(version, Counter()).snapshot(in_flight=in_flight.get(version, 0))
            for version in sorted(versions)
        }

    def _count(self, build: Build, began: float, *, error: bool, connect_failure: bool = False) -> None:
        counter = self._counters.get(build.version)
        if counter is None:
            counter = self._counters[build.version] = Counter()
        seconds = time.perf_counter() - began
        counter.count(seconds=seconds, error=error, connect_failure=connect_failure)
        self.recent.count((build.digest, build.version), seconds=seconds, error=error)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if "upgrade" in request.headers.get("Connection", "").lower():
            return _say(501, "This proxy does not carry upgraded connections.")
        tried: set[str] = set()
        while True:
            instance = self._router.pick(avoid=tried)
            if instance is None:
                if tried:
                    return _say(502, "No instance of the service could answer.")
                return _say(503, "No instance of the service is running.")
            tried.add(instance.id)
            began = time.perf_counter()
            build = instance.build
            try:
                return await self._pass_on(request, instance, began)
            except aiohttp.ClientConnectorError:
                # The connection was never made, so nothing of the request was used up.
                self._count(build, began, error=True, connect_failure=True)
            except (TimeoutError, aiohttp.ClientError) as error:
                if request.transport is None or request.transport.is_closing():
                    # Whoever asked has gone in the middle of asking; that says nothing about the instance.
                    return _say(499, "")
                self._count(build, began, error=True)
                if request.method not in _REPEATABLE or request.body_exists or isinstance(error, TimeoutError):
                    status = 504 if isinstance(error, TimeoutError) else 502
                    return _say(status, "The instance that got the request did not answer it.")
            finally:
                self._router.release(instance)

    async def _pass_on(self, request: web.BaseRequest, instance: Instance, began: float) -> web.StreamResponse:
        """Send the request to ``instance`` and its answer back; raises before anything was sent back, or not at all."""
        build = instance.build
        async with self._session.request(
            request.method,
            URL(f"http://{HOST}:{instance.port}{_target(request)}", encoded=True),
            headers=_forwarded(request),
            # What the caller did not say is not said for it: one that accepts no gzip must not be sent any.
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            data=request.content if request.body_exists else None,
            allow_redirects=False,
        ) as answer:
            headers = _without_hops(answer.headers)
            headers["X-Served-By"] = build.version
            error = answer.status >= 500
            length = answer.content_length
            if length is not None and length <= _IN_ONE_PIECE and request.method != "HEAD":
                body = await answer.read()
                self._count(build, began, error=error)
                headers.popall("Content-Length", None)
                return web.Response(status=answer.status, reason=answer.reason, headers=headers, body=body)
            response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
            try:
                await response.prepare(request)
                async for chunk in answer.content.iter_chunked(_CHUNK):
                    await response.write(chunk)
                await response.write_eof()
            except ConnectionResetError:
                # Whoever asked has gone; that says nothing about the instance.
                pass
            except (aiohttp.ClientError, TimeoutError):
                error = True
                transport: asyncio.Transport | None = request.transport
                if transport is not None:
                    # Half an answer is out already: only a broken connection tells the truth.
                    transport.abort()
            self._count(build, began, error=error)
            return response


def _target(request: web.BaseRequest) -> str:
    """Path and query exactly as they were asked for."""
    path = request.raw_path
    return path if path.startswith("/") else request.rel_url.raw_path_qs or "/"


def _forwarded(request: web.BaseRequest) -> CIMultiDict[str]:
    headers = _without_hops(request.headers)
    peer = request.remote or HOST
    known = headers.get("X-Forwarded-For")
    headers["X-Forwarded-For"] = f"{known}, {peer}" if known else peer
    headers.setdefault("X-Forwarded-Host", request.host)
    headers.setdefault("X-Forwarded-Proto", "http")
    return headers


def _without_hops(headers: aiohttp.typedefs.LooseHeaders) -> CIMultiDict[str]:
    kept: CIMultiDict[str] = CIMultiDict(headers)
    named = [name.strip() for value in kept.getall("Connection", []) for name in value.split(",")]
    for name in (*_HOP_BY_HOP, *named):
        kept.popall(name, None)
    return kept


def _say(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text + "\n")
