"""The countdown to an automatic rollback: who and what stops it, and that it is done at most once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.actor import Actor
from bot.domain.analysis.countdown import (
    Countdown,
    CountdownState,
    bar,
    begin,
    cancel,
    fire,
    recovered,
    roll_back_now,
    snooze,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.domain.analysis.countdown import Turn

NOW = datetime(2026, 5, 6, 10, 0, tzinfo=UTC)
ADA = Actor(workspace="T1", id="U0ADA", name="Ada")
GRACE = Actor(workspace="T1", id="U0GRACE", name="Grace")
WHY = "errors: 8 % is above its limit of 2 %."


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def begun(seconds: float = 60) -> Countdown:
    found = begin(WHY, at=NOW, seconds=seconds)
    assert found is not None
    return found


def test_it_fires_at_its_deadline_and_once() -> None:
    countdown = begun()
    assert not fire(countdown, after(59.9)).changed
    turn = fire(countdown, after(60))
    assert (turn.changed, turn.countdown.state) == (True, CountdownState.FIRED)
    assert turn.sentence == f"Rolling back: {WHY}"
    assert not fire(turn.countdown, after(61)).changed
    assert begin(WHY, at=after(70), last=turn.countdown) is None


def test_a_restart_long_after_the_deadline_finds_it_due() -> None:
    assert begun().due(after(3600))
    assert not recovered(begun(), after(3600)).changed, "that came too late"


def test_at_zero_it_is_due_at_once() -> None:
    assert begun(0).due(NOW)
    assert fire(begun(0), NOW).changed


def test_a_person_does_not_wait() -> None:
    turn = roll_back_now(begun(), ADA, after(5))
    assert (turn.countdown.state, turn.countdown.by) == (CountdownState.FIRED, ADA)
    late = cancel(turn.countdown, GRACE, after(5.1))
    assert not late.changed
    assert late.sentence == "The rollback has begun already, Ada asked for it."


def test_a_person_cancels_for_good() -> None:
    turn = cancel(begun(), ADA, after(5))
    assert not turn.countdown.armed
    assert not fire(turn.countdown, after(3600)).changed
    late = roll_back_now(turn.countdown, GRACE, after(6))
    assert not late.changed
    assert late.sentence == "Ada has cancelled the automatic rollback already."
    assert begin(WHY, at=after(60), last=turn.countdown) is None
    assert cancel(begun(), ADA, after(61)).changed, "as long as it has not begun, a person may stop it"


def test_snoozing_puts_the_deadline_off_and_never_forward() -> None:
    turn = snooze(begun(), ADA, after(50))
    assert turn.countdown.deadline == after(650)
    assert not turn.countdown.due(after(649))
    assert turn.countdown.armed
    again = snooze(turn.countdown, GRACE, after(60))
    assert (again.countdown.deadline, again.countdown.snoozes) == (after(660), 2)
    assert snooze(begun(9999), ADA, NOW).countdown.deadline == after(9999)
    assert "still failing" in turn.sentence
    assert fire(again.countdown, after(660)).changed


def test_recovery_calls_it_off_and_a_later_failure_counts_down_anew() -> None:
    turn = recovered(begun(), after(59))
    assert turn.countdown.state is CountdownState.RECOVERED
    assert turn.countdown.armed
    assert not roll_back_now(turn.countdown, ADA, after(60)).changed
    again = begin(WHY, at=after(300), last=turn.countdown)
    assert again is not None
    assert again.deadline == after(360)
    assert not recovered(begun(), after(60)).changed


def test_a_migration_calls_a_person_instead() -> None:
    why = "V12__drop_column cannot be taken back."
    paged = begin(WHY, at=NOW, barred=why)
    assert paged is not None
    assert (paged.state, paged.armed) == (CountdownState.PAGED, False)
    assert not fire(paged, after(3600)).changed
    assert roll_back_now(paged, ADA, after(5)).sentence == (
        f"This is not rolled back automatically: {why} A person must decide."
    )
    later = bar(begun(), why, after(30))
    assert (later.changed, later.countdown.state) == (True, CountdownState.PAGED)
    assert not bar(cancel(begun(), ADA, NOW).countdown, why, after(30)).changed


ACTS: list[Callable[[Countdown, datetime], Turn]] = [
    fire,
    recovered,
    lambda countdown, at: cancel(countdown, ADA, at),
    lambda countdown, at: roll_back_now(countdown, GRACE, at),
    lambda countdown, at: snooze(countdown, ADA, at),
    lambda countdown, at: bar(countdown, "a migration.", at),
]


@settings(deadline=None)
@given(acts=st.lists(st.tuples(st.sampled_from(ACTS), st.floats(0, 700)), max_size=20))
def test_whatever_happens_there_is_one_end(acts: list[tuple[Callable[[Countdown, datetime], Turn], float]]) -> None:
    countdown, seconds, fired = begun(), 0.0, 0
    for act, later in acts:
        seconds += later
        turn = act(countdown, after(seconds))
        assert turn.sentence
        assert turn.changed == (turn.countdown != countdown)
        if countdown.state.over:
            assert not turn.changed, "what is over stays so"
        fired += turn.changed and turn.countdown.state is CountdownState.FIRED
        countdown = turn.countdown
    assert fired <= 1
    assert countdown.state.over or fire(countdown, countdown.deadline).changed


@pytest.mark.parametrize("state", [state for state in CountdownState if state is not CountdownState.RECOVERED])
def test_one_countdown_after_another_only_when_it_recovered(state: CountdownState) -> None:
    last = Countdown(why=WHY, began=NOW, deadline=NOW, state=state)
    assert begin(WHY, at=after(9), last=last) is None
