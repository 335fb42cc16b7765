"""Several bots on one PostgreSQL: one dies and another goes on; what is said to one holds for all, and counts once."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from typing import TYPE_CHECKING

import pytest
from world import World, catalog, until

from bot.domain.lifecycle import Phase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from bot.domain.deployment import Deployment
    from bot.sandbox.socket_mode import Connection

pytestmark = [pytest.mark.postgres, pytest.mark.long, pytest.mark.xdist_group("replicas")]


@pytest.fixture
async def world(tmp_path: Path, postgres_url: str) -> AsyncIterator[World]:
    text = catalog(
        environments={"staging": "{}", "production": "{ approval: { quorum: 2, expires: 12h } }"},
        actions="deploy, rollback, abort, approve, lock, unlock, configure",
        instances=1,
    )
    world = await World.open(tmp_path / "world", postgres_url, text=text)
    try:
        yield world
    finally:
        await world.close()


async def test_a_survivor_finishes_what_a_dead_replica_began(world: World) -> None:
    await world.platform.faults(before=0.3, after=0.3)
    plan = {"arm": "deploy", "at": "mutation apply:applied, not answered#1"}
    (world.folder / "crash.json").write_text(json.dumps(plan))
    first = await world.start(under_launcher=True, EXECUTOR_ID="one")
    await world.command("ada", "checkout v1.2 staging")
    async with asyncio.timeout(30):
        await first.ended()
    await world.start(EXECUTOR_ID="two")

    async def done() -> Deployment | None:
        found = await world.deployments()
        return found[0] if found and found[0].phase is Phase.SUCCEEDED else None

    deployment = await until(done, within=60, what="the deployment, finished by the survivor")
    assert await world.serves() == "v1.2"
    applied = [entry["operation"] for entry in await world.journal()]
    assert applied.count(f"{deployment.id}-apply-1") == 1

    async def told() -> bool:
        return [m.metadata["event_payload"]["phase"] for m in world.roots(deployment.id) if m.metadata] == ["succeeded"]

    await until(told, within=30, what="one root message that says so")


async def test_a_second_process_of_the_same_name_is_refused(world: World) -> None:
    await world.bot(EXECUTOR_ID="one").start()
    twin = world.bot(EXECUTOR_ID="one")
    twin.connected = lambda: False
    with pytest.raises(RuntimeError, match="Another replica is running under the name one"):
        await twin.start()


async def test_two_replicas_keep_one_queue_and_one_voice(world: World) -> None:
    await world.bot(EXECUTOR_ID="one").start()
    await world.bot(EXECUTOR_ID="two").start()
    for number in range(8):
        await world.command(("ada", "grace")[number % 2], f"checkout v1.{2 + 2 * (number % 2)} staging force")

    async def done() -> list[Deployment]:
        found = await world.deployments()
        return found if len(found) == 8 and all(d.phase is Phase.SUCCEEDED for d in found) else []

    deployments = await until(done, within=90, what="eight deployments")
    spans = sorted((d.reached(Phase.DEPLOYING).at, d.finished_at) for d in deployments)  # type: ignore[union-attr]
    for (_, end), (begin, _) in itertools.pairwise(spans):
        assert end <= begin, "two deployments held one lock"
    for deployment in deployments:

        async def told(of: Deployment = deployment) -> bool:
            roots = world.roots(of.id)
            assert len(roots) <= 1, "a message was posted twice"
            return [m.metadata["event_payload"]["phase"] for m in roots if m.metadata] == ["succeeded"]

        await until(told, within=60, what=f"#{deployment.number} told as succeeded")


async def _start(world: World, name: str, *, under_launcher: bool = False) -> list[Connection]:
    """Another replica, once the workspace hears it; its connections."""
    others = list(world.server.hub.connections)
    await world.bot(EXECUTOR_ID=name, under_launcher=under_launcher).start()

    async def there() -> list[Connection]:
        mine = [one for one in world.server.hub.connections if one not in others]
        return mine if len(mine) == 2 else []

    return await until(there, what=f"the two connections of {name}")


@contextlib.contextmanager
def _heard_by(world: World, *connections: Connection) -> Iterator[None]:
    """What is done within it is delivered over these in turn, and over no others."""
    turns = itertools.cycle(connections)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.server.hub, "_next", lambda: next(turns))
        yield


async def test_a_time_comes_once(world: World) -> None:
    await _start(world, "one")
    await _start(world, "two")
    for number in range(4):
        await world.command("ada", f'checkout v1.{2 + 2 * (number % 2)} staging force at="in 4s"')
    for number in range(1, 5):
        made = await world.ends(number, "succeeded")
        phases = [event.after for event in await world.events(made.id) if event.after is not None]
        assert phases == ["requested", "scheduled", "queued", "deploying", "verifying", "succeeded"]
    operations = [entry["operation"] for entry in await world.journal()][1:]
    assert sorted(operations) == sorted(f"{made.id}-apply-1" for made in await world.deployments())
    assert (await world.audit()).ok
    assert not world.told_twice()


async def test_an_approval_that_both_hear_counts_once(world: World) -> None:
    world.server.workspace.groups["S0DEPLOY"].users.append("U0LINUS")
    (one, *_), (two, *_) = await _start(world, "one"), await _start(world, "two")
    await world.command("ada", "checkout v1.2 production")
    made = await world.ends(1, "awaiting_approval")
    button = await world.button("grace", "Approve", about=made.id)
    world.server.faults.duplicate_deliveries(5)
    with _heard_by(world, one, two):
        await asyncio.gather(world.click("grace", button), world.click("grace", button))
        await world.server.delivery.idle()

    async def obeyed() -> bool:
        acts = await world.rows("SELECT finished_at FROM inbox")
        return len(acts) == 3 and all(act.finished_at for act in acts)

    await until(obeyed, what="an end of the command and of two clicks")
    assert len(await world.rows("SELECT person FROM ballots")) == 1
    assert (await world.deployments())[0].phase == "awaiting_approval", "it takes two people"
    with _heard_by(world, two):
        await world.press("linus", "Approve", about=made.id)
    await world.ends(1, "succeeded")
    assert len([entry for entry in await world.journal("checkout", "production") if entry["kind"] == "apply"]) == 2
    assert (await world.audit()).ok
    assert not world.told_twice()


async def test_a_lock_that_one_lifts_wakes_what_the_other_holds(world: World) -> None:
    one, two = await _start(world, "one"), await _start(world, "two")
    await world.command("grace", "lock checkout staging reason=test")
    with _heard_by(world, *two):
        await until(lambda: world.rows("SELECT 1 FROM locks"), what="a lock")
        await world.command("ada", "checkout v1.2 staging")
        await world.press("ada", "Queue behind it")
        await world.ends(1, "held")
    with _heard_by(world, *one):
        await world.command("grace", "unlock checkout staging")
        await until(lambda: world.rows("SELECT 1 FROM locks WHERE ended_at IS NOT NULL"), what="no lock")
    lifted = time.monotonic()

    async def goes_on() -> bool:
        return (await world.deployments())[0].phase != "held"

    await until(goes_on, within=3, what="a deployment that goes on within 3 s")
    print(f"it went on after {time.monotonic() - lifted:.2f} s")
    await world.ends(1, "succeeded")
    assert await world.serves() == "v1.2"


async def test_a_freeze_that_one_confirms_stops_a_change_that_the_other_was_about_to_make(world: World) -> None:
    plan = {"arm": "deploy", "at": "nowhere", "pause": True}
    (world.folder / "crash.json").write_text(json.dumps(plan))
    await _start(world, "one", under_launcher=True)
    await world.command("ada", "checkout v1.2 staging")

    async def about_to() -> bool:
        return (world.folder / "paused").exists()

    await until(about_to, what="a deployment that has the leave to change its target")
    two = await _start(world, "two")
    before = len(await world.journal())
    with _heard_by(world, *two):
        await world.command("grace", "freeze checkout staging reason=test")
        await until(lambda: world.rows("SELECT 1 FROM freezes"), what="a freeze")
        assert not world.whispers("grace"), "nothing is confirmed while a change may be on its way"
        (world.folder / "go").touch()
        confirmed = await world.whispered("grace", "Frozen")
    assert "Still changing" not in confirmed
    held = await world.ends(1, "held")
    assert len(await world.journal()) == before, "it was changed after the freeze was confirmed"

    with _heard_by(world, *two):
        await world.command("grace", "unfreeze checkout staging")
        await until(lambda: world.rows("SELECT 1 FROM freezes WHERE ended_at IS NOT NULL"), what="no freeze")
        await world.press("ada", "Start", about=held.id)
    await world.ends(1, "succeeded")
    assert [entry["operation"] for entry in await world.journal()][before:] == [f"{held.id}-apply-1"]
    assert (await world.audit()).ok
    assert not world.told_twice()
