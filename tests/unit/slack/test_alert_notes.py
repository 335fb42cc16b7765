"""What the thread says of alerts: one note, which asks what can be done, and asks nothing when nothing can."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slack_scenes import ADA, START, deployment, running, view
from test_slack_hostile_text import checked, hostile

from bot.domain.actor import BOT
from bot.domain.alert import Alert, AlertSource, AlertStatus
from bot.domain.deployment import Request
from bot.domain.lifecycle import Phase
from bot.domain.progression import Progression
from bot.domain.strategy.position import Held, Position
from bot.slack.names import ActionId
from bot.slack.render.alerting import KEY, alert_notes
from bot.slack.render.notes import notes

if TYPE_CHECKING:
    from bot.domain.view import DeploymentView
    from bot.slack.render.note import Note

P = Phase


def alert(name: str = "HighErrorRate", **changes: Any) -> Alert:
    made = Alert(
        source=AlertSource.ALERTMANAGER,
        fingerprint="ab54f1ea6a5a5c5e",
        status=AlertStatus.FIRING,
        name=name,
        service=deployment(P.SUCCEEDED).service,
        environment=deployment(P.SUCCEEDED).environment,
        starts_at=START,
        received_at=START,
    )
    return replace(made, **changes)


def note_of(shown: DeploymentView) -> Note:
    [found] = [one for one in notes(shown) if one.key == KEY]
    checked(found.message)
    assert found.live
    return found


def pressed(note: Note) -> list[str]:
    return [
        element["action_id"]
        for block in note.message.blocks
        if block["type"] == "actions"
        for element in block["elements"]
    ]


def test_without_an_alert_nothing_is_said() -> None:
    for phase in Phase:
        assert alert_notes(view(phase)) == []


@pytest.mark.parametrize(
    ("phase", "says", "presses"),
    [
        (P.SUCCEEDED, "It began after #12 was deployed. Roll back to v1.1?", [ActionId.ROLL_BACK]),
        (P.DEPLOYING, "It began after #12 had begun. Abort it?", [ActionId.ABORT]),
        (P.PAUSED, "It began after #12 had begun. Abort it?", [ActionId.ABORT]),
        (P.NEEDS_ATTENTION, "Roll it back?", [ActionId.PUT_BACK, ActionId.ABORT]),
        (P.ROLLING_BACK, "It is being seen to.", []),
        (P.ROLLED_BACK, "It began after #12 was deployed.", []),
        (P.FAILED, "It began after #12 was deployed.", []),
    ],
)
def test_it_asks_what_can_be_done(phase: Phase, says: str, presses: list[str]) -> None:
    base = view(phase, alerts=(alert(),))
    number = base.deployment.number
    note = note_of(base)
    assert says.replace("#12", f"#{number}") in note.message.text
    assert "HighErrorRate (alertmanager ab54f1ea6a5a…)" in note.message.text
    assert pressed(note) == presses


def test_a_word_that_is_being_obeyed_leaves_nothing_to_ask() -> None:
    asked = replace(deployment(P.DEPLOYING), request=Request(actor=ADA, at=START))
    note = note_of(view(P.DEPLOYING, deployment=asked, alerts=(alert(),)))
    assert "It is being seen to." in note.message.text
    assert pressed(note) == []


def test_without_an_earlier_release_it_says_so() -> None:
    note = note_of(view(P.SUCCEEDED, rollback_to=None, alerts=(alert(),)))
    assert "There is no earlier release to roll back to." in note.message.text
    assert pressed(note) == []


def test_it_says_that_it_is_held_and_by_whom_only_if_it_was_the_bot() -> None:
    for by, told in ((BOT, True), (ADA, False)):
        held = Held(at=START, by=by, why="x")
        progression = Progression(position=Position(step=0, weight=20, since=START, held=held))
        under_way = replace(deployment(P.PAUSED), progression=progression)
        note = note_of(view(P.PAUSED, deployment=under_way, alerts=(alert(),)))
        assert ("It is held until somebody says something else." in note.message.text) is told


def test_many_alerts_are_one_note_and_what_is_over_is_said() -> None:
    over = alert("Slow", ended_at=START + timedelta(minutes=9))
    two = note_of(view(P.SUCCEEDED, alerts=(alert(), over)))
    assert "They began after" in two.message.text
    assert "It is over since" in two.message.text
    many = note_of(view(P.SUCCEEDED, alerts=tuple(alert(f"Alert{number}") for number in range(40))))
    assert "Alert4" in many.message.text
    assert "Alert5" not in many.message.text
    assert "… and 35 more alerts." in many.message.text


@pytest.mark.parametrize("phase", [P.DEPLOYING, P.NEEDS_ATTENTION, P.SUCCEEDED, P.FAILED])
@given(names=st.lists(hostile, min_size=1, max_size=7), mark=st.text(alphabet="!#$%&'*_~`<>@|:abc", min_size=1))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_nothing_that_is_sent_is_read_as_markup(phase: Phase, names: list[str], mark: str) -> None:
    raised = tuple(alert(name, fingerprint=mark) for name in names)
    named = replace(deployment(phase), previous=running("v1.1"), previous_recorded=True)
    note_of(view(phase, deployment=named, alerts=raised))
