"""What somebody else gave to Flagger waits for a gate that nobody opens for it: the next deployment takes its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kube.flagger_world import EVERY, V1, V2, V3, promote, release, step, until, world

from bot.domain.errors import ProviderRejected
from bot.domain.gate import Hook
from bot.domain.rollout import OutcomeKind

if TYPE_CHECKING:
    from pathlib import Path

    from bot.domain.release import Release

DONE = OutcomeKind.SUCCEEDED


@pytest.mark.long
@pytest.mark.parametrize("ours", [V2, V3], ids=["another release", "the very same image"])
async def test_what_was_set_at_rest_gives_way(tmp_path: Path, ours: Release) -> None:
    async with world(tmp_path) as one:
        one.set_image(V3.artifact.location)
        await until(lambda: one.phase == "Waiting")
        await one.rounds(3)
        assert (one.phase, one.weight) == ("Waiting", 0)
        assert (await step(one, 20, to=ours)).kind is DONE
        assert one.weight == 20
        assert (await promote(one, to=ours)).kind is DONE
        assert one.image("checkout-primary") == ours.artifact.location
        assert not (await one.gate()).held


@pytest.mark.long
@pytest.mark.parametrize("ours", [V2, release("v4")], ids=["the same release", "another one"])
async def test_what_took_the_place_of_ours_gives_way(tmp_path: Path, ours: Release) -> None:
    async with world(tmp_path) as one:
        assert (await step(one, 20)).kind is DONE
        one.set_image(V3.artifact.location)
        await until(lambda: one.weight == 0)
        began = len(one.flagger.rounds)
        assert (await step(one, 20, to=ours, turn=2)).kind is DONE
        assert one.image() == ours.artifact.location
        assert set(one.flagger.rounds[began:]) <= {0, 20}, "it got no more than was approved, nor did theirs"
        assert one.image("checkout-primary") == V1.artifact.location


async def test_what_flagger_can_lead_to_its_end_without_us_does_not(tmp_path: Path) -> None:
    for hooks in ([hook for hook in EVERY if hook not in (Hook.ROLLOUT, Hook.TRAFFIC)], list(EVERY)):
        skips = Hook.ROLLOUT in hooks
        async with world(tmp_path, hooks=hooks) as one:
            if skips:
                one.set_canary(skipAnalysis=True)
            await one.flagger.stop()
            one.server.change(
                "canaries", "shop", "checkout", {"status": {"phase": "Progressing"}}, manager="flagger", status=True
            )
            one.set_image(V3.artifact.location)
            with pytest.raises(ProviderRejected, match="in the middle of an analysis"):
                await step(one, 20)
            assert one.image() == V3.artifact.location
        (tmp_path / "gates.sqlite").unlink()
