"""The record as another process watches it."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest
from store_samples import ADA, GRACE, NOON, deployment, moved, requested, store

from bot.domain.errors import DeploymentArchitectError, StoreError, UnknownDeployment
from bot.domain.history import Event, Touch
from bot.domain.lifecycle import Phase
from bot.store.engine import Database
from bot.store.feed import DatabaseFeed
from bot.store.leases import StoredLeases
from bot.store.migrations import migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bot.store.deployments import StoredDeployments


@pytest.fixture
async def feed(database_url: str, deployments: StoredDeployments) -> AsyncIterator[DatabaseFeed]:
    async with await Database.open(database_url, read_only=True) as opened:
        yield DatabaseFeed(opened)


async def test_touches_are_what_a_person_did_after_a_marker(feed: DatabaseFeed, deployments: StoredDeployments) -> None:
    assert await feed.marker() == 0
    before = await store(deployments)
    marker = await feed.marker()
    assert marker > 0
    assert await feed.touched(actor=ADA.id, since=marker) == []
    made = deployment(requester=ADA)
    await deployments.add(made, event=requested(made))
    await store(deployments, requester=GRACE)
    abort = Event(deployment=before.id, key="abort", kind="asked", actor=ADA, at=NOON)
    await deployments.update(before.id, lambda now: now.touch(), event=lambda _before, _after: abort)
    assert await feed.touched(actor=ADA.id, since=marker) == [Touch(made.id, True), Touch(before.id, False)]
    assert [touch.started for touch in await feed.touched(actor=GRACE.id, since=0)] == [True]


async def test_a_phase_is_reached_now_or_since_a_marker(feed: DatabaseFeed, deployments: StoredDeployments) -> None:
    made = await store(deployments, Phase.QUEUED)
    marker = await feed.marker()
    assert await feed.reached(made.id, "queued", since=marker)
    assert not await feed.reached(made.id, "deploying", since=marker)
    await deployments.update(made.id, lambda now: now.advance(Phase.DEPLOYING, actor=ADA, at=NOON), event=moved)
    await deployments.update(made.id, lambda now: now.advance(Phase.VERIFYING, actor=ADA, at=NOON), event=moved)
    assert await feed.phase(made.id) == "verifying"
    assert await feed.reached(made.id, "deploying", since=marker)
    assert not await feed.reached(made.id, "queued", since=marker)
    assert not await feed.reached("nowhere", "queued", since=0)
    with pytest.raises(UnknownDeployment):
        await feed.phase("nowhere")


async def test_a_feed_cannot_write(database_url: str, database: Database) -> None:
    from datetime import timedelta

    async with await Database.open(database_url, read_only=True) as opened:
        with pytest.raises(DeploymentArchitectError, match=r"cannot be written|only be read"):
            await StoredLeases(opened).hold("x", holder="y", at=NOON, ttl=timedelta(1))


async def test_another_process_sees_what_is_committed(database_url: str, deployments: StoredDeployments) -> None:
    made = await store(deployments, Phase.QUEUED)
    script = (
        "import asyncio, sys\n"
        "from bot.store.engine import Database\n"
        "from bot.store.feed import DatabaseFeed\n"
        "async def main():\n"
        "    async with await Database.open(sys.argv[1], read_only=True) as database:\n"
        "        print(await DatabaseFeed(database).phase(sys.argv[2]))\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", script, database_url, made.id, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, out.decode().strip()) == (0, "queued")


async def test_nothing_is_made_by_looking(tmp_path: Path) -> None:
    path = tmp_path / "a folder" / "later.db"
    with pytest.raises(StoreError, match="no database"):
        await Database.open(f"sqlite:///{path}", read_only=True)
    assert not path.parent.exists()
    async with await Database.open(f"sqlite:///{path}") as opened:
        await migrate(opened)
    # Nobody has it open any more, so the files of its log are gone.
    async with await Database.open(f"sqlite:///{path}", read_only=True) as opened:
        assert await DatabaseFeed(opened).marker() == 0
