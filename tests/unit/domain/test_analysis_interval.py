"""The intervals keep what they promise: held against counts that are summed up exactly, not against themselves."""

from __future__ import annotations

from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.analysis.interval import at_least_more, wilson

SHARES = st.floats(0, 1, allow_nan=False)
SAMPLES = st.floats(0.001, 1e9)


def chance(samples: int, errors: int, truth: float) -> float:
    """How likely exactly so many errors are."""
    return comb(samples, errors) * truth**errors * (1 - truth) ** (samples - errors)


@pytest.mark.parametrize("samples", [10, 20, 30, 60, 100, 300])
@pytest.mark.parametrize("truth", [0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3])
def test_a_share_on_its_limit_is_seldom_called_worse(samples: int, truth: float) -> None:
    wrong = sum(chance(samples, x, truth) for x in range(samples + 1) if wilson(x / samples, samples)[0] > truth)
    assert wrong < 0.03


@pytest.mark.parametrize(("one", "other"), [(60, 600), (100, 100), (40, 400)])
@pytest.mark.parametrize("truth", [0.005, 0.02, 0.1])
def test_two_tracks_alike_are_seldom_called_different(one: int, other: int, truth: float) -> None:
    wrong = sum(
        chance(one, x, truth) * chance(other, y, truth)
        for x in range(one // 2)
        for y in range(other // 4)
        if at_least_more(x / one, one, y / other, other) > 0
    )
    assert wrong < 0.03


def test_one_error_in_ten_is_no_proof_and_ten_in_a_hundred_are() -> None:
    assert wilson(1 / 10, 10)[0] < 0.01
    assert wilson(10 / 100, 100)[0] > 0.03
    assert at_least_more(1 / 10, 10, 0.0, 1000) < 0.01
    assert at_least_more(8 / 100, 100, 2 / 1000, 1000) > 0.02


def test_published_figures_are_met() -> None:
    # Newcombe 1998, table I: 81 of 263, and 1 of 29, at 95 % on two sides, method 4; table II (a): 56/70 − 48/80,
    # method 11.
    assert wilson(81 / 263, 263, 1.959964) == pytest.approx((0.2535, 0.3682), abs=5e-5)
    assert wilson(1 / 29, 29, 1.959964) == pytest.approx((0.0018, 0.1963), abs=5e-5)
    assert at_least_more(56 / 70, 70, 48 / 80, 80, 1.959964) == pytest.approx(0.0428, abs=5e-5)


@settings(deadline=None)
@given(share=SHARES, samples=SAMPLES)
def test_an_interval_holds_what_was_counted(share: float, samples: float) -> None:
    low, high = wilson(share, samples)
    assert 0 <= low <= share <= high <= 1


@settings(deadline=None)
@given(share=SHARES, than=SHARES, samples=SAMPLES, others=SAMPLES)
def test_a_difference_is_never_surer_than_what_was_counted(
    share: float, than: float, samples: float, others: float
) -> None:
    assert at_least_more(share, samples, than, others) <= share - than


def test_without_samples_nothing_is_known() -> None:
    assert wilson(0.5, 0) == (0.0, 1.0)
