"""Checks over time: what trips, what recovers, and what all of them come to."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.analysis.check import Check, Kind
from bot.domain.analysis.judge import judge_once
from bot.domain.analysis.judgement import Judgement, Verdict
from bot.domain.analysis.standing import Stand, Standing, standing_of
from bot.domain.analysis.watch import Watch
from bot.domain.metric import Reading

NOW = datetime(2026, 5, 6, 10, 0, tzinfo=UTC)
CHECK = Check(name="errors", source="proxy", query="q", kind=Kind.SHARE, limit=0.02)
PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
LETTERS = {"p": PASS, "f": FAIL, "?": INCONCLUSIVE}


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def look(verdict: Verdict, seconds: float) -> Judgement:
    return Judgement(check="errors", verdict=verdict, at=after(seconds), sentence=f"errors: {verdict}.")


def watched(letters: str, check: Check = CHECK, every: float = 30) -> Watch:
    watch = Watch(check=check)
    for number, letter in enumerate(letters):
        watch = watch.seen(look(LETTERS[letter], number * every))
    return watch


def says(letters: str, check: Check = CHECK, every: float = 30) -> Verdict:
    return watched(letters, check, every).verdict(after((len(letters) - 1) * every))


@pytest.mark.parametrize(
    ("looks", "verdict"),
    [
        ("p", PASS),
        ("f", INCONCLUSIVE),
        ("?", INCONCLUSIVE),
        ("pf", INCONCLUSIVE),
        ("fp", PASS),
        ("ff", FAIL),
        ("fpf", FAIL),
        ("f?f", FAIL),
        ("fppf", INCONCLUSIVE),
        ("ffp", FAIL),
        ("ff?", FAIL),
        ("ff??????", FAIL),
        ("ffpp", PASS),
        ("ffp?p", FAIL),
        ("ffp?pp", PASS),
        ("fppfppf", FAIL),
        ("fppppppppfppf", INCONCLUSIVE),
        ("??????", INCONCLUSIVE),
    ],
)
def test_two_of_three_trip_and_two_good_ones_let_go(looks: str, verdict: Verdict) -> None:
    assert says(looks) is verdict


def test_a_check_says_why_it_fails() -> None:
    assert watched("pff").sentence(after(60)) == "errors: fail. 2 of the last 3 looks failed."
    assert watched("fppfppf").sentence(after(180)).endswith("It fails on and off: 3 of the last 12 looks failed.")
    assert watched("pf").sentence(after(30)) == "errors: fail. 1 failing look, 2 trip it."
    assert watched("").sentence(NOW) == "errors: not looked at yet."
    assert watched("p").sentence(after(300)) == "errors: pass. That was 300 s ago."
    assert watched("pff").tripped == after(60)
    assert watched("pffpp").tripped is None


def test_three_in_a_row_and_one_at_once() -> None:
    strict = replace(CHECK, failures=3, of=3)
    assert [says(looks, strict) for looks in ("ff", "ffpf", "fff")] == [INCONCLUSIVE, INCONCLUSIVE, FAIL]
    assert says("f", replace(CHECK, failures=1, of=1)) is FAIL


def test_a_pass_grows_old() -> None:
    assert watched("p").verdict(after(90)) is PASS
    assert watched("p").verdict(after(91)) is INCONCLUSIVE
    assert watched("ff").verdict(after(9999)) is FAIL


def test_a_look_that_comes_again_or_early_counts_once() -> None:
    once = watched("f")
    assert once.seen(look(FAIL, 0)) == once
    assert once.seen(look(FAIL, 20)) == once
    assert once.seen(look(PASS, -30)) == once
    assert once.seen(look(FAIL, 28)).tripped, "timers are not exact"


def test_a_source_that_did_not_answer_is_asked_again_sooner() -> None:
    again = watched("f?").seen(look(PASS, 35))
    assert again.verdict(after(35)) is PASS
    assert [one.verdict for one in again.looks] == [FAIL, PASS]
    assert watched("f?").seen(look(INCONCLUSIVE, 30)) == watched("f?")
    assert watched("f?").seen(look(FAIL, 10)) == watched("f?"), "an earlier look that comes late says nothing"


def test_windows_that_overlap_do_not_count_twice() -> None:
    wide = replace(CHECK, window=120)
    assert [says("f" * looks, wide) for looks in (1, 2, 4, 5)] == [INCONCLUSIVE, INCONCLUSIVE, INCONCLUSIVE, FAIL]


def test_looks_are_never_at_data_from_before_the_change() -> None:
    watch = watched("p")
    assert Watch(check=CHECK).next_look(NOW) == after(30)
    assert watch.next_look(NOW - timedelta(hours=1)) == after(30)
    assert watch.next_look(after(25)) == after(55)


@settings(deadline=None)
@given(looks=st.text("pf?", max_size=80), interval=st.sampled_from([10, 30]), window=st.sampled_from([10, 30, 120]))
def test_what_was_not_seen_to_pass_passes_not_and_memory_is_bounded(looks: str, interval: int, window: int) -> None:
    check = replace(CHECK, interval=interval, window=window)
    watch = watched(looks, check, interval)
    verdict = watch.verdict(after(len(looks) * interval))
    if not looks.endswith("p"):
        assert verdict is not PASS
    if looks.count("f") < check.failures:
        assert verdict is not FAIL
    assert len(watch.looks) <= 12 * 12 + 1
    if verdict is FAIL:
        recovered = watch
        for number in range(40):
            recovered = recovered.seen(look(PASS, (len(looks) + number) * interval))
        assert recovered.verdict(after((len(looks) + 39) * interval)) is PASS


def test_looking_again_and_again_raises_no_false_alarm() -> None:
    # A service with half the errors that are allowed, looked at 20,000 times with 60 requests each.
    chance, watch, alarms = random.Random(7), Watch(check=CHECK), 0
    for number in range(20_000):
        errors = sum(chance.random() < 0.01 for _ in range(60))
        at = after(number * 30)
        was = watch.tripped
        watch = watch.seen(judge_once(CHECK, Reading(value=errors / 60, samples=60, at=at), None, None, at=at))
        alarms += watch.tripped is not None and was is None
    assert alarms <= 1


def stand(verdict: Verdict, name: str = "errors", *, required: bool = True) -> Stand:
    return Stand(check=name, verdict=verdict, required=required, sentence=f"{name}: {verdict}.")


@pytest.mark.parametrize(
    ("stands", "verdict"),
    [
        ([], PASS),
        ([stand(PASS), stand(PASS)], PASS),
        ([stand(PASS), stand(INCONCLUSIVE)], INCONCLUSIVE),
        ([stand(PASS), stand(INCONCLUSIVE, required=False)], PASS),
        ([stand(PASS), stand(FAIL, required=False)], FAIL),
        ([stand(INCONCLUSIVE), stand(FAIL)], FAIL),
    ],
)
def test_all_checks_together(stands: list[Stand], verdict: Verdict) -> None:
    assert Standing(stands=tuple(stands)).verdict is verdict
    assert Standing(stands=tuple(reversed(stands))).verdict is verdict


def test_the_worst_is_said_first() -> None:
    both = Standing(stands=(stand(INCONCLUSIVE), stand(FAIL, "p95")))
    assert both.sentence == "p95: fail."
    assert Standing(stands=(stand(FAIL), stand(FAIL, "p95"), stand(FAIL, "x"))).sentence == (
        "errors: fail. 2 more do not pass."
    )
    assert Standing().sentence == "There are no checks."
    assert Standing(stands=(stand(PASS),)).sentence == "Every check passes."


def test_who_waived_silence_did_not_waive_failure() -> None:
    assert Standing(stands=(stand(INCONCLUSIVE),)).waiving([("errors", INCONCLUSIVE)]).verdict is PASS
    assert Standing(stands=(stand(FAIL),)).waiving([("errors", INCONCLUSIVE)]).verdict is FAIL
    assert Standing(stands=(stand(FAIL),)).waiving([("errors", FAIL)]).verdict is PASS
    assert Standing(stands=(stand(INCONCLUSIVE),)).waiving([("errors", FAIL)]).verdict is PASS
    assert Standing(stands=(stand(FAIL, "p95"),)).waiving([("errors", FAIL)]).verdict is FAIL


def test_standing_of_watches() -> None:
    probe = replace(CHECK, name="probe", needs_traffic=False)
    watches = [watched("ff"), watched("p", probe)]
    assert standing_of(watches, after(30)).verdict is FAIL
    assert [one.check for one in standing_of(watches, after(30), weight=0).stands] == ["probe"]
    passing = standing_of([watched("pp")], after(30))
    assert passing.since(after(30)).verdict is PASS
    assert passing.since(after(31)).verdict is INCONCLUSIVE
    assert standing_of([watched("ff")], after(30)).since(after(31)).verdict is FAIL
