"""Who takes spans: Datadog's own test agent, and a strict little OpenTelemetry collector. Both show what has come."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
    from pathlib import Path

CHECKS = ("meta_tracer_version_header", "trace_content_length", "trace_count_header", "trace_peer_service")


_TO_THIS_MACHINE = """
from aiohttp import web
run = web.run_app
web.run_app = lambda app, *, sock, port: run(app, host="127.0.0.1", port=port)
from ddapm_test_agent.agent import main
main()
"""
"""The test agent would listen to the whole network."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A span as it arrived."""

    name: str
    trace: int
    id: int
    parent: int | None
    service: str
    began: int
    ended: int
    failed: bool
    tags: dict[str, Any]
    links: tuple[int, ...] = ()
    """The traces that it points at."""


@dataclass(kw_only=True)
class Agent:
    """Somewhere to send spans to, and what arrived there."""

    address: str
    variable: str
    kind: str
    spans: list[Seen] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    resource: dict[str, Any] = field(default_factory=dict)
    statuses: list[str] = field(default_factory=list)
    """What was said of spans that failed."""

    @property
    def settings(self) -> dict[str, str]:
        """What a bot is told so that it sends its spans here."""
        return {"TRACING": self.kind, self.variable: self.address}

    async def look(self) -> Sequence[Seen]:
        """Everything that has arrived."""
        return self.spans

    async def telemetry(self) -> list[object]:
        """What the sender has told its maker about itself."""
        return []

    async def of(self, trace: int) -> list[Seen]:
        """What has arrived of a trace, oldest first."""
        return sorted((span for span in await self.look() if span.trace == trace), key=lambda span: span.began)


def tree(spans: Iterable[Seen]) -> list[str]:
    """Spans as lines, each below the one that it belongs to; what belongs to none stands first."""
    every = sorted(spans, key=lambda span: span.began)
    known = {span.id for span in every}

    def below(parent: int | None, depth: int) -> Iterator[str]:
        for span in every:
            if span.parent == parent or (parent is None and span.parent not in known):
                mark = " ✗" if span.failed else ""
                yield f"{'  ' * depth}{span.name}{mark}"
                yield from below(span.id, depth + 1)

    return list(below(None, 0))


@contextlib.asynccontextmanager
async def collector() -> AsyncIterator[Agent]:
    """An OpenTelemetry collector that takes nothing but proper OTLP."""
    agent = Agent(address="", variable="OTEL_EXPORTER_OTLP_ENDPOINT", kind="otlp")

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        if request.content_type != "application/x-protobuf":
            agent.refused.append(f"content type {request.content_type}")
            return web.Response(status=415)
        message = ExportTraceServiceRequest.FromString(body)
        for resource in message.resource_spans:
            agent.resource = _values(resource.resource.attributes)
            for scope in resource.scope_spans:
                for span in scope.spans:
                    agent.spans.append(_span(span, str(agent.resource["service.name"])))
                    if span.status.message:
                        agent.statuses.append(span.status.message)
                    if len(span.trace_id) != 16 or len(span.span_id) != 8 or not span.name:
                        agent.refused.append(f"malformed: {span}")
        answer = ExportTraceServiceResponse().SerializeToString()
        return web.Response(body=answer, content_type="application/x-protobuf")

    app = web.Application(client_max_size=16 * 1024**2)
    app.router.add_post("/v1/traces", take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        agent.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield agent
    finally:
        await runner.cleanup()


def _span(span: Any, service: str) -> Seen:
    return Seen(
        name=span.name,
        trace=int.from_bytes(span.trace_id, "big"),
        id=int.from_bytes(span.span_id, "big"),
        parent=int.from_bytes(span.parent_span_id, "big") or None,
        service=service,
        began=span.start_time_unix_nano,
        ended=span.end_time_unix_nano,
        failed=span.status.code == 2,
        tags=_values(span.attributes),
        links=tuple(int.from_bytes(link.trace_id, "big") for link in span.links),
    )


def _values(attributes: Iterable[Any]) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@dataclass(kw_only=True)
class _TestAgent(Agent):
    async def look(self) -> Sequence[Seen]:
        async with httpx.AsyncClient(base_url=self.address, timeout=10) as client:
            chunks = (await client.get("/test/session/traces")).raise_for_status().json()
            failures = await client.get("/test/trace_check/failures")
        if failures.status_code != 200:
            self.refused.append(failures.text)
        self.spans = [_datadog(span, chunk) for chunk in chunks for span in chunk]
        return self.spans

    async def telemetry(self) -> list[object]:
        async with httpx.AsyncClient(base_url=self.address, timeout=10) as client:
            events: list[object] = (await client.get("/test/session/apmtelemetry")).raise_for_status().json()
        return events


def _datadog(span: dict[str, Any], chunk: list[dict[str, Any]]) -> Seen:
    high = next(one["meta"]["_dd.p.tid"] for one in chunk if "_dd.p.tid" in one.get("meta", {}))
    return Seen(
        name=span["resource"],
        trace=int(high, 16) << 64 | span["trace_id"],
        id=span["span_id"],
        parent=span["parent_id"] or None,
        service=span["service"],
        began=span["start"],
        ended=span["start"] + span["duration"],
        failed=bool(span.get("error")),
        tags={**span.get("meta", {}), **span.get("metrics", {}), "the name": span["name"]},
    )


@contextlib.asynccontextmanager
async def datadog_agent(folder: Path, **environment: str) -> AsyncIterator[Agent]:
    """Datadog's own test agent, which says what it finds wrong with what it is sent."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "agent.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _TO_THIS_MACHINE,
            f"--port={port}",
            env={"PATH": os.environ["PATH"], "ENABLED_CHECKS": ",".join(CHECKS), **environment},
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + 30
        async with httpx.AsyncClient(timeout=5) as client:
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get(f"{address}/info")).status_code == 200:
                        break
                assert process.returncode is None, (folder / "agent.log").read_text()
                assert time.monotonic() < deadline, "the test agent does not answer"
                await asyncio.sleep(0.05)  # it tells nobody when it listens
        yield _TestAgent(address=address, variable="DD_TRACE_AGENT_URL", kind="datadog")
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
