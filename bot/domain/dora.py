"""How well deploying goes: the four figures of DORA, counted from the timelines of deployments and nothing else.

Each figure is printed with its definition: a number whose meaning is guessed does harm. What the bot cannot know, such
as when a change was committed or when a user first suffered, is not guessed either.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from types import MappingProxyType
from typing import TYPE_CHECKING

from bot.domain.analysis.countdown import CountdownState
from bot.domain.lifecycle import Phase

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date, tzinfo

    from bot.domain.deployment import Deployment
    from bot.domain.ids import EnvironmentName, ServiceName

DEFINITIONS: Mapping[str, str] = MappingProxyType(
    {
        "deployment frequency": (
            "Deployments that succeeded in the period, for each day of it. Rollbacks are not counted: they bring "
            "nothing new. Dry runs are no deployments."
        ),
        "lead time": (
            "From the request to success, the median of those deployments; waiting for approval, for a time and in the "
            "queue is in it. It is not the time from commit to production: the bot does not look into source control."
        ),
        "change failure rate": (
            "Of the deployments that changed something and were decided in the period, the share that failed: a check "
            "said no, something broke after the change had begun, or it was rolled back later. A deployment that was "
            "aborted by a person, or overtaken by a change from outside, is counted neither way; nor is a rollback."
        ),
        "time to restore": (
            "How long a failure stood, the median: for one that was rolled back, from when somebody asked for the "
            "rollback until it had succeeded; for a canary whose checks failed, from when they did; for any other, "
            "from when its health began to be proven (its change "
            "began, if it came no further; a person was asked, if one had to be) until what was there before was back."
        ),
    }
)

_BEGAN = Phase.DEPLOYING
_BROKE = frozenset({Phase.FAILED, Phase.ERRORED})
_TAKEN_BACK = frozenset({Phase.ROLLING_BACK, Phase.ROLLED_BACK})


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The four figures of one place (None: all of them) in one period. Durations are in seconds."""

    service: ServiceName | None
    environment: EnvironmentName | None
    since: datetime
    until: datetime
    succeeded: int
    """Deployments that succeeded, whatever became of them later; no rollbacks."""
    per_day: float
    lead_time: float | None
    """None without a deployment that succeeded."""
    changes: int
    """Deployments that were decided: `failures` and those that hold."""
    failures: int
    failure_rate: float | None
    """From 0 to 1; None without a change."""
    time_to_restore: float | None
    """None without a failure that is over."""
    restored: int
    unrestored: int
    """Failures that are not over: a rollback under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day of the zone that it was asked for."""

    date: date
    succeeded: int
    failed: int


def figures(
    deployments: Iterable[Deployment],
    *,
    since: datetime,
    until: datetime,
    service: ServiceName | None = None,
    environment: EnvironmentName | None = None,
) -> Figures:
    """The figures of a place from ``since`` up to, and without, ``until``; raises `ValueError` for an empty period."""
    if until <= since:
        raise ValueError("A period must end after it begins.")
    chosen = [one for one in deployments if not one.is_rollback and _is_of(one, service, environment)]
    successes = [at for one in chosen if (at := succeeded_at(one)) and since <= at < until]
    leads = [
        (at - one.requested_at).total_seconds() for one in chosen if (at := succeeded_at(one)) and since <= at < until
    ]
    failed = [one for one in chosen if (at := failed_at(one)) and since <= at < until]
    held = [one for one in chosen if failed_at(one) is None and (at := succeeded_at(one)) and since <= at < until]
    changes = len(failed) + len(held)
    restores = [taken for one in failed if (taken := restored_after(one)) is not None]
    return Figures(
        service=service,
        environment=environment,
        since=since,
        until=until,
        succeeded=len(successes),
        per_day=len(successes) / ((until - since) / timedelta(days=1)),
        lead_time=median(leads) if leads else None,
        changes=changes,
        failures=len(failed),
        failure_rate=len(failed) / changes if changes else None,
        time_to_restore=median(restores) if restores else None,
        restored=len(restores),
        unrestored=len(failed) - len(restores),
    )


def by_day(
    deployments: Iterable[Deployment],
    *,
    since: datetime,
    until: datetime,
    zone: tzinfo,
    service: ServiceName | None = None,
    environment: EnvironmentName | None = None,
) -> Sequence[Day]:
    """How many succeeded and failed on each day of the period, the days without any too.

    One that succeeded and was rolled back counts as a success on the one day and as a failure on the other.
    """
    if until <= since:
        raise ValueError("A period must end after it begins.")
    first, last = since.astimezone(zone).date(), (until - timedelta(microseconds=1)).astimezone(zone).date()
    good = {first + timedelta(days=n): 0 for n in range((last - first).days + 1)}
    bad = dict(good)
    for one in deployments:
        if one.is_rollback or not _is_of(one, service, environment):
            continue
        for count, at in ((good, succeeded_at(one)), (bad, failed_at(one))):
            if at is not None and since <= at < until:
                count[at.astimezone(zone).date()] += 1
    return [Day(date=date, succeeded=good[date], failed=bad[date]) for date in good]


def succeeded_at(deployment: Deployment) -> datetime | None:
    """When it was first proven healthy."""
    moment = deployment.reached(Phase.SUCCEEDED)
    return moment.at if moment else None


def failed_at(deployment: Deployment) -> datetime | None:
    """When it was known to have failed; None if it did not, or never changed anything.

    A rollback that came to nothing leaves the release that was to be taken back in its place: no failure is over then,
    and none is counted until a rollback is under way again or has succeeded.
    """
    if deployment.phase in _TAKEN_BACK:
        return _asked_back_at(deployment)
    if deployment.phase in _BROKE and deployment.reached(_BEGAN):
        return deployment.since
    return None


def restored_after(deployment: Deployment) -> float | None:
    """Seconds that its failure stood; None if it did not fail or the failure is not over."""
    failed = failed_at(deployment)
    if failed is None or deployment.phase is Phase.ROLLING_BACK:
        return None
    if deployment.phase is Phase.ROLLED_BACK:
        return (deployment.since - failed).total_seconds()
    if deployment.countdown is not None and deployment.countdown.state is CountdownState.FIRED:
        return (deployment.since - deployment.countdown.began).total_seconds()
    for phase in (Phase.NEEDS_ATTENTION, Phase.VERIFYING, _BEGAN):
        if moment := deployment.reached(phase):
            return (deployment.since - moment.at).total_seconds()
    return None


def usual_duration(deployments: Sequence[Deployment], *, last: int = 10) -> float | None:
    """Seconds from the begin of the change to its success, the median of the ``last`` successes; None without any.

    ``deployments`` are of one place, newest first. Those that waited for a person's decision on the way say nothing
    about how long it takes, and neither do rollbacks, which skip what a deployment does.
    """
    durations = [
        (end.at - begin.at).total_seconds()
        for one in deployments
        if not one.is_rollback
        and one.reached(Phase.NEEDS_ATTENTION) is None
        and (end := one.reached(Phase.SUCCEEDED))
        and (begin := one.reached(_BEGAN))
    ][:last]
    return median(durations) if durations else None


def failure_rate(deployments: Sequence[Deployment], *, last: int = 20) -> tuple[float | None, int]:
    """Of the ``last`` changes, the share that failed (see `DEFINITIONS`), and how many these were; None without any.

    ``deployments`` are of one place, newest first.
    """
    changes = [one for one in deployments if not one.is_rollback and (failed_at(one) or succeeded_at(one))][:last]
    failures = sum(failed_at(one) is not None for one in changes)
    return (failures / len(changes) if changes else None), len(changes)


def _asked_back_at(deployment: Deployment) -> datetime:
    moment = deployment.reached(Phase.ROLLING_BACK)
    return moment.at if moment else deployment.since


def _is_of(deployment: Deployment, service: ServiceName | None, environment: EnvironmentName | None) -> bool:
    return service in {None, deployment.service} and environment in {None, deployment.environment}
