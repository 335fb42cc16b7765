"""Locks, freezes and windows: who is held is told what can be done, and everybody whom it concerns is told once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from office import Office


pytestmark = pytest.mark.long


async def test_a_locked_order_waits_behind_the_lock_once_however_often_the_button_is_pressed(office: Office) -> None:
    await office.says("grace", 'lock checkout staging reason="The load test runs"')
    locked = await office.reads("ada", "The load test runs", "channel")
    assert "Locked" in locked
    await office.says("ada", 'checkout v1.2 staging reason="The fix"')
    refused = await office.reads("ada", "The load test runs", "ephemeral")
    for label in ("Queue behind it", "Ask", "Take over"):
        assert label in refused
    button = await office.button("ada", "Queue behind it", "ephemeral")
    await office.clicks("ada", button)
    await office.clicks("ada", button)
    await office.reaches(1, "held")
    await office.says("grace", "unlock checkout staging")
    await office.reaches(1, "succeeded")
    [deployment] = await office.store.deployments.history("checkout", None, limit=10)  # type: ignore[arg-type]
    assert deployment.reason == "The fix"
    assert deployment.requester.id == "U0ADA"


async def test_the_owner_of_a_lock_is_asked_directly_and_unlocks_there(office: Office) -> None:
    await office.says("grace", 'lock checkout staging reason="The load test runs"')
    await office.reads("ada", "The load test runs", "channel")
    await office.says("ada", "checkout v1.2 staging")
    await office.presses("ada", "Ask grace", "ephemeral")
    asked = await office.reads("grace", "Somebody waits for your lock", "dm")
    assert "ada asks about your lock of checkout@staging" in asked
    await office.presses("grace", "Unlock", "dm")
    settled = await office.reads("grace", "Unlocked", "dm")
    assert "[Unlock]" not in settled
    await office.says("ada", "checkout v1.2 staging")
    await office.reaches(1, "succeeded")


async def test_whoever_takes_a_lock_over_says_why_and_its_owner_reads_it(office: Office) -> None:
    await office.says("grace", 'lock checkout staging reason="The load test runs"')
    await office.reads("ada", "The load test runs", "channel")
    await office.says("ada", "checkout v1.2 staging")
    await office.presses("ada", "Take over", "ephemeral")
    receipt = await office.sends("ada", "Take the lock over", Reason="Checkout is down")
    assert not receipt.errors
    told = await office.reads("grace", "taken over your lock", "dm")
    assert "Checkout is down" in told
    await office.reads("ada", "the lock is yours", "ephemeral")
    await office.says("ada", "checkout v1.2 staging")
    await office.reaches(1, "succeeded")


async def test_a_button_of_a_lock_that_is_gone_says_so(office: Office) -> None:
    await office.says("grace", 'lock checkout staging reason="The load test runs"')
    await office.reads("ada", "The load test runs", "channel")
    button = await office.button("grace", "Unlock", "channel")
    await office.says("grace", "unlock checkout staging")
    await office.reads("ada", "Unlocked", "channel")
    await office.clicks("grace", button)
    await office.reads("grace", "You have lifted the lock of checkout@staging already", "ephemeral")
    await office.until(
        lambda: not [b for b in office.server.hands.visible_buttons("grace") if b.label == "Unlock"],
        lambda: "a message without the button of a lock that is gone",
    )


async def test_a_freeze_stops_the_line_and_what_it_held_is_started_by_hand(office: Office) -> None:
    office.place("checkout@staging").busy.set()
    await office.says("ada", "checkout v1.1 staging")
    await office.reaches(1, "deploying")
    await office.says("ada", "checkout v1.2 staging")
    await office.reaches(2, "queued")
    await office.says("grace", 'freeze all reason="The database is on fire"')
    await office.reads("grace", "nothing goes forward", "ephemeral")
    await office.reads("linus", "The database is on fire", "channel")
    office.place("checkout@staging").busy.clear()
    await office.reaches(1, "succeeded")
    await office.reaches(2, "held")
    await office.says("ada", "payments v1.2 staging")
    refused = await office.reads("ada", "The database is on fire", "ephemeral")
    assert "Queue behind it" not in refused
    await office.says("grace", "unfreeze all")
    await office.reads("grace", "Held meanwhile", "ephemeral")
    await office.reads("linus", "Freeze lifted", "channel")
    await office.presses("ada", "Start", "channel")
    await office.reaches(2, "succeeded")
    assert office.place("checkout@staging").applied == ["v1.1", "v1.2"]


async def test_an_override_takes_two_people_and_serves_once(office: Office) -> None:
    office.joins("ada", "S0RELEASE")
    await office.says("grace", 'freeze staging reason="Quarter end"')
    await office.reads("linus", "Quarter end", "channel")
    await office.says("ada", "checkout v1.2 staging")
    await office.presses("ada", "Request override", "ephemeral")
    assert not (await office.sends("ada", "Request an override", Reason="The shop is down")).errors
    await office.reads("grace", "The shop is down", "channel")
    await office.presses("grace", "Agree", "channel")
    await office.reads("grace", "Agreed", "channel")
    await office.reads("ada", "Override agreed", "dm")
    await office.says("ada", "checkout v1.2 staging")
    await office.reaches(1, "succeeded")
    before = len(office.seen("ada", "ephemeral"))
    await office.says("ada", "checkout v1.3 staging")
    await office.reads("ada", "Quarter end", "ephemeral", after=before)


async def test_a_closed_window_offers_to_run_when_it_opens_and_the_time_can_be_moved(office: Office) -> None:
    await office.says("ada", "checkout v1.2 night")
    await office.presses("ada", "Run when it opens", "ephemeral")
    await office.reaches(1, "scheduled")
    await office.says("ada", "schedule")
    await office.reads("ada", "#1", "ephemeral")
    await office.says("ada", 'schedule #1 at="in 2h"')
    [(schedule, _)] = await office.engine.scheduling.all()
    await office.reaches(1, "scheduled")
    assert schedule.by.id == "U0ADA"
    await office.says("ada", "abort #1")
    await office.reaches(1, "aborted")


async def test_a_time_is_on_the_clock_of_who_typed_it(office: Office) -> None:
    await office.says("ada", 'checkout v1.2 staging at="in 3h" expires=20m')
    await office.reaches(1, "scheduled")
    [(schedule, _)] = await office.engine.scheduling.all()
    assert (schedule.expires - schedule.at).total_seconds() == 20 * 60
    await office.says("ada", "checkout v1.2 staging expires=20m")
    await office.reads("ada", "but there is no time", "ephemeral")


async def test_the_glass_is_broken_with_the_name_typed_by_hand_and_reviewed(office: Office) -> None:
    office.joins("linus", "S0RELEASE")
    await office.says("grace", 'freeze all reason="The database is on fire"')
    await office.reads("linus", "The database is on fire", "channel")
    await office.says("grace", "break-glass checkout v1.2 production")
    wrong = await office.sends("grace", "Break the glass", Reason="Everything is down", confirm="chekout")
    assert "confirm" in wrong.errors, wrong
    right = await office.sends("grace", "Break the glass", Reason="Everything is down", confirm="checkout")
    assert not right.errors, right
    await office.reaches(1, "succeeded")
    assert office.place("checkout@production").applied == ["v1.2"]
    await office.reads("grace", "Glass broken", "channel")
    await office.says("ada", "break-glass checkout v1.3 production")
    await office.reads("ada", "You may not break the glass", "ephemeral")


async def test_the_home_tab_follows_what_is_locked_whoever_locks_it(office: Office) -> None:
    await office.server.hands.open_home("linus")
    await office.reads("linus", "What runs where", "home")
    await office.says("grace", 'lock checkout staging reason="The load test runs"')
    await office.reads("linus", "The load test runs", "home")
    elsewhere = await office.engine.locking.unlock(
        scope=(await office.engine.locking.current())[0].scope,
        requester=await office.slack.identity.membership("U0GRACE", team_id=None),
    )
    assert elsewhere
    await office.until(
        lambda: "The load test runs" not in office.seen("linus", "home")[0], lambda: "a Home tab without the lock"
    )


async def test_of_several_services_all_are_started_or_none(office: Office) -> None:
    await office.says("grace", 'lock payments staging reason="Being migrated"')
    await office.reads("ada", "Being migrated", "channel")
    await office.says("ada", "checkout,payments v1.2 staging")
    told = await office.reads("ada", "Being migrated", "ephemeral")
    assert "one by one" in told
    assert "Queue behind it" not in told, "it would wait for one of them only"
    assert office.place("checkout@staging").applied == []
