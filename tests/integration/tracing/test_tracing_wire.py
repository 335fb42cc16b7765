"""What leaves the process as spans, read off the wire: ids that last, tags without secrets, errors, bounds, the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tracing_agents import Agent, Seen, collector, datadog_agent, tree

from bot.domain.actor import BOT, Actor
from bot.domain.deployment import Deployment, Moment
from bot.domain.errors import ConfigurationError, ProviderRejected
from bot.domain.ids import DeploymentId, EnvironmentName, LockScope, ServiceName
from bot.domain.lifecycle import Phase
from bot.domain.release import Artifact, Release
from bot.engine.ends import EndKind, end
from bot.engine.permits import ClosedError
from bot.engine.tracing import Tracing, asking
from bot.settings import read_settings
from integrations.tracing.build import build_traces

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ADA = Actor(workspace="T", id="U0ADA", name="Ada")
ID = DeploymentId("d000000000abcde")
TOKEN = "xoxb-" + "1234567890-abcdefghij"
SECRETS = f"password=hunter2 {TOKEN} https://ada:hunter2@db.example/x Bearer abcdefghijklmnop"


def deployment(**about: object) -> Deployment:
    values: dict[str, object] = {
        "id": ID,
        "number": 7,
        "service": ServiceName("checkout"),
        "environment": EnvironmentName("production"),
        "scope": LockScope("production"),
        "release": Release(
            service=ServiceName("checkout"), version="v1.2", artifact=Artifact(digest="sha256:aa", location="x")
        ),
        "requester": ADA,
        "channel": "C1",
        "catalog_revision": "r",
        "origin": "o",
        "timeline": (Moment(phase=Phase.REQUESTED, at=NOW, actor=ADA),),
        **about,
    }
    return Deployment(**values)  # type: ignore[arg-type]  # a handful of changes to a whole one


def walk(tracing: Tracing, found: Deployment, *phases: Phase, note: str = "") -> Deployment:
    """Take a deployment through phases, one each minute, and tell of each change as whoever wrote it would."""
    for phase in phases:
        last = phase is phases[-1]
        after = found.advance(phase, actor=BOT, at=found.since + timedelta(minutes=1), note=note if last else "")
        tracing.seen(found, after)
        found = after
    return found


@contextlib.contextmanager
def process(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tracing]:
    """What tells of deployments in one life of the bot; when it ends, everything has been sent."""
    monkeypatch.setenv(agent.variable, agent.address)
    tracing = Tracing(traces=build_traces(agent.kind, replica="one"))
    try:
        yield tracing
    finally:
        tracing.close()


@pytest.fixture
async def agent() -> AsyncIterator[Agent]:
    async with collector() as found:
        yield found


async def told(agent: Agent, monkeypatch: pytest.MonkeyPatch, *phases: Phase, note: str = "") -> Seen:
    """The span of a deployment that went through these phases."""

    def live() -> None:
        with process(agent, monkeypatch) as tracing:
            walk(tracing, deployment(), *phases, note=note)

    await asyncio.to_thread(live)
    [root] = [span for span in agent.spans if span.name == "deploy"]
    assert not agent.refused
    return root


P = Phase


async def test_a_success_is_tagged_as_whoever_reads_traces_looks_for_it(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = await told(agent, monkeypatch, P.QUEUED, P.DEPLOYING, P.VERIFYING, P.SUCCEEDED)
    assert root.tags == {
        "service.name": "checkout",
        "service.version": "v1.2",
        "environment": "production",
        "deployment.id": ID,
        "deployment.name": "#7 checkout v1.2 to production",
        "deployment.environment.name": "production",
        "deployment.status": "success",
        "deployment.phase": "succeeded",
        "deployment.strategy": "rolling",
        "deployment.rollback": False,
        "deployment.attempts": 1,
    }
    assert not root.failed
    assert root.parent is None
    assert root.service == "deployment-architect"
    assert agent.resource["service.instance.id"] == "one"
    assert (root.began, root.ended) == (NOW.timestamp() * 1e9, (NOW + timedelta(minutes=4)).timestamp() * 1e9)
    assert tree(agent.spans) == ["deploy", "  queued"]


@pytest.mark.parametrize(
    ("phases", "status", "failed"),
    [
        ((P.QUEUED, P.DEPLOYING, P.FAILED), "failed", True),
        ((P.ERRORED,), "failed", True),
        ((P.ABORTED,), "aborted", False),
        ((P.AWAITING_APPROVAL, P.REJECTED), "rejected", False),
        ((P.HELD, P.EXPIRED), "expired", False),
        ((P.QUEUED, P.DEPLOYING, P.NEEDS_ATTENTION, P.SUCCEEDED), "success", False),
    ],
)
async def test_what_a_person_decided_is_no_failure(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, phases: tuple[Phase, ...], status: str, failed: bool
) -> None:
    root = await told(agent, monkeypatch, *phases, note="Said so.")
    assert (root.tags["deployment.status"], root.failed) == (status, failed)
    assert root.tags.get("error.message") == ("Said so." if failed else None)


async def test_no_secret_leaves(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    def live() -> None:
        with process(agent, monkeypatch) as tracing:
            with tracing.step(ID, "watch") as findings:
                findings.came_to(end(EndKind.FAILED, SECRETS))
            with contextlib.suppress(ProviderRejected), tracing.step(ID, "apply"), asking("change target"):
                raise ProviderRejected(SECRETS, provider="local")
            with contextlib.suppress(ValueError), tracing.step(ID, "plan"):
                raise ValueError(SECRETS)
            odd = deployment(
                release=Release(
                    service=ServiceName("checkout"), version=TOKEN, artifact=Artifact(digest="sha256:aa", location="x")
                )
            )
            walk(tracing, odd, P.QUEUED, P.DEPLOYING, P.FAILED, note=SECRETS + "\n" + "long " * 500)

    await asyncio.to_thread(live)
    root = next(span for span in agent.spans if span.name == "deploy")
    assert "[hidden]" in root.tags["error.message"]
    assert len(root.tags["error.message"]) == 500
    assert {span.name for span in agent.spans if span.failed} == {"watch", "apply", "change target", "plan", "deploy"}
    assert next(span for span in agent.spans if span.name == "plan").tags.get("error.message") is None
    everything = repr(agent.spans) + repr(agent.statuses)
    assert "hunter2" not in everything
    assert TOKEN not in everything
    assert "abcdefghijklmnop" not in everything


async def test_two_lives_of_the_bot_tell_one_trace(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    def first() -> None:
        with process(agent, monkeypatch) as tracing:
            with tracing.step(ID, "plan"):
                pass
            walk(tracing, deployment(), P.QUEUED)

    def second() -> None:
        with process(agent, monkeypatch) as tracing:
            found = deployment().advance(P.QUEUED, actor=BOT, at=NOW + timedelta(minutes=1))
            with tracing.step(ID, "apply"), asking("change target"), asking("ask gates"):
                pass
            walk(tracing, found, P.DEPLOYING, P.VERIFYING, P.SUCCEEDED)

    await asyncio.to_thread(first)
    assert tree(agent.spans) == ["plan"]
    await asyncio.to_thread(second)
    assert len({span.trace for span in agent.spans}) == 1
    lines = tree(agent.spans)
    assert lines[0] == "deploy"
    assert set(lines[1:]) == {"  plan", "  queued", "  apply", "    change target", "      ask gates"}


async def test_a_rollback_points_at_what_it_takes_back(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    back = DeploymentId("d000000000fghjk")

    def live() -> None:
        with process(agent, monkeypatch) as tracing:
            taken = walk(tracing, deployment(), P.QUEUED, P.DEPLOYING, P.VERIFYING, P.SUCCEEDED)
            taken = walk(tracing, taken, P.ROLLING_BACK)
            walk(tracing, deployment(id=back, rollback_of=ID), P.QUEUED, P.DEPLOYING, P.VERIFYING, P.SUCCEEDED)
            walk(tracing, taken, P.ROLLED_BACK)

    await asyncio.to_thread(live)
    taken, rollback = (span for span in agent.spans if span.name == "deploy")
    assert rollback.trace != taken.trace
    assert rollback.links == (taken.trace,)
    assert rollback.tags["deployment.rollback"] is True
    assert tree(await agent.of(taken.trace)) == ["deploy", "  queued", "  rolling back"]


async def test_a_step_that_asks_for_hours_stays_one_that_can_be_opened(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def live() -> None:
        with process(agent, monkeypatch) as tracing, tracing.step(ID, "bake"):
            for _ in range(230):
                with asking("query metric", metric_check="errors"), asking("something within it"):
                    pass

    await asyncio.to_thread(live)
    asked = [span for span in agent.spans if span.name == "query metric"]
    assert len(asked) == 200
    assert asked[0].tags == {"deployment.id": ID, "metric.check": "errors"}
    [bake] = [span for span in agent.spans if span.name == "bake"]
    assert bake.tags["deployment.spans_left_out"] == 30


async def test_a_gate_that_closes_is_no_error_and_what_cuts_a_step_off_is_said(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def live() -> None:
        with process(agent, monkeypatch) as tracing:
            with (
                contextlib.suppress(ClosedError),
                tracing.step(ID, "apply") as step,
                step.expecting(ClosedError, "closed"),
                asking("change target") as asked,
                asked.expecting(ClosedError, "closed"),
            ):
                raise ClosedError(())
            with contextlib.suppress(asyncio.CancelledError), tracing.step(ID, "watch"):
                raise asyncio.CancelledError

    await asyncio.to_thread(live)
    assert {span.name: span.tags["deployment.step.outcome"] for span in agent.spans} == {
        "apply": "closed",
        "change target": "closed",
        "watch": "interrupted",
    }
    assert not any(span.failed for span in agent.spans)


async def test_off_means_nothing_is_imported_and_nothing_is_told() -> None:
    with Tracing().step(ID, "plan") as findings, asking("change target"):
        findings.came_to(end(EndKind.FAILED, "no"))
    walk(Tracing(), deployment(), P.QUEUED, P.DEPLOYING, P.FAILED)
    program = (
        "import sys, bot.bootstrap, bot.engine.engine, bot.cli, integrations.registry; print([m for m in sys.modules])"
    )
    shell = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    out, _ = await shell.communicate()
    assert b"bot.engine.tracing" in out
    assert b"opentelemetry" not in out
    assert b"ddtrace" not in out


@pytest.mark.parametrize(
    ("kind", "missing", "extra"), [("otlp", "opentelemetry", "tracing"), ("datadog", "ddtrace", "ddtrace")]
)
def test_what_is_missing_is_named_with_what_to_install(
    kind: str, missing: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, missing, None)  # as if it were not there
    with pytest.raises(ConfigurationError, match=rf"TRACING={kind} needs .*{missing}") as refusal:
        build_traces(kind, replica="one")
    assert f"pip install 'deployment-architect[{extra}]'" in refusal.value.message


def test_a_place_for_spans_that_there_is_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-1")
    monkeypatch.setenv("SLACK_APP_TOKEN", "xapp-1")
    assert read_settings().tracing == "off"
    monkeypatch.setenv("TRACING", "jaeger")
    with pytest.raises(ConfigurationError, match=r"TRACING: .*'off', 'otlp' or 'datadog'"):
        read_settings()


async def test_a_collector_that_is_away_is_said_once_and_keeps_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)  # takes connections and never says a word
        away = Agent(
            address=f"http://127.0.0.1:{silent.getsockname()[1]}", variable="OTEL_EXPORTER_OTLP_ENDPOINT", kind="otlp"
        )

        def live() -> tuple[float, float]:
            with process(away, monkeypatch) as tracing:
                began = time.monotonic()
                for _ in range(3000):
                    with tracing.step(ID, "plan"):
                        pass
                worked = time.monotonic() - began
                began = time.monotonic()
            return worked, time.monotonic() - began

        with caplog.at_level(logging.INFO):
            worked, closed = await asyncio.to_thread(live)
    assert worked < 5  # of which nothing is waiting
    assert closed < 3
    assert "Traceback" not in caplog.text
    assert len(caplog.records) <= 1


async def test_datadogs_agent_takes_what_it_is_sent_and_ddtrace_does_nothing_besides(tmp_path: Path) -> None:
    program = """
import json, signal, sys
before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
import asyncio, subprocess, ssl, sqlite3, http.client, logging
def at_hand():
    create, popen = asyncio.BaseEventLoop.create_task, subprocess.Popen.__init__
    return create, popen, sqlite3.connect, http.client.HTTPConnection.putrequest, asyncio.create_subprocess_exec
was = at_hand()
from test_tracing_wire import ADA, ID, P, Tracing, build_traces, deployment, walk
from bot.engine.tracing import asking
tracing = Tracing(traces=build_traces("datadog", replica="one"))
with tracing.step(ID, "apply"), asking("change target"):
    pass
walk(tracing, deployment(), P.QUEUED, P.DEPLOYING, P.FAILED, note="token=hunter2 was wrong")
import ddtrace
print(json.dumps({
    "signals": before == [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)],
    "as it was": was == at_hand(),
    "handlers": len(logging.getLogger("ddtrace").handlers),
}))
tracing.close()
"""
    async with datadog_agent(tmp_path / "agent") as agent:
        shell = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            program,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PYTHONPATH": ":".join(filter(None, sys.path)), agent.variable: agent.address},
        )
        out, complaints = await shell.communicate()
        assert complaints == b""
        assert json.loads(out) == {"signals": True, "as it was": True, "handlers": 0}
        spans = await agent.look()
        assert await agent.telemetry() == []
    assert not agent.refused
    [root] = [span for span in spans if span.name == "deploy"]
    assert root.parent is None
    lines = tree(spans)
    assert lines[0] == "deploy ✗"
    assert set(lines[1:]) == {"  queued", "  apply", "    change target"}
    assert {span.service for span in spans} == {"deployment-architect"}
    assert {span.tags.get("_dd.base_service") for span in spans} == {None}  # nor has it any other name for us
    assert (root.tags["service.name"], root.tags["service.version"], root.tags["environment"]) == (
        "checkout",
        "v1.2",
        "production",
    )
    assert root.tags["deployment.status"] == "failed"
    assert root.tags["error.message"] == "token=[hidden] was wrong"
    assert root.tags["version"] != "v1.2"  # that is ours, not that of what is deployed
    assert root.tags["the name"] == "deploy"
    assert {span.tags["the name"] for span in spans} == {"deploy", "deploy.step"}
    assert "hunter2" not in repr(spans)
