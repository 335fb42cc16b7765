"""Rules of windows: what they mean, and that what they cannot mean is refused at once, with the reason."""

from __future__ import annotations

import time

import pytest

from bot.domain.errors import ConfigurationError
from bot.domain.policy.recurrence import RuleKind, read_recurrence


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("0 9 * * 1-5", [2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 16, 17, 18, 19, 20, 23, 24, 25, 26, 27, 30, 31]),
        ("0 9 * * mon", [2, 9, 16, 23, 30]),
        ("0 9 * * 0", [1, 8, 15, 22, 29]),
        ("0 9 * * 7", [1, 8, 15, 22, 29]),
        ("0 9 L * *", [31]),
        ("0 9 * * 1#1", [2]),
        ("0 9 13 * 5", [6, 13, 20, 27]),
        ("0 9 29 2 *", []),
        ("RRULE:FREQ=WEEKLY", [2, 9, 16, 23, 30]),
        ("FREQ=WEEKLY;BYDAY=SU", [1, 8, 15, 22, 29]),
        ("rrule:freq=monthly", [1]),
        ("RRULE:FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=5", [5]),
        ("RRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", [31]),
        ("RRULE:FREQ=MONTHLY;BYDAY=2TU", [10]),
        ("RRULE:FREQ=DAILY;UNTIL=20260303", [1, 2, 3]),
        ("DTSTART:20260105T090000 RRULE:FREQ=WEEKLY;INTERVAL=2", [2, 16, 30]),
        ("DTSTART:20260105T090000\nRRULE:FREQ=MONTHLY;INTERVAL=3;BYMONTHDAY=1", []),
        ("DTSTART:20270101T090000 RRULE:FREQ=DAILY", []),
    ],
)
def test_a_rule_names_its_days(text: str, days: list[int]) -> None:
    assert [start.day for start in read_recurrence(text).starts(2026, 3)] == days


def test_a_rule_says_its_language() -> None:
    assert read_recurrence("0 9 * * *").kind is RuleKind.CRON
    assert read_recurrence("RRULE:FREQ=DAILY").kind is RuleKind.RRULE


def test_where_a_rule_leaves_the_time_open_it_is_midnight() -> None:
    [first, *_] = read_recurrence("RRULE:FREQ=DAILY").starts(2026, 12)
    assert (first.hour, first.minute, first.second) == (0, 0, 0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "between 1 and"),
        ("0 9 * * " + "1," * 300, "between 1 and"),
        ("@daily", "five cron fields"),
        ("0 0 9 * * *", "five cron fields"),
        ("61 9 * * *", "out of range"),
        ("0 9 * * 8", "out of range"),
        ("R 9 * * *", "no cron field"),
        ("h(0-5) 9 * * *", "no cron field"),
        ("0 9 ? * 1", "no cron field"),
        ("* * * * *", "1440 times a day"),
        ("*/30 * * * *", "48 times a day"),
        ("*/0 9 * * *", "step"),
        ("0 0 31 2 *", "never begins"),
        ("RRULE:", "must look like"),
        ("RRULE:FREQ=HOURLY", "needs FREQ"),
        ("RRULE:BYDAY=MO", "needs FREQ"),
        ("RRULE:FREQ=DAILY;COUNT=3", "COUNT is not one"),
        ("RRULE:FREQ=DAILY;FREQ=DAILY", "twice"),
        ("RRULE:FREQ=DAILY;BYDAY", "BYDAY is not one"),
        ("RRULE:FREQ=WEEKLY;BYDAY=XX", "BYDAY"),
        ("RRULE:FREQ=DAILY;BYHOUR=25", "hour must be"),
        ("RRULE:FREQ=DAILY;UNTIL=20260301T000000Z", "local time"),
        ("RRULE:FREQ=DAILY;UNTIL=20261301", "month must be"),
        ("RRULE:FREQ=WEEKLY;INTERVAL=2", "put DTSTART"),
        ("DTSTART:20260105T090000 RRULE:FREQ=WEEKLY;INTERVAL=0", "from 1 to 1000"),
        ("DTSTART:20261305T090000 RRULE:FREQ=WEEKLY", "month must be"),
        ("DTSTART:19990105T090000 RRULE:FREQ=WEEKLY", "after the year 1999"),
        ("DTSTART:20260105T090030 RRULE:FREQ=WEEKLY", "whole minute"),
        ("RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "never begins"),
        ("RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "never begins"),
        ("DTSTART:20260106T000000 RRULE:FREQ=DAILY;INTERVAL=7;BYDAY=MO", "never begins"),
        ("DTSTART:20260131T090000 RRULE:FREQ=MONTHLY;BYMONTH=2", "never begins"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_at_once(text: str, says: str) -> None:
    begin = time.perf_counter()
    with pytest.raises(ConfigurationError, match=says):
        read_recurrence(text)
    assert time.perf_counter() - begin < 5
