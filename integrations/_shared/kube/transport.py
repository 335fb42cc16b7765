"""Requests to one API server through the official client: who we are, deadlines, and how many at once.

The client's typed models are never used: they lose fields that they do not know. Its sessions follow redirects unless
stopped, and an API server passes on what a pod answers, so one is never followed here.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from weakref import WeakKeyDictionary

from bot.domain.errors import (
    ConfigurationError,
    ProviderError,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
)
from integrations._shared.failures import told
from integrations._shared.kube.errors import PROVIDER, refusal
from integrations._shared.kube.session import configured

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from integrations._shared.kube.access import Access, ClusterAccess

_AT_ONCE = 16
_WATCHES = 1000
_LARGEST = 64 * 1024 * 1024
_CLIENT = "kubernetes.aio.client.rest"
_AGENT = "deployment-architect"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server answered; 2xx unless it was asked to pass on whatever comes."""

    status: int
    content: bytes

    def json(self) -> dict[str, Any]:
        """The object that it is; raises `ProviderError` when it is none."""
        try:
            found = json.loads(self.content)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise ProviderUnavailable("The cluster answered what is no object.", provider=PROVIDER)
        return found


class _Client:
    """The official client for one server, and the limits that hold for it. Belongs to one event loop."""

    def __init__(self) -> None:
        self.calls = asyncio.Semaphore(_AT_ONCE)
        self.watches = asyncio.Semaphore(_WATCHES)
        self.building = asyncio.Lock()
        self.renewing = asyncio.Lock()
        self.rest: Any = None
        self.made_for: tuple[object, ...] = ()

    async def close(self) -> None:
        rest, self.rest = self.rest, None
        if rest is not None:
            await rest.close()


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    query: Mapping[str, str]
    body: object = None
    kind: str = "application/json"


class Transport:
    """Sends requests to one cluster. Every failure is a `ProviderError`."""

    def __init__(self, access: ClusterAccess, *, timeout: float) -> None:
        self.access = access
        self.timeout = timeout
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, _Client] = WeakKeyDictionary()

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        kind: str = "application/json",
        timeout: float | None = None,
        largest: int = _LARGEST,
    ) -> Answer:
        """The whole answer, within ``timeout`` seconds; longer than ``largest`` bytes it is an error."""
        limit = timeout or self.timeout
        client = await self._client()
        trouble: ProviderError
        async with self._turn(client.calls, limit):
            try:
                async with asyncio.timeout(limit):
                    response = await self._answered(client, _Request(method, path, query or {}, body, kind), limit)
                    try:
                        if 200 <= response.status < 300:
                            return Answer(response.status, await self._read(response, largest))
                        trouble = await self._refusal(response, method, path)
                    finally:
                        response.close()  # one that was read to its end has given its connection back before
            except TimeoutError:
                trouble = self._late(limit)
        # Outside of the handler, so that no exception that knows the request hangs on ours.
        raise trouble

    async def ask(self, path: str, *, timeout: float) -> int:
        """The status of whatever answers, within ``timeout`` seconds. A 401 says nothing about our own token here."""
        client = await self._client()
        async with self._turn(client.calls, timeout):
            try:
                async with asyncio.timeout(timeout):
                    request = _Request("GET", path, {})
                    response = await self._sent(client, await self._accessed(fresh=False), request, timeout)
                    response.close()
                    return int(response.status)
            except TimeoutError:
                trouble = self._late(timeout)
        raise trouble

    @asynccontextmanager
    async def stream(self, path: str, *, query: Mapping[str, str], timeout: float) -> AsyncIterator[Lines]:
        """The lines of a watch as they come, for ``timeout`` seconds at most."""
        client = await self._client()
        async with self._turn(client.watches, self.timeout):
            trouble: ProviderError | None = None
            response: Any = None
            try:
                # No deadline may span the yield: who reads may be closed by another task than began.
                async with asyncio.timeout(self.timeout):
                    response = await self._answered(client, _Request("GET", path, query), timeout)
                    if not 200 <= response.status < 300:
                        trouble = await self._refusal(response, "WATCH", path)
                if trouble is None:
                    yield Lines(self, response)
            except TimeoutError:
                trouble = self._late(self.timeout)
            finally:
                if response is not None:
                    response.close()
            if trouble is not None:
                raise trouble

    async def close(self) -> None:
        """Close the connections; what is sent afterwards opens new ones."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()

    async def _client(self) -> _Client:
        if _CLIENT not in sys.modules:
            await asyncio.to_thread(import_module, _CLIENT)  # takes a second, which is no request's
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            client = self._clients[loop] = _Client()
        return client

    @asynccontextmanager
    async def _turn(self, slots: asyncio.Semaphore, limit: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(limit * 3):
                await slots.acquire()
        except TimeoutError:
            raise ProviderUnavailable(
                f"Too many requests to the cluster {self.access.name} are under way.", provider=PROVIDER
            ) from None
        try:
            yield
        finally:
            slots.release()

    async def _answered(self, client: _Client, request: _Request, limit: float) -> Any:
        access = await self._accessed(fresh=False)
        response = await self._sent(client, access, request, limit)
        if response.status != 401:
            return response
        response.close()
        # It was not carried out, so it may be sent again. Another one may have got a new token meanwhile.
        async with client.renewing:
            newest = await self._accessed(fresh=False)
            if newest.token == access.token:
                newest = await self._accessed(fresh=True)
        return await self._sent(client, newest, request, limit)

    async def _accessed(self, *, fresh: bool) -> Access:
        try:
            return await self.access.access(fresh=fresh)
        except ConfigurationError as error:
            raise ProviderRejected(error.message, provider=PROVIDER) from None

    async def _sent(self, client: _Client, access: Access, request: _Request, limit: float) -> Any:
        rest = await self._rest(client, access)
        headers = {"Accept": "application/json", "User-Agent": _AGENT, "Content-Type": request.kind}
        if access.token is not None:
            headers["Authorization"] = f"Bearer {access.token}"
        query = f"?{urlencode(request.query)}" if request.query else ""
        url = access.server.rstrip("/") + request.path + query
        try:
            # A float: the client's pair of times is broken. Its own 300 s would end a watch with an error.
            answer = await rest.request(
                request.method, url, headers=headers, body=request.body, _request_timeout=float(limit)
            )
            return answer.response
        except Exception as error:  # noqa: BLE001 - what is not the client's is raised again
            trouble = self.trouble(error, limit)
        raise trouble

    async def _rest(self, client: _Client, access: Access) -> Any:
        wanted = (access.server, access.ca, access.client_cert, access.client_key, access.verify_name)
        async with client.building:
            if client.rest is None or client.made_for != wanted:
                loop = asyncio.get_running_loop()
                made = await asyncio.to_thread(
                    configured, access, self.access.name, at_once=_AT_ONCE + _WATCHES, loop=loop
                )
                await client.close()
                client.rest, client.made_for = made, wanted
            return client.rest

    async def _refusal(self, response: Any, method: str, path: str) -> ProviderError:
        content = await self._read(response, 1024 * 1024)
        return refusal(self.access.name, method, path, response.status, response.headers, content)

    async def _read(self, response: Any, largest: int) -> bytes:
        content = bytearray()
        try:
            async for part in response.content.iter_any():
                content += part
                if len(content) > largest:
                    raise ProviderError(
                        f"The cluster {self.access.name} answered more than {largest // 1024} KiB.", provider=PROVIDER
                    )
            return bytes(content)
        except Exception as error:  # noqa: BLE001 - what is not the client's is raised again
            trouble = self.trouble(error, self.timeout)
        raise trouble

    def trouble(self, error: Exception, limit: float) -> ProviderError:
        """What the client raised, in our own words; raises what is not the client's.

        Raise it outside of the handler: what the client raises knows the request, and so the token.
        """
        import aiohttp

        if isinstance(error, TimeoutError):
            return self._late(limit)
        if isinstance(error, ProviderError) or not isinstance(error, aiohttp.ClientError | OSError | ValueError):
            raise error
        why = told(str(error)) or type(error).__name__
        return ProviderUnavailable(f"The cluster {self.access.name} cannot be reached: {why}.", provider=PROVIDER)

    def _late(self, limit: float) -> ProviderTimeout:
        return ProviderTimeout(f"The cluster {self.access.name} did not answer within {limit:g} s.", provider=PROVIDER)


class Lines:
    """The lines of an answer that does not end soon."""

    def __init__(self, transport: Transport, response: Any) -> None:
        self._transport = transport
        self._content = response.content
        self._parts: list[bytes] = []
        self._ready: list[bytes] = []

    async def next(self, *, within: float) -> bytes | None:
        """The next line; None when the answer is over or was cut. Raises `ProviderError` after ``within`` seconds."""
        size = 0
        while not self._ready:
            part = await self._part(within)
            if not part:
                return None
            *whole, rest = part.split(b"\n")
            if whole:
                self._ready = [b"".join([*self._parts, whole[0]]), *whole[1:]]
                self._ready.reverse()
                self._parts = []
            self._parts.append(rest)
            size += len(rest)
            if size > _LARGEST:
                raise ProviderError(f"The cluster {self._transport.access.name} sends too much.", provider=PROVIDER)
        return self._ready.pop()

    async def _part(self, within: float) -> bytes:
        try:
            async with asyncio.timeout(within):
                part: bytes = await self._content.readany()
                return part
        except Exception as error:  # noqa: BLE001 - what is not the client's is raised again
            trouble = self._transport.trouble(error, within)
        raise trouble
