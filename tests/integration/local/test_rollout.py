"""Replacing one release by another: nobody notices when it goes well, and what served goes on when it does not."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections import Counter
from typing import TYPE_CHECKING

import psutil
import pytest

from bot.domain.catalog import HealthCheck
from bot.domain.rollout import OutcomeKind

if TYPE_CHECKING:
    import aiohttp
    from conftest import World


async def test_rolling_replacement_fails_no_request(world: World, http: aiohttp.ClientSession) -> None:
    target = world.target(instances=3)
    first, second = await world.release("v1.0", latency=5), await world.release("v1.1", latency=5)
    assert (await world.deploy(target, first)).kind is OutcomeKind.SUCCEEDED
    address = (await world.status())["address"]
    seen: Counter[str] = Counter()
    stop = asyncio.Event()

    async def visitor(number: int) -> None:
        # Half of them post: a proxy must not repeat those, so they would show every broken connection.
        while not stop.is_set():
            method = "POST" if number % 2 else "GET"
            async with http.request(method, address, data=b"x" * 2000 if method == "POST" else None) as answer:
                text = await answer.text()
                seen[f"{answer.status} {text.split()[1] if answer.status == 200 else text}"] += 1

    async with asyncio.TaskGroup() as group:
        for number in range(12):
            group.create_task(visitor(number))
        outcomes = [await world.deploy(target, release) for release in (second, first, second)]
        stop.set()
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.SUCCEEDED] * 3
    assert set(seen) == {"200 v1.0", "200 v1.1"}
    assert min(seen.values()) > 20
    stats = await world.platform.stats("checkout", "staging")
    assert sum(one["requests"] for one in stats.values()) == sum(seen.values())
    assert [one["errors"] for one in stats.values()] == [0, 0]
    assert len(world.instance_processes()) == 3


async def test_progress_is_told_step_by_step(world: World, http: aiohttp.ClientSession) -> None:
    target = world.target(instances=3)
    handle = await target.apply(release=await world.release("v1.0"), operation=world.operation())
    progress, outcome = await world.story(target, handle)
    assert outcome.kind is OutcomeKind.SUCCEEDED
    assert outcome.message.startswith("3 instances serve v1.0 at http://127.0.0.1:")
    assert [one.done for one in progress] == sorted(one.done for one in progress)
    assert {one.total for one in progress} == {3}
    running = await target.current()
    assert running is not None
    assert (running.healthy, running.instances, running.operation) == (3, 3, handle.operation)
    async with http.get(str((await world.status())["address"]) + "/health") as answer:
        health = await answer.json()
    assert health == {"status": "ok", "service": "checkout", "version": "v1.0", "environment": "staging"}


async def under_way(world: World) -> None:
    """Wait until an instance of v1.0 has a request."""
    async with asyncio.timeout(10):
        while True:
            stats = await world.platform.stats("checkout", "staging")
            if "v1.0" in stats and stats["v1.0"]["in_flight"]:
                return


SLOW = """
import http.server, os, signal, time
{handler}
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path != "/health":
            time.sleep({seconds})
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"answered")
    do_POST = do_GET
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


async def test_requests_under_way_are_answered_before_their_instance_stops(
    world: World, http: aiohttp.ClientSession
) -> None:
    # It ends at once at SIGTERM, so only patience saves the request; and a POST is never sent twice.
    target = world.target(instances=1)
    await world.deploy(target, await world.program("v1.0", SLOW.format(handler="", seconds=0.7)))
    asked = asyncio.create_task(http.post(str((await world.status())["address"])))
    await under_way(world)
    outcome = await world.deploy(target, await world.release("v1.1"))
    async with await asked as answer:
        assert (answer.status, await answer.text()) == (200, "answered")
    assert outcome.kind is OutcomeKind.SUCCEEDED


async def test_a_request_that_outlives_the_drain_does_not_hold_the_rollout_up(
    world: World, http: aiohttp.ClientSession
) -> None:
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    stubborn = await world.program("v1.0", SLOW.format(handler=deaf, seconds=60))
    target = world.target(instances=1, drain=0.3)
    await world.deploy(target, stubborn)
    address = (await world.status())["address"]
    asked = asyncio.create_task(http.post(address))
    await under_way(world)
    outcome = await world.deploy(target, await world.release("v1.1"))
    assert outcome.kind is OutcomeKind.SUCCEEDED
    # It was never answered; the proxy says so instead of leaving the caller waiting.
    answer = await asked
    assert answer.status == 502
    answer.release()
    assert len(world.instance_processes()) == 1


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ({"healthy": False}, ["did not become healthy within 1 s: GET /health answered 503", "connection refused"]),
        ({"exits": True}, ["stopped with exit status 1 while it was starting", "no column 'currency'"]),
    ],
)
async def test_a_bad_version_fails_and_the_old_one_serves(
    world: World, http: aiohttp.ClientSession, behaviour: dict[str, bool], words: list[str]
) -> None:
    target = world.target(start_timeout=1)
    old, bad = await world.release("v1.0"), await world.release("v1.5-rc1", **behaviour)
    await world.deploy(target, old)
    before = await world.pids()
    outcome = await world.deploy(target, bad)
    assert outcome.kind is OutcomeKind.FAILED
    for text in ("v1.5-rc1", *words):
        assert text in outcome.message
    assert await world.pids() == before
    assert world.instance_processes() == set(before.values())
    async with http.get((await world.status())["address"]) as answer:
        assert (await answer.text()).startswith("checkout v1.0")
    running = await target.current()
    assert running is not None
    assert running.release == old
    assert running.all_healthy
    assert (await target.health(release=old, check=HealthCheck())).ok
    health = await target.health(release=bad, check=HealthCheck())
    assert not health.ok
    assert health.message == "No instance of it runs; v1.0 does."


async def test_a_version_that_crashes_after_it_was_ready_fails(world: World) -> None:
    target = world.target(instances=2)
    await world.deploy(target, await world.release("v1.0"))
    crashing = await world.program(
        "v1.1",
        "import http.server, os, sys, threading\n"
        "class H(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200); self.end_headers(); self.wfile.flush()\n"
        "        threading.Timer(0.03, lambda: os._exit(7)).start()\n"
        "print('password=hunter2 out of memory', flush=True)\n"
        "http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), H).serve_forever()\n",
    )
    outcome = await world.deploy(target, crashing)
    assert outcome.kind is OutcomeKind.FAILED
    assert "exit status 7" in outcome.message
    assert "out of memory" in outcome.message
    assert "hunter2" not in outcome.message


async def test_restore_brings_the_earlier_release_back_after_a_failure(world: World) -> None:
    target = world.target(instances=2, variables={"COLOUR": "green"})
    await world.deploy(target, await world.release("v1.0"))
    before = await target.current()
    other = world.target(instances=3, start_timeout=1)
    await world.deploy(other, await world.release("v1.1"))
    assert (await world.deploy(other, await world.release("v1.2", healthy=False))).kind is OutcomeKind.FAILED
    outcome = await world.outcome(other, await other.restore(to=before, operation=world.operation()))
    assert outcome.kind is OutcomeKind.SUCCEEDED
    after = await other.current()
    assert before is not None
    assert after is not None
    assert (after.release, after.instances, after.details) == (before.release, 2, before.details)
    # As it ran before: with the variables of then, not with those of now.
    environments = [psutil.Process(pid).environ() for pid in world.instance_processes()]
    assert [variables["COLOUR"] for variables in environments] == ["green", "green"]


async def test_restore_needs_no_artifact_when_its_instances_still_run(world: World) -> None:
    target = world.target(start_timeout=1)
    await world.deploy(target, await world.release("v1.0"))
    before = await target.current()
    await world.deploy(target, await world.release("v1.1", healthy=False))
    shutil.rmtree(world.folder / "artifacts" / "v1.0")
    outcome = await world.outcome(target, await target.restore(to=before, operation=world.operation()))
    assert outcome.kind is OutcomeKind.SUCCEEDED


async def test_restore_to_nothing_stops_everything(world: World, http: aiohttp.ClientSession) -> None:
    target = world.target(start_timeout=1)
    assert await target.current() is None
    await world.deploy(target, await world.release("v1.1", healthy=False))
    await world.deploy(target, await world.release("v1.0"))
    address = (await world.status())["address"]
    outcome = await world.outcome(target, await target.restore(to=None, operation=world.operation()))
    assert outcome.kind is OutcomeKind.SUCCEEDED
    assert outcome.message == "Nothing of checkout runs in staging any more."
    assert await target.current() is None
    assert world.instance_processes() == set()
    async with http.get(address) as answer:
        assert answer.status == 503


async def test_instances_get_a_clean_environment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-secret")
    target = world.target(instances=1, variables={"COLOUR": "green"})
    await world.deploy(target, await world.release("v1.0"))
    (pid,) = world.instance_processes()
    variables = psutil.Process(pid).environ()
    assert variables.pop("PORT").isdigit()
    assert variables.pop("PATH") == os.environ["PATH"]
    variables.pop("LANG", None)
    assert variables == {"SERVICE": "checkout", "ENVIRONMENT": "staging", "VERSION": "v1.0", "COLOUR": "green"}
    assert "SLACK_BOT_TOKEN" not in psutil.Process(world.agent_pid()).environ()


async def test_the_same_release_with_other_options_is_planned_and_rolled_out(world: World) -> None:
    release = await world.release("v1.0")
    target = world.target(instances=1)
    await world.deploy(target, release)
    assert (await target.plan(release=release)).no_change
    larger = world.target(instances=2)
    plan = await larger.plan(release=release)
    assert (plan.no_change, plan.changes) == (False, ("Run 2 instances instead of 1.",))
    first = world.instance_processes()
    await world.deploy(larger, release)
    assert len(world.instance_processes()) == 2
    assert first < world.instance_processes()
