"""DORA figures, each checked against an example that was counted by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bot.domain.actor import BOT, Actor
from bot.domain.deployment import Deployment, Moment
from bot.domain.dora import DEFINITIONS, Figures, by_day, figures
from bot.domain.ids import DeploymentId, EnvironmentName, LockScope, ServiceName
from bot.domain.lifecycle import Phase
from bot.domain.release import Artifact, Release

P = Phase
ADA = Actor(workspace="T1", id="U0ADA", name="Ada")
MONDAY = datetime(2031, 5, 12, tzinfo=UTC)
WEEK = {"since": MONDAY, "until": MONDAY + timedelta(days=7)}


def made(
    *phases: tuple[Phase, float],
    day: int = 0,
    service: str = "checkout",
    environment: str = "production",
    rollback: bool = False,
) -> Deployment:
    """A deployment requested at 10:00 of a day of the week, in each phase so many minutes later."""
    begin = MONDAY + timedelta(days=day, hours=10)
    timeline = [Moment(phase=P.REQUESTED, at=begin, actor=ADA)]
    timeline += [Moment(phase=phase, at=begin + timedelta(minutes=after), actor=BOT) for phase, after in phases]
    return Deployment(
        id=DeploymentId("d1"),
        number=1,
        service=ServiceName(service),
        environment=EnvironmentName(environment),
        scope=LockScope("s"),
        release=Release(service=ServiceName(service), version="v1", artifact=Artifact(digest="d", location="l")),
        requester=ADA,
        channel="C1",
        catalog_revision="c1",
        origin="o",
        rollback_of=DeploymentId("d0") if rollback else None,
        phase=timeline[-1].phase,
        timeline=tuple(timeline),
    )


def good(minutes: float, *, day: int = 0, service: str = "checkout", rollback: bool = False) -> Deployment:
    return made(
        (P.QUEUED, 1), (P.DEPLOYING, 2), (P.VERIFYING, 3), (P.SUCCEEDED, minutes), day=day, service=service,
        rollback=rollback,
    )  # fmt: skip


RUNS = ((P.QUEUED, 1), (P.DEPLOYING, 2))
WEEKS_WORK = [
    good(10, day=0),
    good(20, day=1),
    good(60, day=1),
    # A check said no 7 minutes after its health began to be proven.
    made(*RUNS, (P.VERIFYING, 5), (P.FAILED, 12), day=2),
    # Succeeded after half an hour, taken back two hours later, which took 4 minutes.
    made(*RUNS, (P.VERIFYING, 5), (P.SUCCEEDED, 30), (P.ROLLING_BACK, 150), (P.ROLLED_BACK, 154), day=3),
    # The rollback that took it back.
    good(4, day=3, rollback=True),
    # These were never a change, or nobody's failure.
    made((P.QUEUED, 1), (P.ERRORED, 2), day=4),
    made((P.AWAITING_APPROVAL, 1), (P.REJECTED, 2), day=4),
    made(*RUNS, (P.ABORTED, 3), day=4),
    made((P.QUEUED, 1), (P.SUPERSEDED, 3), day=4),
    # Under way.
    made(*RUNS, day=6),
    # The week before and the week after.
    good(10, day=-1),
    made(*RUNS, (P.VERIFYING, 5), (P.FAILED, 12), day=7),
]


def of(deployments: list[Deployment]) -> Figures:
    return figures(deployments, **WEEK)


def test_a_week_counted_by_hand() -> None:
    found = of(WEEKS_WORK)
    assert found.succeeded == 4  # 10, 20, 60 and 30 minutes: the one taken back later had succeeded too
    assert found.per_day == pytest.approx(4 / 7)
    assert found.lead_time == 25 * 60  # the median of 10, 20, 30 and 60 minutes
    assert (found.changes, found.failures) == (5, 2)  # three that hold, one failed, one rolled back
    assert found.failure_rate == pytest.approx(0.4)
    assert found.time_to_restore == 5.5 * 60  # the median of 7 and 4 minutes
    assert (found.restored, found.unrestored) == (2, 0)


def test_nothing_is_no_number() -> None:
    found = of([])
    assert (found.succeeded, found.per_day, found.changes, found.failures) == (0, 0, 0, 0)
    assert (found.lead_time, found.failure_rate, found.time_to_restore) == (None, None, None)


def test_each_failure_and_how_long_it_stood() -> None:
    """Each in minutes; None: no failure, or one that is not over."""
    cases = {
        "failed before its health was looked at": (made(*RUNS, (P.FAILED, 9)), 7),
        "broke while it changed the target": (made(*RUNS, (P.ERRORED, 3)), 1),
        "a person had to put it right": (made(*RUNS, (P.NEEDS_ATTENTION, 5), (P.ERRORED, 65)), 60),
        "a person found that it was well": (made(*RUNS, (P.NEEDS_ATTENTION, 5), (P.SUCCEEDED, 65)), None),
        "broke before it changed anything": (made((P.QUEUED, 1), (P.ERRORED, 3)), None),
        "the second rollback did it": (
            made(
                *RUNS, (P.SUCCEEDED, 5), (P.ROLLING_BACK, 10), (P.SUCCEEDED, 15), (P.ROLLING_BACK, 20),
                (P.ROLLED_BACK, 25),
            ),
            15,
        ),
    }  # fmt: skip
    for name, (deployment, minutes) in cases.items():
        found = of([deployment])
        assert found.failures == (minutes is not None), name
        assert found.time_to_restore == (minutes * 60 if minutes is not None else None), name


def test_a_failure_that_is_not_over() -> None:
    found = of([made(*RUNS, (P.SUCCEEDED, 5), (P.ROLLING_BACK, 10))])
    assert (found.failures, found.restored, found.unrestored, found.time_to_restore) == (1, 0, 1, None)


def test_a_rollback_that_came_to_nothing() -> None:
    found = of([made(*RUNS, (P.SUCCEEDED, 5), (P.ROLLING_BACK, 10), (P.SUCCEEDED, 15))])
    assert (found.changes, found.failures, found.lead_time) == (1, 0, 300)


def test_one_place() -> None:
    both = [good(10), good(30, service="payments"), made(*RUNS, (P.FAILED, 9), environment="staging")]
    found = figures(both, **WEEK, service=ServiceName("checkout"), environment=EnvironmentName("production"))
    assert (found.succeeded, found.failures, found.lead_time) == (1, 0, 600)
    assert figures(both, **WEEK, environment=EnvironmentName("staging")).failure_rate == 1


def test_the_period_ends_just_before_its_end() -> None:
    one = good(10)
    at = one.since
    assert figures([one], since=at, until=at + timedelta(seconds=1)).succeeded == 1
    assert figures([one], since=at - timedelta(seconds=1), until=at).succeeded == 0
    with pytest.raises(ValueError, match="must end after"):
        figures([one], since=at, until=at)


def test_days_are_those_of_a_zone() -> None:
    days = by_day(WEEKS_WORK, **WEEK, zone=UTC)
    assert [(day.succeeded, day.failed) for day in days] == [(1, 0), (2, 0), (0, 1), (1, 1), (0, 0), (0, 0), (0, 0)]
    assert (days[0].date, days[-1].date) == (date(2031, 5, 12), date(2031, 5, 18))
    far = by_day(WEEKS_WORK, **WEEK, zone=ZoneInfo("Pacific/Auckland"))
    assert [(day.succeeded, day.failed) for day in far][:5] == [(1, 0), (2, 0), (0, 1), (1, 0), (0, 1)]
    assert len(far) == 8  # a week of UTC touches eight days there


def test_definitions_are_printed_for_each() -> None:
    assert list(DEFINITIONS) == ["deployment frequency", "lead time", "change failure rate", "time to restore"]
    assert "not the time from commit" in DEFINITIONS["lead time"]
