"""Questions that anybody may ask: what they are answered, where, and how the picture of figures gets to its thread."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from office import Office


pytestmark = pytest.mark.long


async def deployed(office: Office, *orders: str) -> None:
    for number, order in enumerate(orders, 1):
        await office.says("ada", order)
        await office.reaches(number, "succeeded")


async def test_figures_are_told_in_the_channel_and_drawn_in_the_thread_of_the_answer(office: Office) -> None:
    pytest.importorskip("matplotlib")
    await deployed(office, "checkout v1.1 staging", "checkout v1.2 staging")
    await office.says("linus", "stats checkout")
    await office.reads("ada", "Deployment frequency", "channel")
    root = office.ref("ada", "channel", "Deployment frequency")
    files = await office.until(
        lambda: [m for m in office.messages() if m.thread_ts == root.ts and m.files], lambda: "a picture in the thread"
    )
    stored = office.server.workspace.files[files[0].files[0]]
    assert stored.content is not None
    assert stored.content.startswith(b"\x89PNG")
    assert "checkout" in stored.alt


async def test_figures_go_into_the_thread_in_which_somebody_asks(office: Office) -> None:
    pytest.importorskip("matplotlib")
    await deployed(office, "checkout v1.1 staging")
    root = next(message for message in office.messages() if not message.is_reply)
    text = f"<@{office.server.workspace.bot_user}> stats checkout"
    await office.server.hands.say("linus", text, channel="deployments", thread_ts=root.ts)
    await office.reads("ada", "Deployment frequency", "thread")
    await office.until(
        lambda: [m for m in office.messages() if m.thread_ts == root.ts and m.files], lambda: "a picture in that thread"
    )


async def test_without_the_extra_the_figures_say_how_to_have_pictures(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as if it had never been installed
    await deployed(office, "checkout v1.1 staging")
    await office.says("linus", "stats checkout")
    told = await office.reads("ada", "Deployment frequency", "channel")
    assert "pip install 'deployment-architect[charts]'" in told


async def test_where_the_bot_may_not_speak_the_caller_is_told_alone(office: Office) -> None:
    await deployed(office, "checkout v1.1 staging")
    await office.says("linus", "stats checkout", channel="general")
    await office.reads("linus", "Deployment frequency", "ephemeral")
    assert office.messages("general") == []


async def test_where_tells_what_was_changed_behind_the_bots_back(office: Office) -> None:
    await deployed(office, "checkout v1.1 staging")
    place = office.place("checkout@staging")
    other = await office.images(office.catalog, office.catalog.service("checkout").name).resolve(version="v1.3")
    assert place.running is not None
    place.running = type(place.running)(release=other, healthy=1, instances=1)
    await office.says("linus", "where checkout")
    told = await office.reads("linus", "What runs where", "ephemeral")
    assert "outside" in told


async def test_who_may_what_and_by_which_row(office: Office) -> None:
    await office.says("linus", "may deploy checkout production @ada")
    told = await office.reads("linus", "Who may what", "ephemeral")
    assert "deployer" in told
    await office.says("linus", "may deploy checkout production")
    await office.reads("linus", "You may not deploy checkout in production", "ephemeral")


async def test_in_what_two_environments_differ(office: Office) -> None:
    await deployed(office, "checkout v1.1 staging")
    await office.says("linus", "diff staging night")
    await office.reads("linus", "checkout – Missing in night", "ephemeral")


@pytest.mark.parametrize(
    ("who", "sees", "not_"),
    [
        ("grace", ["approve", "freeze", "break-glass", "run-next", "stats"], []),
        ("ada", ["lock", "rollback", "schedule", "may"], ["freeze", "break-glass", "approve <", "run-next"]),
        ("linus", ["status", "where", "diff", "may", "locks"], ["rollback", "abort", "unlock", "break-glass"]),
    ],
)
async def test_help_is_what_the_caller_may_do(office: Office, who: str, sees: list[str], not_: list[str]) -> None:
    await office.says(who, "help")
    told = await office.reads(who, "What /deploy understands", "ephemeral")
    assert [word for word in sees if f"/deploy {word}" not in told] == []
    assert [word for word in not_ if f"/deploy {word}" in told] == []


async def test_a_rehearsal_shows_what_stands_in_the_way_and_takes_nothing(office: Office) -> None:
    await deployed(office, "checkout v1.1 staging")
    await office.says("grace", 'lock checkout staging reason="The load test runs"')
    await office.reads("ada", "The load test runs", "channel")
    await office.says("ada", "checkout v1.2 staging dry-run")
    told = await office.reads("ada", "Dry run", "ephemeral")
    assert "Nothing was changed" in told
    assert "The load test runs" in told
    assert office.place("checkout@staging").applied == ["v1.1"]


async def test_the_form_keeps_what_was_said_before_it_opened(office: Office) -> None:
    await office.says("ada", 'checkout staging at="in 2h"')
    form = await office.form("ada", "Deploy")
    assert "at=in 2h" in (await office.reads("ada", "As you said", "modal"))
    receipt = await office.server.hands.submit("ada", form, {"Version": "v1.2"})
    assert not receipt.errors, receipt
    await office.reaches(1, "scheduled")


async def test_a_form_for_a_locked_place_shows_the_way_on_in_the_forms_place(office: Office) -> None:
    await office.says("grace", 'lock checkout staging reason="The load test runs"')
    await office.reads("ada", "The load test runs", "channel")
    await office.says("ada", "checkout staging")
    receipt = await office.sends("ada", "Deploy", Version="v1.2")
    assert not receipt.errors, receipt
    await office.reads("ada", "The load test runs", "modal")
    await office.presses("ada", "Queue behind it", "modal")
    await office.reaches(1, "held")
    await office.reads("ada", "Accepted", "modal")


async def test_a_mistake_in_the_form_is_shown_in_the_form_and_can_be_mended(office: Office) -> None:
    await office.says("linus", "checkout staging")
    form = await office.form("linus", "Deploy")
    refused = await office.server.hands.submit("linus", form, {"Version": "v1.2"})
    assert "You may not deploy checkout in staging" in refused.errors["environment"]
    office.joins("linus", "S0DEPLOY")
    mended = await office.server.hands.submit("linus", form, {"Version": "v1.2"})
    assert not mended.errors, mended
    await office.reaches(1, "succeeded")


async def test_words_in_a_direct_message_are_obeyed_like_any_other(office: Office) -> None:
    direct = office.server.workspace.direct(["U0ADA"])
    await office.server.hands.say("ada", "checkout v1.2 staging", channel=direct.id)
    await office.reaches(1, "succeeded")
    await office.server.hands.say("ada", "locks", channel=direct.id)
    await office.reads("ada", "nothing is locked", "ephemeral")
