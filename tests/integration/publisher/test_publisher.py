"""The publisher against a workspace over the wire: everything is told once, and the end always arrives."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from publisher_world import FAST, TO_THE_END, P, World, world
from slack_sdk.web.async_client import AsyncWebClient

from bot.domain.errors import ConfigurationError
from bot.slack.publisher import LEASE, Publisher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


pytestmark = pytest.mark.long


@pytest.fixture
async def slack() -> AsyncIterator[World]:
    async with world() as made:
        yield made


async def test_the_root_message_comes_at_once_and_is_edited_in_place_to_the_end(slack: World) -> None:
    publisher = slack.publisher()
    await slack.until(lambda: publisher.holds)
    deployment = slack.store.start()
    began = time.monotonic()
    publisher.nudge(deployment)
    await slack.until(slack.roots)
    assert time.monotonic() - began < 1.0
    for phase in TO_THE_END:
        slack.store.advance(deployment, phase)
        publisher.nudge(deployment)
        await slack.told()
    [root] = slack.roots()
    assert "succeeded" in root.text
    assert root.metadata is not None
    assert root.metadata["event_payload"]["phase"] == "succeeded"
    assert [message.text[:11] for message in slack.replies()] == ["✓ Succeeded"]
    assert slack.count("chat.postMessage") == 2


async def test_what_nobody_nudged_about_is_found(slack: World) -> None:
    slack.publisher()
    slack.store.advance(slack.store.start(), *TO_THE_END)
    await slack.told()
    assert len(slack.roots()) == 1


async def test_an_equal_message_is_not_edited(slack: World) -> None:
    publisher = slack.publisher()
    deployment = slack.store.start()
    await slack.told()
    slack.store.deployments[deployment] = slack.store.deployments[deployment].touch()
    publisher.nudge(deployment)
    await slack.told()
    assert slack.count("chat.update") == 0


async def test_fifty_changes_are_few_edits_and_the_last_one_is_shown(slack: World) -> None:
    publisher = slack.publisher()
    deployment = slack.store.start()
    slack.store.advance(deployment, P.QUEUED, P.DEPLOYING)
    for done in range(50):
        slack.store.progress(deployment, done, 50)
        publisher.nudge(deployment)
        await asyncio.sleep(0.02)  # The pace of the changes, not a wait for their effect.
    slack.store.advance(deployment, P.VERIFYING, P.SUCCEEDED)
    publisher.nudge(deployment)
    await slack.told()
    assert slack.count("chat.update") <= 8
    [root] = slack.roots()
    assert "succeeded" in root.text


async def test_the_end_does_not_wait_for_the_spacing_of_edits(slack: World) -> None:
    publisher = slack.publisher(pacing=replace(FAST, first_spacing=60.0, last_spacing=60.0))
    deployment = slack.store.start()
    slack.store.advance(deployment, P.QUEUED, P.DEPLOYING)
    await slack.told()
    slack.store.progress(deployment, 1, 2)
    publisher.nudge(deployment)
    await asyncio.sleep(0.3)
    assert slack.count("chat.update") == 0
    slack.store.advance(deployment, P.FAILED, note="no")
    publisher.nudge(deployment)
    await slack.told(timeout=3)
    assert "failed" in slack.roots()[0].text


async def test_what_is_seen_after_the_end_does_not_use_up_what_others_need(slack: World) -> None:
    publisher = slack.publisher(pacing=replace(FAST, first_spacing=0.5, last_spacing=0.5))
    deployment = slack.store.start()
    slack.store.advance(deployment, *TO_THE_END)
    await slack.told()
    before = slack.count("chat.update")
    for number in range(20):  # as while a release is looked at for a while after its success
        slack.store.shown = lambda view, current=number % 2 == 0: replace(view, current=current)  # type: ignore[misc]  # a default binds it
        slack.store.deployments[deployment] = slack.store.deployments[deployment].touch()
        publisher.nudge(deployment)
        await asyncio.sleep(0.02)  # The pace of the changes, not a wait for their effect.
    slack.store.shown = lambda view: replace(view, protected=True, current=False)
    slack.store.deployments[deployment] = slack.store.deployments[deployment].touch()
    await slack.told()
    assert slack.count("chat.update") - before <= 3
    assert "Roll back" not in str(slack.roots()[0].blocks)


async def test_a_429_storm_pauses_and_then_everything_is_there_once(slack: World) -> None:
    publisher = slack.publisher()
    deployment = slack.store.start()
    await slack.told()
    slack.server.faults.rate_limit(1.5)
    other = slack.store.start(2)
    slack.store.advance(deployment, *TO_THE_END)
    slack.store.advance(other, *TO_THE_END)
    for name in (deployment, other):
        publisher.nudge(name)
    await slack.told()
    assert len(slack.roots()) == 2
    assert len(slack.replies()) == 2
    assert all("succeeded" in message.text for message in slack.roots())
    # One refusal for each method, or a few that were under way together: then it was left alone.
    assert sum(call.status == 429 for call in slack.workspace.calls) <= 6


@pytest.mark.parametrize("fault", ["down", "server_error"])
async def test_an_outage_delays_the_end_and_nothing_is_posted_twice(slack: World, fault: str) -> None:
    publisher = slack.publisher()
    deployment = slack.store.start()
    await slack.told()
    getattr(slack.server.faults, fault)(1.5)
    other = slack.store.start(2)
    for name in (deployment, other):
        slack.store.advance(name, *TO_THE_END)
        publisher.nudge(name)
    await slack.told()
    assert len(slack.roots()) == 2
    assert len(slack.replies()) == 2
    assert all("succeeded" in message.text for message in slack.roots())


async def test_slack_that_is_down_from_the_start_and_refuses_connections(slack: World) -> None:
    url = slack.server.url
    await slack.server.stop()
    publisher = slack.publisher()
    slack.store.advance(slack.store.start(), *TO_THE_END)
    await slack.until(lambda: publisher._down_for > 0)
    slack.server._port = int(url.rsplit(":", 1)[1])
    await slack.server.start()
    await slack.told()
    assert len(slack.roots()) == 1
    assert slack.count("conversations.history") == 0  # It was certain that nothing had been posted.


@pytest.mark.parametrize("times", [1, 3])
async def test_a_lost_answer_is_no_second_message(slack: World, times: int) -> None:
    slack.server.faults.lose_response("chat.postMessage", times)
    publisher = slack.publisher()
    deployment = slack.store.start()
    slack.store.advance(deployment, *TO_THE_END)
    publisher.nudge(deployment)
    await slack.told()
    assert len(slack.roots()) == 1
    assert len(slack.replies()) == 1
    assert slack.store.rows[deployment, "root"].ts == slack.roots()[0].ts


async def test_many_lost_answers_are_found_with_few_looks(slack: World) -> None:
    slack.server.faults.lose_response("chat.postMessage", 20)
    slack.publisher(pacing=replace(FAST, looks=10))
    for number in range(1, 31):
        slack.store.start(number)
    await slack.told()
    assert len(slack.roots()) == 30
    assert slack.count("conversations.history") <= 10


@pytest.mark.parametrize("key", ["root", "succeeded"])
async def test_a_crash_between_the_try_and_the_record_adopts_what_is_there(slack: World, key: str) -> None:
    slack.store.crash_before_posted = lambda posted: posted == key
    slack.publisher()
    deployment = slack.store.start()
    slack.store.advance(deployment, *TO_THE_END)
    await slack.until(slack.roots if key == "root" else slack.replies)
    await slack.crash()
    assert slack.store.rows[deployment, key].ts is None
    slack.store.crash_before_posted = lambda _: False
    slack.publisher(holder="replica-2")
    await slack.told()
    assert len(slack.roots()) == 1
    assert len(slack.replies()) == 1
    assert slack.store.rows[deployment, "root"].ts == slack.roots()[0].ts


async def test_a_crash_before_the_post_posts_after_all(slack: World) -> None:
    deployment = slack.store.start()
    await slack.store.trying(deployment, "root", channel="C0DEPLOY", at=datetime.now(UTC))
    slack.publisher()
    await slack.told()
    assert len(slack.roots()) == 1


async def test_a_restart_goes_on_with_the_same_message(slack: World) -> None:
    slack.publisher()
    deployment = slack.store.start()
    await slack.told()
    await slack.crash()
    slack.store.advance(deployment, *TO_THE_END)
    slack.publisher(holder="replica-2")
    await slack.told()
    [root] = slack.roots()
    assert "succeeded" in root.text


async def test_only_the_holder_of_the_lease_speaks_and_the_next_one_takes_over(slack: World) -> None:
    first = slack.publisher(holder="replica-1")
    await slack.until(lambda: first.holds)
    second = slack.publisher(holder="replica-2")
    deployment = slack.store.start()
    second.nudge(deployment)
    await slack.told()
    assert not second.holds
    await first.stop()
    assert slack.store.leases.get(LEASE, ("replica-2",))[0] == "replica-2"
    slack.store.advance(deployment, *TO_THE_END)
    await slack.told()
    assert second.holds
    assert len(slack.roots()) == 1
    assert slack.count("chat.postMessage") == 2


async def test_a_message_that_somebody_deleted_is_told_once_more_in_the_fallback_channel(slack: World) -> None:
    publisher = slack.publisher()
    deployment = slack.store.start()
    await slack.told()
    slack.workspace.delete(slack.roots()[0])
    slack.store.advance(deployment, P.QUEUED, P.DEPLOYING)
    publisher.nudge(deployment)
    await slack.told()
    [moved] = slack.roots("C0ADMIN")
    assert "Told here because" in str(moved.blocks)
    slack.store.advance(deployment, P.VERIFYING, P.SUCCEEDED)
    publisher.nudge(deployment)
    await slack.told()
    assert slack.roots() == []
    assert [message.ts for message in slack.roots("C0ADMIN")] == [moved.ts]
    assert "succeeded" in moved.text
    assert len(slack.replies("C0ADMIN")) == 1


@pytest.mark.parametrize("channel", ["C0GENERAL", "C0NOWHERE", "#general", "#nowhere"])
async def test_a_channel_that_cannot_be_written_to_is_no_reason_to_be_silent(slack: World, channel: str) -> None:
    slack.publisher()
    deployment = slack.store.start(channel=channel)
    slack.store.advance(deployment, *TO_THE_END)
    await slack.told()
    assert len(slack.roots("C0ADMIN")) == 1
    assert slack.roots("C0GENERAL") == []


async def test_when_the_fallback_is_gone_too_the_deployment_is_left_in_peace(slack: World) -> None:
    slack.publisher(fallback="C0NOWHERE")
    deployment = slack.store.start(channel="C0GENERAL")
    await slack.told()
    for phase in TO_THE_END:
        slack.store.advance(deployment, phase)
        await slack.told()
    assert len(slack.workspace.calls) <= 4


async def test_names_of_channels_are_looked_up_once(slack: World) -> None:
    slack.publisher()
    for number in range(1, 6):
        slack.store.start(number, channel="#deployments")
    await slack.told()
    assert len(slack.roots()) == 5
    assert slack.count("conversations.list") <= 2
    assert {row.channel for row in slack.store.rows.values()} == {"C0DEPLOY"}


async def test_a_long_reason_is_a_file_in_the_thread_once(slack: World) -> None:
    slack.server.faults.lose_response("files.completeUploadExternal", 1)
    slack.publisher()
    log = "\n".join(f"line {number}" for number in range(2_000))
    slack.store.advance(slack.store.start(), P.QUEUED, P.DEPLOYING, P.FAILED, note=log)
    await slack.told()
    files = [name for message in slack.replies() for name in message.files]
    assert len(files) == 1
    stored = slack.workspace.files[files[0]]
    assert stored.name == "checkout-1-failed.log"
    assert stored.content == log.encode()
    assert len(slack.replies()) == 2


async def test_blocks_that_slack_refuses_are_told_as_plain_text(slack: World) -> None:
    slack.server.faults.fail_method("chat.postMessage", "invalid_blocks", 1)
    slack.publisher()
    slack.store.start()
    await slack.told()
    [root] = slack.roots()
    assert root.blocks == []
    assert "checkout to staging" in root.text


async def test_a_revoked_token_is_waited_for(slack: World) -> None:
    slack.server.faults.fail_method("chat.postMessage", "token_revoked", 8)
    slack.publisher()
    slack.store.start()
    await slack.told()
    assert len(slack.roots()) == 1


async def test_an_unknown_refusal_is_given_up_after_a_while_and_the_others_are_told(slack: World) -> None:
    slack.server.faults.fail_method("chat.postMessage", "something_new", 5)
    slack.publisher(pacing=replace(FAST, workers=1))
    slack.store.start(1)
    await slack.until(lambda: slack.count("chat.postMessage", ok=False))
    slack.store.start(2)
    await slack.told()
    assert 1 <= len(slack.roots()) <= 2


async def test_the_last_edits_are_made_when_it_stops(slack: World) -> None:
    publisher = slack.publisher(pacing=replace(FAST, first_spacing=60.0, last_spacing=60.0, poll=0.5))
    deployment = slack.store.start()
    slack.store.advance(deployment, P.QUEUED, P.DEPLOYING)
    await slack.told()
    slack.store.progress(deployment, 1, 2)
    await publisher.stop()
    assert "1 of 2 instances" in slack.roots()[0].text
    assert LEASE not in slack.store.leases


async def test_stopping_while_slack_is_down_takes_no_longer_than_it_may(slack: World) -> None:
    publisher = slack.publisher(pacing=replace(FAST, stop=0.5))
    slack.server.faults.down(60)
    slack.store.start()
    await slack.until(lambda: slack.workspace.calls)
    began = time.monotonic()
    await publisher.stop()
    assert time.monotonic() - began < 2.0


async def test_a_deployment_that_cannot_be_drawn_does_not_silence_the_others(slack: World) -> None:
    first = slack.store.start(1)
    slack.store.deployments[first] = replace(slack.store.deployments[first], timeline=())
    slack.publisher()
    second = slack.store.start(2)
    await slack.until(lambda: slack.store.told_views.get(second))
    assert len(slack.roots()) == 1


async def test_nudging_from_another_thread(slack: World) -> None:
    publisher = slack.publisher(pacing=replace(FAST, poll=30.0))
    await slack.until(lambda: publisher.holds)
    deployment = slack.store.start()
    await asyncio.to_thread(publisher.nudge, deployment)
    await slack.told(timeout=3)


@pytest.mark.long
async def test_two_hundred_at_once_keep_within_the_budget_and_ends_come_first(slack: World) -> None:
    pacing = replace(FAST, window=2.0, phase_spacing=0.0)
    publisher = slack.publisher(pacing=pacing)
    names = [slack.store.start(number) for number in range(1, 201)]
    await slack.told()
    for name in names:
        slack.store.advance(name, P.QUEUED, P.DEPLOYING)
        publisher.nudge(name)
    ends = names[-20:]
    for name in ends:
        slack.store.advance(name, P.VERIFYING, P.SUCCEEDED)
        publisher.nudge(name)
    await slack.told(timeout=30)
    told = [str(call.args.get("text", "")) for call in slack.workspace.calls_to("chat.update")]
    last_end = max(index for index, text in enumerate(told) if "succeeded" in text)
    assert sum("deploying" in text for text in told[:last_end]) < 100
    assert len(slack.roots()) == 200
    assert sum("succeeded" in message.text for message in slack.roots()) == 20
    at = [call.at for call in slack.workspace.calls_to("chat.update")]
    most = max(sum(begin <= other < begin + pacing.window * 0.95 for other in at) for begin in at)
    assert most <= 80, "40 are meant to be sent; on a busy machine those of two windows arrive together, never all"
    assert len(at) < 300


@pytest.mark.long
async def test_it_keeps_within_the_limits_that_slack_enforces() -> None:
    async with world(enforce_rate_limits=True) as slack:
        pacing = replace(FAST, window=60.0, posts_a_second=1.0, post_burst=4)
        publisher = slack.publisher(pacing=pacing)
        names = [slack.store.start(number) for number in range(1, 6)]
        for phase in TO_THE_END:
            for name in names:
                slack.store.advance(name, phase)
                publisher.nudge(name)
            await asyncio.sleep(0.05)
        await slack.told(timeout=30)
        assert len(slack.roots()) == 5
        assert all("succeeded" in message.text for message in slack.roots())
        assert not [call for call in slack.workspace.calls if call.status == 429]


def test_a_client_that_retries_on_its_own_is_refused() -> None:
    unused: object = None
    with pytest.raises(ConfigurationError, match="retry_handlers"):
        Publisher(
            AsyncWebClient(token="xoxb-x"),
            unused,
            unused,
            unused,
            unused,
            unused,
            unused,
            unused,
            "x",  # type: ignore[arg-type]  # nothing of it is reached
        )
