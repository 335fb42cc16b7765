"""Notices: each kept once until it was told, and told once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from store_samples import ADA, NOON, actors, anything, instants, plain
from store_wire import CutWire

from bot.domain.errors import StoreError
from bot.domain.ids import DeploymentId
from bot.domain.notice import Notice, NoticeKind
from bot.store.engine import Database
from bot.store.migrations import migrate
from bot.store.notices import StoredNotices

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

MINUTE = timedelta(minutes=1)


@pytest.fixture
def notices(database: Database) -> StoredNotices:
    return StoredNotices(database)


def notice(key: str = "n1", **changes: Any) -> Notice:
    made = Notice(
        key=key, to="user:U0ADA", kind=NoticeKind.LOCK_NAG, at=NOON, by=ADA, sentence="Is your lock still needed?"
    )
    return replace(made, **changes)


async def test_one_is_kept_once_until_it_was_told(notices: StoredNotices) -> None:
    await asyncio.gather(*(notices.add(notice(sentence=f"{n}")) for n in range(10)))
    [kept] = await notices.untold()
    await notices.add(notice(sentence="something else"))
    assert await notices.untold() == [kept], "the first word stands"
    await notices.told("n1", channel="D1", ts="1.2")
    assert await notices.untold() == []
    await notices.add(notice())
    assert await notices.untold() == [], "what was told stays told"


async def test_the_oldest_comes_first_and_not_more_than_asked_for(notices: StoredNotices) -> None:
    for minute in (3, 1, 2, 5, 4):
        await notices.add(notice(f"n{minute}", at=NOON + minute * MINUTE))
    await notices.told("n2", channel="", ts="")  # it never can be told
    assert [one.key for one in await notices.untold(limit=3)] == ["n1", "n3", "n4"]


async def test_of_many_who_try_one_is_the_first(database_url: str, notices: StoredNotices) -> None:
    await notices.add(notice())
    async with await Database.open(database_url) as other:
        both = [notices, StoredNotices(other)]
        found = await asyncio.gather(*(both[n % 2].trying("n1", at=NOON + n * MINUTE) for n in range(10)))
        assert found.count(None) == 1
        [first] = set(found) - {None}
        assert first == NOON + found.index(None) * MINUTE
        assert await notices.trying("n1", at=NOON + 99 * MINUTE) == first
        await asyncio.gather(*(both[n % 2].told("n1", channel="D1", ts=f"{n}") for n in range(4)))
    assert await notices.untold() == []


async def test_one_that_is_not_there_is_not_tried(notices: StoredNotices) -> None:
    with pytest.raises(StoreError, match="no notice n9"):
        await notices.trying("n9", at=NOON)
    await notices.told("n9", channel="D1", ts="1")
    assert await notices.untold() == []


async def test_what_only_a_newer_build_knows_is_left_to_it(database: Database, notices: StoredNotices) -> None:
    await notices.add(notice("n1"))
    await notices.add(notice("n2"))

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(text("UPDATE notices SET kind = 'levitating' WHERE key = 'n1'"))

    await database.write(work)
    assert [one.key for one in await notices.untold(limit=1)] == ["n2"]


@pytest.mark.postgres
@pytest.mark.parametrize("arrives", [True, False], ids=["written", "lost"])
async def test_a_connection_that_breaks_in_a_commit_loses_and_doubles_nothing(postgres_url: str, arrives: bool) -> None:
    async with CutWire(postgres_url) as wire, await Database.open(wire.url) as database:
        await migrate(database)
        notices = StoredNotices(database)
        wire.cut_next_commit(arrives=arrives)
        await notices.add(notice())
        wire.cut_next_commit(arrives=arrives)
        # Nobody can tell any more whether it was this try, so whoever posts looks for the message first.
        assert await notices.trying("n1", at=NOON) == (NOON if arrives else None)
        assert [one.key for one in await notices.untold()] == ["n1"]
        wire.cut_next_commit(arrives=arrives)
        await notices.told("n1", channel="D1", ts="1.2")
        assert (await notices.untold(), wire.cuts) == ([], 3)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    made=st.builds(
        Notice,
        key=st.just(""),
        to=plain,
        kind=st.sampled_from(NoticeKind),
        at=instants,
        by=actors,
        sentence=anything,
        deployment=st.none() | plain.map(DeploymentId),
        facts=st.dictionaries(anything, anything, max_size=3),
    )
)
async def test_it_comes_back_as_it_was(notices: StoredNotices, made: Notice) -> None:
    made = replace(made, key=str(uuid4()))  # the same example may come again
    await notices.add(made)
    assert await notices.untold() == [made]
    await notices.told(made.key, channel="D1", ts="1.2")
