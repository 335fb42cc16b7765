"""Times that people type: what is read, what is refused, and what the refusal offers instead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.errors import BadCommand
from bot.domain.when import (
    FARTHEST,
    check_until,
    check_when,
    find_zone,
    first_instant,
    instants_of,
    is_length,
    parse_until,
    parse_when,
    read_duration,
    zones_like,
)

PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 3, 28, 17, 12, tzinfo=UTC)  # a Saturday, 18:12 in Paris; clocks change in the night
WINDOW = NOW + timedelta(days=2)


def when(text: str, now: datetime = NOW, zone: ZoneInfo = PARIS, next_window: datetime | None = WINDOW) -> str:
    return f"{parse_when(text, now=now, zone=zone, next_window=next_window):%Y-%m-%d %H:%M}"


def refused(
    text: str, now: datetime = NOW, zone: ZoneInfo = PARIS, next_window: datetime | None = WINDOW
) -> BadCommand:
    with pytest.raises(BadCommand) as caught:
        parse_when(text, now=now, zone=zone, next_window=next_window)
    return caught.value


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("19:00", "2026-03-28 18:00"),
        ("at 19:00", "2026-03-28 18:00"),
        ("  19:00  ", "2026-03-28 18:00"),
        ("today 19:00", "2026-03-28 18:00"),
        ("19:00 Europe/London", "2026-03-28 19:00"),
        ("14:00 America/New_York", "2026-03-28 18:00"),
        ("19:00 UTC", "2026-03-28 19:00"),
        ("19:00Z", "2026-03-28 19:00"),
        ("20:00+02:00", "2026-03-28 18:00"),
        ("20:00 +0200", "2026-03-28 18:00"),
        ("tomorrow 9:00", "2026-03-29 07:00"),
        ("Tomorrow 09:00", "2026-03-29 07:00"),
        ("9:00 tomorrow", "2026-03-29 07:00"),
        # Tomorrow is another day in Tokyo, where it is Sunday already.
        ("tomorrow 9:00 Asia/Tokyo", "2026-03-30 00:00"),
        ("9:00 Asia/Tokyo", "2026-03-29 00:00"),
        ("2026-12-01 18:00", "2026-12-01 17:00"),
        ("2026-12-01T18:00", "2026-12-01 17:00"),
        ("2026-12-01T18:00Z", "2026-12-01 18:00"),
        ("2026-12-01 18:00 America/Toronto", "2026-12-01 23:00"),
        ("2026-12-01T18:00 America/Toronto", "2026-12-01 23:00"),
        ("2026-12-01 18:00+01:00 Europe/Paris", "2026-12-01 17:00"),
        ("in 30m", "2026-03-28 17:42"),
        ("in 1h30m", "2026-03-28 18:42"),
        ("in 2 hours", "2026-03-28 19:12"),
        ("in 1d", "2026-03-29 17:12"),
        ("next-window", "2026-03-30 17:12"),
        ("Next-Window", "2026-03-30 17:12"),
    ],
)
def test_a_time_is_read(text: str, utc: str) -> None:
    assert when(text) == utc


def test_next_window_is_now_where_it_is_open() -> None:
    assert when("next-window", next_window=NOW) == "2026-03-28 17:12"
    assert when("next-window", next_window=NOW - timedelta(hours=1)) == "2026-03-28 17:12"


def test_next_window_is_refused_where_none_comes() -> None:
    assert "No window opens" in refused("next-window", next_window=None).message


def test_what_is_over_is_refused_with_the_next_time() -> None:
    error = refused("18:00")
    assert error.message == "18:00 in Europe/Paris is over for today: it is 18:12 there."
    assert error.suggestions == ("tomorrow 18:00",)
    assert when(error.suggestions[0]) == "2026-03-29 16:00"
    for text in ("18:12", "12:00 America/New_York", "10:00Z", "12:00+05:30"):
        [better] = refused(text).suggestions
        assert when(better) > f"{NOW:%Y-%m-%d %H:%M}"


def test_a_date_that_is_over_is_refused() -> None:
    assert "is over: it is 2026-03-28 18:12 there" in refused("2026-01-01 18:00").message


# The first day of summer time and the last, in each zone: the skipped time, where it is put to, the repeated time.
CHANGES = [
    ("Europe/Paris", "2026-03-29 02:30", "2026-03-29 03:00", "2026-10-25 02:30", "+02:00", "+01:00"),
    ("America/New_York", "2026-03-08 02:30", "2026-03-08 03:00", "2026-11-01 01:30", "-04:00", "-05:00"),
    ("Australia/Lord_Howe", "2026-10-04 02:15", "2026-10-04 02:30", "2026-04-05 01:45", "+11:00", "+10:30"),
    ("America/Sao_Paulo", "2018-11-04 00:30", "2018-11-04 01:00", "2018-02-17 23:30", "-02:00", "-03:00"),
]


@pytest.mark.parametrize(("zone", "skipped", "better"), [row[:3] for row in CHANGES])
def test_a_skipped_time_is_refused_with_the_next_one(zone: str, skipped: str, better: str) -> None:
    now = datetime.fromisoformat(skipped).replace(tzinfo=UTC) - timedelta(days=20)
    error = refused(skipped, now=now, zone=ZoneInfo(zone))
    assert "does not exist" in error.message
    assert "clocks are put forward" in error.message
    assert error.suggestions == (f"{better} {zone}",)
    assert error.hint == f"Did you mean {better} {zone}?"
    found = parse_when(error.suggestions[0], now=now, zone=ZoneInfo("UTC"))
    assert f"{found.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}" == better


@pytest.mark.parametrize(("zone", "repeated", "first", "second"), [(row[0], *row[3:]) for row in CHANGES])
def test_a_repeated_time_is_asked_about_and_taken_with_its_offset(
    zone: str, repeated: str, first: str, second: str
) -> None:
    now = datetime.fromisoformat(repeated).replace(tzinfo=UTC) - timedelta(days=20)
    error = refused(repeated, now=now, zone=ZoneInfo(zone))
    assert "happens twice" in error.message
    assert error.suggestions == (f"{repeated}{first}", f"{repeated}{second}")
    one, two = (parse_when(text, now=now, zone=ZoneInfo(zone)) for text in error.suggestions)
    assert one < two
    assert {f"{found.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}" for found in (one, two)} == {repeated}
    assert parse_when(f"{repeated}{second} {zone}", now=now, zone=PARIS) == two


def test_a_bare_time_is_asked_about_too_in_the_night_of_the_change() -> None:
    assert "does not exist" in refused("tomorrow 02:30").message
    before = datetime(2026, 10, 24, 23, 0, tzinfo=UTC)
    assert "happens twice" in refused("02:30", now=before).message
    assert when("02:30+01:00 Europe/Paris", now=before) == "2026-10-25 01:30"


def test_an_offset_that_the_zone_has_not_is_refused() -> None:
    error = refused("2026-12-01 18:00+02:00 Europe/Paris")
    assert error.message == "Europe/Paris is at +01:00 then, not at +02:00."


@pytest.mark.parametrize(
    ("text", "says", "suggestion"),
    [
        ("", "no time that can be read", "18:00"),
        ("soon", "no time that can be read", "18:00"),
        ("18", "no time that can be read", "18:00"),
        ("2026-12-01", "says no time of day", "2026-12-01 9:00"),
        ("01/12/2026 18:00", "no time that can be read", "18:00"),
        ("19:00 20:00", "no time that can be read", "18:00"),
        ("tomorrow tomorrow 9:00", "no time that can be read", "18:00"),
        ("19:00 Europe/Paris UTC", "no time that can be read", "18:00"),
        ("x" * 500, "no time that can be read", "18:00"),
        ("２０:00", "no time that can be read", "18:00"),
        ("25:00", "no time of day", None),
        ("19:61", "no time of day", None),
        ("2026-02-30 9:00", "no day of the calendar", None),
        ("0001-01-01 9:00", "no day of the calendar", None),
        ("9999-12-31 23:59-14:00", "no day of the calendar", None),
        ("2028-01-01 9:00", "more than 366 days away", None),
        ("19:00+15:00", "no offset", None),
        ("now", "as soon as it can", None),
        ("6pm", "hours go from 0 to 23", "18:00"),
        ("tomorrow 6:30 PM", "hours go from 0 to 23", "tomorrow 18:30"),
        ("tomorrow 12am", "hours go from 0 to 23", "tomorrow 00:00"),
        ("19:00 europe/paris", "no time zone", "19:00 Europe/Paris"),
        ("19:00 Tokyo", "no time zone", "19:00 Asia/Tokyo"),
        ("19:00 EST", "no time zone", None),
        ("19:00 Mars/Olympus", "no time zone", None),
        ("19:00 America/Indiana", "no time zone", "19:00 America/Indianapolis"),
        ("19:00 ../../etc/passwd", "no time that can be read", "18:00"),
        ("in 0m", "more than nothing", None),
        ("in 400d", "at most 366 days", None),
        ("in soon", "no length of time", None),
        ("in 30", "no length of time", None),
        ("in 30m or so", "no length of time", None),
        ("in -5m", "no length of time", None),
        ("in 99999999999m", "no length of time", None),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, says: str, suggestion: str | None) -> None:
    error = refused(text)
    assert says in error.message
    assert (error.suggestions[0] if error.suggestions else None) == suggestion
    assert len(error.token or "") <= 40


def test_what_was_typed_is_quoted_harmlessly() -> None:
    error = refused("<!channel> `x`")
    assert "<" not in error.message + (error.token or "")
    assert "`" not in error.message + (error.token or "")


def test_a_time_without_zone_is_no_now() -> None:
    with pytest.raises(ValueError, match="no instant"):
        parse_when("19:00", now=NOW.replace(tzinfo=None), zone=PARIS)


def test_durations() -> None:
    for text, seconds in (("30m", 1800), ("1h30m", 5400), ("1h 30m", 5400), ("90 min", 5400), ("2 days", 172_800)):
        assert read_duration(text).total_seconds() == seconds


def test_what_a_length_looks_like() -> None:
    for text in ("30m", "2 hours", "1h30m", "1h, 30m", "0m", "999999d"):
        assert is_length(text)
    for text in ("", "30", "m", "30x", "30m or so", "18:00", "v30m", "1.5h", "4f0c2aa", "1234567m"):
        assert not is_length(text)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2h", "2026-03-28 19:12"),
        ("in 2h", "2026-03-28 19:12"),
        ("90 minutes", "2026-03-28 18:42"),
        ("1d", "2026-03-29 17:12"),
        ("19:00", "2026-03-28 18:00"),
        ("at 19:00", "2026-03-28 18:00"),
        ("tomorrow 9:00", "2026-03-29 07:00"),
        ("2026-12-01T18:00", "2026-12-01 17:00"),
    ],
)
def test_an_end_is_read(text: str, utc: str) -> None:
    assert f"{parse_until(text, now=NOW, zone=PARIS):%Y-%m-%d %H:%M}" == utc
    check_until(text)


@pytest.mark.parametrize(
    ("text", "says", "suggestion"),
    [
        ("soon", "no time that can be read", "2h"),
        ("", "no time that can be read", "2h"),
        ("next-window", "could end", "2h"),
        ("now", "could end", "2h"),
        ("0m", "more than nothing", None),
        ("400d", "at most 366 days", None),
        ("2h or so", "no length of time", None),
        ("6pm", "hours go from 0 to 23", "18:00"),
    ],
)
def test_what_is_no_end_is_refused(text: str, says: str, suggestion: str | None) -> None:
    with pytest.raises(BadCommand) as caught:
        parse_until(text, now=NOW, zone=PARIS)
    assert says in caught.value.message
    assert (caught.value.suggestions[0] if caught.value.suggestions else None) == suggestion
    assert caught.value.hint
    with pytest.raises(BadCommand) as checked:
        check_until(text)
    assert checked.value.message == caught.value.message


def test_an_end_that_is_over_is_only_refused_when_it_is_known_what_time_it_is() -> None:
    check_until("18:00")
    check_when("18:00")
    with pytest.raises(BadCommand, match="over for today"):
        parse_until("18:00", now=NOW, zone=PARIS)


def test_what_is_suggested_is_quoted_harmlessly() -> None:
    for text in ("6pm <!here>", "18:00 paris `x`", "tomorrow"):
        error = refused(text)
        assert not set("<>`") & set("".join(error.suggestions) + (error.hint or ""))


def test_zones() -> None:
    assert find_zone("Europe/Paris") == PARIS
    assert find_zone("utc") == find_zone("UTC") == ZoneInfo("UTC")
    assert find_zone("CET") is None
    assert zones_like("new york") == ("America/New_York",)
    assert zones_like("nowhere") == ()
    assert zones_like("Europe/Pari")[0] == "Europe/Paris"
    assert zones_like("amerika/New_York")[0] == "America/New_York"
    assert zones_like("feature/paris") == zones_like("release/1.2") == ()


ZONES = ["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia", "UTC"]
walls = st.integers(0, 19 * 365 * 24 * 60).map(lambda n: datetime.fromisoformat("2009-01-01") + timedelta(minutes=n))
nearly_times = st.from_regex(r"(at )?(tomorrow )?[0-9]{1,2}:[0-9]{2}([+-][0-9]{4})?( [A-Z/a-z]+)?")


@given(wall=walls, zone=st.sampled_from(ZONES))
def test_property_instants_show_the_time_that_they_are_of(wall: datetime, zone: str) -> None:
    found = instants_of(wall, ZoneInfo(zone))
    assert [one.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0) for one in found] == [wall] * len(found)
    assert list(found) == sorted(set(found))


@given(wall=walls, zone=st.sampled_from(ZONES), later=st.integers(0, 3000))
def test_property_a_later_time_never_begins_earlier(wall: datetime, zone: str, later: int) -> None:
    place = ZoneInfo(zone)
    first = first_instant(wall, place)
    assert first <= first_instant(wall + timedelta(minutes=later), place)
    # The clock has not shown it before, and shows it or something later now.
    assert first.astimezone(place).replace(tzinfo=None) >= wall
    assert (first - timedelta(seconds=1)).astimezone(place).replace(tzinfo=None) < wall


@given(text=st.text(max_size=100) | nearly_times)
@settings(max_examples=300)
def test_property_every_text_is_a_time_to_come_or_a_short_refusal(text: str) -> None:
    found: datetime | None = None
    message = ""
    try:
        found = parse_when(text, now=NOW, zone=PARIS, next_window=WINDOW)
    except BadCommand as error:
        message = error.message
    if found:
        assert NOW < found <= NOW + FARTHEST
        assert found.tzinfo is UTC
        check_when(text)
    else:
        assert 0 < len(message) < 200
        assert "\n" not in message


@given(minutes=st.integers(1, 365 * 24 * 60), zone=st.sampled_from(ZONES))
def test_property_what_a_person_is_shown_can_be_typed_back(minutes: int, zone: str) -> None:
    meant = NOW.replace(second=0) + timedelta(minutes=minutes)
    shown = meant.astimezone(ZoneInfo(zone))
    offset = f"{shown:%z}"
    assert parse_when(f"{shown:%Y-%m-%d %H:%M}{offset} {zone}", now=NOW, zone=PARIS) == meant
