"""A whole bot that traces: what deployments look like in a trace, across a crash, and with nobody there to take it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import time
from typing import TYPE_CHECKING

import pytest
from tracing_agents import Agent, Seen, collector, datadog_agent, tree
from world import World, catalog, until

from bot.sandbox.samples.traffic import drive

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from bot.domain.deployment import Deployment

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("tracing")]

KINDS = ("otlp", "datadog")
WAY_UP = [
    "deploy",
    "  plan",
    "  queue",
    "  queued",
    "  record previous",
    "  apply",
    "    change target",
    "      ask gates",
]
SUCCESS = [*WAY_UP, "  watch", "  begin verifying", "  verify", "  succeed", "  settle"]


@contextlib.asynccontextmanager
async def taking(kind: str, folder: Path) -> AsyncIterator[Agent]:
    """Somebody who takes spans of that kind."""
    async with collector() if kind == "otlp" else datadog_agent(folder / "agent") as agent:
        yield agent


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = await World.open(tmp_path / "world", text=catalog(instances=1, passes=1, patience=8))
    try:
        yield world
    finally:
        await world.close()


async def spans_of(agent: Agent, deployment: Deployment, *, last: str) -> list[Seen]:
    """The whole trace of a deployment, once its span ``last`` has arrived."""

    async def there() -> list[Seen] | None:
        mine = {span.trace for span in await agent.look() if span.tags.get("deployment.id") == deployment.id}
        assert len(mine) <= 1, f"{len(mine)} traces of one deployment"
        spans = [span for trace in mine for span in await agent.of(trace)]
        return spans if any(span.name == last for span in spans) else None

    return await until(there, what=f"the span {last!r} of #{deployment.number} in its trace")


@pytest.mark.parametrize("kind", KINDS)
async def test_each_deployment_is_one_tree(kind: str, world: World, tmp_path: Path) -> None:
    async with taking(kind, tmp_path) as agent:
        bot = await world.start(**agent.settings)
        await world.command("ada", "checkout v1.2 staging")
        good = await world.ends(1, "succeeded")
        await world.command("ada", "checkout v1.5-rc1 staging")
        bad = await world.ends(2, "failed")
        await world.press("ada", "Roll back to v1.1", about=good.id)
        await world.ends(1, "rolled_back")
        back = await world.ends(3, "succeeded")
        await bot.stop()

        taken = await spans_of(agent, good, last="rolling back")
        assert tree(taken) == [*SUCCESS, "  rolling back"]
        assert tree(await spans_of(agent, bad, last="close")) == [
            WAY_UP[0] + " ✗",
            *WAY_UP[1:],
            "  watch ✗",
            "  restore",
            "    change target",
            "  watch the restore",
            "  close",
        ]
        rollback = await spans_of(agent, back, last="settle")
        assert tree(rollback) == SUCCESS
        assert not agent.refused

        roots = {span.tags["deployment.id"]: span for span in await agent.look() if span.name == "deploy"}
        assert roots[good.id].tags["deployment.status"] == "success"
        assert roots[bad.id].tags["deployment.status"] == "failed"
        assert roots[bad.id].tags["error.message"].startswith("v1.5-rc1 did not become healthy within 8 s")
        assert {span.service for span in await agent.look()} == {"deployment-architect"}
        pointed = roots[back.id].links if kind == "otlp" else roots[back.id].tags["_dd.span_links"]
        assert (taken[0].trace if kind == "otlp" else f"{taken[0].trace:032x}") in pointed
        for spans in (taken, rollback):
            whole = next(span for span in spans if span.name == "deploy")
            assert all(span.began >= whole.began for span in spans)
        everything = repr(await agent.look())
        for secret in ("xoxb-", "xapp-"):
            assert secret not in everything
    assert "Traceback" not in world.log_tail()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_bot_that_died_goes_on_in_the_same_trace(kind: str, world: World, tmp_path: Path) -> None:
    async with taking(kind, tmp_path) as agent:
        bot = await world.start(**agent.settings)
        await world.platform.faults(before=6.0)  # as long as the first life takes over its change
        await world.command("ada", "checkout v1.2 staging")

        async def begun() -> Deployment | None:
            found = await world.newest()
            return found if found is not None and found.previous_recorded else None

        deployment = await until(begun, what="a deployment that is about to change its target")
        first = await spans_of(agent, deployment, last="record previous")
        assert "deploy" not in {span.name for span in first}
        await bot.kill()
        await world.platform.faults()
        bot = await world.start(**agent.settings)
        await world.ends(1, "succeeded")
        await bot.stop()

        spans = await spans_of(agent, deployment, last="settle")
        assert {span.id for span in first} < {span.id for span in spans}
        assert {span.trace for span in first} == {span.trace for span in spans}
        [whole] = [span for span in spans if span.name == "deploy"]
        assert whole.parent is None
        # The call that the crash cut off is told by nobody, so what had ended within it hangs in the air.
        lost = [span for span in first if span.parent != whole.id]
        assert {span.name for span in lost} <= {"ask gates"}
        assert tree(span for span in spans if span not in lost) == SUCCESS


CANARY = """\
metrics:
  proxy: { type: local, root: platform }
checks:
  errors: { source: proxy, query: error_share, kind: share, limit: 50%, interval: 1s, window: 3s, min_samples: 2 }
strategies:
  canary: { canary: { steps: [{ weight: 50, bake: 3s }] } }
defaults:
  checks: [errors]
"""


async def test_a_canary_shows_what_was_asked_while_it_baked(tmp_path: Path) -> None:
    text = catalog(instances=1, passes=1, patience=8).replace("defaults:\n", CANARY)
    world = await World.open(tmp_path / "world", text=text)
    stop = asyncio.Event()
    traffic = asyncio.create_task(drive(world.addresses, rate=20.0, stop=stop))
    try:
        async with collector() as agent:
            bot = await world.start(**agent.settings)
            await world.command("ada", "checkout v1.2 staging strategy=canary")
            deployment = await world.ends(1, "succeeded")
            await bot.stop()
            spans = await spans_of(agent, deployment, last="settle")
    finally:
        stop.set()
        await traffic
        await world.close()
    lines = tree(spans)
    for step in ("set weight", "promote"):
        place = lines.index(f"  {step}")
        assert lines[place : place + 3] == [f"  {step}", "    change target", "      ask gates"]
    asked = [span for span in spans if span.name == "query metric"]
    moves = {span.id for span in spans if span.name == "next move"}
    assert {span.parent for span in asked} <= moves
    assert {(span.tags["metric.source"], span.tags["metric.check"]) for span in asked} == {("proxy", "errors")}
    assert {span.tags["metric.track"] for span in asked} == {"canary", "stable"}
    assert "read" in {span.tags["deployment.step.outcome"] for span in asked}
    [whole] = [span for span in spans if span.name == "deploy"]
    assert whole.tags["deployment.strategy"] == "canary"


@contextlib.contextmanager
def nobody(how: str) -> Iterator[str]:
    """An address at which nobody takes anything."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        if how == "silent":
            place.listen(64)  # takes connections and never says a word
        yield f"http://127.0.0.1:{place.getsockname()[1]}"


@pytest.mark.parametrize("how", ["refused", "silent"])
@pytest.mark.parametrize("kind", KINDS)
async def test_nobody_there_to_take_spans_costs_a_deployment_nothing(kind: str, how: str, world: World) -> None:
    variable = "OTEL_EXPORTER_OTLP_ENDPOINT" if kind == "otlp" else "DD_TRACE_AGENT_URL"
    with nobody(how) as address:
        bot = await world.start(**Agent(address=address, variable=variable, kind=kind).settings)
        await world.command("ada", "checkout v1.2 staging")
        await world.ends(1, "succeeded")
        await world.command("ada", "checkout v1.1 staging")
        deployment = await world.ends(2, "succeeded")
        took = deployment.since - deployment.requested_at
        assert took.total_seconds() < 20
        began = time.monotonic()
        await bot.stop()
        assert await bot.ended() == 0
        assert time.monotonic() - began < 8  # ddtrace alone would wait for 20 s
    log = (world.folder / "bot.log").read_text()
    assert "Traceback" not in log
    told = [line for line in log.splitlines() if re.search(r"WARNING|ERROR|CRITICAL", line)]
    assert len(told) <= 3, told
