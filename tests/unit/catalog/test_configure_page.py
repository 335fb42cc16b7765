"""What the page about configuration shows and says holds: its parts of a catalog are read, its clocks are true."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from bot.catalog.load import parse
from bot.catalog.rollout_schema import CheckBlock, ComparisonBlock
from bot.catalog.values import ACTIONS, STAR_ALLOWS
from bot.domain.policy.recurrence import read_recurrence
from bot.domain.policy.window import Window, is_open, spans
from bot.domain.strategy.kinds import StrategyKind
from integrations.registry import CLUSTERS, METRICS

if TYPE_CHECKING:
    from bot.catalog.load import Providers
    from bot.domain.catalog import Catalog, Environment

PAGE = (Path(__file__).parents[3] / "docs" / "configure.md").read_text()
PARTS = [match[1] for match in re.finditer(r"^```yml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)]
REST = {
    "version": "version: 1\n",
    "channel": 'channel: "#deployments"\n',
    "environments": "environments: { staging: {}, production: {} }\n",
    "services": """
services:
  checkout: { target: { type: local, root: platform }, images: { type: local, folder: artifacts } }
""",
}
PARIS = ZoneInfo("Europe/Paris")
HOUR = timedelta(hours=1)


def catalog(part: str, providers: Providers) -> Catalog:
    """The part as the page shows it, with what every catalog needs beside it."""
    rest = "".join(text for key, text in REST.items() if not re.search(rf"^{key}:", part, re.MULTILINE))
    there = replace(providers, metrics=METRICS.models(), queries=METRICS.queries(), clusters=CLUSTERS.models())
    return parse(rest + part, "configure.md", there)


def part_with(word: str) -> str:
    [part] = [part for part in PARTS if word in part]
    return part


@pytest.fixture
def production(providers: Providers) -> Environment:
    return catalog(part_with("night shift"), providers).environment("production")


def named(production: Environment, name: str) -> Window:
    [window] = [window for window in production.windows if window.name == name]
    return window


@pytest.mark.parametrize("part", PARTS)
def test_every_part_of_a_catalog_is_good(part: str, providers: Providers) -> None:
    assert catalog(part, providers).environments


def test_there_is_a_part_for_each_task() -> None:
    text = "".join(PARTS)
    for key in ("after", "approval", "quorum", "group", "fallback", "expires", "queue", "windows", "freeze_running"):
        assert f"{key}:" in text, key
    for key in ("strategies", "metrics", "checks", "bake", "countdown", "strategy"):
        assert f"{key}:" in text, key


def table(head: str) -> dict[str, list[str]]:
    """The rows of a table, by the code in their first column."""
    rows = re.findall(r"^\|(.*)\|$", PAGE.partition(f"| {head} |")[2].partition("\n\n")[0], re.MULTILINE)
    cells = [[cell.strip() for cell in row.split("|")] for row in rows]
    return {name: row[1:] for row in cells for name in re.findall(r"`([a-z_]+)`", row[0])}


def test_every_kind_of_strategy_is_explained() -> None:
    assert set(table("kind")) == set(StrategyKind)


def test_every_key_of_a_check_is_explained_with_its_default() -> None:
    explained = table("key")
    assert set(explained) == {*CheckBlock.model_fields, *ComparisonBlock.model_fields}
    told = {
        name: CheckBlock.model_fields[name].default for name in ("min_samples", "required", "needs_traffic", "good")
    }
    assert {name: explained[name][-1].strip("`") for name in told} == {
        "min_samples": f"{told['min_samples']:g}",
        "required": str(told["required"]).lower(),
        "needs_traffic": str(told["needs_traffic"]).lower(),
        "good": told["good"],
    }
    for names, shown in (
        (("interval", "window"), "{:g}s, {:g}s"),
        (("failures", "of"), "{}, {}"),
    ):
        assert explained[names[0]][-1] == shown.format(*(CheckBlock.model_fields[name].default for name in names))
    assert explained["ratio"][-1] == "{:g}, {:g}".format(
        *(ComparisonBlock.model_fields[name].default for name in ("ratio", "tolerance"))
    )


def test_the_rollout_of_the_page_is_what_it_says(providers: Providers) -> None:
    stepped = catalog(part_with("on_timeout"), providers)
    staging, production = (stepped.environment(name).name for name in ("staging", "production"))
    [service] = stepped.services
    assert stepped.strategy("", service, staging).kind is StrategyKind.ROLLING
    assert stepped.strategy("", service, production).kind is StrategyKind.CANARY
    watched = catalog(part_with("error_share"), providers).services[service]
    assert [(check.name, check.limit) for check in watched.checks] == [("errors", 0.02), ("latency", 250.0)]
    assert (watched.bake, watched.countdown) == (300.0, 60.0)


def test_every_action_is_explained_and_the_star_left_out_three() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| [a-z]", PAGE.partition("| action |")[2].partition("##")[0], re.MULTILINE)
    assert sorted(rows) == ACTIONS
    sentence = PAGE.partition('`actions: "*"` allows everything **except** ')[2].partition(":")[0]
    assert set(re.findall(r"`([a-z_]+)`", sentence)) == set(ACTIONS) - set(STAR_ALLOWS)


def test_the_night_shift_runs_over_midnight(production: Environment) -> None:
    shift = [named(production, "night shift")]
    friday = datetime(2026, 11, 27, 22, tzinfo=PARIS)
    assert not is_open(shift, friday - timedelta(seconds=1)).open
    assert is_open(shift, friday).open
    assert is_open(shift, friday.replace(day=28, hour=5, minute=59)).open
    assert not is_open(shift, friday.replace(day=28, hour=6)).open


def test_deny_wins_and_closed_is_what_no_window_allows(production: Environment) -> None:
    noon_in_new_york = datetime(2026, 11, 23, 12, 30, tzinfo=ZoneInfo("America/New_York"))
    windows = [named(production, "office hours"), named(production, "lunch in New York")]
    assert noon_in_new_york.astimezone(PARIS).hour == 18
    closed = is_open(windows, noon_in_new_york - 2 * HOUR), is_open(windows[1:], noon_in_new_york)
    assert [answer.open for answer in closed] == [True, False]
    assert not is_open(windows, noon_in_new_york).open
    assert is_open(windows[1:], noon_in_new_york + HOUR).open


def test_a_night_of_eight_hours_ends_by_another_clock_when_clocks_change(production: Environment) -> None:
    nightly = replace(named(production, "night shift"), rule=read_recurrence("0 22 * * *"))
    ends = []
    for day in (datetime(2027, 3, 27, 12, tzinfo=PARIS), datetime(2027, 10, 30, 12, tzinfo=PARIS)):
        [night] = spans(nightly, day, day + 20 * HOUR)
        assert night.end - night.start == 8 * HOUR
        ends.append(night.end.astimezone(PARIS).hour)
    assert ends == [7, 5]


def test_a_day_of_25_hours_needs_them(production: Environment) -> None:
    # The last day of October 2027 is the one on which clocks go back in Paris.
    written = named(production, "month end")
    last_hour = datetime(2027, 10, 31, 23, 30, tzinfo=PARIS)
    assert not is_open([written], last_hour).open
    assert is_open([replace(written, duration=24 * 3600)], last_hour).open
    # On other days it keeps the first hour of the next one shut as well.
    assert not is_open([written], datetime(2026, 12, 1, 0, 30, tzinfo=PARIS)).open
    assert is_open([written], datetime(2026, 12, 1, 1, tzinfo=PARIS)).open


def test_starts_that_clocks_skip_or_repeat(production: Environment) -> None:
    half_past_two = replace(named(production, "office hours"), rule=read_recurrence("30 2 * * *"), duration=600.0)
    spring = datetime(2027, 3, 28, tzinfo=PARIS)
    [skipped] = spans(half_past_two, spring, spring.replace(hour=12))
    assert skipped.start == datetime(2027, 3, 28, 3, tzinfo=PARIS)
    autumn = datetime(2027, 10, 31, tzinfo=PARIS)
    [repeated] = spans(half_past_two, autumn, autumn.replace(hour=12))
    assert repeated.start == datetime(2027, 10, 31, 0, 30, tzinfo=UTC)  # 2:30 in summer, and not in winter again
