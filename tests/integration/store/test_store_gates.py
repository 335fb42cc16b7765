"""Gates in the database: nobody's change is lost, the newest look wins, and what is damaged opens nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from store_samples import NOON

from bot.domain.errors import SomebodyWasFaster, StoreError
from bot.domain.gate import Gate, Goal, Sighting
from bot.store.gates import StoredGates

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store.engine import Database

WHOLE = Gate(
    key="shop/checkout@main",
    held=True,
    goal=Goal.BACK,
    operation="d1-restore-1",
    base="d1-weight20-1",
    digest="sha256:1",
    uid="u",
    percent=20,
    ceiling=40,
    promote=True,
    rollback=True,
    steps=(20, 40),
    before=("Failed", "1", "2"),
    to='["é"]',
    unskip=True,
    checksum="abc",
    granted=20,
    granted_at=NOON,
    past=(("d0-apply-1", "[1]"),),
)
SEEN = Sighting(at=NOON, phase="Progressing", weight=None, digest="sha256:1", going_on=True, begun=True)


async def test_what_is_written_is_read_again(database: Database) -> None:
    gates = StoredGates(database)
    assert await gates.get(WHOLE.key) == Gate(key=WHOLE.key)
    assert await gates.keys() == []
    stored = await gates.put(WHOLE)
    assert stored == replace(WHOLE, version=1)
    await gates.saw(WHOLE.key, SEEN)
    assert await gates.get(WHOLE.key) == replace(stored, seen=SEEN)
    assert await gates.keys() == [WHOLE.key]
    assert (await gates.put(stored)).seen == SEEN
    assert (await gates.put(await gates.get(WHOLE.key), blind=True)).seen is None


async def test_an_older_look_does_not_replace_a_newer_one(database: Database) -> None:
    gates = StoredGates(database)
    await gates.saw(WHOLE.key, SEEN)
    assert await gates.keys() == [], "a look makes no gate"
    await gates.put(WHOLE)
    newer = replace(SEEN, at=NOON + timedelta(seconds=1), weight=40)
    for look in (newer, SEEN, replace(newer, weight=20)):
        await gates.saw(WHOLE.key, look)
    assert (await gates.get(WHOLE.key)).seen == newer


async def test_of_several_who_change_it_one_wins(database: Database) -> None:
    gates = StoredGates(database)

    async def put(gate: Gate) -> int:
        try:
            return (await gates.put(gate)).version
        except SomebodyWasFaster:
            return 0

    first = await asyncio.gather(*(put(replace(WHOLE, percent=number)) for number in range(5)))
    assert sorted(first) == [0, 0, 0, 0, 1]
    now = await gates.get(WHOLE.key)
    second = await asyncio.gather(*(put(replace(now, percent=number + 10)) for number in range(5)))
    assert sorted(second) == [0, 0, 0, 0, 2]


async def test_what_is_damaged_opens_nothing(database: Database) -> None:
    gates = StoredGates(database)
    await gates.put(WHOLE)

    async def spoil(connection: AsyncConnection) -> None:
        await connection.execute(text("UPDATE gates SET body = '{'"))

    await database.write(spoil)
    with pytest.raises(StoreError, match="damaged"):
        await gates.get(WHOLE.key)
