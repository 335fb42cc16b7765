"""Why, where and how well: answers from a real store, and from targets that say all sorts of things."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from engine_world import (
    ADA,
    CHECKOUT,
    DAY,
    DEPLOYS,
    GRACE,
    HOUR,
    LINUS,
    MINUTE,
    NOON,
    PRODUCTION,
    STAGING,
    WEB,
    SomeTarget,
    World,
    catalog,
    member,
    open_world,
    release,
    running,
)
from hypothesis import given
from hypothesis import strategies as st

from bot.charts import render
from bot.domain.actor import Membership
from bot.domain.dora import DEFINITIONS
from bot.domain.errors import BadCommand, ProviderUnavailable, UnknownEnvironment, UnknownService
from bot.domain.explanation import MOST_LINES, deciding_row, explain, places_of
from bot.domain.grammar.intents import MayIntent
from bot.domain.ids import EnvironmentName, ServiceName
from bot.domain.insight import DriftKind, Relation
from bot.domain.lifecycle import Phase
from bot.domain.policy.access import Action, Effect, Rule, may
from bot.domain.policy.gates import GateResult, Verdict
from bot.domain.rollout import Plan
from bot.domain.versions import compare
from bot.engine.insight import Insight

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bot.domain.release import Release

SUCCEEDS = (Phase.QUEUED, Phase.DEPLOYING, Phase.VERIFYING, Phase.SUCCEEDED)
FAILS = (Phase.QUEUED, Phase.DEPLOYING, Phase.VERIFYING, Phase.FAILED)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


def insight(world: World, **about: float) -> Insight:
    return Insight(
        ledger=world.ledger,
        deployments=world.store.deployments,
        releases=world.store.releases,
        catalogs=world,
        providers=world,
        **about,
    )


# --- explain


async def test_an_answer_names_the_row_and_writes_it_out(world: World) -> None:
    managers = Rule(
        role="release-manager",
        groups=frozenset({"release-managers"}),
        users=frozenset({LINUS.id}),
        environments=("production",),
        services=("check*", "web"),
        actions=frozenset({Action.APPROVE, Action.ROLLBACK}),
    )
    world.set(rules=(DEPLOYS, managers))
    intent = MayIntent(action=Action.ROLLBACK, service=CHECKOUT, environment=PRODUCTION)
    (answer,) = await insight(world).explain(intent, member(ADA), member(GRACE, "release-managers"))

    assert answer.allowed is True
    assert answer.role == "release-manager"
    assert answer.rule is managers
    assert answer.reason == "Grace may roll back checkout in production: the role release-manager allows it."
    assert answer.row == (
        "release-manager: allows rollback and approve; users U0LINUS; groups release-managers; "
        "services check*, web; environments production"
    )


async def test_a_row_that_denies_decides_wherever_it_stands(world: World) -> None:
    deny = Rule(role="not-on-my-watch", effect=Effect.DENY, users=frozenset({ADA.id}), actions=frozenset(Action))
    world.set(rules=(DEPLOYS, deny))
    intent = MayIntent(action=Action.DEPLOY, service=CHECKOUT, environment=STAGING)
    (answer,) = await insight(world).explain(intent, member(ADA), member(ADA))
    assert answer.allowed is False
    assert answer.reason == "You may not deploy checkout in staging: the role not-on-my-watch denies it."
    assert answer.row.startswith("not-on-my-watch: denies every action; users U0ADA; every service; every environment")


async def test_without_a_row_it_is_no_and_says_which_role_it_takes(world: World) -> None:
    (answer,) = await insight(world).explain(
        MayIntent(action=Action.BREAK_GLASS, service=WEB, environment=STAGING), member(GRACE), member(ADA)
    )
    assert (answer.allowed, answer.role, answer.row, answer.rule) == (False, None, "", None)
    assert answer.reason == (
        "Ada may not break the glass for web in staging: no row allows it. It takes the role owner."
    )
    world.set(rules=())
    (answer,) = await insight(world).explain(MayIntent(action=Action.ABORT), member(ADA), member(ADA))
    assert answer.reason == (
        "You may not abort every service in every environment: no role allows it. "
        "What one has asked for oneself, one may abort all the same."
    )


async def test_places_with_one_answer_are_one_line(world: World) -> None:
    staging_only = replace(DEPLOYS, environments=("staging",))
    web = Rule(role="web-team", users=frozenset({ADA.id}), services=("web",), actions=frozenset({Action.DEPLOY}))
    world.set(rules=(staging_only, web))
    answers = await insight(world).explain(MayIntent(action=Action.DEPLOY), member(ADA), member(ADA))
    assert [(answer.allowed, answer.role, answer.where) for answer in answers] == [
        (True, "deployer", "every service in staging"),
        (False, None, "checkout in production"),
        (True, "web-team", "web in production"),
    ]
    one_service = await insight(world).explain(MayIntent(action=Action.DEPLOY, service=WEB), member(ADA), member(ADA))
    assert [answer.where for answer in one_service] == ["web in staging", "web in production"]


async def test_names_that_there_are_not_are_refused(world: World) -> None:
    use = insight(world)
    with pytest.raises(UnknownService):
        await use.explain(MayIntent(action=Action.DEPLOY, service=ServiceName("nope")), member(ADA), member(ADA))
    with pytest.raises(UnknownEnvironment):
        await use.drift(environment=EnvironmentName("nope"))
    world.catalog = catalog(services={"checkout": (STAGING, PRODUCTION), "web": (STAGING,)})
    with pytest.raises(UnknownEnvironment, match="web does not run in production"):
        await use.explain(
            MayIntent(action=Action.DEPLOY, service=WEB, environment=PRODUCTION), member(ADA), member(ADA)
        )


def test_there_are_never_too_many_lines_and_no_place_is_left_out() -> None:
    many = catalog(
        services={f"s{number}": (STAGING,) for number in range(40)},
        rules=tuple(
            Rule(
                role=f"r{number}",
                users=frozenset({ADA.id}),
                services=(f"s{number}",),
                actions=frozenset({Action.DEPLOY}),
                effect=Effect.DENY if number % 2 else Effect.ALLOW,
            )
            for number in range(40)
        ),
    )
    places = places_of(many, None, None)
    lines = explain(many, Action.DEPLOY, places, asker=ADA, subject=member(ADA))
    assert len(lines) == MOST_LINES
    assert lines[-1].allowed is None
    assert "21 more places have other answers" in lines[-1].reason
    assert sorted(place for line in lines for place in line.places) == sorted(places)


rules = st.builds(
    Rule,
    role=st.sampled_from(["a", "b", "c"]),
    effect=st.sampled_from(Effect),
    users=st.frozensets(st.sampled_from([ADA.id, GRACE.id])),
    groups=st.frozensets(st.sampled_from(["ops", "devs"])),
    services=st.lists(st.sampled_from(["*", "check*", "web", "none"]), min_size=1, max_size=2).map(tuple),
    environments=st.lists(st.sampled_from(["*", "prod*", "staging"]), min_size=1, max_size=2).map(tuple),
    actions=st.frozensets(st.sampled_from([Action.DEPLOY, Action.ABORT, Action.ROLLBACK])),
)
members = st.builds(
    Membership, actor=st.sampled_from([ADA, GRACE]), groups=st.frozensets(st.sampled_from(["ops", "devs"]))
)


@given(rows=st.lists(rules, max_size=6).map(tuple), who=members, action=st.sampled_from([Action.DEPLOY, Action.ABORT]))
def test_what_is_explained_is_what_is_decided(rows: tuple[Rule, ...], who: Membership, action: Action) -> None:
    small = catalog(rules=rows)
    places = places_of(small, None, None)
    lines = explain(small, action, places, asker=ADA, subject=who)
    answers = {place: line for line in lines for place in line.places}
    assert set(answers) == set(places)
    for (service, environment), line in answers.items():
        decision = may(rows, who, action, service=service, environment=environment)
        assert (line.allowed, line.role) == (decision.allowed, decision.role)
        row = deciding_row(rows, who, action, service, environment)
        assert line.rule is row or line.rule == row


# --- diff


async def compared(world: World) -> tuple[Relation, str]:
    found = await insight(world).diff(STAGING, PRODUCTION, CHECKOUT)
    assert len(found) == 1
    assert found[0].differs == (found[0].relation not in {Relation.SAME, Relation.RENAMED, Relation.MISSING_IN_BOTH})
    return found[0].relation, found[0].sentence


async def test_services_are_compared_one_by_one_with_their_placements(world: World) -> None:
    here = await world.runs(release("v1.3"))
    there = await world.runs(release("v1.2"), PRODUCTION)
    found = await insight(world).diff(STAGING, PRODUCTION)
    assert [(one.service, one.relation) for one in found] == [
        (CHECKOUT, Relation.ONE_AHEAD),
        (WEB, Relation.MISSING_IN_BOTH),
    ]
    assert (found[0].one, found[0].other) == (here, there)
    assert found[0].sentence == "staging is ahead: its version is higher."
    assert (await insight(world).diff(PRODUCTION, STAGING))[0].relation is Relation.OTHER_AHEAD


async def test_one_of_them_may_run_nothing(world: World) -> None:
    await world.runs(release("v1.3"))
    assert await compared(world) == (
        Relation.MISSING_IN_OTHER,
        "It does not run in production, as far as the bot knows.",
    )


async def test_one_artifact_of_two_names_and_one_name_of_two_artifacts(world: World) -> None:
    await world.runs(release("v1.3", digest="sha256:same"))
    await world.runs(release("v1.3", digest="sha256:same"), PRODUCTION)
    assert await compared(world) == (Relation.SAME, "Both run v1.3.")
    await world.runs(release("stable", digest="sha256:same"), PRODUCTION)
    assert await compared(world) == (
        Relation.RENAMED,
        "The very same artifact is called v1.3 in staging and stable in production.",
    )
    await world.runs(release("v1.3", digest="sha256:other"), PRODUCTION)
    assert await compared(world) == (
        Relation.REBUILT,
        "v1.3 was built twice: same in staging, other in production.",
    )


async def test_where_names_do_not_tell_history_does(world: World) -> None:
    old, new = release("4f0c2aa"), release("9e1d7b3")
    await world.runs(old, STAGING, since=NOON - 3 * DAY)
    await world.runs(new, STAGING, since=NOON - 2 * DAY)
    await world.runs(old, PRODUCTION, since=NOON)  # later, and yet behind
    assert await compared(world) == (Relation.ONE_AHEAD, "staging is ahead: it ran 4f0c2aa before.")
    await world.runs(release("aaaabbb"), PRODUCTION, since=NOON + MINUTE)
    assert await compared(world) == (
        Relation.OTHER_AHEAD,
        "production is ahead: what it runs came later, and the versions' names do not tell.",
    )


async def test_an_environment_is_not_compared_with_itself(world: World) -> None:
    with pytest.raises(BadCommand, match="does not differ from itself"):
        await insight(world).diff(STAGING, STAGING)


# --- drift


async def kinds(world: World, **about: float) -> dict[str, DriftKind]:
    found = await insight(world, **about).drift()
    return {f"{one.service}@{one.environment}": one.kind for one in found}


async def test_each_place_is_told_for_what_it_is(world: World) -> None:
    await world.runs(release("v1.2"))
    world.targets[CHECKOUT, STAGING] = SomeTarget(running(release("v1.2")))
    await world.runs(release("v1.2"), PRODUCTION)
    world.targets[CHECKOUT, PRODUCTION] = SomeTarget(running(release("v1.2", digest="sha256:by-hand")))
    world.targets[WEB, STAGING] = SomeTarget(running(release("v7", service=WEB)))
    await world.runs(release("v3", service=WEB), PRODUCTION)
    found = {(one.service, one.environment): one for one in await insight(world).drift()}

    assert {place: one.kind for place, one in found.items()} == {
        (CHECKOUT, STAGING): DriftKind.NONE,
        (CHECKOUT, PRODUCTION): DriftKind.CHANGED,
        (WEB, STAGING): DriftKind.UNRECORDED,
        (WEB, PRODUCTION): DriftKind.CHANGED,
    }
    changed = found[CHECKOUT, PRODUCTION]
    assert changed.sentence == (
        "It runs v1.2 (by-hand), though v1.2 (checkout-v1.) was recorded last: changed outside the bot."
    )
    assert changed.running == running(release("v1.2", digest="sha256:by-hand"))
    assert found[WEB, PRODUCTION].sentence == "Nothing runs there, though v3 should: changed outside the bot."


async def test_what_cannot_be_read_is_never_no_drift(world: World) -> None:
    await world.runs(release("v1.2"))
    world.targets[CHECKOUT, STAGING] = SomeTarget(ProviderUnavailable("The cluster is away.", provider="k8s"))
    world.targets[CHECKOUT, PRODUCTION] = SomeTarget(hangs=True)
    world.targets[WEB, STAGING] = SomeTarget(RuntimeError("a mistake of ours"))
    found = await insight(world, one_look=0.1).drift()
    assert [one.kind for one in found] == [*[DriftKind.UNREADABLE] * 3, DriftKind.NONE]
    assert [one.sentence for one in found[:3]] == [
        "What it runs could not be read: The cluster is away.",
        "What it runs could not be read: it gave no answer in time.",
        "What it runs could not be read: the bot itself broke (RuntimeError); its log says more.",
    ]


async def test_many_places_that_hang_take_no_longer_than_all_may(world: World) -> None:
    names = [ServiceName(f"s{number}") for number in range(100)]
    world.catalog = catalog(services=dict.fromkeys(names, (STAGING,)))
    world.targets = {(name, STAGING): SomeTarget(hangs=True) for name in names}
    begin = asyncio.get_running_loop().time()
    found = await kinds(world, one_look=0.2, all_looks=0.5)
    assert asyncio.get_running_loop().time() - begin < 3
    assert set(found.values()) == {DriftKind.UNREADABLE}
    assert 8 <= sum(target.looks for target in world.targets.values()) <= 8 * 3


async def test_at_most_eight_are_looked_at_at_once(world: World) -> None:
    now = most = 0

    class Counting(SomeTarget):
        async def current(self) -> None:
            nonlocal now, most
            now += 1
            most = max(most, now)
            for _ in range(5):
                await asyncio.sleep(0)
            now -= 1

    names = [ServiceName(f"s{number}") for number in range(40)]
    world.catalog = catalog(services=dict.fromkeys(names, (STAGING,)))
    world.targets = {(name, STAGING): Counting() for name in names}
    assert set((await kinds(world)).values()) == {DriftKind.NONE}
    assert most == 8


async def test_a_deployment_under_way_is_no_drift(world: World) -> None:
    await world.runs(release("v1.2"))
    world.targets[CHECKOUT, STAGING] = SomeTarget(running(release("v1.3")))
    busy = await world.deployed(Phase.QUEUED, Phase.DEPLOYING)
    (found,) = await insight(world).drift(CHECKOUT, STAGING)
    assert (found.kind, found.sentence) == (DriftKind.UNDER_WAY, f"#{busy.number} has it for itself: deploying.")


async def test_a_deployment_that_ends_while_one_looks_is_no_drift(world: World) -> None:
    await world.runs(release("v1.2"))

    class Deploying(SomeTarget):
        async def current(self) -> object:  # type: ignore[override]  # what it saw is told later
            saw = self.runs
            if not self.looks:
                self.runs = running(release("v1.3"))
                await world.runs(release("v1.3"))
            self.looks += 1
            return saw

    world.targets[CHECKOUT, STAGING] = Deploying(running(release("v1.2")))
    (found,) = await insight(world).drift(CHECKOUT, STAGING)
    assert found.kind is DriftKind.NONE
    assert world.targets[CHECKOUT, STAGING].looks == 2


# --- stats


async def test_figures_of_a_place_with_their_definitions_and_a_chart(world: World) -> None:
    for days in (1, 2, 2):
        await world.deployed(*SUCCEEDS, begin=NOON - days * DAY)
    await world.deployed(*FAILS, begin=NOON - 3 * DAY)
    await world.deployed(*SUCCEEDS, begin=NOON - 40 * DAY)
    await world.deployed(*SUCCEEDS, begin=NOON - DAY, service=WEB)
    bad = await world.deployed(*SUCCEEDS, begin=NOON - 4 * DAY)
    await world.deployed(*SUCCEEDS, begin=NOON - 4 * DAY + HOUR, rollback_of=bad.id)
    for phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK):
        await world.ledger.advance(bad.id, phase, actor=ADA, key=f"taken:{phase}", at=NOON - 4 * DAY + HOUR)

    found = await insight(world).stats(CHECKOUT, STAGING, 30)

    assert (found.figures.succeeded, found.figures.failures, found.figures.changes) == (4, 2, 5)
    assert found.figures.failure_rate == pytest.approx(0.4)
    assert found.figures.per_day == pytest.approx(4 / 30)
    assert found.definitions == DEFINITIONS
    assert sum(day.succeeded for day in found.days) == 4
    assert len(found.days) == 31
    chart = found.chart
    assert chart is not None
    assert chart.title == "Deployments of checkout in staging, 2031-04-14 to 2031-05-14"
    assert chart.alt == (
        "Deployments of checkout in staging on each day from 2031-04-14 to 2031-05-14: 4 succeeded, 2 failed. "
        "Most failures: 1 on the day of 2031-05-10."
    )
    assert (await render(chart)).startswith(b"\x89PNG")
    everywhere = await insight(world).stats(days=30)
    assert everywhere.figures.succeeded == 5


async def test_a_long_time_is_drawn_in_weeks(world: World) -> None:
    await world.deployed(*SUCCEEDS, begin=NOON - 300 * DAY)
    found = await insight(world).stats(days=366)
    assert found.chart is not None
    assert len(found.chart.categories) == 53
    assert "on each week from" in found.chart.alt
    assert sum(found.chart.bars[0].values) == 1


async def test_without_any_deployment_there_is_no_chart_and_no_rate(world: World) -> None:
    await world.deployed(Phase.QUEUED)
    found = await insight(world).stats(CHECKOUT)
    assert found.chart is None
    assert (found.figures.failure_rate, found.figures.lead_time, found.figures.per_day) == (None, None, 0)


@pytest.mark.parametrize("days", [0, -1, 367])
async def test_days_that_cannot_be_are_refused(world: World, days: int) -> None:
    with pytest.raises(BadCommand, match="1 to 366 days"):
        await insight(world).stats(days=days)


# --- forecast


async def is_downgrade(world: World, what: Release, plan: Plan | None = None) -> bool:
    found = await insight(world).forecast(world.catalog, CHECKOUT, STAGING, what, plan, ())
    return found.downgrade


async def test_a_forecast_says_how_long_it_takes_and_how_often_it_fails(world: World) -> None:
    gate = GateResult(name="lock", verdict=Verdict.PASS, sentence="Nothing is locked.")
    await world.deployed(*SUCCEEDS, every=HOUR)  # the eleventh last: too long ago
    for minutes in (*[1] * 5, *[3] * 5):
        await world.deployed(*SUCCEEDS, every=minutes * MINUTE)
    for _ in range(3):
        await world.deployed(*FAILS)
    await world.deployed(Phase.ABORTED)
    await world.deployed(*SUCCEEDS, every=HOUR, service=WEB)
    await world.deployed(Phase.QUEUED, Phase.DEPLOYING, Phase.NEEDS_ATTENTION, Phase.SUCCEEDED, every=DAY)
    now = await world.runs(release("v1.1"))

    found = await insight(world).forecast(world.catalog, CHECKOUT, STAGING, release("v1.2"), None, [gate])

    assert found.usual == 240  # from deploying to succeeded: 2 and 6 minutes, five times each
    assert found.counted == 15
    assert found.failure_rate == pytest.approx(3 / 15)
    assert found.current == now.release
    assert found.gates == (gate,)
    assert not found.downgrade


async def test_without_a_past_nothing_is_said(world: World) -> None:
    found = await insight(world).forecast(world.catalog, CHECKOUT, STAGING, release("v1.2"), None, ())
    assert (found.usual, found.failure_rate, found.counted, found.current) == (None, None, 0, None)
    assert not found.downgrade


async def test_what_the_target_says_it_runs_counts_more_than_what_was_recorded(world: World) -> None:
    await world.runs(release("v1.1"))
    plan = Plan(current=running(release("v1.4")))
    found = await insight(world).forecast(world.catalog, CHECKOUT, STAGING, release("v1.2"), plan, ())
    assert found.current == release("v1.4")
    assert found.downgrade
    empty = await insight(world).forecast(world.catalog, CHECKOUT, STAGING, release("v1.2"), Plan(current=None), ())
    assert (empty.current, empty.downgrade) == (None, False)


async def test_a_downgrade_is_told_by_names_else_by_what_was_proven_before(world: World) -> None:
    await world.runs(release("v1.2"), since=NOON - DAY)
    await world.runs(release("v1.10"), since=NOON)
    assert await is_downgrade(world, release("v1.9"))
    assert not await is_downgrade(world, release("v1.11"))
    assert not await is_downgrade(world, release("v1.10"))
    # Proven there before, yet of a higher version: one goes forward again.
    await world.runs(release("v1.9"), since=NOON + HOUR)
    assert not await is_downgrade(world, release("v1.10"))

    await world.runs(release("4f0c2aa"), since=NOON + 2 * HOUR)
    await world.runs(release("9e1d7b3"), since=NOON + 3 * HOUR)
    assert await is_downgrade(world, release("4f0c2aa"))
    assert not await is_downgrade(world, release("aaaabbb"))
    await world.store.releases.retire(CHECKOUT, STAGING, release("4f0c2aa"), at=NOON + 4 * HOUR)
    assert not await is_downgrade(world, release("4f0c2aa"))


async def test_a_forecast_asks_the_store_at_most_three_times(world: World) -> None:
    await world.runs(release("9e1d7b3"))
    await world.deployed(*SUCCEEDS)
    asked = 0
    read = world.store.database.read

    async def counting(work: object) -> object:
        nonlocal asked
        asked += 1
        return await read(work)  # type: ignore[arg-type]  # passed on as it is

    world.store.database.read = counting  # type: ignore[method-assign,assignment]  # counts and passes on
    await insight(world).forecast(world.catalog, CHECKOUT, STAGING, release("4f0c2aa"), None, ())
    assert asked == 3


# --- versions


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("v1.9", "v1.10"),
        ("1.2", "v1.2.1"),
        ("v1", "2"),
        ("1.0-rc.2", "1.0"),
        ("1.0rc1", "1.0rc2"),
        ("1.0-alpha", "1.0-beta.1"),
        ("1.0", "1.0.post1"),
        ("release-7", "release-12"),
        ("checkout/v1.2", "checkout/v1.3"),
        ("2026-11-30", "2026-12-01"),
        ("v1.2-alpine", "v1.3-alpine"),
    ],
)
def test_the_later_version_is_told(earlier: str, later: str) -> None:
    assert (compare(earlier, later) or 0) < 0 < (compare(later, earlier) or 0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("main", "v1"),
        ("4f0c2aa", "9e1d7b3"),
        ("1e10000", "2e10000"),
        ("sha256:ab", "sha256:cd"),
        ("v1.2-alpine", "v1.2-slim"),
        ("release-7", "hotfix-8"),
        ("1.2-3", "1.2-4"),
        ("", "v1"),
        ("feature/login", "feature/logout"),
    ],
)
def test_what_names_do_not_tell_is_not_guessed(one: str, other: str) -> None:
    assert compare(one, other) is None
    assert compare(other, one) is None


@given(one=st.text(max_size=20), other=st.text(max_size=20))
def test_comparing_any_two_texts_is_fair(one: str, other: str) -> None:
    forth, back = compare(one, other), compare(other, one)
    assert (forth is None) == (back is None)
    if forth is not None and back is not None:
        assert forth == -back
    assert compare(one, one) in {None, 0}
