"""Yes and no, said in a direct message, on the Home tab, in the channel and by a command: every door tells the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from office import Office


pytestmark = pytest.mark.long


async def test_an_approver_is_asked_directly_and_approves_there(office: Office) -> None:
    await office.says("ada", "checkout v1.2 production")
    asked = await office.reads("grace", "Approval: checkout to production", "dm")
    assert "[Approve]" in asked
    assert office.seen("ada", "dm") == office.seen("linus", "dm") == []
    await office.presses("grace", "Approve", "dm")
    await office.reaches(1, "succeeded")
    decided = await office.reads("grace", "Approved by grace", "dm")
    assert "[Approve]" not in decided
    assert len(office.seen("grace", "dm")) == 1, "it was edited, not told again"
    await office.reads("ada", "grace", "thread")
    await office.until(
        lambda: not [b for b in office.server.hands.visible_buttons("grace") if b.label in {"Approve", "Reject"}],
        lambda: "a workspace without buttons of what is decided",
    )


async def test_who_may_not_decide_is_told_so_and_nothing_happens(office: Office) -> None:
    await office.says("ada", "checkout v1.2 production")
    await office.presses("linus", "Approve", "channel")
    await office.reads("linus", "You may not approve checkout in production", "ephemeral")
    await office.presses("ada", "Approve", "channel")
    await office.reads("ada", "You may not approve", "ephemeral")
    await office.reaches(1, "awaiting_approval")
    assert office.place("checkout@production").applied == []


async def test_a_rejection_asks_for_the_reason_in_a_form(office: Office) -> None:
    await office.says("ada", "checkout v1.2 production")
    await office.presses("grace", "Reject", "dm")
    receipt = await office.sends("grace", "Reject", Reason="It was never tested with the new prices.")
    assert not receipt.errors
    await office.reaches(1, "rejected")
    await office.reads("ada", "never tested with the new prices", "thread")
    decided = await office.reads("grace", "Rejected", "dm")
    assert "[Reject]" not in decided


async def test_the_form_does_not_open_for_somebody_who_may_not_reject(office: Office) -> None:
    await office.says("ada", "checkout v1.2 production")
    await office.presses("linus", "Reject", "channel")
    await office.reads("linus", "You may not approve checkout in production", "ephemeral")
    assert office.server.hands.modal("linus") is None


async def test_a_form_that_is_sent_too_late_says_who_was_faster(office: Office) -> None:
    office.joins("linus", "S0RELEASE")
    await office.says("ada", "checkout v1.2 production")
    await office.presses("grace", "Reject", "dm")
    form = await office.form("grace", "Reject")
    await office.presses("linus", "Approve", "dm")
    await office.reaches(1, "succeeded")
    receipt = await office.server.hands.submit("grace", form, {"Reason": "no"})
    assert "linus already approved #1" in receipt.errors["reason"]


async def test_the_loser_of_two_clicks_is_told_who_won(office: Office) -> None:
    office.joins("linus", "S0RELEASE")
    await office.says("ada", "checkout v1.2 production")
    late = await office.button("linus", "Approve", "dm")
    await office.presses("grace", "Approve", "dm")
    await office.reaches(1, "succeeded")
    await office.reads("linus", "Succeeded", "dm")
    await office.slack.app.client.chat_update(  # as it still stands on a screen that has not heard of it yet
        channel=late.container.channel,  # type: ignore[union-attr]  # a message's
        ts=late.container.ts,  # type: ignore[union-attr]
        text="x",
        blocks=[{"type": "actions", "elements": [_again(late.label, late.action_id, late.value)]}],
    )
    await office.presses("linus", "Approve", "dm")
    await office.reads("linus", "grace already approved #1", "ephemeral")


async def test_the_home_tab_shows_what_waits_for_its_viewer_and_follows(office: Office) -> None:
    await office.server.hands.open_home("grace")
    await office.server.hands.open_home("linus")
    await office.says("ada", "checkout v1.2 production")
    await office.reads("grace", "Waits for your approval", "home")
    await office.reads("linus", "Waiting for approval", "home")
    assert "Waits for your approval" not in office.seen("linus", "home")[0]
    await office.presses("grace", "Approve", "home")
    await office.reaches(1, "succeeded")
    await office.reads("grace", "Nothing is being deployed", "home")
    events = await office.store.deployments.events((await office.store.deployments.by_number(1)).id)
    assert events


async def test_words_do_as_well_as_buttons(office: Office) -> None:
    await office.says("ada", "checkout v1.2 production")
    await office.reaches(1, "awaiting_approval")
    await office.says("grace", "approve checkout production")
    await office.reads("grace", "Approved", "ephemeral")
    await office.reaches(1, "succeeded")
    await office.says("ada", "payments v1.2 production")
    await office.reaches(2, "awaiting_approval")
    direct = office.server.workspace.direct(["U0GRACE"])
    await office.server.hands.say("grace", 'reject #2 reason="not today"', channel=direct.id)
    await office.reaches(2, "rejected")


def _again(label: str, action: str, value: str | None) -> dict[str, object]:
    return {
        "type": "button",
        "action_id": action,
        "text": {"type": "plain_text", "text": label},
        **({"value": value} if value else {}),
    }


async def test_each_word_is_on_record_with_the_door_that_it_came_in_by(office: Office) -> None:
    for number in range(1, 5):
        await office.says("ada", f"checkout v1.{number} production")
        await office.reaches(number, "awaiting_approval")
        if number == 1:
            await office.presses("grace", "Approve", "dm")
        elif number == 2:
            await office.server.hands.open_home("grace")
            await office.presses("grace", "Approve", "home")
        elif number == 3:
            await office.says("grace", "approve checkout production")
        else:
            await office.presses("grace", "Reject", "channel")
            await office.sends("grace", "Reject", Reason="Enough for today")
        await office.reaches(number, "rejected" if number == 4 else "succeeded")
    exported = "".join([chunk async for chunk in office.store.audit.export(format="jsonl")])
    rows = [json.loads(line) for line in exported.splitlines()]
    doors = [row["door"] for row in rows if row["act"].startswith("ballot") and row["actor_id"] == "U0GRACE"]
    assert doors == ["button", "home", "command", "form"]


async def test_what_slack_delivers_twice_counts_once(office: Office) -> None:
    office.server.faults.duplicate_deliveries(60)
    await office.says("ada", "checkout v1.2 production")
    await office.presses("grace", "Approve", "dm")
    await office.reaches(1, "succeeded")
    ballots = await office.store.ballots.of((await office.store.deployments.by_number(1)).id)
    assert len(ballots) == 1
    assert len(await office.store.deployments.history("checkout", None, limit=10)) == 1  # type: ignore[arg-type]
    assert office.seen("grace", "ephemeral") == []
