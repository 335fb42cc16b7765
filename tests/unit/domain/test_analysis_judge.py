"""One look at one check: what it comes to, and that what cannot be told is never a pass."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.analysis.check import Check, Comparison, Good, Kind
from bot.domain.analysis.judge import judge_once
from bot.domain.analysis.judgement import Judgement, Verdict
from bot.domain.errors import ConfigurationError
from bot.domain.metric import Reading

NOW = datetime(2026, 5, 6, 10, 0, tzinfo=UTC)
EARLIER = NOW - timedelta(hours=3)
ERRORS = Check(name="errors", source="proxy", query="errors", kind=Kind.SHARE, limit=0.02)
SUCCESSES = replace(ERRORS, name="successes", good=Good.AT_LEAST, limit=0.98)
LATENCY = Check(name="p95", source="proxy", query="p95", unit="ms", limit=500, min_samples=0)
QUICK = settings(deadline=None)
PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE


def read(value: float | None, samples: float | None = 400, *, at: datetime = NOW, why: str = "") -> Reading:
    return Reading(value=value, at=at, samples=samples, why=why)


def judge(check: Check, canary: Reading, stable: Reading | None = None, before: Reading | None = None) -> Judgement:
    return judge_once(check, canary, stable, before, at=NOW)


@pytest.mark.parametrize(
    ("check", "value", "verdict"),
    [
        (ERRORS, 0.0, PASS),
        (ERRORS, 0.02, PASS),
        (ERRORS, 0.08, FAIL),
        (SUCCESSES, 1.0, PASS),
        (SUCCESSES, 0.98, PASS),
        (SUCCESSES, 0.92, FAIL),
        (LATENCY, 500, PASS),
        (LATENCY, 501, FAIL),
        (replace(LATENCY, good=Good.AT_LEAST), 499, FAIL),
        (replace(LATENCY, good=Good.AT_LEAST), 500, PASS),
    ],
)
def test_a_limit_has_a_good_side_and_belongs_to_it(check: Check, value: float, verdict: Verdict) -> None:
    assert judge(check, read(value)).verdict is verdict


@pytest.mark.parametrize(
    ("reading", "words"),
    [
        (read(None, None), "errors: no data."),
        (read(None, None, why="the source did not answer in time."), "errors: no data: the source did not answer in"),
        (read(math.nan), "nan, which is no number"),
        (read(math.inf), "inf, which is no number"),
        (read(-math.inf), "-inf, which is no number"),
        (read(0.0, 0), "no samples"),
        (read(0.0, 19), "only 19 of the 20 samples"),
        (read(0.0, None), "does not tell how many samples"),
        (read(0.0, math.nan), "counts nan samples"),
        (read(0.0, -5), "counts -5 samples"),
        (read(1.4), "no share from 0 to 1"),
        (read(-0.1), "no share from 0 to 1"),
        (read(0.0, at=NOW - timedelta(seconds=91)), "91 s old"),
        (read(0.0, at=NOW + timedelta(hours=1)), "clock"),
    ],
)
def test_what_says_nothing_is_inconclusive_and_says_why(reading: Reading, words: str) -> None:
    found = judge(ERRORS, reading)
    assert found.verdict is INCONCLUSIVE
    assert words in found.sentence
    assert found.value is None or math.isfinite(found.value)


def test_one_error_in_ten_requests_is_no_failure() -> None:
    few = replace(ERRORS, limit=0.01, min_samples=0)
    assert judge(few, read(1 / 10, 10)).verdict is INCONCLUSIVE
    assert "may be chance" in judge(few, read(1 / 10, 10)).sentence
    assert judge(few, read(10 / 100, 100)).verdict is FAIL
    assert judge(replace(few, limit=0.001), read(1 / 20, 20)).verdict is INCONCLUSIVE, "one alone proves nothing"
    assert judge(replace(few, limit=0.001), read(2 / 20, 20)).verdict is FAIL
    assert judge(replace(few, good=Good.AT_LEAST, limit=0.999), read(19 / 20, 20)).verdict is INCONCLUSIVE
    beside = replace(few, limit=None, against_stable=Comparison(ratio=1.5))
    assert judge(beside, read(1 / 10, 10), read(0.001, 1000)).verdict is INCONCLUSIVE
    assert judge(beside, read(10 / 100, 100), read(0.001, 1000)).verdict is FAIL


def test_as_many_samples_as_are_asked_for_are_enough() -> None:
    assert judge(ERRORS, read(0.0, 20)).verdict is PASS
    assert judge(replace(ERRORS, min_samples=0), read(0.0, None)).verdict is PASS


def test_what_is_counted_and_shown() -> None:
    beside = replace(ERRORS, against_stable=Comparison(ratio=2, tolerance=0.01))
    found = judge(beside, read(0.08125, 412, at=NOW - timedelta(seconds=7)), read(0.004, 3000))
    assert (found.value, found.samples, found.age, found.baseline) == (0.08125, 412, 7, 0.004)
    assert found.limit == pytest.approx(0.014)
    assert found.sentence == (
        "errors: 8.12 % of 412 samples is above its limit of 2 % and the 1.4 % allowed beside stable's 0.4 %."
    )
    fast = replace(LATENCY, against_before=Comparison(ratio=1.5))
    assert judge(fast, read(120), None, read(100, at=EARLIER)).sentence == (
        "p95: 120 ms of 400 samples keeps its limit of 500 ms and the 150 ms allowed "
        "beside the 100 ms before the deployment."
    )


def test_where_nothing_is_beside_it_what_was_before_stands_in_for_who_has_no_other_yardstick() -> None:
    alone = replace(LATENCY, limit=None, against_stable=Comparison(ratio=1.5))
    before = read(100, at=EARLIER)
    assert judge(alone, read(151), None, before).verdict is FAIL
    kept = judge(alone, read(149), None, before)
    assert (kept.verdict, kept.sentence) == (
        PASS,
        "p95: 149 ms of 400 samples keeps the 150 ms allowed beside the 100 ms before the deployment.",
    )
    assert judge(alone, read(149), None, None).verdict is INCONCLUSIVE
    # Where there is a limit, that is enough.
    assert judge(replace(alone, limit=500.0), read(499), None, before).verdict is PASS


BESIDE = replace(LATENCY, limit=None, against_stable=Comparison(ratio=1.5, tolerance=50))


@pytest.mark.parametrize(
    ("check", "value", "base", "verdict"),
    [
        (BESIDE, 150, 100, PASS),
        (BESIDE, 151, 100, FAIL),
        (BESIDE, 60, 20, PASS),  # three times as slow, by less than the tolerance
        (BESIDE, 0, 100, PASS),
        (replace(BESIDE, good=Good.AT_LEAST), 60, 100, PASS),
        (replace(BESIDE, good=Good.AT_LEAST), 49, 100, FAIL),
        (replace(ERRORS, limit=None, against_stable=Comparison(ratio=2)), 0.1, 0.06, PASS),
        (replace(ERRORS, limit=None, against_stable=Comparison(ratio=2)), 0.2, 0.02, FAIL),
        (replace(SUCCESSES, limit=None, against_stable=Comparison(ratio=2)), 0.9, 0.94, PASS),
        (replace(SUCCESSES, limit=None, against_stable=Comparison(ratio=2)), 0.8, 0.98, FAIL),
    ],
)
def test_a_comparison_needs_both_bounds_passed(check: Check, value: float, base: float, verdict: Verdict) -> None:
    assert judge(check, read(value), read(base)).verdict is verdict


def test_a_comparison_without_its_other_side() -> None:
    both = replace(ERRORS, against_stable=Comparison(), against_before=Comparison())
    good, nothing = read(0.001), read(None, None, why="it is down")
    assert judge(both, good, good, good).verdict is PASS
    assert judge(both, good, None, None).verdict is PASS, "the limit is a yardstick too"
    assert judge(both, good, nothing, good).verdict is INCONCLUSIVE
    assert judge(both, good, good, nothing).verdict is INCONCLUSIVE
    assert "it is down" in judge(both, good, good, nothing).sentence
    assert judge(both, read(0.2), nothing, nothing).verdict is FAIL, "the limit is broken whatever the others say"
    assert judge(both, good, replace(good, at=EARLIER), good).verdict is INCONCLUSIVE, "stable's number is stale"
    assert judge(both, good, good, replace(good, at=EARLIER)).verdict is PASS
    only = replace(both, limit=None)
    assert judge(only, good, None, None).verdict is INCONCLUSIVE
    assert "nothing to compare" in judge(only, good, None, None).sentence


@pytest.mark.parametrize("check", [ERRORS, replace(ERRORS, against_before=Comparison(ratio=1.2))])
def test_what_failed_before_just_the_same_is_ignored_and_said(check: Check) -> None:
    found = judge(check, read(0.1), None, read(0.1, 4000, at=EARLIER))
    assert (found.verdict, found.pre_existing) == (PASS, True)
    assert "ignored (pre-existing)" in found.sentence
    worse = judge(check, read(0.3), None, read(0.1, 4000, at=EARLIER))
    assert (worse.verdict, worse.pre_existing) == (FAIL, False)
    perhaps = judge(check, read(0.13), None, read(0.1, 4000, at=EARLIER))
    assert (perhaps.verdict, perhaps.pre_existing) == (INCONCLUSIVE, False)
    assert judge(check, read(0.1), None, read(0.001, 4000, at=EARLIER)).verdict is FAIL


def test_an_unlucky_request_before_excuses_nothing() -> None:
    few = replace(ERRORS, min_samples=0)
    assert judge(few, read(0.08), None, read(1 / 10, 10, at=EARLIER)).verdict is FAIL
    assert judge(few, read(0.08), None, read(None, None)).verdict is FAIL


def test_what_failed_before_does_not_excuse_what_is_worse_than_stable() -> None:
    beside = replace(ERRORS, against_stable=Comparison(ratio=1.5, tolerance=0.01))
    assert judge(beside, read(0.1), read(0.1, 4000), read(0.1, 4000, at=EARLIER)).verdict is PASS
    assert judge(beside, read(0.1), read(0.01, 4000), read(0.1, 4000, at=EARLIER)).verdict is FAIL


def test_a_slow_service_that_was_slow_before() -> None:
    assert judge(LATENCY, read(700), None, read(690, at=EARLIER)).pre_existing
    assert judge(LATENCY, read(900), None, read(690, at=EARLIER)).verdict is FAIL


VALUES = st.none() | st.floats(allow_nan=True, allow_infinity=True)
READINGS = st.builds(
    Reading,
    value=VALUES,
    samples=VALUES,
    at=st.sampled_from([NOW, EARLIER, NOW + timedelta(hours=2), NOW - timedelta(seconds=20)]),
    why=st.sampled_from(["", "timed out."]),
)
COMPARISONS = st.none() | st.builds(Comparison, ratio=st.floats(1, 10), tolerance=st.floats(0, 1))
CHECKS = st.builds(
    Check,
    name=st.just("errors"),
    source=st.just("proxy"),
    query=st.just("q"),
    kind=st.sampled_from(Kind),
    good=st.sampled_from(Good),
    limit=st.floats(0, 1),
    against_stable=COMPARISONS,
    against_before=COMPARISONS,
    min_samples=st.sampled_from([0.0, 20.0]),
)


@QUICK
@given(check=CHECKS, canary=READINGS, stable=st.none() | READINGS, before=st.none() | READINGS)
def test_whatever_is_read_there_is_a_verdict_and_nothing_is_no_pass(
    check: Check, canary: Reading, stable: Reading | None, before: Reading | None
) -> None:
    found = judge(check, canary, stable, before)
    assert found == judge(check, canary, stable, before)
    assert found.sentence.startswith("errors: ")
    assert "\n" not in found.sentence
    if canary.number is None or (canary.samples is not None and not canary.samples >= check.min_samples):
        assert found.verdict is INCONCLUSIVE
    if check.against_stable and stable and stable.number is None:
        assert found.verdict is not PASS or found.pre_existing


@QUICK
@given(errors=st.integers(0, 300), more=st.integers(1, 100), samples=st.integers(400, 4000))
def test_more_errors_never_make_it_better(errors: int, more: int, samples: int) -> None:
    worth = {PASS: 0, INCONCLUSIVE: 1, FAIL: 2}
    fewer = judge(ERRORS, read(errors / samples, samples)).verdict
    assert worth[judge(ERRORS, read((errors + more) / samples, samples)).verdict] >= worth[fewer]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": " "}, "needs a name"),
        ({"query": ""}, "no query"),
        ({"limit": None}, "no yardstick"),
        ({"limit": math.nan}, "no number"),
        ({"limit": 2.0}, "2 % is written 0.02"),
        ({"min_samples": -1}, "at least 0 samples"),
        ({"interval": 0}, "interval"),
        ({"window": math.inf}, "window"),
        ({"max_age": 0.0}, "a second old"),
        ({"failures": 0}, "at least one failing look"),
        ({"failures": 4}, "more than the 3"),
        ({"of": 61}, "60 are the most"),
    ],
)
def test_a_check_that_could_not_be_judged_is_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        replace(ERRORS, **wrong)


@pytest.mark.parametrize("wrong", [{"ratio": 0.9}, {"ratio": math.nan}, {"tolerance": -1}, {"tolerance": math.inf}])
def test_a_comparison_that_could_not_be_made_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="comparison"):
        Comparison(**wrong)


@pytest.mark.parametrize(
    ("check", "value", "shown"),
    [(ERRORS, 0.08125, "8.12 %"), (LATENCY, 1234567.0, "1234567 ms"), (replace(LATENCY, unit=""), 0.25, "0.25")],
)
def test_numbers_are_short(check: Check, value: float, shown: str) -> None:
    assert check.show(value) == shown
