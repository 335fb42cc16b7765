"""Windows on instants: across every kind of change of the clocks, against a slow oracle that only walks the clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from policy_builders import DAY, HOUR, MINUTE, NOW, window

from bot.domain.errors import ConfigurationError
from bot.domain.policy.recurrence import read_recurrence
from bot.domain.policy.window import HORIZON, NEAR, Span, Window, WindowKind, is_open, next_open, spans


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def starts(window: Window, day: str, days: int = 1) -> list[str]:
    """When it begins within some days from noon UTC of the day before, as written in UTC."""
    since = utc(f"{day}T12:00") - DAY
    found = spans(window, since, since + (days + 1) * DAY)
    return [f"{span.start:%Y-%m-%d %H:%M}" for span in found]


# -- the clocks change ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "day", "at", "begins"),
    [
        # Put forward: what is skipped moves to the instant of the change.
        ("Europe/Paris", "2026-03-29", "30 2", "2026-03-29 01:00"),
        ("Europe/Paris", "2026-03-29", "0 2", "2026-03-29 01:00"),
        ("Europe/Paris", "2026-03-29", "0 3", "2026-03-29 01:00"),
        ("Europe/Paris", "2026-03-29", "59 1", "2026-03-29 00:59"),
        ("America/New_York", "2026-03-08", "30 2", "2026-03-08 07:00"),
        ("Australia/Lord_Howe", "2026-10-04", "15 2", "2026-10-03 15:30"),
        ("Australia/Lord_Howe", "2026-10-04", "30 2", "2026-10-03 15:30"),
        ("America/Sao_Paulo", "2018-11-04", "0 0", "2018-11-04 03:00"),
        ("America/Sao_Paulo", "2018-11-04", "45 0", "2018-11-04 03:00"),
        ("America/Sao_Paulo", "2018-11-04", "0 1", "2018-11-04 03:00"),
        # Put back: what is repeated counts the first time.
        ("Europe/Paris", "2026-10-25", "30 2", "2026-10-25 00:30"),
        ("Europe/Paris", "2026-10-25", "0 3", "2026-10-25 02:00"),
        ("America/New_York", "2026-11-01", "30 1", "2026-11-01 05:30"),
        ("Australia/Lord_Howe", "2026-04-05", "45 1", "2026-04-04 14:45"),
        ("Australia/Lord_Howe", "2026-04-05", "0 2", "2026-04-04 15:30"),
        ("America/Sao_Paulo", "2018-02-17", "30 23", "2018-02-18 01:30"),
        # A whole day that there was not.
        ("Pacific/Apia", "2011-12-30", "0 9", "2011-12-30 10:00"),
    ],
)
def test_a_start_at_a_change_of_the_clocks(zone: str, day: str, at: str, begins: str) -> None:
    _, month, date = day.split("-")
    once = window("allow", f"{at} {int(date)} {int(month)} *", 0.25, zone)
    assert starts(once, day) == [begins]


def test_a_window_lasts_elapsed_time_over_both_changes() -> None:
    night = window("allow", "0 22 * * *", 9)
    for day, ends in (("2026-03-28", "2026-03-29 06:00"), ("2026-10-24", "2026-10-25 05:00"), ("2026-06-01", "")):
        [first, *_] = spans(night, utc(f"{day}T19:00"), utc(f"{day}T19:00") + 20 * HOUR)
        assert first.end - first.start == 9 * HOUR
        assert not ends or f"{first.end:%Y-%m-%d %H:%M}" == ends


def test_a_window_goes_on_into_the_months_after_the_one_it_began_in() -> None:
    long = window("deny", "0 0 20 1 *", 24 * 75, "UTC")
    assert spans(long, utc("2026-03-31T00:00"), utc("2026-05-01T00:00")) == (
        Span(utc("2026-03-31T00:00"), utc("2026-04-05T00:00")),
    )


def test_two_starts_that_clocks_skip_are_one_window() -> None:
    both = window("allow", "0,30 2 * * *", 0.5)
    assert spans(both, utc("2026-03-29T00:00"), utc("2026-03-29T06:00")) == (
        Span(utc("2026-03-29T01:00"), utc("2026-03-29T01:30")),
    )


def test_twelve_hours_by_day_and_twelve_by_night_leave_the_hour_that_is_repeated() -> None:
    # Elapsed time has its price, and this is it: who wants no gap lets the two overlap.
    halves = [window("deny", "0 6 * * *", 12), window("deny", "0 18 * * *", 12)]
    assert next_open(halves, utc("2026-06-01T00:00")) == utc("2026-10-25T04:00")
    assert is_open(halves, utc("2026-10-25T04:30")).closes_at == utc("2026-10-25T05:00")


# -- the decision -----------------------------------------------------------------------------------------------------

OFFICE = window("allow", "0 9 * * 1-5", 9, name="office hours")
MONTH_END = window("deny", "RRULE:FREQ=MONTHLY;BYMONTHDAY=-1;BYHOUR=0;BYMINUTE=0", 24, name="month end")


def test_without_windows_it_is_open_for_ever() -> None:
    answer = is_open([], NOW)
    assert (answer.open, answer.name, answer.opens_at, answer.closes_at) == (True, None, None, None)
    assert next_open([], NOW) == NOW


def test_an_allow_window_closes_all_the_rest() -> None:
    inside = is_open([OFFICE], utc("2026-05-06T07:00"))
    assert (inside.open, inside.name, inside.closes_at) == (True, "office hours", utc("2026-05-06T16:00"))
    friday = is_open([OFFICE], utc("2026-05-08T16:00"))
    assert (friday.open, friday.name, friday.opens_at) == (False, "office hours", utc("2026-05-11T07:00"))
    assert friday.reason == "Deployments are let in only within office hours."


def test_deny_wins_and_says_so() -> None:
    at = utc("2026-06-30T08:00")
    assert is_open([OFFICE], at).open
    for windows in ([OFFICE, MONTH_END], [MONTH_END, OFFICE]):
        answer = is_open(windows, at)
        assert (answer.open, answer.name, answer.opens_at) == (False, "month end", utc("2026-07-01T07:00"))


def test_a_deny_window_to_come_closes_an_open_one() -> None:
    # On the 30th of June Paris is at +02:00: the day begins at 22:00 UTC of the day before.
    assert is_open([MONTH_END], utc("2026-06-29T21:59")).closes_at == utc("2026-06-29T22:00")


def test_windows_that_touch_are_one() -> None:
    halves = [window("allow", "0 9 * * *", 3), window("allow", "0 12 * * *", 6)]
    assert is_open(halves, utc("2026-05-06T07:00")).closes_at == utc("2026-05-06T16:00")


def test_what_is_always_closed_never_opens_and_what_is_always_open_never_closes() -> None:
    always = window("deny", "0 * * * *", 1, "UTC")
    assert next_open([always], NOW) is None
    assert is_open([always], NOW).opens_at is None
    answer = is_open([window("allow", "0 * * * *", 1, "UTC")], NOW)
    assert answer.open
    assert answer.closes_at is None


def test_a_window_that_is_over_for_good_keeps_closed() -> None:
    past = window("allow", "RRULE:FREQ=DAILY;UNTIL=20260101", 1)
    answer = is_open([past], NOW)
    assert (answer.open, answer.name, answer.opens_at) == (False, None, None)


def test_a_window_is_for_its_services_only() -> None:
    narrow = Window(
        name="w", kind=WindowKind.DENY, rule=read_recurrence("0 0 * * *"), duration=60, zone="UTC", services=("check*",)
    )
    assert narrow.covers("checkout")  # type: ignore[arg-type]  # a name as the catalog has it
    assert not narrow.covers("payments")  # type: ignore[arg-type]  # as above


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no instant"):
        is_open([OFFICE], NOW.replace(tzinfo=None))


@pytest.mark.parametrize(
    ("zone", "hours", "says"),
    [
        ("Europe/Pariss", 1, "there is not"),
        ("europe/paris", 1, "Did you mean Europe/Paris"),
        ("EST", 1, "there is not"),
        ("../etc/passwd", 1, "there is not"),
        ("America/Indiana", 1, "there is not"),
        ("UTC", 0, "must last"),
        ("UTC", 367 * 24, "must last"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(zone: str, hours: float, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        window("allow", "0 9 * * *", hours, zone)


def test_a_year_of_fifty_windows_is_answered_quickly() -> None:
    many = [window("deny" if n % 2 else "allow", f"{n} {8 + n % 12} * * 1-5", 1 + n % 5) for n in range(50)]
    is_open(many, NOW)
    took = []
    for n in range(100):
        begin = time.perf_counter()
        is_open(many, NOW + n * HOUR)
        took.append(time.perf_counter() - begin)
    assert sorted(took)[50] < 0.005


# -- properties -------------------------------------------------------------------------------------------------------

CHANGES = {
    "Europe/Paris": ("2026-03-29", "2026-10-25"),
    "America/New_York": ("2026-03-08", "2026-11-01"),
    "Australia/Lord_Howe": ("2026-04-05", "2026-10-04"),
    "America/Sao_Paulo": ("2018-02-18", "2018-11-04"),
    "UTC": ("2026-02-28",),
}
near_a_change = st.sampled_from([(zone, day) for zone, days in CHANGES.items() for day in days])
hours_of_day = st.integers(0, 23)
minutes = st.sampled_from([0, 15, 30, 45, 59])
lengths = st.sampled_from([0.25, 0.5, 1, 2.5, 9, 24, 30, 49])
kinds = st.sampled_from(["allow", "deny"])


@st.composite
def rules(draw: st.DrawFn) -> str:
    hour, minute = draw(hours_of_day), draw(minutes)
    return draw(
        st.sampled_from(
            [
                f"{minute} {hour} * * *",
                f"{minute} {hour},{(hour + 1) % 24} * * *",
                f"{minute} * * * *",
                f"{minute} {hour} * * 0,6",
                f"RRULE:FREQ=DAILY;BYHOUR={hour};BYMINUTE={minute}",
                f"RRULE:FREQ=MONTHLY;BYMONTHDAY=-1;BYHOUR={hour};BYMINUTE={minute}",
                f"DTSTART:20180101T{hour:02}{minute:02}00 RRULE:FREQ=DAILY;INTERVAL=2",
            ]
        )
    )


@st.composite
def scenes(draw: st.DrawFn, most: int = 3) -> tuple[list[Window], datetime]:
    """Some windows of one zone and an instant within two days of a change of its clocks."""
    zone, day = draw(near_a_change)
    found = [
        window(draw(kinds), draw(rules()), draw(lengths), zone, name=f"w{n}") for n in range(draw(st.integers(1, most)))
    ]
    return found, utc(day) + draw(st.integers(-2 * 24 * 60, 2 * 24 * 60)) * MINUTE


def on_by_the_clock(one: Window, at: datetime) -> bool:
    """The slow way: walk the clock minute by minute, and begin when it first shows a start or has jumped over it."""
    zone, length = ZoneInfo(one.zone), timedelta(seconds=one.duration)
    walls = [
        wall
        for n in range(-4, 3)
        for wall in one.rule.starts((at + n * DAY).year, (at + n * DAY).month)
        if wall.date() == (at + n * DAY).date()
    ]
    moment = at - 4 * DAY
    seen = moment.astimezone(zone).replace(tzinfo=None)
    due = [wall for wall in walls if wall > seen]
    while moment < at:
        moment += MINUTE
        shown = moment.astimezone(zone).replace(tzinfo=None)
        while due and due[0] <= shown:
            due.pop(0)
            if moment <= at < moment + length:
                return True
    return False


@given(scene=scenes(most=1))
@settings(max_examples=60, deadline=None)
def test_property_a_window_is_on_when_the_clock_says_so(scene: tuple[list[Window], datetime]) -> None:
    [one], at = scene
    assert bool(spans(one, at, at + timedelta(seconds=1))) == on_by_the_clock(one, at)


@given(scene=scenes(most=1), length=st.integers(1, 90 * 24))
@settings(max_examples=100, deadline=None)
def test_property_spans_are_ordered_apart_and_cut(scene: tuple[list[Window], datetime], length: int) -> None:
    [one], since = scene
    until = since + length * HOUR
    found = spans(one, since, until)
    for span in found:
        assert since <= span.start < span.end <= until
    for before, after in pairwise(found):
        assert before.end < after.start
    # Two halves make the whole.
    middle = since + length * HOUR / 2
    halves = spans(one, since, middle) + spans(one, middle, until)
    assert sum((s.end - s.start for s in halves), timedelta()) == sum((s.end - s.start for s in found), timedelta())


def covered(found: list[Window], kind: WindowKind, at: datetime) -> bool:
    mine = [one for one in found if one.kind is kind]
    return any(span.contains(at) for one in mine for span in spans(one, at - 90 * MINUTE, at + DAY))


@given(scene=scenes())
@settings(max_examples=80, deadline=None)
def test_property_open_is_no_deny_and_some_allow_if_there_are_any(scene: tuple[list[Window], datetime]) -> None:
    found, at = scene
    some_allow = any(one.kind is WindowKind.ALLOW for one in found)
    expected = not covered(found, WindowKind.DENY, at) and (not some_allow or covered(found, WindowKind.ALLOW, at))
    answer = is_open(found, at)
    assert answer.open == expected
    assert (answer.opens_at is None) if answer.open else (answer.closes_at is None)


@given(scene=scenes())
@settings(max_examples=80, deadline=None)
def test_property_next_open_is_the_first_open_instant(scene: tuple[list[Window], datetime]) -> None:
    found, at = scene
    opens = next_open(found, at)
    answer = is_open(found, at)
    assert answer.open == (opens == at)
    if opens is None:
        return
    assert at <= opens <= at + HORIZON
    assert is_open(found, opens).open
    if not answer.open:
        assert answer.opens_at == opens
        assert not is_open(found, opens - timedelta(seconds=1)).open
        for part in range(1, 8):
            assert not is_open(found, at + (opens - at) * part / 8).open


@given(scene=scenes())
@settings(max_examples=80, deadline=None)
@example(scene=([window("allow", "0 9 * * *", 24, "Europe/Paris")], utc("2026-10-24T12:00")))
def test_property_it_closes_at_the_first_closed_instant(scene: tuple[list[Window], datetime]) -> None:
    found, at = scene
    answer = is_open(found, at)
    if not answer.open:
        return
    closes = answer.closes_at or at + NEAR
    if answer.closes_at:
        assert at < closes < at + NEAR
        assert not is_open(found, closes).open
    assert is_open(found, closes - timedelta(seconds=1)).open
    for part in range(1, 8):
        assert is_open(found, at + (closes - at) * part / 8).open


@given(scene=scenes(), later=st.integers(0, 40 * 24 * 60))
@settings(max_examples=80, deadline=None)
def test_property_next_open_never_goes_back(scene: tuple[list[Window], datetime], later: int) -> None:
    found, at = scene
    first, second = next_open(found, at), next_open(found, at + later * MINUTE)
    if first and second:
        assert first <= second
        # Until it opens, it opens when it was said to open.
        assert first == second or first < at + later * MINUTE
