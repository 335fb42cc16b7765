"""Starting without traffic, promoting, taking back and recreating, also while the agent dies in the middle of it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from bot.domain.errors import ProviderRejected
from bot.domain.ids import OperationId
from bot.domain.rollout import OutcomeKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import aiohttp
    from conftest import World

    from bot.domain.release import Release
    from bot.domain.rollout import Handle
    from integrations.local.target import LocalTarget


pytestmark = pytest.mark.long


async def ask(http: aiohttp.ClientSession, world: World, times: int) -> Counter[str]:
    address = str((await world.status())["address"])
    seen: Counter[str] = Counter()
    for _ in range(times):
        async with http.get(address) as answer:
            await answer.read()
            seen[answer.headers.get("X-Served-By", f"status {answer.status}")] += 1
    return seen


async def split(world: World, percent: int, *, instances: int = 1) -> tuple[LocalTarget, Release, Release]:
    """A target that runs v1.2 and sends that part of the traffic to v1.4."""
    target = world.target(instances=instances)
    stable, canary = await world.release("v1.2"), await world.release("v1.4")
    await world.deploy(target, stable)
    handle = await target.set_weight(release=canary, percent=percent, operation=world.operation())
    assert (await world.outcome(target, handle)).kind is OutcomeKind.SUCCEEDED
    return target, stable, canary


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await true():
            await asyncio.sleep(0.02)


async def versions(world: World) -> Counter[str]:
    alive = [one for one in (await world.status())["instances"] if one["state"] in ("ready", "unready", "starting")]
    return Counter(instance["version"] for instance in alive)


async def test_at_no_weight_all_of_it_is_started_and_gets_nothing(world: World, http: aiohttp.ClientSession) -> None:
    target, stable, canary = await split(world, 0, instances=2)
    assert await versions(world) == {"v1.2": 2, "v1.4": 2}
    assert await ask(http, world, 20) == {"v1.2": 20}
    assert (await target.weight(release=canary), await target.weight(release=stable)) == (0, 100)
    pids = await world.pids()
    handle = await target.set_weight(release=canary, percent=100, operation=world.operation())
    assert (await world.outcome(target, handle)).kind is OutcomeKind.SUCCEEDED
    assert await world.pids() == pids, "the switch starts and stops nothing"
    assert await ask(http, world, 20) == {"v1.4": 20}
    assert (await target.weight(release=canary), await target.weight(release=stable)) == (100, 0)


async def test_the_weight_is_what_was_decided_whatever_becomes_of_the_instances(
    world: World, http: aiohttp.ClientSession
) -> None:
    target, _, canary = await split(world, 20)
    await world.end_agent()
    assert await target.weight(release=canary) == 20, "by the next agent"
    [pid] = [one["pid"] for one in (await world.status())["instances"] if one["version"] == "v1.4"]
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await until(lambda: gone(world, pid))
    # It would be taken for taken back by somebody, if all that counted were who serves just now.
    assert await target.weight(release=canary) == 20
    assert await ask(http, world, 5) is not None


async def gone(world: World, pid: int) -> bool:
    return pid not in (await world.pids()).values()


async def test_the_weight_of_what_was_never_there_is_nothing(world: World) -> None:
    target, other = world.target(instances=1), await world.release("v1.3")
    assert await target.weight(release=other) == 0
    release = await world.release("v1.2")
    await world.deploy(target, release)
    assert (await target.weight(release=release), await target.weight(release=other)) == (100, 0)


async def test_the_weight_is_not_told_while_it_changes(world: World) -> None:
    target = world.target(instances=1)
    await world.deploy(target, await world.release("v1.2"))
    slow = await world.release("v1.4", warm_up=1500)
    handle = await target.set_weight(release=slow, percent=50, operation=world.operation())
    assert await target.weight(release=slow) is None
    assert (await world.outcome(target, handle)).kind is OutcomeKind.SUCCEEDED
    assert await target.weight(release=slow) == 50


async def test_a_promoted_canary_is_what_runs(world: World, http: aiohttp.ClientSession) -> None:
    target, _, canary = await split(world, 50, instances=2)
    [served] = [one["pid"] for one in (await world.status())["instances"] if one["version"] == "v1.4"]
    handle = await target.promote(release=canary, operation=OperationId("up"))
    assert await target.promote(release=canary, operation=OperationId("up")) == handle
    outcome = await world.outcome(target, handle)
    assert outcome.kind is OutcomeKind.SUCCEEDED
    assert outcome.message.startswith("2 instances serve v1.4 at http://")
    assert await versions(world) == {"v1.4": 2}
    assert served in (await world.pids()).values(), "what served goes on serving"
    assert await ask(http, world, 10) == {"v1.4": 10}
    running = await target.current()
    assert running is not None
    assert (running.release, running.operation) == (canary, "up")
    assert await target.weight(release=canary) == 100
    assert await target.promote(release=canary, operation=OperationId("up")) == handle, "also once it is over"


async def test_what_has_no_part_of_the_traffic_is_not_promoted(world: World) -> None:
    target, stable, _ = await split(world, 50)
    with pytest.raises(ProviderRejected, match=r"v1\.3 has no part of the traffic of checkout in staging"):
        await target.promote(release=await world.release("v1.3"), operation=world.operation())
    assert await versions(world) == {"v1.2": 1, "v1.4": 1}
    # What is stable already has all that there is to be had.
    handle = await target.promote(release=stable, operation=world.operation())
    assert (await world.outcome(target, handle)).kind is OutcomeKind.SUCCEEDED
    assert await versions(world) == {"v1.2": 1}


async def test_what_is_promoted_is_the_artifact_that_was_looked_at(world: World) -> None:
    target, _, canary = await split(world, 50, instances=2)
    (world.folder / "artifacts" / "v1.4" / "service.py").write_text("print('tampered with')")
    with pytest.raises(ProviderRejected, match=r"has changed since v1\.4 was chosen"):
        await target.promote(release=canary, operation=world.operation())


async def test_a_canary_is_taken_back_while_it_is_being_started(world: World, http: aiohttp.ClientSession) -> None:
    target = world.target(instances=1, start_timeout=10)
    stable = await world.release("v1.2")
    await world.deploy(target, stable)
    before, pids = await target.current(), await world.pids()
    slow = await world.release("v1.4", warm_up=8000)
    weight = await target.set_weight(release=slow, percent=20, operation=OperationId("w"))
    watching = asyncio.create_task(world.outcome(target, weight))
    await until(lambda: started(world))
    handle = await target.take_back(to=before, operation=OperationId("back"))
    outcome = await world.outcome(target, handle)
    assert outcome.kind is OutcomeKind.SUCCEEDED
    assert (await watching).kind is OutcomeKind.SUPERSEDED
    assert await world.pids() == pids
    assert await ask(http, world, 10) == {"v1.2": 10}
    assert await target.weight(release=slow) == 0
    # The change that was overtaken comes again, late: it was made once and stays overtaken.
    assert await target.set_weight(release=slow, percent=20, operation=OperationId("w")) == weight
    assert await target.weight(release=slow) == 0
    assert await world.pids() == pids


async def started(world: World) -> bool:
    return (await versions(world))["v1.4"] == 1


async def test_all_traffic_goes_back_before_the_canary_is_stopped(world: World, http: aiohttp.ClientSession) -> None:
    target, _, _ = await split(world, 100, instances=1)
    before = await target.current()
    address = str((await world.status())["address"])
    stop = asyncio.Event()
    seen: Counter[int] = Counter()

    async def people() -> None:
        while not stop.is_set():
            async with http.get(address) as answer:
                await answer.read()
                seen[answer.status] += 1

    using = asyncio.create_task(people())
    handle = await target.take_back(to=before, operation=OperationId("back"))
    weights = (await world.status())["weights"]
    assert weights.pop("v1.2") == 100
    assert set(weights.values()) <= {0}
    assert (await world.outcome(target, handle)).kind is OutcomeKind.SUCCEEDED
    stop.set()
    await using
    assert set(seen) == {200}, "nobody noticed"
    assert await versions(world) == {"v1.2": 1}


async def test_all_traffic_goes_back_as_soon_as_any_of_the_stable_release_is_there(
    world: World, http: aiohttp.ClientSession
) -> None:
    target = world.target(instances=2)
    await world.deploy(target, await world.release("v1.2", warm_up=2500))
    before, canary = await target.current(), await world.release("v1.4")
    await world.outcome(target, await target.set_weight(release=canary, percent=50, operation=world.operation()))
    pid = next(one["pid"] for one in (await world.status())["instances"] if one["version"] == "v1.2")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await until(lambda: gone(world, pid))
    handle = await target.take_back(to=before, operation=OperationId("back"))
    # One of two is there, the other one warms up; what is bad waits for nobody.
    assert await ask(http, world, 10) == {"v1.2": 10}
    operation = (await world.status())["operation"]
    assert operation is not None
    assert operation["phase"] == "running"
    assert (await world.outcome(target, handle)).kind is OutcomeKind.SUCCEEDED
    assert await versions(world) == {"v1.2": 2}


async def test_a_promotion_that_was_begun_can_still_be_taken_back(world: World, http: aiohttp.ClientSession) -> None:
    target = world.target(instances=2)
    await world.deploy(target, await world.release("v1.2"))
    before, canary = await target.current(), await world.release("v1.4", warm_up=1000)
    await world.outcome(target, await target.set_weight(release=canary, percent=50, operation=world.operation()))
    up = await target.promote(release=canary, operation=world.operation())
    handle = await target.take_back(to=before, operation=world.operation())
    assert (await world.outcome(target, up)).kind is OutcomeKind.SUPERSEDED
    assert (await world.outcome(target, handle)).kind is OutcomeKind.SUCCEEDED
    assert await versions(world) == {"v1.2": 2}
    assert await ask(http, world, 10) == {"v1.2": 10}
    running = await target.current()
    assert running is not None
    assert before is not None
    assert running.release == before.release


async def test_nothing_is_left_when_nothing_ran_before(world: World) -> None:
    target, _, _ = await split(world, 50)
    handle = await target.take_back(to=None, operation=world.operation())
    assert (await world.outcome(target, handle)).kind is OutcomeKind.SUCCEEDED
    assert await target.current() is None
    assert world.instance_processes() == set()


async def test_recreating_never_runs_two_releases_at_once(world: World, http: aiohttp.ClientSession) -> None:
    target = world.target(instances=2)
    await world.deploy(target, await world.release("v1.2"))
    next_one = await world.release("v1.4", warm_up=700)
    handle = await target.recreate(release=next_one, operation=OperationId("new"))
    seen: set[tuple[str, ...]] = set()
    watching = asyncio.create_task(world.outcome(target, handle))
    while not watching.done():
        alive = [one for one in (await world.status())["instances"] if one["pid"] is not None]
        seen.add(tuple(sorted({one["version"] for one in alive})))
    assert (await watching).kind is OutcomeKind.SUCCEEDED
    assert ("v1.2", "v1.4") not in seen
    assert ("v1.4",) in seen
    assert await ask(http, world, 4) == {"v1.4": 4}
    pids = await world.pids()
    assert await target.recreate(release=next_one, operation=OperationId("new")) == handle
    assert await world.pids() == pids
    # Another one stops what runs also when it is the same release.
    again = await target.recreate(release=next_one, operation=OperationId("newer"))
    assert (await world.outcome(target, again)).kind is OutcomeKind.SUCCEEDED
    assert not set((await world.pids()).values()) & set(pids.values())
    assert len(world.instance_processes()) == 2


async def test_a_release_that_was_recreated_and_fails_leaves_what_can_be_restored(world: World) -> None:
    target = world.target(instances=1, start_timeout=0.7)
    await world.deploy(target, await world.release("v1.2"))
    before = await target.current()
    bad = await world.release("v1.5-rc1", healthy=False)
    handle = await target.recreate(release=bad, operation=world.operation())
    assert (await world.outcome(target, handle)).kind is OutcomeKind.FAILED
    handle = await target.restore(to=before, operation=world.operation())
    assert (await world.outcome(target, handle)).kind is OutcomeKind.SUCCEEDED
    assert await versions(world) == {"v1.2": 1}


@pytest.mark.parametrize("power", ["set_weight", "promote", "take_back", "recreate"])
async def test_every_change_outlives_the_agent_that_took_it(
    world: World, http: aiohttp.ClientSession, power: str
) -> None:
    target = world.target(instances=2)
    await world.deploy(target, await world.release("v1.2"))
    before, canary = await target.current(), await world.release("v1.4", warm_up=600)
    await world.outcome(target, await target.set_weight(release=canary, percent=50, operation=world.operation()))

    async def change() -> Handle:
        match power:
            case "set_weight":
                return await target.set_weight(release=canary, percent=90, operation=OperationId("x"))
            case "promote":
                return await target.promote(release=canary, operation=OperationId("x"))
            case "take_back":
                return await target.take_back(to=before, operation=OperationId("x"))
        return await target.recreate(release=canary, operation=OperationId("x"))

    handle = await change()
    await world.end_agent()
    assert await change() == handle, "sent again to the next agent"
    assert (await world.outcome(target, handle)).kind is OutcomeKind.SUCCEEDED
    expected = {
        "set_weight": {"v1.2": 2, "v1.4": 2},
        "promote": {"v1.4": 2},
        "take_back": {"v1.2": 2},
        "recreate": {"v1.4": 2},
    }
    weights = {"set_weight": 90, "promote": 100, "take_back": 0, "recreate": 100}
    assert await versions(world) == expected[power]
    assert await target.weight(release=canary) == weights[power]
    assert len(world.instance_processes()) == sum(expected[power].values())
    operations = [entry["operation"] for entry in await world.platform.journal("checkout", "staging")]
    assert operations.count("x") == 1
    served = await ask(http, world, 10)
    assert served == {"set_weight": {"v1.2": 1, "v1.4": 9}, "take_back": {"v1.2": 10}}.get(power, {"v1.4": 10})


async def test_a_plain_change_ends_a_split(world: World, http: aiohttp.ClientSession) -> None:
    target, stable, canary = await split(world, 20)
    third = await world.release("v1.5")
    assert (await world.deploy(target, third)).kind is OutcomeKind.SUCCEEDED
    assert await versions(world) == {"v1.5": 1}
    assert [await target.weight(release=one) for one in (stable, canary, third)] == [0, 0, 100]
    with pytest.raises(ProviderRejected, match="has no part of the traffic"):
        await target.promote(release=canary, operation=world.operation())
    assert await ask(http, world, 5) == {"v1.5": 5}
