"""Who took a canary of Flagger's back, and why: its own analysis, or a person with kubectl."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kube.flagger_world import V1, V2, V3, seen, step, until, world

from bot.domain.ids import OperationId
from bot.domain.rollout import OutcomeKind
from bot.ports.target import TellsTakenBack

if TYPE_CHECKING:
    from pathlib import Path

    from kube.flagger_world import World

pytestmark = pytest.mark.long

SAYS = "Flagger took v2 back: Canary analysis failed, Deployment scaled to zero. It said: "


def fails(one: World, words: str = "error rate 12 % > 1 %") -> None:
    one.flagger.check = lambda _canary, image: words if image == V2.artifact.location else ""


async def test_its_own_verdict_is_told_in_its_words_and_the_template_can_be_put_back(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        target = one.target()
        assert isinstance(target, TellsTakenBack)
        before = await target.current()
        assert (await step(one, 20)).kind is OutcomeKind.SUCCEEDED
        assert await target.taken_back(release=V2) is None
        fails(one)
        await until(lambda: one.phase == "Failed")
        assert await target.weight(release=V2) == 0
        found = await target.taken_back(release=V2)
        assert found is not None
        assert found.by_platform
        assert found.why.startswith(SAYS)
        assert "error rate 12 % > 1 %" in found.why
        operation = OperationId("d1-restore-1")
        for _ in range(2):  # whoever repeats it puts back nothing twice
            back = await one.target().take_back(to=before, operation=operation)
            assert (await seen(one.target(), back))[1].kind is OutcomeKind.SUCCEEDED
        assert one.image() == V1.artifact.location
        history = one.get()["metadata"]["annotations"]["deployment-architect.io/history"]
        assert len(history.split()) == 2
        await one.rounds(4)
        assert (one.phase, one.weight) == ("Failed", 0)


async def test_a_canary_that_fails_before_it_gets_any_traffic(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        target = one.target()
        assert (await step(one, 0)).kind is OutcomeKind.SUCCEEDED
        assert await target.weight(release=V2) == 0
        assert await target.taken_back(release=V2) is None, "it is up, and gets none yet"
        one.server.change(
            "canaries", "shop", "checkout", {"status": {"failedChecks": 10}}, manager="flagger", status=True
        )
        await until(lambda: one.phase == "Failed")
        assert await target.weight(release=V2) == 0
        found = await target.taken_back(release=V2)
        assert found is not None
        assert found.by_platform


async def test_somebody_with_kubectl_is_named(tmp_path: Path) -> None:
    for image in (V1.artifact.location, V3.artifact.location):
        async with world(tmp_path) as one:
            target = one.target()
            assert (await step(one, 20)).kind is OutcomeKind.SUCCEEDED
            one.set_image(image)
            assert await target.weight(release=V2) == 0
            found = await target.taken_back(release=V2)
            assert found is not None
            assert not found.by_platform
            assert found.why.startswith("kubectl-set at ")
            assert "its container web is set to" in found.why
        (tmp_path / "gates.sqlite").unlink()


async def test_the_failure_of_before_is_not_told_of_what_came_after(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        target = one.target()
        before = await target.current()
        assert (await step(one, 20)).kind is OutcomeKind.SUCCEEDED
        fails(one)
        await until(lambda: one.phase == "Failed")
        back = await target.take_back(to=before, operation=OperationId("d1-restore-1"))
        assert (await seen(target, back))[1].kind is OutcomeKind.SUCCEEDED
        await one.flagger.stop()  # so that it does not take up the next one
        operation = OperationId("d2-weight20-1")
        await target.set_weight(release=V2, percent=20, operation=operation)
        assert one.phase == "Failed"
        assert await target.weight(release=V2) is None
        assert await target.taken_back(release=V2) is None
