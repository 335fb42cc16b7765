"""The agent may end at any moment: what runs keeps running, and the next agent goes on where it was."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil
import pytest

from bot.domain.catalog import HealthCheck
from bot.domain.errors import ProviderError, ProviderRejected
from bot.domain.rollout import Handle, Outcome, OutcomeKind
from integrations.local.client import AgentClient

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import aiohttp
    from conftest import World


pytestmark = pytest.mark.long


async def eventually(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await true():
            await asyncio.sleep(0.02)


async def test_agent_killed_in_the_middle_of_a_rollout_goes_on(world: World) -> None:
    target = world.target(instances=3)
    await world.deploy(target, await world.release("v1.0"))
    handle = await target.apply(release=await world.release("v1.1", warm_up=400), operation=world.operation())
    killed, outcome = [], None
    async for event in target.observe(handle=handle):
        if isinstance(event, Outcome):
            outcome = event
        elif len(killed) == event.done and len(killed) < 3:
            killed.append(await world.end_agent())
    assert outcome is not None
    assert outcome.kind is OutcomeKind.SUCCEEDED
    assert len(set(killed)) == 3
    status = await world.status()
    assert [instance["version"] for instance in status["instances"]] == ["v1.1"] * 3
    assert world.instance_processes() == {instance["pid"] for instance in status["instances"]}
    assert len(await world.platform.journal("checkout", "staging")) == 2


async def test_a_new_agent_adopts_what_runs_and_keeps_the_address(world: World, http: aiohttp.ClientSession) -> None:
    target, release = world.target(), await world.release("v1.0")
    await world.deploy(target, release)
    before = await world.status()
    for number in (signal.SIGKILL, signal.SIGTERM):
        await world.end_agent(number)
        assert world.instance_processes() == {instance["pid"] for instance in before["instances"]}
        after = await world.status()
        assert after["instances"] == before["instances"]
        assert after["address"] == before["address"]
        async with http.get(after["address"]) as answer:
            assert answer.status == 200
    # And it can end what it did not start.
    assert (await world.deploy(target, await world.release("v1.1"))).kind is OutcomeKind.SUCCEEDED
    assert len(world.instance_processes()) == 2


async def test_what_the_journal_holds_is_carried_out_even_if_nothing_else_was_written(world: World) -> None:
    target, release = world.target(instances=1), await world.release("v1.0")
    await world.deploy(target, release)
    path = world.root / "places" / "checkout@staging" / "state.json"
    before = path.read_bytes()
    handle = await target.apply(release=release, operation=world.operation())
    assert (await world.outcome(target, handle)).kind is OutcomeKind.SUCCEEDED
    await world.end_agent()
    # As the folder is when the agent ends between accepting and anything else.
    path.write_bytes(before)
    assert (await world.outcome(target, handle)).kind is OutcomeKind.SUCCEEDED
    running = await target.current()
    assert running is not None
    assert running.operation == handle.operation


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_an_agent_that_is_killed_again_and_again_applies_everything_once(world: World, seed: int) -> None:
    """A dozen changes of every kind while the agent is killed about twice a second."""
    chance = random.Random(seed)
    target = world.target(instances=2, start_timeout=1.5)
    releases = [await world.release(f"v1.{number}", warm_up=chance.choice([0, 50, 150])) for number in range(3)]
    bad = await world.release("v1.9", healthy=False)
    over = asyncio.Event()

    async def harass() -> None:
        while not over.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(chance.uniform(0.02, 1.0)):
                    await over.wait()
            with suppress(OSError, ValueError):
                os.kill(world.agent_pid(), signal.SIGKILL)

    async def stubbornly(call: Callable[[], Awaitable[Handle | Outcome]]) -> Handle | Outcome:
        async with asyncio.timeout(60):
            while True:
                try:
                    return await call()
                except ProviderError as error:
                    if not error.retryable:
                        raise

    harasser = asyncio.create_task(harass())
    await stubbornly(lambda: world.deploy(target, releases[0]))
    begun = {entry["operation"] for entry in await world.platform.journal("checkout", "staging")}
    for _ in range(12):
        operation = world.operation()
        release, percent = chance.choice(releases), chance.choice([0, 10, 50, 100])
        calls = {
            "apply": lambda r=release, o=operation: target.apply(release=r, operation=o),
            "bad": lambda o=operation: target.apply(release=bad, operation=o),
            "weight": lambda r=release, p=percent, o=operation: target.set_weight(release=r, percent=p, operation=o),
        }
        kind = chance.choice(["apply", "apply", "weight", "bad"])
        try:
            handle = await stubbornly(calls[kind])
        except ProviderRejected:
            continue
        assert isinstance(handle, Handle)
        begun.add(operation)
        outcome = await stubbornly(lambda h=handle: world.outcome(target, h))
        assert isinstance(outcome, Outcome)
        assert outcome.kind is (OutcomeKind.FAILED if kind == "bad" else OutcomeKind.SUCCEEDED)
    over.set()
    await harasser
    applied = [entry["operation"] for entry in await world.platform.journal("checkout", "staging")]
    assert len(applied) == len(set(applied))
    assert begun <= set(applied)
    assert (await world.deploy(target, releases[0])).kind is OutcomeKind.SUCCEEDED
    status = await world.status()
    assert [instance["version"] for instance in status["instances"]] == ["v1.0", "v1.0"]
    assert world.instance_processes() == {instance["pid"] for instance in status["instances"]}


async def test_an_instance_whose_number_was_never_written_down_is_found(world: World) -> None:
    target = world.target(instances=1)
    await world.deploy(target, await world.release("v1.0"))
    pids = world.instance_processes()
    await world.end_agent()
    # As the file is when the agent ends right after it has started the process.
    path = world.root / "places" / "checkout@staging" / "state.json"
    state = json.loads(path.read_text())
    state["instances"][0].update(pid=None, identity=None, state="starting")
    state["operation"]["phase"] = "running"
    path.write_text(json.dumps(state))
    await eventually(lambda: settled(world))
    assert world.instance_processes() == pids


async def settled(world: World) -> bool:
    operation = (await world.status())["operation"]
    return operation is not None and operation["phase"] == "succeeded"


async def test_a_process_that_only_has_the_same_number_is_not_adopted(world: World) -> None:
    target = world.target(instances=1)
    await world.deploy(target, await world.release("v1.0"))
    (pid,) = world.instance_processes()
    await world.end_agent()
    psutil.Process(pid).kill()
    path = world.root / "places" / "checkout@staging" / "state.json"
    state = json.loads(path.read_text())
    # The test itself stands in for a stranger that got the number.
    state["instances"][0]["pid"] = os.getpid()
    path.write_text(json.dumps(state))
    await eventually(lambda: healthy(world, target))
    assert (await world.pids())["i1"] not in (pid, os.getpid())
    await world.outcome(target, await target.restore(to=None, operation=world.operation()))


async def healthy(world: World, target: object) -> bool:
    running = await world.target(instances=1).current()
    return running is not None and running.all_healthy


async def test_many_clients_start_one_agent(world: World) -> None:
    clients = [AgentClient(world.root) for _ in range(6)]
    agents = await asyncio.gather(*(client.ensure() for client in clients))
    assert len(set(agents)) == 1
    assert [process.pid for process in world.processes()] == [world.agent_pid()]


async def test_an_agent_of_another_version_hands_over(world: World) -> None:
    target = world.target(instances=1)
    await world.deploy(target, await world.release("v1.0"))
    old, instances = world.agent_pid(), world.instance_processes()
    path = world.root / "agent.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"protocol": 0}))
    running = await target.current()
    assert running is not None
    assert running.all_healthy
    assert world.agent_pid() != old
    assert world.instance_processes() == instances


async def test_watching_while_the_agent_stops_is_not_told_as_deleted(world: World) -> None:
    target = world.target(instances=1)
    handle = await target.apply(release=await world.release("v1.0", warm_up=500), operation=world.operation())
    watching = asyncio.create_task(world.story(target, handle))
    await world.platform.stop_all()
    # Who watches needs the agent, so it comes back and goes on with the rollout.
    _, outcome = await watching
    assert outcome.kind is OutcomeKind.SUCCEEDED


async def test_an_instance_that_ends_by_itself_is_started_again(world: World, http: aiohttp.ClientSession) -> None:
    target, release = world.target(instances=2), await world.release("v1.0")
    await world.deploy(target, release)
    status = await world.status()
    victim = status["instances"][0]
    assert victim["pid"] is not None
    psutil.Process(victim["pid"]).kill()
    for _ in range(20):
        async with http.get(status["address"]) as answer:
            assert answer.status == 200

    async def back() -> bool:
        running = await target.current()
        return running is not None and running.all_healthy

    await eventually(back)
    instances = {instance["id"]: instance for instance in (await world.status())["instances"]}
    assert instances[victim["id"]]["restarts"] == 1
    assert instances[victim["id"]]["pid"] != victim["pid"]
    assert (await target.health(release=release, check=HealthCheck())).ok


async def test_health_tells_which_instances_fail(world: World) -> None:
    target, release = world.target(instances=2), await world.release("v1.0")
    await world.deploy(target, release)
    status = await world.status()
    assert status["instances"][0]["pid"] is not None
    frozen = psutil.Process(status["instances"][0]["pid"])
    frozen.suspend()
    try:
        health = await target.health(release=release, check=HealthCheck(timeout=0.3))
        assert (health.healthy, health.instances) == (1, 2)
        assert health.message == "1 of 2 instances: GET /health did not answer within 0.3 s."
    finally:
        frozen.resume()
    elsewhere = await target.health(release=release, check=HealthCheck(path="/no-such-page"))
    assert elsewhere.message == "2 of 2 instances: GET /no-such-page answered 404."


async def test_everything_stops_and_comes_back(world: World, http: aiohttp.ClientSession) -> None:
    target = world.target()
    await world.deploy(target, await world.release("v1.0"))
    address = (await world.status())["address"]
    await world.platform.stop_all()
    assert world.processes() == []
    await eventually(lambda: healthy_as(world, 2))
    assert (await world.status())["address"] == address
    async with http.get(address) as answer:
        assert answer.status == 200


async def healthy_as(world: World, instances: int) -> bool:
    running = await world.target().current()
    return running is not None and running.healthy == instances


async def test_instances_are_found_and_stopped_without_a_running_agent(world: World) -> None:
    await world.deploy(world.target(), await world.release("v1.0"))
    await world.end_agent()
    assert len(world.instance_processes()) == 2
    await world.platform.stop_all()
    assert world.instance_processes() == set()


async def test_when_its_folder_is_removed_everything_ends(world: World) -> None:
    await world.deploy(world.target(), await world.release("v1.0"))
    processes = world.processes()
    assert len(processes) == 3
    shutil.rmtree(world.root)
    _, alive = await asyncio.to_thread(psutil.wait_procs, processes, timeout=15)
    assert alive == []


async def test_a_proxy_whose_port_was_taken_meanwhile_moves_and_says_so(world: World) -> None:
    target = world.target()
    await world.deploy(target, await world.release("v1.0"))
    port = int(str((await world.status())["address"]).rpartition(":")[2])
    await world.end_agent()
    with socket.create_server(("127.0.0.1", port)):
        status = await world.status()
        moved = int(str(status["address"]).rpartition(":")[2])
        assert moved != port
        assert status["notes"] == [f"Port {port} was taken by another program; the proxy moved to port {moved}."]
    running = await target.current()
    assert running is not None
    assert running.all_healthy


async def test_a_removed_place_is_told_as_deleted(world: World) -> None:
    target = world.target(instances=1)
    handle = await target.apply(release=await world.release("v1.0"), operation=world.operation())
    assert (await world.outcome(target, handle)).kind is OutcomeKind.SUCCEEDED
    await world.platform.stop_all()
    shutil.rmtree(world.root)
    assert (await world.outcome(target, handle)).kind is OutcomeKind.DELETED
