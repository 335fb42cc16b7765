"""Acts that are taken up once, leases that one holds, catalog texts that stay."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from store_samples import NOON

from bot.store.inbox import StoredInbox
from bot.store.leases import StoredLeases
from bot.store.revisions import StoredCatalogRevisions

if TYPE_CHECKING:
    from bot.store.engine import Database

MINUTE = timedelta(minutes=1)


@pytest.fixture
def inbox(database: Database) -> StoredInbox:
    return StoredInbox(database)


@pytest.fixture
def leases(database: Database) -> StoredLeases:
    return StoredLeases(database)


class TestInbox:
    async def begin(self, inbox: StoredInbox, key: str, owner: str = "a", minute: float = 0) -> bool:
        return await inbox.begin(key, owner=owner, at=NOON + minute * MINUTE, abandoned_after=MINUTE)

    async def test_of_many_deliveries_one_is_taken_up(self, inbox: StoredInbox) -> None:
        begun = await asyncio.gather(*(self.begin(inbox, "click-1", owner=f"replica-{n % 4}") for n in range(40)))
        assert sum(begun) == 1
        assert await self.begin(inbox, "click-2")

    async def test_a_finished_act_is_over_for_ever(self, inbox: StoredInbox) -> None:
        assert await self.begin(inbox, "click")
        await inbox.finish("click", at=NOON)
        assert not await self.begin(inbox, "click", owner="b", minute=10_000)

    async def test_an_abandoned_act_is_given_to_one_other(self, inbox: StoredInbox) -> None:
        assert await self.begin(inbox, "click", owner="a")
        assert not await self.begin(inbox, "click", owner="b", minute=0.9)
        assert not await self.begin(inbox, "click", owner="a", minute=5)  # it is still at it
        begun = await asyncio.gather(*(self.begin(inbox, "click", owner=f"b{n}", minute=5) for n in range(20)))
        assert sum(begun) == 1
        assert not await self.begin(inbox, "click", owner="c", minute=5.5)

    async def test_old_acts_are_forgotten(self, inbox: StoredInbox) -> None:
        for minute in range(5):
            await self.begin(inbox, f"click-{minute}", minute=minute)
        assert await inbox.prune(before=NOON + 3 * MINUTE) == 3
        assert await inbox.prune(before=NOON + 3 * MINUTE) == 0
        assert await self.begin(inbox, "click-0")
        assert not await self.begin(inbox, "click-3")


class TestLeases:
    async def hold(self, leases: StoredLeases, holder: str, minute: float = 0, name: str = "leader") -> bool:
        return await leases.hold(name, holder=holder, at=NOON + minute * MINUTE, ttl=MINUTE)

    async def test_of_many_one_holds_it(self, leases: StoredLeases) -> None:
        held = await asyncio.gather(*(self.hold(leases, f"replica-{n}") for n in range(30)))
        assert sum(held) == 1

    async def test_a_lease_is_renewed_and_runs_out(self, leases: StoredLeases) -> None:
        assert await self.hold(leases, "a")
        assert await self.hold(leases, "a", 0.5)
        assert not await self.hold(leases, "b", 1.4)
        held = await asyncio.gather(*(self.hold(leases, f"b{n}", 1.5) for n in range(20)))
        assert sum(held) == 1
        assert not await self.hold(leases, "a", 1.6)

    async def test_a_lease_can_be_given_back_by_its_holder_only(self, leases: StoredLeases) -> None:
        await self.hold(leases, "a")
        await leases.release("leader", holder="b")
        assert not await self.hold(leases, "b")
        await leases.release("leader", holder="a")
        assert await self.hold(leases, "b")

    async def test_expired_leases_are_listed_until_dropped(self, leases: StoredLeases) -> None:
        for minute, name in enumerate(("executor/b", "executor/a", "Executor/x", "other", "executor/late")):
            await self.hold(leases, "h", minute, name)
        await leases.release("other", holder="h")
        at = NOON + 4.5 * MINUTE
        assert await leases.expired("executor/", at=at) == ["executor/b", "executor/a"]
        await leases.drop("executor/b")
        assert await leases.expired("executor/", at=at) == ["executor/a"]
        assert await leases.expired("%", at=at) == []

    async def test_held_leases_are_those_that_are_neither_over_nor_given_back(self, leases: StoredLeases) -> None:
        for minute, name in enumerate(("write:over", "write:ends", "Write:x", "other", "write:back", "write:b")):
            await self.hold(leases, f"h-{name}", minute, name)
        await leases.release("write:back", holder="somebody else")
        assert await leases.held("write:", at=NOON + 1.9 * MINUTE) == ["write:b", "write:back", "write:ends"]
        await leases.release("write:back", holder="h-write:back")
        assert await leases.held("write:", at=NOON + 2 * MINUTE) == ["write:b"], "at its end a lease is over"
        assert await leases.held("%", at=NOON) == []
        assert not await leases.held("write:", at=NOON + 9 * MINUTE)


async def test_a_catalog_text_stays_as_it_was_first_saved(database: Database) -> None:
    revisions = StoredCatalogRevisions(database)
    assert await revisions.text("r1") is None
    await asyncio.gather(*(revisions.save("r1", name="config.yaml", text="version: 1\n# ✓ ü\n") for _ in range(5)))
    await revisions.save("r1", name="other.yaml", text="changed")
    assert await revisions.text("r1") == ("config.yaml", "version: 1\n# ✓ ü\n")
