"""Deployments in every situation that people are shown, as views for the renderers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bot.domain.actor import BOT, Actor
from bot.domain.deployment import Deployment, Moment, Request, Resolution
from bot.domain.history import ProvenRelease
from bot.domain.ids import DeploymentId, EnvironmentName, LockScope, ServiceName
from bot.domain.lifecycle import Phase
from bot.domain.release import Artifact, Release
from bot.domain.rollout import Plan, Progress, Running
from bot.domain.view import DeploymentView, QueueView

P = Phase
START = datetime(2025, 11, 3, 9, 30, tzinfo=UTC)
ADA = Actor(workspace="T0SANDBOX", id="U0ADA", name="Ada Lovelace")
GRACE = Actor(workspace="T0SANDBOX", id="U0GRACE", name="Grace Hopper")
CHECKOUT, STAGING = ServiceName("checkout"), EnvironmentName("staging")

PATHS: dict[Phase, tuple[Phase, ...]] = {
    P.REQUESTED: (P.REQUESTED,),
    P.AWAITING_APPROVAL: (P.REQUESTED, P.AWAITING_APPROVAL),
    P.SCHEDULED: (P.REQUESTED, P.SCHEDULED),
    P.QUEUED: (P.REQUESTED, P.QUEUED),
    P.DEPLOYING: (P.REQUESTED, P.QUEUED, P.DEPLOYING),
    P.PAUSED: (P.REQUESTED, P.QUEUED, P.DEPLOYING, P.PAUSED),
    P.VERIFYING: (P.REQUESTED, P.QUEUED, P.DEPLOYING, P.VERIFYING),
    P.SUCCEEDED: (P.REQUESTED, P.QUEUED, P.DEPLOYING, P.VERIFYING, P.SUCCEEDED),
    P.FAILED: (P.REQUESTED, P.QUEUED, P.DEPLOYING, P.VERIFYING, P.FAILED),
    P.ERRORED: (P.REQUESTED, P.QUEUED, P.DEPLOYING, P.ERRORED),
    P.ABORTED: (P.REQUESTED, P.QUEUED, P.DEPLOYING, P.ABORTED),
    P.REJECTED: (P.REQUESTED, P.AWAITING_APPROVAL, P.REJECTED),
    P.EXPIRED: (P.REQUESTED, P.SCHEDULED, P.EXPIRED),
    P.SUPERSEDED: (P.REQUESTED, P.QUEUED, P.SUPERSEDED),
    P.ROLLING_BACK: (P.REQUESTED, P.QUEUED, P.DEPLOYING, P.VERIFYING, P.SUCCEEDED, P.ROLLING_BACK),
    P.ROLLED_BACK: (P.REQUESTED, P.QUEUED, P.DEPLOYING, P.VERIFYING, P.SUCCEEDED, P.ROLLING_BACK, P.ROLLED_BACK),
    P.NEEDS_ATTENTION: (P.REQUESTED, P.QUEUED, P.DEPLOYING, P.NEEDS_ATTENTION),
}
NOTES = {
    P.FAILED: "2 of 2 instances answered 500 on /health; v1.1 was put back.",
    P.ERRORED: "The target could not be reached.",
    P.ABORTED: "Asked by Ada Lovelace; v1.1 was put back.",
    P.REJECTED: "Not before the sale is over.",
    P.EXPIRED: "Its time passed while it waited.",
    P.SUPERSEDED: "#43 took its place.",
    P.NEEDS_ATTENTION: "It cannot be told whether the change was made.",
}


def release(version: str) -> Release:
    """A release of checkout whose digest follows from its version."""
    digest = "sha256:" + (version.encode().hex() * 20)[:64]
    return Release(
        service=CHECKOUT, version=version, artifact=Artifact(digest=digest, location=f"/artifacts/{version}")
    )


def running(version: str) -> Running:
    """Two healthy instances."""
    return Running(release=release(version), healthy=2, instances=2)


def deployment(phase: Phase, **changes: object) -> Deployment:
    """v1.2 to staging in that phase, half a minute into each step."""
    path = PATHS[phase]
    timeline = tuple(
        Moment(phase=step, at=START + timedelta(seconds=32 * index), actor=GRACE if step is P.ABORTED else BOT)
        for index, step in enumerate(path)
    )
    changing = any(step.holds_lock for step in path)
    base = Deployment(
        id=DeploymentId("d01j9x2abcfghjk"),
        number=42,
        service=CHECKOUT,
        environment=STAGING,
        scope=LockScope("checkout@staging"),
        release=release("v1.2"),
        requester=ADA,
        channel="C0DEPLOY",
        catalog_revision="r1",
        origin="trigger-1",
        phase=phase,
        version=len(path),
        view=len(path) + 3,
        timeline=timeline,
        note=NOTES.get(phase, ""),
        plan=Plan(current=running("v1.1"), changes=("2 instances are replaced one after another.",))
        if len(path) > 1
        else None,
        previous=running("v1.1") if changing else None,
        previous_recorded=changing,
        progress=Progress(done=1, total=2, message="the first answers v1.2") if phase is P.DEPLOYING else None,
    )
    return replace(base, **changes)  # type: ignore[arg-type]  # test helper: the names are the dataclass's own


def proven(version: str = "v1.1") -> ProvenRelease:
    """v1.1, healthy for three days before `START`."""
    return ProvenRelease(
        service=CHECKOUT,
        environment=STAGING,
        release=release(version),
        proven_at=START - timedelta(days=3),
        deployment=DeploymentId("d01j9old"),
        by=GRACE,
    )


def rollback_of_it(phase: Phase = P.DEPLOYING) -> Deployment:
    """#43, by which Grace brings v1.1 back."""
    return replace(
        deployment(phase),
        id=DeploymentId("d01j9x9rollback"),
        number=43,
        release=release("v1.1"),
        previous=running("v1.2"),
        requester=GRACE,
        rollback_of=DeploymentId("d01j9x2abcfghjk"),
    )


def queue(position: int = 2) -> QueueView:
    """Behind #40, which runs, and #41."""
    holder = replace(deployment(P.DEPLOYING), number=40, requester=GRACE, release=release("v1.0"))
    ahead = replace(deployment(P.QUEUED), number=41, requester=GRACE) if position > 1 else None
    return QueueView(position=position, length=3, holder=holder, ahead=ahead, expected_wait=252.0)


def view(phase: Phase, **changes: object) -> DeploymentView:
    """The ordinary view of a deployment in that phase."""
    shown = DeploymentView(
        deployment=deployment(phase),
        queue=queue() if phase is P.QUEUED else None,
        current=phase in {P.SUCCEEDED, P.ROLLING_BACK},
        rollback_to=proven() if phase is P.SUCCEEDED else None,
        taken_back_by=rollback_of_it() if phase in {P.ROLLING_BACK, P.ROLLED_BACK} else None,
    )
    return replace(shown, **changes)  # type: ignore[arg-type]  # test helper: the names are the dataclass's own


def scenes() -> dict[str, DeploymentView]:
    """Every situation, by the name of its snapshot."""
    found = {phase.value: view(phase) for phase in Phase}
    first = {"previous": None, "plan": Plan(current=None, changes=("2 instances are started.",))}
    ask = Request(actor=GRACE, at=START + timedelta(seconds=70), reason="wrong branch")
    found |= {
        f"{phase.value}.first": view(phase, deployment=deployment(phase, **first), rollback_to=None)
        for phase in (P.DEPLOYING, P.SUCCEEDED, P.NEEDS_ATTENTION)
    }
    found |= {
        f"{phase.value}.abort_asked": view(phase, deployment=deployment(phase, request=ask))
        for phase in (P.DEPLOYING, P.PAUSED, P.VERIFYING)
    }
    found |= {
        f"{P.NEEDS_ATTENTION.value}.{resolution.value}_asked": view(
            P.NEEDS_ATTENTION,
            deployment=deployment(P.NEEDS_ATTENTION, request=replace(ask, resolution=resolution, reason="")),
        )
        for resolution in Resolution
    }
    found |= {
        f"rollback.{phase.value}": view(
            phase, deployment=rollback_of_it(phase), takes_back=deployment(P.ROLLING_BACK), rollback_to=None
        )
        for phase in (P.REQUESTED, P.QUEUED, P.DEPLOYING, P.VERIFYING, P.SUCCEEDED, P.FAILED, P.NEEDS_ATTENTION)
    }
    found |= {
        "queued.next": view(P.QUEUED, queue=queue(position=1)),
        "queued.no_history": view(P.QUEUED, queue=replace(queue(), expected_wait=None)),
        "succeeded.protected": view(P.SUCCEEDED, protected=True),
        "succeeded.replaced_since": view(P.SUCCEEDED, current=False),
        "succeeded.older_target": view(P.SUCCEEDED, rollback_to=proven("v1.0")),
        "deploying.with_reason": view(P.DEPLOYING, deployment=deployment(P.DEPLOYING, reason="Fixes the rounding.")),
        "requested.warned": view(
            P.QUEUED,
            deployment=deployment(
                P.QUEUED, plan=Plan(current=running("v1.1"), changes=("a",) * 7, warnings=("v1.2 is old.",))
            ),
        ),
    }
    return found
