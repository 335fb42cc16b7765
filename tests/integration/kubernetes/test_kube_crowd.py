"""200 rollouts watched at once: what they cost is asked for once, however much happens afterwards."""

from __future__ import annotations

import asyncio
import gc
import json
import tracemalloc
from collections import Counter
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from aiohttp import web
from integration.kubernetes.test_kube_hostile import answering
from integration.kubernetes.test_kube_spoiled import DEPLOYMENT
from kube.deployment_world import CHECKOUT, STAGING

from bot.domain.ids import OperationId
from bot.domain.rollout import Handle, Outcome, OutcomeKind
from integrations.kubernetes.options import KubernetesOptions
from integrations.kubernetes.target import KubernetesTarget

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from integrations._shared.kube.api import Kube

pytestmark = [pytest.mark.long, pytest.mark.timeout(120)]
MANY = 200


class Crowd:
    """A cluster with many Deployments that change all at once, round by round."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.round = 0
        self.news = asyncio.Condition()
        self.seen: Counter[int] = Counter()

    def one(self, name: str) -> dict[str, Any]:
        meta = {**DEPLOYMENT["metadata"], "name": name, "resourceVersion": str(10 + self.round)}
        # Of 900 pods one more is there each round: a step forward that is told.
        spec = {**DEPLOYMENT["spec"], "replicas": 900}
        status = {**DEPLOYMENT["status"], "replicas": 900, "updatedReplicas": self.round, "availableReplicas": 900}
        return {"metadata": meta, "spec": spec, "status": {**status, "conditions": [], "note": "x" * 2000}}

    async def serve(self, request: web.Request) -> web.StreamResponse:
        name = request.query.get("fieldSelector", "").removeprefix("metadata.name=")
        self.calls["watch" if "watch" in request.query else request.path.rpartition("/")[2]] += 1
        if "watch" not in request.query:
            return web.json_response({"items": [self.one(name)], "metadata": {"resourceVersion": str(10 + self.round)}})
        answer = web.StreamResponse()
        await answer.prepare(request)
        told = int(request.query["resourceVersion"]) - 10
        while True:
            async with self.news:
                while self.round == told:
                    await self.news.wait()
            told = self.round
            event = {"type": "MODIFIED", "object": self.one(name)}
            await answer.write(json.dumps(event).encode() + b"\n")

    async def all_see(self, number: int) -> None:
        """Begin the round ``number``, and wait until everybody was told of it."""
        async with self.news:
            self.round = number
            self.news.notify_all()
        while self.seen[number] < MANY:
            await asyncio.sleep(0.01)

    async def watch(self, kube: Kube, number: int) -> list[Any]:
        options = {"cluster": "main", "namespace": "shop", "workload": f"s{number}", "container": "web"}
        target = KubernetesTarget(
            options=KubernetesOptions.model_validate(options), service=CHECKOUT, environment=STAGING, kube=kube
        )
        target.watching = replace(target.watching, look_after=600.0)  # a slow machine is no reason to look at pods
        last: Any = None
        handle = Handle(operation=OperationId("one"), generation="u1:4")
        async with aclosing(cast("AsyncGenerator[Any]", target.observe(handle=handle))) as seen:
            async for last in seen:
                if not isinstance(last, Outcome):
                    self.seen[last.done] += 1
        return [last]


async def test_calls_and_memory_stay_flat_while_many_are_watched() -> None:
    crowd = Crowd()
    async with answering(crowd.serve) as kube:
        watching = [asyncio.create_task(crowd.watch(kube, number)) for number in range(MANY)]
        try:
            await crowd.all_see(1)
            await crowd.all_see(2)
            calls = crowd.calls.copy()
            tracemalloc.start()
            await crowd.all_see(3)
            gc.collect()
            before, _ = tracemalloc.get_traced_memory()
            for number in range(4, 14):
                await crowd.all_see(number)
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert crowd.calls == calls == {"deployments": MANY, "watch": MANY}
            assert after - before < 1024 * 1024, "ten rounds of 200 events are 5 MiB"
            async with crowd.news:
                crowd.round = 900
                crowd.news.notify_all()
            ends = [last for [last] in await asyncio.gather(*watching)]
            assert {end.kind for end in ends} == {OutcomeKind.SUCCEEDED}
        finally:
            for each in watching:
                each.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
