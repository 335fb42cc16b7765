"""A canary before people: they let it go on, hold it, stop it, and stop what would take it back; late words say so."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from office import CHANNEL, PATIENCE, Shelf, open_office

from bot.domain.ids import ServiceName
from bot.domain.metric import Track
from bot.domain.rollout import Running
from bot.domain.strategy.powers import Power
from bot.sandbox import seed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from office import Office, Somewhere

    from bot.domain.deployment import Deployment
    from bot.sandbox.model import Button

pytestmark = pytest.mark.long

CATALOG = """\
version: 1
channel: "#deployments"
environments:
  staging: {}
metrics:
  proxy: { type: local, root: platform }
checks:
  errors: { source: proxy, query: error_share, kind: share, limit: 2%, min_samples: 20, interval: 1s, window: 1s,
            failures: 1, of: 1 }
strategies:
  canary:
    canary:
      steps:
        - { weight: 20, bake: 1s, approval: true }
        - { weight: 50, bake: 1s, approval: true }
      timeout: 10m
defaults:
  health: { path: /health, interval: 0.05, timeout: 2s, passes: 1, deadline: 10s }
services:
  checkout:
    target: { type: local, root: platform }
    images: { type: local, folder: artifacts }
    strategy: canary
    checks: [errors]
    countdown: 60s
roles:
  deployer:
    members: ["@deployers"]
    allow:
      - { actions: [deploy, abort, promote], services: "*", environments: "*" }
  release-manager:
    members: ["@release-managers"]
    allow:
      - { actions: "*", services: "*", environments: "*" }
"""


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path, text=CATALOG) as opened:
        before = await Shelf(ServiceName("checkout")).resolve(version="v1.1")
        place(opened).running = Running(release=before, healthy=1, instances=1)
        yield opened


def place(office: Office) -> Somewhere:
    return office.place("checkout@staging")


async def found(office: Office) -> Deployment:
    return await office.store.deployments.by_number(1)


async def moves(office: Office, *expected: str) -> None:
    """Once exactly that was done to the target. It tells nobody, so it is looked at again and again."""
    async with asyncio.timeout(PATIENCE):
        while place(office).moves != list(expected):
            await asyncio.sleep(0.02)


async def asks(office: Office, weight: int) -> None:
    """Once people are asked at that weight."""
    await office.reads("ada", f"gets {weight} % of the traffic. Promote to", "thread")


async def stands_again(office: Office, *buttons: Button) -> None:
    """The buttons as they still stand on a screen that has not heard of what has happened."""
    container = buttons[0].container
    await office.slack.app.client.chat_postMessage(
        channel=container.channel,  # type: ignore[union-attr]  # a message's
        text="an old screen",
        blocks=[{"type": "actions", "elements": [_again(one) for one in buttons]}],
    )


def _again(one: Button) -> dict[str, Any]:
    text = {"type": "plain_text", "text": f"old {one.label}"}
    return {"type": "button", "action_id": one.action_id, "text": text, "value": one.value}


async def events(office: Office, kind: str) -> list[str]:
    told = await office.store.deployments.events((await found(office)).id)
    return [event.actor.name for event in told if event.kind == kind]


async def test_it_goes_up_step_by_step_as_people_say_and_each_step_is_told(office: Office) -> None:
    await office.says("ada", "checkout v1.2 staging")
    await asks(office, 20)
    card = await office.reads("ada", "✓ errors – Pass: 0.4 % · limit 2 %", "channel")
    assert "step 1 of 3, 20 % of the traffic" in card
    assert "500 samples" in card
    await office.server.hands.open_home("ada")
    await office.reads("ada", "Needs attention #1 checkout to staging", "home")
    await office.presses("ada", "Promote to 50 %", "thread")
    await office.reads("ada", "promoted by ada", "thread")
    await asks(office, 50)
    await office.reads("ada", "Step 1 of 3 passed at 20 %: errors 0.4 % (limit 2 %). Promoted by ada.", "thread")
    await office.presses("grace", "Promote to 100 %", "channel")
    await office.reaches(1, "succeeded")
    assert place(office).moves == ["20 %", "50 %", "100 %", "promote"]
    await office.reads("ada", "Succeeded", "thread")
    assert _files(office) == ["1-decide.0.png", "1-decide.1.png"]
    drawn = next(file for file in office.server.workspace.files.values() if file.name == "1-decide.0.png")
    assert drawn.title == "errors of checkout in staging"
    assert "errors of checkout in staging over time: the canary" in drawn.alt
    assert "limit 2 %" in drawn.alt
    told = [one for one in office.seen("ada", "thread") if "Step 1 of 3 passed" in one]
    assert len(told) == 1


async def test_a_late_click_on_a_step_that_is_over_changes_nothing(office: Office) -> None:
    await office.says("ada", "checkout v1.2 staging")
    await asks(office, 20)
    old = [await office.button("ada", label, "channel") for label in ("Promote to 100 %", "Hold")]
    await office.presses("grace", "Promote to 50 %", "channel")
    await asks(office, 50)
    await stands_again(office, *old)
    for label in ("old Promote to 100 %", "old Hold"):
        seen = len(office.seen("ada", "ephemeral"))
        await office.presses("ada", label, "channel")
        sentence = "That was about step 1 of 3; it is at step 2 of 3 now."
        await office.reads("ada", sentence, "ephemeral", after=seen)
    deployment = await found(office)
    assert deployment.progression is not None
    assert deployment.progression.position.approved == 50
    assert place(office).moves == ["20 %", "50 %"]


async def test_of_two_who_promote_at_once_one_is_told_who_was_faster(office: Office) -> None:
    await office.says("ada", "checkout v1.2 staging")
    await asks(office, 20)
    place(office).busy.set()  # the next step is begun and not reached
    clicks = [(who, await office.button(who, "Promote to 50 %", "channel")) for who in ("ada", "grace")]
    await asyncio.gather(*(office.clicks(who, button) for who, button in clicks))
    told = await office.until(
        lambda: [one for who in ("ada", "grace") for one in office.seen(who, "ephemeral")], lambda: "a loser"
    )
    winner = (await events(office, "promoted"))[0]
    assert f"{winner} has already promoted it to 50 %" in told[0]
    assert await events(office, "promoted") == [winner]
    place(office).busy.clear()
    await asks(office, 50)
    assert place(office).moves == ["20 %", "50 %"]


async def test_an_abort_while_it_is_promoted_takes_it_back(office: Office) -> None:
    await office.says("ada", "checkout v1.2 staging")
    await asks(office, 20)
    old = await office.button("grace", "Promote to 100 %", "channel")
    place(office).busy.set()
    await office.presses("ada", "Promote to 50 %", "channel")
    await moves(office, "20 %", "50 %")
    await office.presses("ada", "Abort", "channel")
    await moves(office, "20 %", "50 %", "take back")
    await stands_again(office, old)
    await office.presses("grace", "old Promote to 100 %", "channel")
    await office.reads("grace", "ada has asked to stop #1 already", "ephemeral")
    place(office).busy.clear()
    await office.reaches(1, "aborted")
    assert place(office).moves == ["20 %", "50 %", "take back"]
    assert place(office).running is not None
    assert place(office).running.release.version == "v1.1"  # type: ignore[union-attr]  # just asked


async def test_holding_and_going_on(office: Office) -> None:
    await office.says("ada", "checkout v1.2 staging")
    await asks(office, 20)
    await office.presses("ada", "Hold", "channel")
    await office.reads("ada", "ada holds it", "channel")
    await office.says("grace", "promote #1")
    await asks(office, 50)
    await office.says("ada", 'hold #1 reason="after lunch"')
    await office.reads("ada", "ada holds it: after lunch", "channel")
    await office.presses("grace", "Resume", "channel")
    await office.presses("grace", "Promote to 100 %", "channel")
    await office.reaches(1, "succeeded")


async def _trips(office: Office) -> None:
    """Asked at 20 %, and then the check fails."""
    await office.says("ada", "checkout v1.2 staging")
    await asks(office, 20)
    office.gauge.values[Track.CANARY] = 0.081
    await office.reads("ada", "Automatic rollback of #1", "thread")


async def test_while_a_check_fails_it_is_promoted_only_by_force_with_a_reason_and_the_right(office: Office) -> None:
    await office.says("ada", "checkout v1.2 staging")
    await asks(office, 20)
    old = await office.button("ada", "Promote to 50 %", "channel")
    office.gauge.values[Track.CANARY] = 0.081
    await office.presses("grace", "Cancel auto-rollback", "thread")
    await office.reads("ada", "Cancelled by grace", "channel")
    refused = await office.reads("ada", "Waits, and cannot be promoted", "thread")
    assert "/deploy promote #1 force reason=" in refused
    assert not [one for one in office.server.hands.visible_buttons("ada") if one.label.startswith("Promote")]
    await stands_again(office, old)
    await office.presses("ada", "old Promote to 50 %", "channel")
    await office.reads("ada", "It is not promoted: errors: 8.1 % of 500 samples is above its limit of 2 %", "ephemeral")
    await office.says("ada", 'promote #1 force reason="it is a robot"')
    await office.reads("ada", "You may not resolve", "ephemeral")
    await office.says("grace", "promote #1 force")
    await office.reads("grace", "takes a reason", "ephemeral")
    assert place(office).moves == ["20 %"]
    await office.says("grace", 'promote #1 force reason="it is a robot"')
    await moves(office, "20 %", "50 %")
    left = await office.reads("ada", "Step 1 of 3 left", "thread")
    assert "although errors does not pass" in left
    assert "Forced by grace: it is a robot." in left
    exported = "".join([chunk async for chunk in office.store.audit.export(format="jsonl")])
    assert any("it is a robot" in json.dumps(json.loads(line)) for line in exported.splitlines())


async def test_only_who_may_roll_back_stops_or_hastens_the_countdown(office: Office) -> None:
    await _trips(office)
    for label in ("Cancel auto-rollback", "Snooze 10 min", "Roll back now"):
        seen = len(office.seen("ada", "ephemeral"))
        await office.presses("ada", label, "channel")
        await office.reads("ada", "You may not roll", "ephemeral", after=seen)
    before = (await found(office)).countdown
    assert before is not None
    assert before.snoozes == 0
    assert not before.state.over
    await office.presses("grace", "Snooze 10 min", "thread")
    await office.reads("ada", "put off", "channel")
    after = (await found(office)).countdown
    assert after is not None
    assert (after.deadline - before.deadline).total_seconds() > 500
    old = await office.button("grace", "Cancel auto-rollback", "channel")
    await office.presses("grace", "Roll back now", "channel")
    await office.reaches(1, "failed")
    assert place(office).moves == ["20 %", "take back"]
    await office.reads("ada", "now, as grace says", "thread")
    await stands_again(office, old)
    await office.presses("grace", "old Cancel auto-rollback", "channel")
    await office.reads("grace", "The rollback has begun already, grace asked for it", "ephemeral")
    await office.until(lambda: "1-failed.png" in _files(office), lambda: f"a picture among {_files(office)}")
    assert sorted(_files(office)) == ["1-countdown.png", "1-decide.0.png", "1-failed.png"]
    await office.until(
        lambda: not [b for b in office.server.hands.visible_buttons("grace") if b.label == "Roll back now"],
        lambda: "a workspace without a countdown",
    )


async def test_checks_that_recover_call_the_rollback_off(office: Office) -> None:
    await _trips(office)
    office.gauge.values[Track.CANARY] = 0.004
    await office.reads("ada", "Called off: the checks have recovered", "thread")
    await office.presses("ada", "Promote to 50 %", "channel")
    await asks(office, 50)


async def test_who_has_no_role_is_refused_at_every_button_and_word(office: Office) -> None:
    await office.says("ada", "checkout v1.2 staging")
    await asks(office, 20)
    for label in ("Promote to 50 %", "Promote to 100 %", "Hold", "Abort"):
        await _refused(office, office.presses("linus", label, "channel"))
    for text in ("promote #1", 'promote #1 force reason="x"', "hold #1", "resume #1"):
        await _refused(office, office.says("linus", text))
    office.gauge.values[Track.CANARY] = 0.081
    await office.reads("ada", "Automatic rollback of #1", "thread")
    for label in ("Cancel auto-rollback", "Snooze 10 min", "Roll back now"):
        await _refused(office, office.presses("linus", label, "thread"))
    assert await events(office, "promoted") == []
    assert await events(office, "held") == []
    countdown = (await found(office)).countdown
    assert countdown is not None
    assert countdown.by is None
    assert place(office).moves == ["20 %"]


async def _refused(office: Office, acting: Any) -> None:
    seen = len(office.seen("linus", "ephemeral"))
    await acting
    await office.reads("linus", "You may not", "ephemeral", after=seen)


def _files(office: Office) -> list[str]:
    """Pictures in the thread, without the instants in their names."""
    files = office.server.workspace.files
    names = [files[file].name for one in office.messages(CHANNEL) if one.is_reply for file in one.files]
    return ["1-countdown.png" if name.startswith("1-countdown.") else name for name in names]


async def test_a_release_that_fails_after_its_success_is_rolled_back_once_in_the_thread(tmp_path: Path) -> None:
    text = CATALOG.replace("strategy: canary", "bake: 60s")
    async with open_office(tmp_path, text=text) as office:
        await office.says("ada", "checkout v1.1 staging")
        await office.reaches(1, "succeeded")
        await office.says("ada", "checkout v1.2 staging")
        await office.reaches(2, "succeeded")
        card = await office.reads("ada", "✓ errors – Pass: 0.4 % · limit 2 % · before 0.4 %", "channel")
        assert "Checks – watched until" in card
        office.gauge.values[Track.STABLE] = 0.081  # nothing else serves beside it any more
        asked = await office.reads("ada", "Automatic rollback of #2 checkout v1.2 to staging at", "thread")
        assert "errors: 8.1 % of 500 samples is above its limit of 2 %" in asked
        assert "the card has the newest numbers" in asked
        await office.reads("ada", "✗ errors – Tripped: 8.1 % · limit 2 % · before 0.4 %", "channel")
        await office.presses("ada", "Cancel auto-rollback", "thread")
        await office.reads("ada", "You may not roll", "ephemeral")
        await office.presses("grace", "Roll back now", "thread")
        await office.reaches(2, "rolled_back")
        await office.reads("ada", "Rolled back: #2 checkout v1.2 to staging. staging serves v1.1 again", "thread")
        await office.until(lambda: "2-rolled_back.png" in _files(office), lambda: f"a picture among {_files(office)}")
        past = await office.store.deployments.history(ServiceName("checkout"), None, limit=10)
        assert [one.number for one in past if one.is_rollback] == [3]


async def test_a_strategy_that_the_target_cannot_do_is_refused_with_those_that_can(office: Office) -> None:
    office.catalog = replace(office.catalog, powers={"local": frozenset(), "acme": frozenset(Power)})
    await office.says("ada", "checkout v1.2 staging strategy=canary")
    told = await office.reads("ada", "The target local cannot do the strategy canary", "ephemeral")
    assert "it cannot split traffic between two releases" in told
    assert "These targets can: acme." in told
    assert "checkout in staging can be deployed with strategy=rolling." in told
    so_far = len(office.seen("ada", "ephemeral"))
    await office.server.hands.say("ada", f"<@{seed.BOT_USER}> deploy checkout v1.2 staging", channel=CHANNEL)
    await office.reads("ada", "The target local cannot do the strategy canary", "ephemeral", after=so_far)
    assert list(await office.store.deployments.active()) == []
    assert place(office).moves == []
