"""Approvers are asked directly, each once: through lost answers, crashes, and a Slack that will not have it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from publisher_world import FAST, P, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from publisher_world import World

    from bot.domain.ids import DeploymentId


@pytest.fixture
async def slack() -> AsyncIterator[World]:
    async with world() as made:
        made.store.asked = ("U0GRACE", "U0LINUS")
        yield made


def asks(slack: World, number: int = 1) -> DeploymentId:
    deployment = slack.store.start(number)
    slack.store.advance(deployment, P.AWAITING_APPROVAL)
    return deployment


async def test_each_is_asked_once_and_told_what_was_decided_and_what_came_of_it(slack: World) -> None:
    publisher = slack.publisher()
    deployment = asks(slack)
    await slack.told()
    for user in ("U0GRACE", "U0LINUS"):
        [message] = slack.direct(user)
        assert "waits for your approval" in message.text
        assert "deployment.approve" in str(message.blocks)
    assert slack.direct("U0ADA") == []
    slack.store.advance(deployment, P.QUEUED)
    publisher.nudge(deployment)
    await slack.told()
    [message] = slack.direct("U0GRACE")
    assert "not needed any more" in message.text
    assert "deployment.approve" not in str(message.blocks)
    edits = slack.count("chat.update")
    for done in range(3):
        slack.store.progress(deployment, done, 3)
        publisher.nudge(deployment)
        await slack.told()
    slack.store.advance(deployment, P.DEPLOYING)
    publisher.nudge(deployment)
    await slack.told()
    assert {call.args["channel"] for call in slack.workspace.calls_to("chat.update")[edits:]} == {"C0DEPLOY"}
    slack.store.advance(deployment, P.VERIFYING, P.SUCCEEDED)
    publisher.nudge(deployment)
    await slack.told()
    assert "succeeded" in slack.direct("U0GRACE")[0].text
    assert len(slack.direct("U0GRACE")) == len(slack.direct("U0LINUS")) == 1


@pytest.mark.parametrize("times", [2, 5])
async def test_lost_answers_ask_nobody_twice(slack: World, times: int) -> None:
    slack.server.faults.lose_response("chat.postMessage", times)
    slack.publisher()
    asks(slack)
    await slack.told()
    assert len(slack.direct("U0GRACE")) == len(slack.direct("U0LINUS")) == 1


async def test_a_crash_between_the_try_and_the_record_finds_the_message_again(slack: World) -> None:
    slack.store.crash_before_posted = lambda key: key == "ask.U0GRACE"
    slack.publisher()
    deployment = asks(slack)
    await slack.until(lambda: slack.direct("U0GRACE"))
    await slack.crash()
    assert slack.store.rows[deployment, "ask.U0GRACE"].ts is None
    slack.store.crash_before_posted = lambda _: False
    slack.publisher(holder="replica-2")
    await slack.told()
    [message] = slack.direct("U0GRACE")
    assert slack.store.rows[deployment, "ask.U0GRACE"].ts == message.ts


async def test_who_cannot_be_written_to_holds_nothing_up(slack: World) -> None:
    slack.store.asked = ("U0NOBODY", "U0GRACE")
    publisher = slack.publisher()
    deployment = asks(slack)
    await slack.told()
    assert len(slack.direct("U0GRACE")) == 1
    slack.store.advance(deployment, P.QUEUED, P.DEPLOYING, P.VERIFYING, P.SUCCEEDED)
    publisher.nudge(deployment)
    await slack.told()
    assert "succeeded" in slack.roots()[0].text
    assert slack.count("conversations.open", ok=False) == 1, "it is not tried again and again"


async def test_a_scope_that_is_missing_delays_no_other_message(slack: World) -> None:
    slack.server.faults.fail_method("conversations.open", "missing_scope", 100)
    publisher = slack.publisher(pacing=replace(FAST, last_refusal=30.0, first_retry=30.0))
    deployment = asks(slack)
    await slack.told()
    slack.store.advance(deployment, P.QUEUED)
    publisher.nudge(deployment)
    await slack.told(timeout=3)


async def test_no_more_than_ten_are_asked(slack: World) -> None:
    slack.store.asked = tuple(f"U0PERSON{number}" for number in range(20))
    slack.publisher()
    asks(slack)
    await slack.told()
    assert len({call.args["users"] for call in slack.workspace.calls_to("conversations.open")}) == 10


async def test_who_is_asked_anew_gets_another_message_and_the_old_one_stays_decided(slack: World) -> None:
    publisher = slack.publisher()
    deployment = asks(slack)
    await slack.told()
    slack.store.advance(deployment, P.HELD)
    publisher.nudge(deployment)
    await slack.told()
    slack.store.advance(deployment, P.AWAITING_APPROVAL)
    publisher.nudge(deployment)
    await slack.told()
    first, second = slack.direct("U0GRACE")
    assert "deployment.approve" in str(second.blocks)
    assert second.metadata is not None
    assert second.metadata["event_payload"]["key"] == "ask.U0GRACE.2"
    slack.store.advance(deployment, P.QUEUED)
    publisher.nudge(deployment)
    await slack.told()
    assert "deployment.approve" not in str(first.blocks) + str(second.blocks)


async def test_a_note_that_was_decided_has_no_buttons_and_one_that_never_was_posted_stays_away(slack: World) -> None:
    publisher = slack.publisher()
    deployment = asks(slack)
    await slack.told()
    [note] = slack.replies()
    assert "deployment.approve" in str(note.blocks)
    slack.store.advance(deployment, P.QUEUED)
    publisher.nudge(deployment)
    await slack.told()
    assert "deployment.approve" not in str(note.blocks)
    await publisher.stop()
    other = asks(slack, 2)
    slack.store.advance(other, P.QUEUED)
    slack.publisher(holder="replica-2")
    await slack.told()
    keys = [(message.metadata or {})["event_payload"]["key"] for message in slack.replies()]
    assert keys.count("approval.1") == 1
    assert slack.store.rows[deployment, "root"].tried_at <= datetime.now(UTC)
