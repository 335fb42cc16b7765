"""A rollback by way of Flagger: what was proven there before is promoted at once, and then all is analysed again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kube.flagger_world import CHECKOUT, OPTIONS, V1, V2, V3, seen, step, until, world

from bot.domain.errors import ProviderUnavailable
from bot.domain.gate import Hook
from bot.domain.ids import OperationId
from bot.domain.rollout import OutcomeKind
from integrations.flagger.target import FlaggerTarget

if TYPE_CHECKING:
    from pathlib import Path

    from kube.flagger_world import World

pytestmark = pytest.mark.long
DONE = OutcomeKind.SUCCEEDED
BACK = OperationId("d2-apply-1")


async def promoted(one: World) -> None:
    """v2 serves; all that comes from now on fails every check of Flagger's."""
    assert (await seen(one.target(), await one.target().apply(release=V2, operation=OperationId("d1-apply-1"))))[
        1
    ].kind is DONE
    one.flagger.check = lambda _canary, _image: "error rate 50 %"


def is_back(one: World) -> bool:
    return one.image() == one.image("checkout-primary") == V1.artifact.location and one.weight == 0


async def test_it_is_promoted_without_analysis_and_the_next_release_is_analysed(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        await promoted(one)
        handle = await one.target().roll_back(release=V1, operation=BACK)
        assert await one.target().roll_back(release=V1, operation=BACK) == handle, "by whoever repeats it"
        assert await one.target().find(operation=BACK) == handle
        told, outcome = await seen(one.target(), handle)
        assert outcome.kind is DONE, outcome.message
        assert any("without analysis" in each.message for each in told)
        assert is_back(one)
        assert one.canary["spec"]["skipAnalysis"] is False
        assert not (await one.gate()).held
        now = await one.target().current()
        assert now is not None
        assert now.release == V1
        one.flagger.check = lambda _canary, _image: ""
        since = len(one.flagger.rounds)
        assert (await seen(one.target(), await one.target().apply(release=V3, operation=OperationId("d3-apply-1"))))[
            1
        ].kind is DONE
        assert max(one.flagger.rounds[since:]) == 60


async def test_whoever_wants_it_analysed_says_so_in_the_catalog(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        await promoted(one)
        options = OPTIONS.model_copy(update={"analyse_rollbacks": True})
        target = FlaggerTarget(options=options, service=CHECKOUT, kube=one.kube, gates=one.gates, door=one.door)
        target.pace = one.target().pace
        _, outcome = await seen(target, await target.roll_back(release=V1, operation=BACK))
        assert outcome.kind is OutcomeKind.FAILED
        assert "error rate 50 %" in outcome.message
        assert one.image("checkout-primary") == V2.artifact.location


async def test_who_died_between_the_two_writes_goes_on_and_leaves_nothing_behind(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        await promoted(one)
        one.server.faults.refuse(503, verb="patch", path="/deployments/checkout", times=100)
        with pytest.raises(ProviderUnavailable):
            await one.target().roll_back(release=V1, operation=BACK)
        assert one.canary["spec"]["skipAnalysis"] is True
        assert one.image() == V2.artifact.location
        one.server.faults._refusals.clear()
        assert await one.target().find(operation=BACK) is None, "so that it is begun"
        _, outcome = await seen(one.target(), await one.target().roll_back(release=V1, operation=BACK))
        assert outcome.kind is DONE, outcome.message
        assert is_back(one)
        assert one.canary["spec"]["skipAnalysis"] is False


async def test_what_is_analysed_just_now_is_not_promoted_by_it(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        assert (await step(one, 20)).kind is DONE
        since = len(one.flagger.rounds)
        handle = await one.target().roll_back(release=V1, operation=BACK)
        assert not one.canary["spec"].get("skipAnalysis")
        _, outcome = await seen(one.target(), handle)
        assert outcome.kind is DONE, outcome.message
        assert is_back(one)
        assert one.asked(Hook.PROMOTION).count(True) == 1, "that of v1"
        assert 100 not in one.flagger.rounds[since:]


async def test_an_analysis_that_its_owner_leaves_out_stays_left_out(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        await promoted(one)
        one.set_canary(skipAnalysis=True)
        _, outcome = await seen(one.target(), await one.target().roll_back(release=V1, operation=BACK))
        assert outcome.kind is DONE, outcome.message
        assert is_back(one)
        await until(lambda: one.phase == "Succeeded")
        assert one.canary["spec"]["skipAnalysis"] is True
