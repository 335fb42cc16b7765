"""A mark on a Rollout lets nothing go on: what was noted and never said was not begun, and is said later, once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from kube.argo_world import release, seen, weigh, world

from bot.domain.errors import ProviderUnavailable
from bot.domain.ids import OperationId
from bot.domain.rollout import OutcomeKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kube.argo_world import World

    from bot.domain.rollout import Handle
    from integrations.argo_rollouts.target import ArgoRolloutsTarget

pytestmark = pytest.mark.long

NEW = release("v1.1")
DONE = OutcomeKind.SUCCEEDED
ONE, TWO = OperationId("op-1"), OperationId("op-2")


async def half(target: ArgoRolloutsTarget) -> Handle:
    return await target.set_weight(release=NEW, percent=50, operation=TWO)


async def everything(target: ArgoRolloutsTarget) -> Handle:
    return await target.set_weight(release=NEW, percent=100, operation=TWO)


async def promote(target: ArgoRolloutsTarget) -> Handle:
    return await target.promote(release=NEW, operation=TWO)


async def dies_before_its_word(there: World, word: Callable[[ArgoRolloutsTarget], Awaitable[Handle]]) -> None:
    there.server.faults.refuse(500, verb="patch", path="/status", times=50)
    with pytest.raises(ProviderUnavailable):
        await word(there.target())
    there.server.faults.clear()


def words(there: World, since: int) -> int:
    """How many were given."""
    return sum(call.writes and call.code == 200 and call.path.endswith("/status") for call in there.server.log[since:])


@pytest.mark.parametrize(("word", "referred"), [(half, False), (half, True), (everything, False), (promote, False)])
async def test_it_was_not_begun_and_is_said_once(
    word: Callable[[ArgoRolloutsTarget], Awaitable[Handle]], referred: bool
) -> None:
    async with world(referred=referred) as there:
        assert (await weigh(there.target(), "v1.1", 25, ONE)).kind is DONE
        since = len(there.server.log)
        await dies_before_its_word(there, word)
        assert await there.target().find(operation=TWO) is None
        assert await there.target().find(operation=ONE) is not None, "what brought the template was begun"
        assert (there.traffic, words(there, since)) == (25, 0)
        handle = await word(there.target())
        assert (await seen(there.target(), handle))[1].kind is DONE
        found = await there.target().find(operation=TWO)
        assert found is not None, "from the moment of the word on"
        assert (await seen(there.target(), found))[1].kind is DONE
        await word(there.target())
        assert words(there, since) == 1
        assert there.traffic == 50 if word is half else there.status["stableRS"] == there.status["currentPodHash"]


async def test_a_word_whose_answer_was_lost_was_given() -> None:
    async with world() as there:
        await weigh(there.target(), "v1.1", 25, ONE)
        await there.controller.stop()
        handle = await half(there.target())
        there.controller.start()
        assert await there.target().find(operation=TWO) is not None
        assert (await seen(there.target(), handle))[1].kind is DONE


async def test_what_was_noted_and_taken_away_is_told_to_who_follows_it() -> None:
    async with world() as there:
        await weigh(there.target(), "v1.1", 25, ONE)
        await dies_before_its_word(there, half)
        there.set_image(release("v9").artifact.location)
        found = await there.target().find(operation=TWO)
        assert found is not None
        assert (await seen(there.target(), found))[1].kind is OutcomeKind.SUPERSEDED


async def test_a_template_that_was_brought_was_begun_although_its_word_is_missing() -> None:
    async with world() as there:
        target = there.target()
        there.server.faults.refuse(500, verb="patch", path="/status", times=50)
        with pytest.raises(ProviderUnavailable):
            await target.apply(release=NEW, operation=ONE)
        there.server.faults.clear()
        await there.until("Paused")
        assert await target.find(operation=ONE) is not None


async def test_a_word_waits_until_it_can_be_told_where_it_rests() -> None:
    """Somebody scales it in the very moment: until its controller has come round the status is about what was."""
    async with world() as there:
        target = there.target()
        await weigh(target, "v1.1", 25, ONE)
        await there.controller.stop()
        there.server.change("rollouts", "shop", "checkout", {"spec": {"replicas": 8}})
        since = len(there.server.log)
        waits = asyncio.create_task(half(target))
        async with asyncio.timeout(20):
            while not waits.done() and sum(call.verb == "get" for call in there.server.log[since:]) < 6:
                await asyncio.sleep(0.02)
        assert not waits.done()
        assert "op-2" in str(there.get()["metadata"]["annotations"])
        there.controller.start()
        assert (await seen(target, await waits))[1].kind is DONE
        assert there.traffic == 50


async def test_a_word_to_what_is_paused_by_hand_does_not_wait() -> None:
    async with world() as there:
        target = there.target()
        await weigh(target, "v1.1", 25, ONE)
        there.server.change("rollouts", "shop", "checkout", {"spec": {"paused": True}})
        async with asyncio.timeout(10):
            handle = await half(target)
        outcome = (await seen(target, handle))[1]
        assert outcome.kind is OutcomeKind.FAILED
        assert "is paused" in outcome.message
