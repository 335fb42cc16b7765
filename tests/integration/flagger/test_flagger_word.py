"""What lets Flagger go on is one row that is written at once: there is no mark without its word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kube.flagger_world import V2, seen, step, world

from bot.domain.errors import ProviderUnavailable, StoreError
from bot.domain.ids import OperationId
from bot.domain.rollout import OutcomeKind
from bot.store.gates import StoredGates

if TYPE_CHECKING:
    from pathlib import Path

    from bot.domain.gate import Gate
    from integrations.flagger.target import FlaggerTarget

pytestmark = pytest.mark.long

TWO = OperationId("d1-weight40-2")


class Dying(StoredGates):
    """A database that is gone before, or after, it has stored what a bot wrote."""

    dies = ""

    async def put(self, gate: Gate, *, blind: bool = False) -> Gate:
        if self.dies == "before":
            raise StoreError
        stored = await super().put(gate, blind=blind)
        if self.dies == "after":
            raise StoreError
        return stored


async def half(target: FlaggerTarget) -> None:
    await target.set_weight(release=V2, percent=40, operation=TWO)


@pytest.mark.parametrize("dies", ["before", "after"])
async def test_a_step_was_begun_exactly_when_flagger_may_take_it(tmp_path: Path, dies: str) -> None:
    async with world(tmp_path, gates=Dying) as one:
        assert isinstance(one.gates, Dying)
        assert (await step(one, 20)).kind is OutcomeKind.SUCCEEDED
        one.gates.dies = dies
        with pytest.raises(ProviderUnavailable):
            await half(one.target())
        one.gates.dies = ""
        found = await one.target().find(operation=TWO)
        if dies == "before":
            assert found is None
            for _ in range(5):
                await one.rounds(1)
                assert await one.target().weight(release=V2) == 20, "as who waits for a gate looks"
            await half(one.target())
            found = await one.target().find(operation=TWO)
        assert found is not None
        assert (await seen(one.target(), found))[1].kind is OutcomeKind.SUCCEEDED
        assert one.weight == 40 == max(one.flagger.rounds)
