"""What a server asks for is given within limits: it is not stormed, nor is a rollout left unwatched for its sake."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest
from aiohttp import web
from integration.kubernetes.test_kube_hostile import answering
from kube.deployment_world import deploy, release, seen, world
from kube.server import KubeServer

from bot.domain.errors import ProviderRejected, ProviderUnavailable
from bot.domain.ids import OperationId
from bot.domain.rollout import OutcomeKind
from integrations._shared.kube.api import Kube
from integrations._shared.kube.names import path_to

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from bot.domain.errors import ProviderError

pytestmark = pytest.mark.timeout(60)
ONE = OperationId("one")


async def test_a_server_that_asks_for_an_hour_is_neither_stormed_nor_waited_for_in_silence() -> None:
    async with world() as here:
        target = here.target()
        here.server.faults.refuse(429, verb="patch", times=2, retry_after=3600)
        since = len(here.server.log)
        with pytest.raises(ProviderUnavailable) as failure:
            await target.apply(release=release("v1.1"), operation=ONE)
        assert failure.value.retry_after == 3600, "whoever called decides"
        assert here.calls(since).count("patch deployments") == 1
        here.server.faults.clear()
        handle = await target.apply(release=release("v1.1"), operation=ONE)
        assert (await seen(target, handle))[1].kind is OutcomeKind.SUCCEEDED


async def test_a_watch_is_not_put_to_sleep_for_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integrations._shared.kube.following._LONGEST_ASKED_FOR", 0.1)
    async with world() as here:
        target = here.target()
        handle = await target.apply(release=release("v1.1"), operation=ONE)
        here.server.faults.refuse(429, verb="list", path="deployments", times=2, retry_after=3600)
        assert (await seen(target, handle))[1].kind is OutcomeKind.SUCCEEDED


async def test_pages_that_are_too_old_to_be_turned_are_read_anew_and_each_thing_is_there_once() -> None:
    async with KubeServer.running() as server:
        names = [f"c{number:03}" for number in range(25)]
        for name in names:
            server.add("configmaps", "shop", {"metadata": {"name": name}})
        kube = Kube(server.access())
        path = path_to("v1", "configmaps", namespace="shop")
        server.faults.gone_continue = 2
        found, _ = await kube.list(path, limit=10)
        assert [one["metadata"]["name"] for one in found] == names
        server.faults.gone_continue = 99
        with pytest.raises(ProviderUnavailable, match="changes faster than it lists"):
            await kube.list(path, limit=10)
        await kube.close()


async def test_a_right_that_is_taken_away_on_the_way_is_told_at_once() -> None:
    named = {"apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["checkout"]}
    rules = [
        {**named, "verbs": ["get", "list", "watch", "patch"]},
        {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["pods", "events"], "verbs": ["list"]},
    ]
    async with world() as here:
        await here.controller.stop()
        here.server.allow("least", rules, namespace="shop")
        here.kube, whole = Kube(here.server.access(token="least")), here.kube
        target = here.target()
        handle = await target.apply(release=release("v1.1"), operation=ONE)
        telling = cast("AsyncGenerator[object]", target.observe(handle=handle))
        await anext(telling)
        del here.server.authoriser.given[:]
        here.server.faults.cut_watches()
        with pytest.raises(ProviderRejected, match=r"does not allow us to (list|watch|get) deployments"):
            async for _ in telling:
                pass
        await here.kube.close()
        here.kube = whole


@pytest.mark.long
async def test_watches_that_are_always_refused_are_not_asked_for_again_and_again() -> None:
    """Lists are answered, and do not make it begin anew: what is known stays right, at an ever slower pace."""
    async with world() as here:
        here.server.faults.refuse(503, verb="watch", times=10**6, retry_after=0)
        loop = asyncio.get_running_loop()
        troubles, fifth = 0, asyncio.Event()

        def trouble(error: ProviderError | None) -> None:
            nonlocal troubles
            troubles += error is not None
            if troubles == 5:
                fifth.set()

        path = path_to("apps/v1", "deployments", namespace="shop")
        states = here.kube.follow(path, field="metadata.name=checkout", trouble=trouble)
        await anext(states)
        began = loop.time()
        waiting = asyncio.create_task(anext(states, None))
        await fifth.wait()
        assert loop.time() - began >= 1.0, "0.1 + 0.2 + 0.4 + 0.8 s, less the jitter"
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await states.aclose()
        target = here.target()
        assert (await deploy(target, "v1.1", "one"))[1].kind is OutcomeKind.SUCCEEDED


@pytest.mark.long
async def test_who_cannot_look_does_not_say_that_nothing_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is away for longer than a rollout may stand still."""
    monkeypatch.setattr("integrations.kubernetes.observing._MARGIN", 4.0)
    async with world(progressDeadlineSeconds=1) as here:
        target = here.target()
        handle = await target.apply(release=release("v1.1"), operation=ONE)
        await here.controller.stop()

        def back() -> None:
            here.server.faults.up()
            here.controller.start()

        telling = cast("AsyncGenerator[object]", target.observe(handle=handle))
        await anext(telling)
        here.server.faults.down()
        asyncio.get_running_loop().call_later(7, back)
        told = [each async for each in telling]
        assert getattr(told[-1], "kind", None) is OutcomeKind.SUCCEEDED


async def test_a_cluster_is_not_asked_everything_at_once() -> None:
    inside, most = 0, 0

    async def api(_: web.Request) -> web.StreamResponse:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.02)  # as long as such a server takes
        inside -= 1
        return web.json_response({})

    async with answering(api) as kube:
        answers = await asyncio.gather(*(kube.get(f"/api/v1/namespaces/n{number}") for number in range(80)))
    assert answers == [{}] * 80
    assert 1 < most <= 16
