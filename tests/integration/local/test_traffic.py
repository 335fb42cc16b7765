"""Splitting traffic between two releases, and what the proxy counts."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from bot.domain.errors import ProviderRejected
from bot.domain.rollout import OutcomeKind
from bot.sandbox.samples.traffic import drive

if TYPE_CHECKING:
    import aiohttp
    from conftest import World


pytestmark = pytest.mark.long


async def ask(http: aiohttp.ClientSession, address: str, times: int) -> Counter[str]:
    seen: Counter[str] = Counter()
    gate = asyncio.Semaphore(8)

    async def once() -> None:
        async with gate, http.get(address) as answer:
            await answer.read()
            seen[answer.headers["X-Served-By"]] += 1

    await asyncio.gather(*(once() for _ in range(times)))
    return seen


async def test_weights_are_kept_and_counted_by_version(world: World, http: aiohttp.ClientSession) -> None:
    target = world.target(instances=2)
    stable, canary = await world.release("v1.2"), await world.release("v1.3", error_rate=0.08)
    await world.deploy(target, stable)
    address = (await world.status())["address"]
    for percent in (10, 25, 50, 90):
        handle = await target.set_weight(release=canary, percent=percent, operation=world.operation())
        outcome = await world.outcome(target, handle)
        assert outcome.kind is OutcomeKind.SUCCEEDED
        assert outcome.message == f"v1.2 gets {100 - percent} % and v1.3 gets {percent} % of the traffic."
        seen = await ask(http, address, 200)
        assert seen["v1.3"] == pytest.approx(2 * percent, abs=2)
    stats = await world.platform.stats("checkout", "staging")
    assert stats["v1.3"]["requests"] == pytest.approx(350, abs=8)
    assert stats["v1.3"]["errors"] == pytest.approx(0.08 * 350, abs=4)
    assert (stats["v1.2"]["errors"], stats["v1.2"]["in_flight"]) == (0, 0)
    p50, p99 = stats["v1.2"]["p50_ms"], stats["v1.2"]["p99_ms"]
    assert p50 is not None
    assert p99 is not None
    assert 0 < p50 <= p99
    # What runs, as far as a rollback is concerned, is still the stable one.
    running = await target.current()
    assert running is not None
    assert running.release == stable


async def test_a_canary_is_promoted_without_sending_traffic_back(world: World, http: aiohttp.ClientSession) -> None:
    target = world.target(instances=2)
    stable, canary = await world.release("v1.2"), await world.release("v1.4", warm_up=1500)
    await world.deploy(target, stable)
    address = str((await world.status())["address"])
    handle = await target.set_weight(release=canary, percent=50, operation=world.operation())
    assert (await world.outcome(target, handle)).kind is OutcomeKind.SUCCEEDED
    handle = await target.apply(release=canary, operation=world.operation())
    # One instance of it beside two of the stable one, while a second one warms up: by number it would get a third.
    seen = await ask(http, address, 60)
    assert len(world.instance_processes()) == 4
    assert seen == {"v1.2": 30, "v1.4": 30}
    assert (await world.outcome(target, handle)).kind is OutcomeKind.SUCCEEDED
    assert await ask(http, address, 20) == {"v1.4": 20}
    assert len(world.instance_processes()) == 2
    running = await target.current()
    assert running is not None
    assert running.release == canary


async def test_all_traffic_can_go_to_a_canary_and_back(world: World, http: aiohttp.ClientSession) -> None:
    target = world.target(instances=2)
    await world.deploy(target, await world.release("v1.2"))
    address, canary = str((await world.status())["address"]), await world.release("v1.4")
    for percent, version in ((100, "v1.4"), (0, "v1.2")):
        handle = await target.set_weight(release=canary, percent=percent, operation=world.operation())
        assert (await world.outcome(target, handle)).kind is OutcomeKind.SUCCEEDED
        assert await ask(http, address, 20) == {version: 20}
        assert len(world.instance_processes()) == 4, "both are kept, ready to be switched to"


async def test_a_canary_is_taken_back(world: World, http: aiohttp.ClientSession) -> None:
    target = world.target(instances=2)
    stable, canary = await world.release("v1.2"), await world.release("v1.3")
    await world.deploy(target, stable)
    before, running = await world.pids(), await target.current()
    await world.outcome(target, await target.set_weight(release=canary, percent=30, operation=world.operation()))
    assert len(world.instance_processes()) == 3
    outcome = await world.outcome(target, await target.restore(to=running, operation=world.operation()))
    assert outcome.kind is OutcomeKind.SUCCEEDED
    assert await world.pids() == before
    assert await ask(http, (await world.status())["address"], 20) == {"v1.2": 20}


async def test_an_unhealthy_canary_gets_no_traffic_at_all(world: World, http: aiohttp.ClientSession) -> None:
    target = world.target(instances=1, start_timeout=0.7)
    await world.deploy(target, await world.release("v1.2"))
    bad = await world.release("v1.5-rc1", healthy=False)
    handle = await target.set_weight(release=bad, percent=50, operation=world.operation())
    outcome = await world.outcome(target, handle)
    assert outcome.kind is OutcomeKind.FAILED
    assert await ask(http, (await world.status())["address"], 20) == {"v1.2": 20}


async def test_when_the_canary_dies_the_stable_release_takes_its_part(
    world: World, http: aiohttp.ClientSession
) -> None:
    target = world.target(instances=1)
    await world.deploy(target, await world.release("v1.2"))
    canary = await world.release("v1.4")
    await world.outcome(target, await target.set_weight(release=canary, percent=50, operation=world.operation()))
    status = await world.status()
    assert status["weights"] == {"v1.2": 50.0, "v1.4": 50.0}
    pid = next(instance["pid"] for instance in status["instances"] if instance["version"] == "v1.4")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    seen = await ask(http, status["address"], 30)
    assert sum(seen.values()) == 30
    assert seen["v1.2"] >= 15


async def test_splitting_needs_something_stable_and_something_else(world: World) -> None:
    target, release = world.target(instances=1), await world.release("v1.2")
    with pytest.raises(ProviderRejected, match="there is no traffic to share; deploy first"):
        await target.set_weight(release=release, percent=10, operation=world.operation())
    await world.deploy(target, release)
    with pytest.raises(ProviderRejected, match="is what staging runs already"):
        await target.set_weight(release=release, percent=10, operation=world.operation())


async def test_the_weight_survives_the_agent(world: World, http: aiohttp.ClientSession) -> None:
    target = world.target(instances=1)
    await world.deploy(target, await world.release("v1.2"))
    canary = await world.release("v1.4")
    await world.outcome(target, await target.set_weight(release=canary, percent=20, operation=world.operation()))
    await world.end_agent()
    assert await ask(http, (await world.status())["address"], 50) == {"v1.2": 40, "v1.4": 10}


async def test_people_use_every_service(world: World) -> None:
    addresses = {}
    for environment in ("staging", "production"):
        target = world.target(environment, instances=1)
        await world.deploy(target, await world.release("v1.2"))
        addresses[environment] = (await world.status(environment))["address"]
    addresses["gone"] = "http://127.0.0.1:1"
    stop = asyncio.Event()
    people = asyncio.create_task(drive(addresses, rate=50, stop=stop))

    async def requests(environment: str) -> int:
        stats = await world.platform.stats("checkout", environment)
        return stats["v1.2"]["requests"] if "v1.2" in stats else 0

    async with asyncio.timeout(20):
        while min(await requests("staging"), await requests("production")) < 20:
            await asyncio.sleep(0.02)
        stop.set()
        await people


async def test_more_people_come_where_another_version_answers() -> None:
    """Twice a second they would need half a minute for what they now do in seconds."""
    asked: Counter[str] = Counter()
    serves = {"quiet": "v1", "changing": "v1"}

    async def page(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        asked[name] += 1
        return web.Response(headers={"X-Served-By": serves[name]})

    app = web.Application()
    app.router.add_get("/{name}", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    stop = asyncio.Event()
    people = asyncio.create_task(drive({name: f"{base}/{name}" for name in serves}, rate=2, stop=stop))
    try:
        async with asyncio.timeout(15):
            while min(asked["quiet"], asked["changing"]) < 2:
                await asyncio.sleep(0.02)
            assert asked["changing"] <= asked["quiet"] + 1
            serves["changing"], before = "v2", asked["quiet"]
            while asked["changing"] < 60:
                await asyncio.sleep(0.02)
        assert asked["quiet"] - before <= 20, "nobody has to look there"
    finally:
        stop.set()
        await people
        await runner.cleanup()
