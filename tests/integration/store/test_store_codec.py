"""Every value comes back as it went in; rows of older builds stay readable, rows of newer ones are refused."""

from __future__ import annotations

import dataclasses
import json
import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import Phase as HypothesisPhase
from store_samples import (
    NOON,
    countdowns,
    deployment,
    deployments_of_all_kinds,
    events_of_all_kinds,
    progressions,
    requested,
)

from bot.domain.actor import BOT
from bot.domain.analysis.countdown import begin
from bot.domain.analysis.judgement import Verdict
from bot.domain.analysis.watch import Look
from bot.domain.deployment import Deployment, Hold
from bot.domain.errors import StoreError
from bot.domain.lifecycle import Phase
from bot.domain.metric import Reading
from bot.domain.progression import Looks, Progression
from bot.domain.strategy.moves import Abort, Cause
from bot.domain.strategy.position import start
from bot.store.codec import deployment_of, deployment_row, event_of, event_row

if TYPE_CHECKING:
    from bot.domain.analysis.countdown import Countdown
    from bot.domain.history import Event
    from bot.store.deployments import StoredDeployments


def test_the_strategy_varies_every_field() -> None:
    seen: dict[str, set[Any]] = {field.name: set() for field in dataclasses.fields(Deployment)}

    @settings(max_examples=60, database=None, derandomize=True)
    @given(deployments_of_all_kinds)
    def collect(made: Deployment) -> None:
        for name, values in seen.items():
            values.add(repr(getattr(made, name)))

    collect()
    assert [name for name, values in seen.items() if len(values) < 2] == []


@given(deployments_of_all_kinds)
def test_a_deployment_comes_back_as_it_went_into_a_row(made: Deployment) -> None:
    assert deployment_of(deployment_row(made)) == made  # type: ignore[arg-type]  # a dict reads like a row


@given(progressions, countdowns)
def test_a_rollout_of_several_steps_comes_back_as_it_went_into_a_row(
    progression: Progression, countdown: Countdown
) -> None:
    made = deployment(progression=progression, countdown=countdown)
    assert deployment_of(deployment_row(made)) == made  # type: ignore[arg-type]  # a dict reads like a row


def test_the_strategies_vary_every_field_of_a_rollout_of_several_steps() -> None:
    seen: dict[str, set[str]] = {}

    def take(value: Any) -> None:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            for field in dataclasses.fields(value):
                seen.setdefault(f"{type(value).__name__}.{field.name}", set()).add(repr(getattr(value, field.name)))
                take(getattr(value, field.name))
        for one in value if isinstance(value, tuple) else value.values() if isinstance(value, dict) else ():
            take(one)

    @settings(max_examples=100, database=None, derandomize=True)
    @given(progressions, countdowns)
    def collect(progression: Progression, countdown: Countdown) -> None:
        take(progression)
        take(countdown)

    collect()
    assert {"Held.why", "Waiver.to", "Abort.begun", "Look.verdict", "Judgement.age", "Reading.samples"} < set(seen)
    assert {"AskApproval.otherwise", "Countdown.barred"} < set(seen)
    assert [name for name, values in seen.items() if len(values) < 2] == []


def test_what_is_no_number_is_kept_as_none() -> None:
    """It is not even equal to itself, so whoever compares what was with what is would see a change for ever."""
    odd = Reading(value=math.nan, at=NOON, samples=math.nan, why="0 / 0")
    made = deployment(progression=Progression(position=start(NOON), before={"errors": odd}))
    once = deployment_of(deployment_row(made))  # type: ignore[arg-type]  # a dict reads like a row
    assert once.progression is not None
    assert once.progression.before == {"errors": Reading(value=None, at=NOON, why="0 / 0")}
    assert deployment_of(deployment_row(once)) == once  # type: ignore[arg-type]  # a dict reads like a row


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('"verdict":"fail"', '"verdict":"shrug"', "verdict 'shrug'"),
        ('"cause":"checks"', '"cause":"boredom"', "cause of an end 'boredom'"),
        ('"state":"running"', '"state":"frozen"', "state of a countdown 'frozen'"),
    ],
)
def test_a_word_of_a_newer_build_is_refused(old: str, new: str, what: str) -> None:
    abort = Abort(cause=Cause.CHECKS, why="errors: 8 % of at most 2 %.")
    looks = Looks(check="errors", looks=(Look(at=NOON, verdict=Verdict.FAIL),))
    progression = Progression(position=dataclasses.replace(start(NOON), abort=abort), looks=(looks,))
    row = deployment_row(deployment(progression=progression, countdown=begin("errors", at=NOON)))
    assert old in row["body"]
    row["body"] = row["body"].replace(old, new)
    with pytest.raises(StoreError, match=rf"{what}.*newer"):
        deployment_of(row)  # type: ignore[arg-type]  # a dict reads like a row


@given(events_of_all_kinds)
def test_an_event_comes_back_as_it_went_into_a_row(made: Event) -> None:
    row = {**event_row(made), "sequence": made.sequence}
    assert event_of(row) == made  # type: ignore[arg-type]  # a dict reads like a row


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[HypothesisPhase.explicit, HypothesisPhase.generate],
)
@given(made=deployments_of_all_kinds)
async def test_a_deployment_comes_back_from_the_database(deployments: StoredDeployments, made: Deployment) -> None:
    made = dataclasses.replace(made, origin=f"slack:{made.id}")  # the same act again would be the same deployment
    stored = await deployments.add(made, event=requested(made))
    assert stored == dataclasses.replace(made, number=stored.number)
    assert await deployments.get(made.id) == stored
    assert await deployments.by_number(stored.number) == stored
    [event] = await deployments.events(made.id)
    assert dataclasses.replace(event, sequence=0) == requested(made)
    for moment in (await deployments.get(made.id)).timeline:
        assert moment.at.utcoffset() is not None


def test_a_row_of_an_older_build_gets_defaults() -> None:
    made = deployment()
    row = deployment_row(made)
    full = json.loads(row["body"])
    kept = {"release": full["release"], "requester": {"id": "U0ADA"}}
    kept["release"].pop("location")
    old = deployment_of({**row, "body": json.dumps(kept)})  # type: ignore[arg-type]  # a dict reads like a row
    assert old.release.same_as(made.release)
    assert (old.requester.name, old.strategy, old.timeline, old.attempt) == ("U0ADA", "rolling", (), 1)
    assert (old.plan, old.previous, old.previous_recorded, old.request) == (None, None, False, None)
    assert (old.wish, old.waits, old.hurried, old.hold) == (None, False, False, None)
    assert (old.progression, old.countdown) == (None, None)
    # What it wrote when it held one, before anybody knew of more about it.
    held = {**kept, "hold": {"gate": "freeze"}}
    assert deployment_of({**row, "body": json.dumps(held)}).hold == Hold(gate="freeze", sentence="")  # type: ignore[arg-type]  # a dict reads like a row


@pytest.mark.parametrize(
    ("changes", "rank"),
    [({}, 2), ({"hurried": True}, 1), ({"rollback_of": "d1"}, 0), ({"rollback_of": "d1", "hurried": True}, 0)],
)
def test_a_rollback_goes_first_then_who_is_hurried(changes: dict[str, Any], rank: int) -> None:
    assert deployment_row(deployment(**changes))["rank"] == rank


def test_the_ends_in_the_columns_are_those_of_the_timeline() -> None:
    made = deployment()
    assert (deployment_row(made)["ended_at"], deployment_row(made)["taken_back_at"]) == (None, None)
    for hour, phase in enumerate(
        (Phase.QUEUED, Phase.DEPLOYING, Phase.VERIFYING, Phase.SUCCEEDED, Phase.ROLLING_BACK, Phase.SUCCEEDED)
    ):
        made = made.advance(phase, actor=BOT, at=NOON + timedelta(hours=hour))
    # Asked back a second time: what was a failure from the first time on does not become a later one.
    row = deployment_row(made.advance(Phase.ROLLING_BACK, actor=BOT, at=NOON + timedelta(hours=9)))
    assert row["ended_at"] == made.finished_at == NOON + timedelta(hours=3)
    assert row["taken_back_at"] == NOON + timedelta(hours=4)


@pytest.mark.parametrize("where", ["column", "timeline"])
def test_a_phase_of_a_newer_build_is_refused(where: str) -> None:
    row = deployment_row(deployment())
    if where == "column":
        row["phase"] = "levitating"
    else:
        row["body"] = row["body"].replace('"phase":"requested"', '"phase":"levitating"')
    with pytest.raises(StoreError, match=r"phase 'levitating'.*newer"):
        deployment_of(row)  # type: ignore[arg-type]  # a dict reads like a row


def test_a_damaged_row_is_named() -> None:
    row = {**deployment_row(deployment()), "id": "d7", "body": "{"}
    with pytest.raises(StoreError, match="deployment d7 cannot be read"):
        deployment_of(row)  # type: ignore[arg-type]  # a dict reads like a row


def test_a_time_without_a_zone_is_refused() -> None:
    made = deployment()
    naive = dataclasses.replace(made.timeline[0], at=made.timeline[0].at.replace(tzinfo=None))
    with pytest.raises(TypeError, match="time zone"):
        deployment_row(dataclasses.replace(made, timeline=(naive,)))
