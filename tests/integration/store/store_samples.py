"""Deployments, events and releases for the store's tests, made by hand or by chance."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from bot.domain.actor import BOT, Actor, ActorKind, Door
from bot.domain.analysis.countdown import Countdown, CountdownState
from bot.domain.analysis.judgement import Judgement, Verdict
from bot.domain.analysis.watch import Look
from bot.domain.deployment import Deployment, Hold, Moment, Request, Resolution, Wish
from bot.domain.history import Event
from bot.domain.ids import (
    DeploymentId,
    EnvironmentName,
    LockScope,
    OperationId,
    ServiceName,
    new_deployment_id,
)
from bot.domain.lifecycle import Phase
from bot.domain.metric import Reading
from bot.domain.progression import Looks, Progression, Reached
from bot.domain.release import Artifact, Release
from bot.domain.rollout import Handle, Plan, Progress, Running
from bot.domain.strategy.kinds import OnTimeout
from bot.domain.strategy.moves import Abort, AskApproval, Cause
from bot.domain.strategy.position import Held, Position, Waiver

if TYPE_CHECKING:
    from bot.store.deployments import StoredDeployments

ADA = Actor(workspace="T1", id="U0ADA", name="Ada Lovelace")
GRACE = Actor(workspace="T1", id="U0GRACE", name="Grace Hopper")
NOON = datetime(2031, 5, 17, 12, 0, tzinfo=UTC)
CHECKOUT = ServiceName("checkout")
STAGING = EnvironmentName("staging")
SCOPE = LockScope("checkout@staging")


def release(version: str = "v1.2", service: str = "checkout") -> Release:
    return Release(
        service=ServiceName(service),
        version=version,
        artifact=Artifact(digest=f"sha256:{version}", location=f"artifacts/{service}/{version}"),
    )


def deployment(**changes: Any) -> Deployment:
    name = new_deployment_id()
    made = Deployment(
        id=name,
        number=0,
        service=CHECKOUT,
        environment=STAGING,
        scope=SCOPE,
        release=release(),
        requester=ADA,
        channel="C0DEPLOY",
        catalog_revision="c1",
        origin=f"slack:{name}",
        timeline=(Moment(phase=Phase.REQUESTED, at=NOON, actor=ADA),),
    )
    return replace(made, **changes)


def requested(of: Deployment) -> Event:
    return Event(
        deployment=of.id, key="requested", kind="requested", actor=of.requester, at=NOON, after=Phase.REQUESTED
    )


def moved(before: Deployment, after: Deployment) -> Event:
    """The event of a transition."""
    return Event(
        deployment=after.id,
        key=f"{after.phase}:{after.version}",
        kind="moved",
        actor=BOT,
        at=NOON,
        before=before.phase,
        after=after.phase,
    )


async def store(deployments: StoredDeployments, *phases: Phase, **changes: Any) -> Deployment:
    """A stored deployment that went through these phases."""
    made = deployment(**changes)
    found = await deployments.add(made, event=requested(made))
    for phase in phases:

        def change(now: Deployment, to: Phase = phase) -> Deployment:
            return now.advance(to, actor=BOT, at=NOON)

        found = await deployments.update(found.id, change, event=moved)
    return found


# What people and providers send may hold anything at all; names and keys are ours and hold what any database can.
anything = st.text(st.characters(), max_size=40)
plain = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=30)
counts = st.integers(0, 2**31)
zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45)), timezone(timedelta(hours=-9))])
instants = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=zones)  # noqa: DTZ001 - bounds are naive
actors = st.builds(Actor, kind=st.sampled_from(ActorKind), workspace=anything, id=plain, name=anything)
releases = st.builds(
    Release,
    service=plain.map(ServiceName),
    version=anything,
    artifact=st.builds(Artifact, digest=plain, location=anything),
)
operations = anything.map(OperationId)
running = st.builds(
    Running,
    release=releases,
    healthy=counts,
    instances=counts,
    operation=st.none() | operations,
    details=st.dictionaries(anything, anything, max_size=3),
)
plans = st.builds(
    Plan,
    current=st.none() | running,
    changes=st.lists(anything, max_size=3).map(tuple),
    warnings=st.lists(anything, max_size=3).map(tuple),
    no_change=st.booleans(),
)
requests = st.builds(
    Request, actor=actors, at=instants, resolution=st.none() | st.sampled_from(Resolution), reason=anything
)
wishes = st.builds(Wish, at=instants, expires=instants)
holds = st.builds(
    Hold,
    gate=anything,
    sentence=anything,
    until=st.none() | instants,
    resumes=st.booleans(),
    expires=st.none() | instants,
)
verdicts = st.sampled_from(Verdict)
weights = st.integers(0, 100)
# Infinite too, as a division that went wrong; what is no number at all has a test of its own.
numbers = st.none() | st.floats(allow_nan=False)
waivers = st.builds(Waiver, check=anything, verdict=verdicts, to=weights, by=actors, reason=anything)
positions = st.builds(
    Position,
    step=st.integers(-1, 9),
    weight=weights,
    since=instants,
    approved=weights,
    approved_by=st.none() | actors,
    asked=st.none() | instants,
    held=st.none() | st.builds(Held, at=instants, by=st.none() | actors, why=anything),
    hurry=st.booleans(),
    leap=st.booleans(),
    waived=st.lists(waivers, max_size=2).map(tuple),
    abort=st.none()
    | st.builds(Abort, cause=st.sampled_from(Cause), why=anything, by=st.none() | actors, begun=st.booleans()),
    promoted=st.booleans(),
)
judgements = st.builds(
    Judgement,
    check=anything,
    verdict=verdicts,
    at=instants,
    value=numbers,
    limit=numbers,
    baseline=numbers,
    samples=numbers,
    age=numbers,
    pre_existing=st.booleans(),
    sentence=anything,
)
looks_at_checks = st.builds(
    Looks,
    check=anything,
    looks=st.lists(st.builds(Look, at=instants, verdict=verdicts), max_size=3).map(tuple),
    last=st.none() | judgements,
    tripped=st.none() | instants,
    why=anything,
)
weights_reached = st.builds(
    Reached,
    step=st.integers(0, 9),
    weight=weights,
    at=instants,
    elsewhere=st.booleans(),
    left=st.none() | instants,
    judgements=st.lists(judgements, max_size=2).map(tuple),
    waived=st.lists(waivers, max_size=2).map(tuple),
    asked=st.booleans(),
    by=st.none() | actors,
    kept=anything,
)
readings = st.builds(Reading, value=numbers, at=instants, samples=numbers, why=anything)
questions = st.builds(
    AskApproval,
    step=st.integers(0, 9),
    weight=weights,
    options=st.lists(weights, max_size=2).map(tuple),
    why=anything,
    refused=anything,
    asked=instants,
    nags_at=instants,
    escalates_at=instants,
    until=instants,
    otherwise=st.sampled_from(OnTimeout),
)
progressions = st.builds(
    Progression,
    position=positions,
    looks=st.lists(looks_at_checks, max_size=2).map(tuple),
    before=st.dictionaries(anything, readings, max_size=2),
    question=st.none() | questions,
    why=anything,
    steps=st.lists(weights_reached, max_size=2).map(tuple),
)
countdowns = st.builds(
    Countdown,
    why=anything,
    began=instants,
    deadline=instants,
    state=st.sampled_from(CountdownState),
    by=st.none() | actors,
    snoozes=counts,
    barred=anything,
    ended=st.none() | instants,
)
moments = st.builds(Moment, phase=st.sampled_from(Phase), at=instants, actor=actors, note=anything)
deployments_of_all_kinds = st.builds(
    Deployment,
    id=st.builds(new_deployment_id),
    number=st.integers(1, 2**62),
    service=plain.map(ServiceName),
    environment=plain.map(EnvironmentName),
    scope=plain.map(LockScope),
    release=releases,
    strategy=anything,
    reason=anything,
    requester=actors,
    channel=anything,
    catalog_revision=anything,
    origin=st.uuids().map(str),
    rollback_of=st.none() | plain.map(DeploymentId),
    force=st.booleans(),
    wish=st.none() | wishes,
    waits=st.booleans(),
    hurried=st.booleans(),
    hold=st.none() | holds,
    phase=st.sampled_from(Phase),
    version=st.integers(1, 2**62),
    view=st.integers(1, 2**62),
    timeline=st.lists(moments, min_size=1, max_size=3).map(tuple),
    note=anything,
    plan=st.none() | plans,
    previous=st.none() | running,
    previous_recorded=st.booleans(),
    handle=st.none() | st.builds(Handle, operation=operations, generation=anything),
    attempt=st.integers(1, 9),
    progress=st.none() | st.builds(Progress, done=counts, total=counts, message=anything),
    progression=st.none() | progressions,
    countdown=st.none() | countdowns,
    request=st.none() | requests,
    turn=st.none() | plain,
)
events_of_all_kinds = st.builds(
    Event,
    deployment=plain.map(DeploymentId),
    key=plain,
    kind=plain,
    actor=actors,
    at=instants,
    before=st.none() | st.sampled_from(Phase),
    after=st.none() | st.sampled_from(Phase),
    note=anything,
    door=st.none() | st.sampled_from(Door),
    rule=anything,
    override=st.booleans(),
    permalink=anything,
    sequence=st.integers(1, 2**62),
)
