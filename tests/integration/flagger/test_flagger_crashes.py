"""The bot dies at every call that it makes, before and after it, to the cluster and to its database, and goes on."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
from kube.flagger_world import CHECKOUT, OPTIONS, V1, V2, world

from bot.domain.ids import OperationId
from bot.domain.rollout import Outcome, OutcomeKind
from bot.store.gates import StoredGates
from integrations._shared.kube.api import Kube
from integrations.flagger.target import FlaggerTarget

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from kube.flagger_world import World

    from bot.domain.rollout import Handle

pytestmark = pytest.mark.long


class DiedError(Exception):
    """The process is gone."""


class Life:
    """So many calls may still be made."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    async def through(self, call: Callable[..., Awaitable[Any]], *given: Any, **more: Any) -> Any:
        self._point()
        found = await call(*given, **more)
        self._point()
        return found

    def _point(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise DiedError


class MortalKube(Kube):
    """A client whose process may die around any call."""

    life: Life

    async def get(self, path: str) -> Any:
        return await self.life.through(super().get, path)

    async def patch(self, path: str, body: Any, **more: Any) -> Any:
        return await self.life.through(super().patch, path, body, **more)


class MortalGates(StoredGates):
    """A store whose process may."""

    life: Life

    async def get(self, key: str) -> Any:
        return await self.life.through(super().get, key)

    async def put(self, gate: Any, **more: Any) -> Any:
        return await self.life.through(super().put, gate, **more)

    async def saw(self, key: str, sighting: Any) -> None:
        await self.life.through(super().saw, key, sighting)


class Lives:
    """One process after the other; each does what the one before left undone."""

    def __init__(self, one: World) -> None:
        self.one = one
        self.deaths = 0

    async def does(self, step: Callable[[FlaggerTarget], Awaitable[Any]]) -> Any:
        """The step, begun anew by the next process whenever one dies a call later than the one before it."""
        for calls in range(400):
            life = Life(calls)
            kube, gates = MortalKube(self.one.server.access()), MortalGates(self.one.database)
            kube.life = gates.life = life
            target = FlaggerTarget(options=OPTIONS, service=CHECKOUT, kube=kube, gates=gates, door=self.one.door)
            target.pace = self.one.target(beat=0.02).pace
            try:
                return await step(target)
            except DiedError:
                self.deaths += 1
            finally:
                await kube.close()
        raise AssertionError("a step never ended")

    async def change(self, call: Callable[[FlaggerTarget], Awaitable[Handle]]) -> Outcome:
        """A change and its end, as the engine has it: two steps, each of which may run again."""
        handle = await self.does(call)

        async def follow(target: FlaggerTarget) -> Outcome:
            async with aclosing(target.observe(handle=handle)) as seen:
                async for each in seen:
                    if isinstance(each, Outcome):
                        return each
            raise AssertionError("it ends with an outcome")

        found: Outcome = await self.does(follow)
        return found

    async def weight(self, percent: int) -> None:
        operation = OperationId(f"d1-weight{percent}-1")
        outcome = await self.change(lambda it: it.set_weight(release=V2, percent=percent, operation=operation))
        assert outcome.kind is OutcomeKind.SUCCEEDED, outcome.message
        assert self.one.weight == percent == max(self.one.flagger.rounds)


@pytest.mark.timeout(110)
async def test_to_the_top(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        lives = Lives(one)
        for percent in (20, 40, 60):
            await lives.weight(percent)
        outcome = await lives.change(lambda it: it.promote(release=V2, operation=OperationId("d1-promote-1")))
        assert outcome.kind is OutcomeKind.SUCCEEDED, outcome.message
        assert one.image("checkout-primary") == V2.artifact.location
        assert not (await one.gate()).held
        history = one.get()["metadata"]["annotations"]["deployment-architect.io/history"]
        assert len(history.split()) == 1, "the template was changed once"
        assert lives.deaths > 40


@pytest.mark.timeout(110)
async def test_back_from_the_midst_of_it(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        before = await one.target().current()
        lives = Lives(one)
        await lives.weight(40)
        operation = OperationId("d1-restore-1")
        outcome = await lives.change(lambda it: it.take_back(to=before, operation=operation))
        assert outcome.kind is OutcomeKind.SUCCEEDED, outcome.message
        assert (one.phase, one.weight) == ("Failed", 0)
        assert one.image() == one.image("checkout-primary") == V1.artifact.location
        assert not (await one.gate()).held


@pytest.mark.timeout(110)
async def test_back_from_the_end_of_it(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        before = await one.target().current()
        lives = Lives(one)
        outcome = await lives.change(lambda it: it.apply(release=V2, operation=OperationId("d1-apply-1")))
        assert outcome.kind is OutcomeKind.SUCCEEDED, outcome.message
        outcome = await lives.change(lambda it: it.restore(to=before, operation=OperationId("d1-restore-1")))
        assert outcome.kind is OutcomeKind.SUCCEEDED, outcome.message
        assert one.image() == one.image("checkout-primary") == V1.artifact.location
        assert one.canary["spec"]["skipAnalysis"] is False
        assert not (await one.gate()).held
        await one.rounds(4)
        assert one.phase == "Succeeded"


@pytest.mark.timeout(110)
async def test_a_rollback_without_analysis(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        lives = Lives(one)
        outcome = await lives.change(lambda it: it.apply(release=V2, operation=OperationId("d1-apply-1")))
        assert outcome.kind is OutcomeKind.SUCCEEDED, outcome.message
        one.flagger.check = lambda _canary, _image: "error rate 50 %"
        since = len(one.flagger.rounds)
        outcome = await lives.change(lambda it: it.roll_back(release=V1, operation=OperationId("d2-apply-1")))
        assert outcome.kind is OutcomeKind.SUCCEEDED, outcome.message
        assert set(one.flagger.rounds[since:]) == {0}, "nothing is tried out on the way back"
        assert one.image() == one.image("checkout-primary") == V1.artifact.location
        assert one.canary["spec"]["skipAnalysis"] is False
        assert not (await one.gate()).held
