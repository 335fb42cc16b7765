"""The publisher's budget on a clock of its own: never too much in any window, and ends get through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack.budget import Budget, Pacing


class Clock:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


@given(st.lists(st.tuples(st.booleans(), st.floats(min_value=0.0, max_value=5.0)), max_size=300))
def test_no_window_holds_more_than_the_budget(wishes: list[tuple[bool, float]]) -> None:
    clock = Clock()
    pacing = Pacing()
    budget = Budget(pacing, clock)
    taken: list[tuple[float, bool]] = []
    for urgent, pause in wishes:
        clock.at += pause
        if budget.edit(urgent=urgent) == 0:
            budget.edited()
            taken.append((clock.at, urgent))
    for begin, _ in taken:
        within = [urgent for at, urgent in taken if begin <= at < begin + pacing.window]
        assert len(within) <= pacing.edits + pacing.reserve <= 50


def test_ordinary_edits_leave_a_reserve_that_urgent_ones_may_use() -> None:
    clock = Clock()
    budget = Budget(Pacing(edit_burst=100), clock)
    while budget.edit(urgent=False) == 0:
        budget.edited()
    urgent = 0
    while budget.edit(urgent=True) == 0:
        budget.edited()
        urgent += 1
    assert urgent == 8
    clock.at += budget.edit(urgent=True) + 0.001
    assert budget.edit(urgent=True) == 0


def test_ordinary_edits_are_spread_once_the_burst_is_spent() -> None:
    clock = Clock()
    budget = Budget(Pacing(), clock)
    for _ in range(15):
        assert budget.edit(urgent=False) == 0
        budget.edited()
    assert budget.edit(urgent=False) == pytest.approx(1.5)
    assert budget.edit(urgent=True) == 0


def test_the_wait_that_is_named_is_enough() -> None:
    clock = Clock()
    budget = Budget(Pacing(), clock)
    for _ in range(200):
        clock.at += budget.edit(urgent=False) + 1e-6
        assert budget.edit(urgent=False) == 0
        budget.edited()


def test_a_pause_holds_one_method_and_posts_are_counted_by_channel() -> None:
    clock = Clock()
    budget = Budget(Pacing(), clock)
    budget.pause("chat.update", 30)
    assert budget.edit(urgent=True) == 30
    assert budget.post("C1") == 0
    for _ in range(4):
        budget.posted("C1")
    assert budget.post("C1") == pytest.approx(1.0)
    assert budget.post("C2") == 0
    clock.at += 31
    assert budget.edit(urgent=True) == 0


def test_the_spacing_of_one_message_grows_to_its_end() -> None:
    pacing = Pacing()
    assert [pacing.spacing(edits) for edits in (0, 4, 16, 100)] == [2.0, 4.0, 10.0, 10.0]
