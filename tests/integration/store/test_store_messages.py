"""Which messages there are, and who has something to tell."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from store_samples import NOON, store

from bot.ports.messages import PostedMessage
from bot.store.messages import StoredMessages

if TYPE_CHECKING:
    from bot.store.deployments import StoredDeployments
    from bot.store.engine import Database


@pytest.fixture
def messages(database: Database) -> StoredMessages:
    return StoredMessages(database)


async def test_a_deployment_is_stale_until_its_view_is_told(
    deployments: StoredDeployments, messages: StoredMessages
) -> None:
    first, second = await store(deployments), await store(deployments)
    assert await messages.stale(limit=10) == [first.id, second.id]
    assert await messages.stale(limit=1) == [first.id]
    await messages.told(first.id, first.view)
    assert await messages.stale(limit=10) == [second.id]
    await deployments.update(first.id, lambda now: now.touch())
    assert await messages.stale(limit=10) == [second.id, first.id]


async def test_who_changes_all_the_time_keeps_their_place(
    deployments: StoredDeployments, messages: StoredMessages
) -> None:
    busy, calm = await store(deployments), await store(deployments)
    for _ in range(5):
        await deployments.update(busy.id, lambda now: now.touch())
    assert await messages.stale(limit=10) == [busy.id, calm.id]
    await messages.told(busy.id, 3)  # some of it
    assert await messages.stale(limit=10) == [calm.id, busy.id]


async def test_an_older_view_is_not_told_after_a_newer_one(
    deployments: StoredDeployments, messages: StoredMessages
) -> None:
    made = await store(deployments)
    await deployments.update(made.id, lambda now: now.touch())
    await messages.told(made.id, 2)
    await messages.told(made.id, 1)
    assert await messages.stale(limit=10) == []


async def test_a_change_during_the_telling_is_not_lost(
    deployments: StoredDeployments, messages: StoredMessages
) -> None:
    made = await store(deployments)
    await asyncio.gather(
        *(deployments.update(made.id, lambda now: now.touch()) for _ in range(10)),
        *(messages.told(made.id, view) for view in range(1, 11)),
    )
    assert await messages.stale(limit=10) == [made.id]
    await messages.told(made.id, 11)
    assert await messages.stale(limit=10) == []


async def test_a_message_is_tried_then_posted_then_edited(
    deployments: StoredDeployments, messages: StoredMessages
) -> None:
    made = await store(deployments)
    await messages.trying(made.id, "root", channel="C1", at=NOON)
    tried = PostedMessage(deployment=made.id, key="root", channel="C1", ts=None, digest="", tried_at=NOON)
    assert await messages.of(made.id) == [tried]
    await messages.posted(made.id, "root", channel="C1", ts="1.5", digest="abc")
    [message] = await messages.of(made.id)
    assert (message.ts, message.digest, message.tried_at) == ("1.5", "abc", NOON)
    await messages.posted(made.id, "root", channel="C1", ts="1.5", digest="def")
    assert await messages.find("C1", "1.5") == (await messages.of(made.id))[0]
    assert (await messages.of(made.id))[0].digest == "def"
    assert await messages.find("C2", "1.5") is None
    await messages.forget(made.id, "root")
    assert await messages.of(made.id) == []
    assert await messages.find("C1", "1.5") is None


async def test_the_first_try_and_a_known_place_are_kept(
    deployments: StoredDeployments, messages: StoredMessages
) -> None:
    made = await store(deployments)
    await messages.trying(made.id, "root", channel="C1", at=NOON)
    await messages.trying(made.id, "root", channel="C2", at=NOON + timedelta(minutes=5))
    [message] = await messages.of(made.id)
    assert (message.channel, message.tried_at) == ("C2", NOON)
    await messages.posted(made.id, "root", channel="C2", ts="1.5", digest="abc")
    await messages.trying(made.id, "root", channel="C3", at=NOON)
    [message] = await messages.of(made.id)
    assert (message.channel, message.ts, message.digest) == ("C2", "1.5", "abc")


async def test_the_root_is_first(deployments: StoredDeployments, messages: StoredMessages) -> None:
    made = await store(deployments)
    await messages.trying(made.id, "approval", channel="C1", at=NOON)
    await messages.trying(made.id, "root", channel="C1", at=NOON + timedelta(seconds=1))
    await messages.posted(made.id, "outcome", channel="C1", ts="2.5", digest="abc")
    keys = [message.key for message in await messages.of(made.id)]
    assert keys[0] == "root"
    assert set(keys) == {"root", "approval", "outcome"}
