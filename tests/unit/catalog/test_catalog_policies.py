"""What environments ask for: order, approval, queue, windows and freezes reach the domain, and mistakes are told."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, get_args

import pytest
from bad_catalogs import broken
from bad_policies import CASES
from jsonschema import Draft202012Validator

from bot.catalog.document import compose
from bot.catalog.json_schema import json_schema
from bot.catalog.load import parse
from bot.catalog.places import Places
from bot.catalog.problems import CatalogError
from bot.catalog.schema import CatalogFile, EnvironmentBlock
from bot.catalog.watch import LiveCatalog
from bot.domain.actor import Actor, Membership
from bot.domain.catalog import Environment, QueuePolicy
from bot.domain.policy import window as window_module
from bot.domain.policy.access import Action, may
from bot.domain.policy.approval import ApprovalRule
from bot.domain.policy.freeze import WhileRunning
from bot.domain.policy.recurrence import Recurrence, RuleKind
from bot.domain.policy.window import Window, WindowKind, is_open

if TYPE_CHECKING:
    from pathlib import Path

    from bot.catalog.load import Providers

#: What only the loader can know: which names exist and lead where, what a rule comes to, how long is too long.
LOADER_ONLY = {
    "unknown zone",
    "unknown zone of a window",
    "after an unknown environment",
    "after itself",
    "order in a circle",
    "order that a service cannot follow",
    "group that may not approve",
    "fallback that may not approve",
    "fallback to the same group",
    "nobody may approve",
    "nobody may approve there",
    "nobody may approve one service",
    "approval that expires at once",
    "window name twice",
    "window too long",
    "window of no length",
    "window for an unknown service",
    "rule with four fields",
    "rule with a minute too late",
    "rule that never begins",
    "rule that begins too often",
    "recurrence that never begins",
    "recurrence by the second",
}
WRITTEN_OUT = {Action.BREAK_GLASS, Action.OVERRIDE_FREEZE, Action.CONFIGURE}


def environment(text: str, providers: Providers, name: str = "production") -> Environment:
    return parse(text, "c.yaml", providers).environment(name)


def test_everything_that_an_environment_asks_for_reaches_the_catalog(policy: str, providers: Providers) -> None:
    catalog = parse(policy, "c.yaml", providers)
    assert (catalog.zone, catalog.security_channel) == ("Europe/Paris", "#security")
    production = catalog.environment("production")
    assert production.after == "canary"
    assert production.approval == ApprovalRule(
        quorum=2, group="@release-managers", fallback="@platform-leads", expires=2700
    )
    assert (production.queue, production.freeze_running) == (QueuePolicy.NEWEST, WhileRunning.PAUSE)
    month_end = "RRULE:FREQ=MONTHLY;BYMONTHDAY=-1;BYHOUR=0;BYMINUTE=0"
    assert production.windows == (
        Window(
            name="office hours",
            kind=WindowKind.ALLOW,
            rule=Recurrence(kind=RuleKind.CRON, text="0 9 * * 1-5"),
            duration=9 * 3600,
            zone="Europe/Paris",  # the catalog's
        ),
        Window(
            name="month end",
            kind=WindowKind.DENY,
            rule=Recurrence(kind=RuleKind.RRULE, text=month_end),
            duration=25 * 3600,
            zone="America/New_York",
            services=("pay*",),
        ),
    )


def test_what_is_left_out_asks_for_nothing(good: str, policy: str, providers: Providers) -> None:
    catalog = parse(good, "c.yaml", providers)
    assert (catalog.zone, catalog.security_channel) == ("UTC", None)
    staging = catalog.environment("staging")
    assert staging == Environment(name=staging.name)
    nothing = broken(policy, "  staging: {}", "  staging:")
    assert environment(nothing, providers, "staging") == Environment(name=staging.name)
    plain = broken(policy, '{ quorum: 2, group: "@release-managers", fallback: "@platform-leads", expires: 45m }', "{}")
    assert environment(plain, providers).approval == ApprovalRule(quorum=1, expires=1800)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("90s", 90), ("30m", 1800), ("9h", 32400), ("1.5h", 5400), ("2d", 172800), ("1w", 604800), ("366d", 31622400)],
)
def test_lengths_of_time(policy: str, providers: Providers, written: str, seconds: float) -> None:
    text = broken(policy, "for: 9h", f"for: {written}")
    assert environment(text, providers).windows[0].duration == seconds


def test_a_window_may_run_over_midnight(policy: str, providers: Providers) -> None:
    text = broken(policy, '"0 9 * * 1-5"', '"0 22 * * 5"')
    windows = environment(text, providers).windows[:1]
    saturday = datetime(2026, 11, 28, 5, tzinfo=UTC)  # 6:00 in Paris
    assert is_open(windows, saturday).open
    assert not is_open(windows, saturday + timedelta(hours=1)).open


@pytest.mark.parametrize(("old", "new", "answer"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_each_problem_is_told_at_its_place(policy: str, providers: Providers, old: str, new: str, answer: str) -> None:
    with pytest.raises(CatalogError) as caught:
        parse(broken(policy, old, new), "c.yaml", providers)
    assert str(caught.value) == answer


@pytest.mark.parametrize(("name", "old", "new"), [case[:3] for case in CASES], ids=[case[0] for case in CASES])
def test_the_schema_refuses_what_it_can(policy: str, providers: Providers, name: str, old: str, new: str) -> None:
    validator = Draft202012Validator(json_schema(providers))
    assert validator.is_valid(compose(policy, "c.yaml").root.plain())
    try:
        document = compose(broken(policy, old, new), "c.yaml")
    except CatalogError:
        return  # no YAML at all, which an editor tells without a schema
    assert validator.is_valid(document.root.plain()) == (name in LOADER_ONLY)


def test_a_circle_is_told_once_and_only_where_it_is(policy: str, providers: Providers) -> None:
    text = broken(policy, "canary: { after: staging }", "canary: { after: prelive }\n  prelive: { after: canary }")
    text = broken(text, "staging: {}", "staging: { after: canary }")
    with pytest.raises(CatalogError) as caught:
        parse(text, "c.yaml", providers)
    # Neither staging, which stands first, nor production is part of the circle; both lead into it.
    assert [problem.path for problem in caught.value.problems if "circle" in problem.message] == [
        "environments.canary.after"
    ]


def test_one_list_of_environments_in_the_defaults_is_told_once(providers: Providers) -> None:
    text = """
version: 1
channel: "#d"
environments: { staging: {}, production: { after: staging } }
defaults:
  environments: [production]
  target: { type: local, root: a }
  images: { type: local, folder: b }
services: { one: {}, two: {}, three: {} }
"""
    with pytest.raises(CatalogError) as caught:
        parse(text, "c.yaml", providers)
    assert [(problem.line, problem.column) for problem in caught.value.problems] == [(6, 18)]


@pytest.mark.parametrize("members", ['["@leads", U0GRACE]', "[S0615G0KT]", '["@leads", S0615G0KT]'])
def test_a_group_that_may_be_among_the_members_is_taken_for_it(policy: str, providers: Providers, members: str) -> None:
    # An id and a handle can be one group, and a person can be in any: nothing tells that nobody could approve.
    text = broken(policy, '["@release-managers", "@platform-leads"]', members)
    assert environment(text, providers).approval is not None


def test_without_roles_approval_is_not_what_is_missing(policy: str, providers: Providers) -> None:
    assert parse(policy[: policy.index("roles:")], "c.yaml", providers).rules == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[configure, override_freeze, break_glass]", "[[configure], { deploy: deploy }]"),
        ('["@release-managers", "@platform-leads"]', '[["@release-managers"], { a: b }]'),
        ("[staging, canary, production]", "[staging, [canary], { production: }]"),
        ("[pay*]", "[[pay], { check: out }]"),
        ("name: office hours", "name: [office hours]"),
    ],
)
def test_lists_within_lists_are_problems_and_no_accident(policy: str, providers: Providers, old: str, new: str) -> None:
    with pytest.raises(CatalogError) as caught:
        parse(broken(policy, old, new), "c.yaml", providers)
    assert all(problem.line for problem in caught.value.problems)


def test_a_window_listed_twice_by_an_alias_is_told(policy: str, providers: Providers) -> None:
    text = broken(policy, "      - name: office hours", "      - &hours\n        name: office hours")
    text = broken(text, "      - name: month end", "      - *hours\n      - name: month end")
    with pytest.raises(CatalogError, match="a window of line 15 is called 'office hours' too"):
        parse(text, "c.yaml", providers)


def test_a_star_allows_what_is_ordinary_and_denies_everything(policy: str, providers: Providers) -> None:
    text = policy + '    deny:\n      - { actions: "*", environments: canary }\n'
    catalog = parse(text, "c.yaml", providers)
    grace = Membership(actor=Actor(workspace="T1", id="U0GRACE", name="Grace"), groups=frozenset({"release-managers"}))
    checkout = catalog.service("checkout").name

    def allowed(place: str) -> set[Action]:
        where = catalog.environment(place).name
        return {a for a in Action if may(catalog.rules, grace, a, service=checkout, environment=where).allowed}

    assert allowed("staging") == set(Action) - WRITTEN_OUT
    assert allowed("production") == set(Action)
    assert allowed("canary") == set()


def test_a_deny_of_everything_denies_what_must_be_written_out_too(policy: str, providers: Providers) -> None:
    rules = parse(policy + '    deny: [{ actions: "*" }]\n', "c.yaml", providers).rules
    assert rules[-1].actions == set(Action)


def test_the_words_of_the_file_are_those_of_the_domain() -> None:
    for key, words in (("queue", QueuePolicy), ("freeze_running", WhileRunning)):
        annotation = EnvironmentBlock.model_fields[key].annotation
        assert set(get_args(annotation)) == {str(word) for word in words}
        assert EnvironmentBlock.model_fields[key].default == getattr(Environment(name="x"), key)  # type: ignore[arg-type]  # any text names one


def test_what_only_the_domain_refuses_is_told_at_its_place(policy: str) -> None:
    document = compose(policy, "c.yaml")
    file = CatalogFile.model_validate(document.root.plain())
    production = file.environments["production"]
    assert production is not None
    assert production.approval is not None
    # Copies are not validated again: as if the file's own checks had let them through.
    windows = [window.model_copy(update={"duration": 0.0}) for window in production.windows]
    approval = production.approval.model_copy(update={"quorum": 0})
    production = production.model_copy(update={"windows": windows, "approval": approval})
    places = Places(
        file.model_copy(update={"environments": {"production": production}}), document.root, document.source
    )
    places.environments()
    assert [(problem.line, problem.column, problem.path, problem.message) for problem in places.problems] == [
        (14, 9, "environments.production.windows[0]", "the window office hours must last from one second to 366 days"),
        (17, 9, "environments.production.windows[1]", "the window month end must last from one second to 366 days"),
        (11, 5, "environments.production.approval", "an approval takes at least one person"),
    ]


def test_whoever_deploys_first_waits_for_no_calendar(policy: str, providers: Providers, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(policy)
    window_module._month.cache_clear()
    live = LiveCatalog(path, providers=providers)
    before = window_module._month.cache_info().misses
    assert before > 0
    now = datetime.now(UTC)
    is_open(live.current().environment("production").windows, now)
    assert window_module._month.cache_info().misses == before


def test_a_catalog_without_windows_loads_no_library_for_them() -> None:
    look = "import sys, bot.catalog.load; print(sorted({'croniter', 'dateutil', 'matplotlib'} & sys.modules.keys()))"
    ran = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == "[]"
