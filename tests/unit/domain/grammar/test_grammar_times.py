"""Where the words of a time begin and end, and how they are kept apart from places and versions."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import permutations
from typing import TYPE_CHECKING

import pytest
from grammar_names import vocabulary_of

from bot.domain.errors import BadCommand, UnknownEnvironment
from bot.domain.grammar import DeployIntent, LockIntent, OpenFormIntent, ScheduleIntent, parse, render
from bot.domain.ids import EnvironmentName, ServiceName
from bot.domain.policy.scope import Scope
from bot.domain.when import parse_when

if TYPE_CHECKING:
    from bot.domain.grammar import Vocabulary

STAGING = EnvironmentName("staging")
CHECKOUT, CATALOG = ServiceName("checkout"), ServiceName("catalog")
NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


def refusal(text: str, vocabulary: Vocabulary) -> BadCommand:
    with pytest.raises(BadCommand) as caught:
        parse(text, vocabulary=vocabulary)
    return caught.value


TIMES = [
    ("at 18:00", "18:00"),
    ("AT 18:00", "18:00"),
    ("at 18:00.", "18:00"),
    ("at 18:00 Europe/Paris", "18:00 Europe/Paris"),
    ("at 18:00 utc", "18:00 utc"),
    ("at 18:00 +02:00", "18:00 +02:00"),
    ("at 20:00 -05:00", "20:00 -05:00"),
    ("at 18:00+01:00 Europe/Paris", "18:00+01:00 Europe/Paris"),
    ("at 18:00:30", "18:00:30"),
    ("at tomorrow 9:00", "tomorrow 9:00"),
    ("at 9:00 tomorrow", "9:00 tomorrow"),
    ("at tomorrow 9:00 Asia/Tokyo", "tomorrow 9:00 Asia/Tokyo"),
    ('at "tomorrow 9:00"', "tomorrow 9:00"),
    ("at “tomorrow 9:00”", "tomorrow 9:00"),
    ('at "tomorrow 9:00" Asia/Tokyo', "tomorrow 9:00 Asia/Tokyo"),
    ('at="tomorrow 9:00"', "tomorrow 9:00"),
    ("at=18:00", "18:00"),
    ("--at=18:00", "18:00"),
    ("at=18:00 Europe/Paris", "18:00 Europe/Paris"),
    ("at=tomorrow 9:00", "tomorrow 9:00"),
    ("at=2026-12-01T18:00", "2026-12-01T18:00"),
    ("at 2026-12-01T18:00Z", "2026-12-01T18:00Z"),
    ("at 2026-12-01 18:00 Europe/Paris", "2026-12-01 18:00 Europe/Paris"),
    ("at next-window", "next-window"),
    ("at next window", "next window"),
    ("at=next-window", "next-window"),
    ("in 30m", "in 30m"),
    ("in 2 hours", "in 2 hours"),
    ("in 1h 30m", "in 1h 30m"),
    ("in=2h", "in 2h"),
    ('in="2 hours"', "in 2 hours"),
    ('at="in 30m"', "in 30m"),
]


@pytest.mark.parametrize(("typed", "at"), TIMES, ids=[typed for typed, _ in TIMES])
def test_a_time_is_one_part_wherever_it_stands(typed: str, at: str, vocabulary: Vocabulary) -> None:
    meant = DeployIntent(services=(CHECKOUT,), version="v1.2", environment=STAGING, at=at)
    for order in permutations(["checkout", "v1.2", "staging", typed]):
        assert parse(" ".join(order), vocabulary=vocabulary) == meant, order
    assert parse(render(meant), vocabulary=vocabulary) == meant
    assert parse_when(at, now=NOW, zone=UTC, next_window=NOW) >= NOW


PLACES_AND_TIMES = [
    ("checkout v1.2 in staging in 30m", "in 30m"),
    ("in 30m checkout v1.2 in staging", "in 30m"),
    ("checkout v1.2 at staging at 18:00", "18:00"),
    ("checkout at 18:00 in staging v1.2", "18:00"),
    ("at 18:00, checkout v1.2, staging", "18:00"),
    ("checkout v1.2 for staging at 18:00 please", "18:00"),
    ("v1.2 of checkout to staging at 18:00", "18:00"),
    ('checkout v1.2 in "staging" at "18:00"', "18:00"),
]


@pytest.mark.parametrize(("text", "at"), PLACES_AND_TIMES)
def test_prepositions_lead_to_places_as_well_as_to_times(text: str, at: str, vocabulary: Vocabulary) -> None:
    meant = DeployIntent(services=(CHECKOUT,), version="v1.2", environment=STAGING, at=at)
    assert parse(text, vocabulary=vocabulary) == meant


def test_what_follows_a_time_is_not_swallowed(vocabulary: Vocabulary) -> None:
    for version in ("main", "feature/login", "42", "1.0", "v30m", "4f0c2aa"):
        intent = parse(f"checkout staging at 18:00 {version}", vocabulary=vocabulary)
        assert isinstance(intent, DeployIntent)
        assert (intent.version, intent.at) == (version, "18:00")


def test_a_version_that_looks_like_a_time_says_what_it_is(vocabulary: Vocabulary) -> None:
    meant = DeployIntent(services=(CHECKOUT,), version="18:00", environment=STAGING)
    assert render(meant) == "deploy checkout version=18:00 staging"
    assert parse(render(meant), vocabulary=vocabulary) == meant


def test_several_services_and_the_form_take_a_time(vocabulary: Vocabulary) -> None:
    both = DeployIntent(
        services=(CHECKOUT, CATALOG), version="v1.2", environment=STAGING, at="in 30m", expires="2h", dry_run=True
    )
    assert parse("checkout,catalog v1.2 staging in 30m expires=2h dry-run", vocabulary=vocabulary) == both
    assert parse("checkout at 18:00", vocabulary=vocabulary) == OpenFormIntent(services=(CHECKOUT,), at="18:00")


@pytest.mark.parametrize("typed", ["until 18:00", "until=18:00", "UNTIL 18:00"])
def test_until_leads_to_an_end(typed: str, vocabulary: Vocabulary) -> None:
    meant = LockIntent(scope=Scope(environment=STAGING), reason="x", until="18:00")
    assert parse(f"lock {typed} staging reason=x", vocabulary=vocabulary) == meant


@pytest.mark.parametrize("until", ["2h", "90 min", "tomorrow 9:00", "2026-12-01 18:00 Europe/Paris", "in 2h"])
def test_an_end_is_a_length_or_a_time(until: str, vocabulary: Vocabulary) -> None:
    meant = LockIntent(scope=Scope(environment=STAGING), reason="x", until=until)
    assert parse(f'lock staging reason=x until="{until}"', vocabulary=vocabulary) == meant


# text, what the message says, the word, the first suggestion
REFUSED = [
    ("checkout v1.2 staging at", "“at” leads to nothing", "at", "at 18:00"),
    ("checkout v1.2 staging at v1.3", "“v1.3” is no time that can be read", "v1.3", "at 18:00"),
    ("checkout v1.2 staging at main", "“main” is no time that can be read", "main", "at 18:00"),
    ("checkout v1.2 staging at noon", "“noon” is no time that can be read", "noon", "at 18:00"),
    ("checkout v1.2 staging at=noon", "“noon” is no time that can be read", "noon", "18:00"),
    ("checkout v1.2 staging at 18", "“18” is no time that can be read", "18", "18:00"),
    ("checkout v1.2 staging at 25:00", "no time of day", "25:00", None),
    ("checkout v1.2 staging at 6pm", "hours go from 0 to 23", "6pm", "18:00"),
    ("checkout v1.2 staging at 6:30 p.m.", "hours go from 0 to 23", None, "18:30"),
    ("checkout v1.2 staging at tomorrow", "says no time of day", "tomorrow", "tomorrow 9:00"),
    ("checkout v1.2 staging at 18:00 Paris", "no time zone “Paris”", "18:00 Paris", "18:00 Europe/Paris"),
    ("checkout v1.2 staging at 18:00 europe/paris", "no time zone", None, "18:00 Europe/Paris"),
    ("checkout v1.2 staging at 18:00 Mars/Phobos", "no time zone “Mars/Phobos”", "18:00 Mars/Phobos", None),
    ("checkout v1.2 staging at 18:00 Europe/Nowhere", "no time zone “Europe/Nowhere”", None, None),
    ("checkout v1.2 at 18:00 America/New_Yurk staging", "no time zone", None, "18:00 America/New_York"),
    ("checkout v1.2 staging at 18:00 CET", "no time zone “CET”", "18:00 CET", None),
    ("checkout v1.2 staging at now", "as soon as it can", "now", None),
    ('checkout v1.2 staging at "soon enough"', "“soon enough” is no time", "soon enough", "18:00"),
    ('checkout v1.2 staging at="18:00 or so"', "no time zone “or”", "18:00 or so", None),
    ('checkout v1.2 staging at "18:00 or so"', "no time zone “or”", "18:00 or so", None),
    ("checkout v1.2 staging at=18:00,19:00", "is no time", "18:00 19:00", "18:00"),
    ("checkout v1.2 staging at=", "needs a value", "at=", None),
    ("checkout v1.2 staging in", "“in” leads to nothing", "in", "in 30m"),
    ("checkout v1.2 staging in 30", "no length of time", "30", None),
    ("checkout v1.2 staging in 0m", "more than nothing", "0m", None),
    ("checkout v1.2 staging in=soon", "no length of time", "soon", None),
    ("checkout v1.2 staging at 18:00 in 30m", "given twice", "at=in 30m", None),
    ("checkout v1.2 staging at 18:00 at 19:00", "given twice", "at=19:00", None),
    ("checkout v1.2 staging 18:00", "“18:00” is a time", "18:00", "at 18:00"),
    ("checkout staging 18:00", "“18:00” is a time", "18:00", "at 18:00"),
    ("checkout v1.2 staging tomorrow 9:00", "“tomorrow” is a time", "tomorrow", "at tomorrow 9:00"),
    ("checkout staging next-window", "“next-window” is a time", "next-window", "at next-window"),
    ("lock staging 2h reason=x", "“2h” is a time", "2h", "until=2h"),
    ("lock staging until reason=x", "“until” leads to nothing", "until", "until=2h"),
    ("lock staging until=soon reason=x", "no time that can be read", "soon", "2h"),
    ("lock staging until=next-window reason=x", "no time at which this could end", "next-window", "2h"),
    ("lock staging at 18:00 reason=x", "at does not belong to lock; it belongs to deploy and schedule", "at", None),
    ("status in 30m", "at does not belong to status", "at", None),
    ("checkout v1.2 staging at 18:00 --in", "--in” needs a value", "--in", 'at="18:00 Europe/Paris"'),
]


@pytest.mark.parametrize(("text", "says", "token", "suggestion"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_is_no_time_is_refused_at_once(
    text: str, says: str, token: str | None, suggestion: str | None, vocabulary: Vocabulary
) -> None:
    error = refusal(text, vocabulary)
    assert says in error.message
    assert token is None or error.token == token
    assert (error.suggestions[0] if error.suggestions else None) == suggestion
    assert error.hint


@pytest.mark.parametrize("branch", ["feature/x", "JIRA-12/fix", "release/2026", "a/B"])
def test_a_branch_after_a_time_is_a_version(branch: str, vocabulary: Vocabulary) -> None:
    intent = parse(f"checkout staging at 18:00 {branch}", vocabulary=vocabulary)
    assert isinstance(intent, DeployIntent)
    assert (intent.version, intent.at) == (branch, "18:00")


def test_an_unknown_place_is_no_time(vocabulary: Vocabulary) -> None:
    for text, near in (("checkout v1.2 in moon", ()), ("checkout v1.2 in stagin", ("staging",))):
        error = refusal(text, vocabulary)
        assert type(error) is UnknownEnvironment
        assert error.token == text.split()[-1]
        assert error.suggestions == near


def test_a_time_that_is_also_a_name_is_refused_with_both_readings() -> None:
    names = vocabulary_of({"checkout": "staging", "paris": "staging", "utc": "staging"}, "staging", "tomorrow", "30m")
    error = refusal("checkout v1.2 at tomorrow 9:00", names)
    assert error.suggestions == ('at="tomorrow 9:00"', "environment=tomorrow")
    error = refusal("checkout v1.2 staging at 18:00 utc", names)
    assert error.suggestions == ('at="18:00 utc"', "service=utc")
    error = refusal("checkout v1.2 in 30m", names)
    assert error.suggestions == ('in="30m"', "environment=30m")
    for text in ('checkout v1.2 staging at="tomorrow 9:00"', 'checkout v1.2 staging in="30m"'):
        assert isinstance(parse(text, vocabulary=names), DeployIntent)
    # A city alone is no time zone, so that here it can only be the service.
    assert parse("paris v1.2 staging at 18:00", vocabulary=names) == parse(
        "staging at 18:00 paris v1.2", vocabulary=names
    )


def test_a_deployment_is_moved_to_a_time(vocabulary: Vocabulary) -> None:
    for text in (
        "schedule #42 at 19:00 expires=30m",
        "at 19:00 schedule 42 expires=30m",
        "schedule #42 at=19:00 --expires=30m",
    ):
        assert parse(text, vocabulary=vocabulary) == ScheduleIntent(deployment=42, at="19:00", expires="30m")
