"""Pictures of verdicts: put into the thread once whatever the wire does, and left out where nothing can draw."""

from __future__ import annotations

import builtins
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from publisher_world import P, World, world

from bot.domain.analysis.check import Check, Kind
from bot.domain.metric import Point, Track
from bot.domain.progression import Progression, Reached
from bot.domain.strategy.kinds import OnTimeout
from bot.domain.strategy.moves import AskApproval
from bot.domain.strategy.plan import PlannedStep
from bot.domain.strategy.position import Position

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.domain.view import DeploymentView

ERRORS = Check(name="errors", source="proxy", query="error_share", kind=Kind.SHARE, limit=0.02)


@pytest.fixture
async def slack() -> AsyncIterator[World]:
    async with world() as made:
        made.store.shown = asked
        yield made


def asked(view: DeploymentView) -> DeploymentView:
    """A canary at 20 % about which people are asked, once it is paused; it failed if it failed."""
    now = datetime.now(UTC)
    began = now - timedelta(minutes=5)
    position = Position(step=0, weight=20, since=began)
    question = AskApproval(
        step=0, weight=20, options=(50, 100), why="", asked=began, nags_at=now + timedelta(hours=1),
        escalates_at=now + timedelta(hours=1), until=began + timedelta(hours=1), otherwise=OnTimeout.ABORT,
    )  # fmt: skip
    going = Progression(
        position=position,
        steps=(Reached(step=0, weight=20, at=began),),
        question=question if view.deployment.phase is P.PAUSED else None,
    )
    points = tuple(Point(at=began + timedelta(seconds=30 * number), value=0.01) for number in range(8))
    return replace(
        view,
        deployment=replace(view.deployment, progression=going),
        steps=(PlannedStep(weight=20, approval=True), PlannedStep(weight=100)),
        checks=(ERRORS,),
        readings={"errors": {Track.CANARY: points}},
    )


def pictures(slack: World) -> list[str]:
    return [slack.workspace.files[file].name for message in slack.replies() for file in message.files]


@pytest.mark.parametrize("fault", ["lose_response", "fail"])
async def test_a_picture_is_in_the_thread_once(slack: World, fault: str) -> None:
    if fault == "fail":
        slack.server.faults.fail_method("files.completeUploadExternal", "internal_error", 2)
    else:
        slack.server.faults.lose_response("files.completeUploadExternal", 2)
    slack.publisher()
    slack.store.advance(slack.store.start(), P.QUEUED, P.DEPLOYING, P.PAUSED)
    await slack.told()
    assert pictures(slack) == ["1-decide.0.png"]
    stored = next(file for file in slack.workspace.files.values() if file.shared)
    assert stored.content is not None
    assert stored.content.startswith(b"\x89PNG")
    assert "limit 2 %" in stored.alt


async def test_a_new_publisher_draws_nothing_twice_and_ends_the_question(slack: World) -> None:
    slack.publisher()
    slack.store.advance(slack.store.start(), P.QUEUED, P.DEPLOYING, P.PAUSED)
    await slack.told()
    await slack.crash()
    slack.publisher(holder="replica-2")
    slack.store.advance(next(iter(slack.store.deployments)), P.DEPLOYING)
    await slack.told()
    assert pictures(slack) == ["1-decide.0.png"]
    question = next(message for message in slack.replies() if not message.files)
    assert "A decision was asked for" in question.text
    assert not [block for block in question.blocks if block["type"] == "actions"]


async def test_a_question_that_is_over_before_it_is_told_is_not_told(slack: World) -> None:
    slack.store.advance(slack.store.start(), P.QUEUED, P.DEPLOYING, P.PAUSED, P.DEPLOYING)
    slack.publisher()
    await slack.told()
    assert slack.replies() == []


async def test_without_anything_to_draw_with_the_verdict_is_told_all_the_same(
    slack: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def absent(name: str, *rest: Any, **named: Any) -> Any:
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", absent)
    slack.publisher()
    slack.store.advance(slack.store.start(), P.QUEUED, P.DEPLOYING, P.PAUSED)
    await slack.told()
    assert pictures(slack) == []
    assert any("Waits for a decision" in message.text for message in slack.replies())
