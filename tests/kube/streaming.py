"""A watch over HTTP: one JSON line an event, until its time is up, the server goes, or something cuts it.

Follows kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes. A resourceVersion that
was forgotten is told as 410, in the stream (as the watch cache does) or as the answer (as older servers do, by
request of a test); one that is not yet reached as an ERROR 504 in the stream, as seen on a real 1.36 server.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from aiohttp import web

from . import failures, reading

if TYPE_CHECKING:
    from .reading import Scope
    from .resources import Object, Resource
    from .server import KubeServer

LONGEST = 1800.0


async def watch(
    server: KubeServer, request: web.Request, resource: Resource, namespace: str | None, query: dict[str, str]
) -> web.StreamResponse:
    """Raises ApiFailure before the stream begins: 400, 410."""
    store, faults = server.store, server.faults
    scope = reading.Scope.of(resource, namespace, query)
    since = reading.number(query.get("resourceVersion"), "resourceVersion")
    seconds = reading.number(query.get("timeoutSeconds"), "timeoutSeconds")
    marks = query.get("allowWatchBookmarks", "").lower() in ("1", "true")
    everything = query.get("sendInitialEvents", "").lower() in ("1", "true")
    if everything and query.get("resourceVersionMatch") != "NotOlderThan":
        said = "sendInitialEvents: Forbidden: resourceVersionMatch=NotOlderThan is required"
        raise failures.ApiFailure(422, "Invalid", f'ListOptions.meta.k8s.io "" is invalid: {said}')
    if since and faults.gone_http > 0:
        faults.gone_http -= 1
        raise failures.too_old(since, store.version)
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    stream = _Stream(server, response, scope, marks)
    if since and (since < store.oldest or faults.gone_stream > 0):
        faults.gone_stream -= faults.gone_stream > 0
        await stream.error(failures.too_old(since, max(store.oldest, since + 1)))
        return response
    if since and (since > store.version or faults.too_large_stream > 0):
        faults.too_large_stream -= faults.too_large_stream > 0
        await stream.error(failures.too_large(since, store.version))
        return response
    try:
        await stream.run(None if everything else since, float(seconds or LONGEST), everything)
    except ConnectionError:
        pass  # the client has gone
    except _Broken:
        if request.transport is not None:
            request.transport.abort()
    return response


class _Broken(Exception):
    """The stream is to be cut."""


class _Stream:
    def __init__(self, server: KubeServer, response: web.StreamResponse, scope: Scope, marks: bool) -> None:
        self._server, self._response, self._scope, self._marks = server, response, scope, marks
        self._cuts, self._bookmarks = server.faults.cuts, server.faults.bookmarks

    async def run(self, since: int | None, seconds: float, everything: bool) -> None:
        store, faults = self._server.store, self._server.faults
        clock = asyncio.get_running_loop().time
        begun = clock()
        if not since:
            seen = len(store.changes)
            for each in store.all(self._scope.resource, self._scope.namespace):
                if self._scope.holds(each):
                    await self._send("ADDED", each)
            if everything and self._marks:
                mark = reading.bookmark(self._scope.resource, store.version)
                mark["metadata"]["annotations"] = {"k8s.io/initial-events-end": "true"}
                await self._send("BOOKMARK", mark)
        else:
            seen = store.position(since)
        while not self._server.closing:
            if faults.is_down or faults.cuts != self._cuts:
                raise _Broken
            if faults.bookmarks != self._bookmarks:
                self._bookmarks = faults.bookmarks
                await self._bookmark()
            while seen < len(store.changes):
                change = store.changes[seen]
                seen += 1
                if (told := reading.event(self._scope, change)) is not None:
                    await self._send(*told)
                    if faults.repeat_events:
                        await self._send(*told)
                    if faults.stale_events and change.before is not None and told[0] == "MODIFIED":
                        await self._send("MODIFIED", change.before)
            left = seconds - (clock() - begun)
            cut = faults.cut_watches_every
            if left <= 0:
                await self._bookmark()
                return
            if cut is not None:
                if clock() - begun >= cut:
                    raise _Broken
                left = min(left, cut - (clock() - begun))
            await store.news(seen, left, self._noticed)

    def _noticed(self) -> bool:
        faults = self._server.faults
        return (
            self._server.closing or faults.is_down or faults.cuts != self._cuts or (faults.bookmarks != self._bookmarks)
        )

    async def _bookmark(self) -> None:
        if self._marks:
            await self._send("BOOKMARK", reading.bookmark(self._scope.resource, self._server.store.version))

    async def error(self, failure: failures.ApiFailure) -> None:
        await self._send("ERROR", failure.status())

    async def _send(self, kind: str, found: Object) -> None:
        await self._response.write(json.dumps({"type": kind, "object": found}).encode() + b"\n")
