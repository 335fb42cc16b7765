"""Deployments in every situation that people are shown, as views for the renderers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bot.domain.actor import BOT, Actor
from bot.domain.deployment import Deployment, Hold, Moment, Request, Resolution
from bot.domain.history import ProvenRelease
from bot.domain.ids import DeploymentId, EnvironmentName, LockScope, ServiceName
from bot.domain.lifecycle import Phase
from bot.domain.policy.approval import ApprovalRule, Tally, TallyState
from bot.domain.policy.freeze import Freeze
from bot.domain.policy.gates import GateResult, Verdict
from bot.domain.policy.lock import StickyLock
from bot.domain.policy.override import Override, OverrideKind
from bot.domain.policy.scope import Scope
from bot.domain.release import Artifact, Release
from bot.domain.rollout import Plan, Progress, Running
from bot.domain.schedule import Schedule
from bot.domain.view import ApprovalView, DeploymentView, Forecast, QueueView

P = Phase
SUBJECT = "5ab1ec7" + "0" * 57
START = datetime(2025, 11, 3, 9, 30, tzinfo=UTC)
ADA = Actor(workspace="T0SANDBOX", id="U0ADA", name="Ada Lovelace")
GRACE = Actor(workspace="T0SANDBOX", id="U0GRACE", name="Grace Hopper")
CHECKOUT, STAGING = ServiceName("checkout"), EnvironmentName("staging")

HOLD = Hold(
    gate="lock",
    sentence="checkout@staging is locked by Grace Hopper: The database is being moved.",
    expires=START + timedelta(hours=24),
)

PATHS: dict[Phase, tuple[Phase, ...]] = {
    P.REQUESTED: (P.REQUESTED,),
    P.AWAITING_APPROVAL: (P.REQUESTED, P.AWAITING_APPROVAL),
    P.SCHEDULED: (P.REQUESTED, P.SCHEDULED),
    P.HELD: (P.REQUESTED, P.HELD),
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
    P.REJECTED: "Grace Hopper rejected it: Not before the sale is over.",
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
    if phase is P.HELD:
        base = replace(base, hold=HOLD, note=HOLD.sentence)
    return replace(base, **changes)  # type: ignore[arg-type]  # test helper: the names are the dataclass's own


def approval(*by: Actor, need: int = 1, **changes: object) -> ApprovalView:
    """What people have said: those who said yes, of one release manager who must, or of ``need`` people."""
    approved = len(by) >= need
    said = f"{' and '.join(actor.name for actor in by)} approved it."
    missing = f"{'One more person' if need - len(by) == 1 else f'{need - len(by)} more people'} of @release-managers"
    tally = Tally(
        state=TallyState.APPROVED if approved else TallyState.PENDING,
        have=len(by),
        need=need,
        by=by,
        sentence=said if approved else f"{missing} must approve it.",
    )
    asked = ApprovalView(
        tally=tally,
        rule=ApprovalRule(quorum=need, group="@release-managers", fallback="platform", expires=1800.0),
        subject=SUBJECT,
        asked_at=START + timedelta(seconds=32),
        asked=(GRACE.id,),
    )
    return replace(asked, **changes)  # type: ignore[arg-type]  # test helper: the names are the dataclass's own


def gate(name: str, verdict: Verdict, sentence: str, until: datetime | None = None) -> GateResult:
    """What one gate says."""
    return GateResult(name=name, verdict=verdict, sentence=sentence, until=until)


def forecast(*gates: GateResult, **changes: object) -> Forecast:
    """What is known beforehand: v1.1 runs, it usually takes four minutes, and 2 of the last 20 failed."""
    passed = (
        gate("access", Verdict.PASS, "The role deployers allows it."),
        gate("order", Verdict.PASS, "v1.2 has succeeded in staging."),
    )
    known = Forecast(current=release("v1.1"), gates=(*passed, *gates), usual=252.0, failure_rate=0.1, counted=20)
    return replace(known, **changes)  # type: ignore[arg-type]  # test helper: the names are the dataclass's own


def lock(**changes: object) -> StickyLock:
    """Grace's lock of checkout in staging."""
    put = StickyLock(
        id="l01lock",
        scope=Scope(service=CHECKOUT, environment=STAGING),
        reason="The database is being moved.",
        owner=GRACE,
        at=START - timedelta(hours=1),
    )
    return replace(put, **changes)  # type: ignore[arg-type]  # test helper: the names are the dataclass's own


def freeze(**changes: object) -> Freeze:
    """Everything is frozen for the sale."""
    put = Freeze(
        id="f01freeze", scope=Scope(), reason="The sale is on.", by=GRACE, at=START - timedelta(hours=2),
        until=START + timedelta(hours=6),
    )  # fmt: skip
    return replace(put, **changes)  # type: ignore[arg-type]  # test helper: the names are the dataclass's own


def override(kind: OverrideKind = OverrideKind.BREAK_GLASS, **changes: object) -> Override:
    """Grace's exception for v1.2 in staging."""
    asked = Override(
        id="o01override",
        kind=kind,
        service=CHECKOUT,
        environment=STAGING,
        digest=release("v1.2").artifact.digest,
        by=GRACE,
        reason="Payments are down.",
        at=START,
        until=START + timedelta(hours=1),
        used_by=DeploymentId("d01j9x2abcfghjk"),
    )
    return replace(asked, **changes)  # type: ignore[arg-type]  # test helper: the names are the dataclass's own


def schedule(**changes: object) -> Schedule:
    """This evening."""
    row = Schedule(
        deployment=DeploymentId("d01j9x2abcfghjk"),
        at=START + timedelta(hours=8),
        expires=START + timedelta(hours=9),
        by=ADA,
    )
    return replace(row, **changes)  # type: ignore[arg-type]  # test helper: the names are the dataclass's own


def after(phase: Phase, *path: Phase, by: Actor = BOT, **changes: object) -> Deployment:
    """A deployment that came to ``phase`` by ``path``, its last step by ``by``."""
    timeline = tuple(
        Moment(phase=step, at=START + timedelta(seconds=32 * index), actor=by if index == len(path) else BOT)
        for index, step in enumerate((*path, phase))
    )
    return deployment(phase, **{"timeline": timeline, **changes})


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
        approval=approval() if phase is P.AWAITING_APPROVAL else None,
        schedule=schedule() if phase is P.SCHEDULED else None,
        blocking=(lock(),) if phase is P.HELD else (),
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
    return found | _waiting()


def _waiting() -> dict[str, DeploymentView]:
    """What stands before a change, in all its shapes."""
    warned = forecast(
        gate("lock", Verdict.WARN, "staging is marked by Grace Hopper: Mind the load test."),
        gate("window", Verdict.BLOCK, "Deployments are let in only within office hours.", START + timedelta(hours=20)),
        gate("approval", Verdict.BLOCK, "One more person of @release-managers must approve it."),
    )
    awaiting, held = P.AWAITING_APPROVAL, P.HELD
    window = Hold(
        gate="window", sentence="Deployments are let in only within office hours.", until=START + timedelta(hours=20),
        resumes=True, expires=START + timedelta(hours=24),
    )  # fmt: skip
    void = "Grace Hopper's approval was for something else: the artifact, the plan or the configuration has changed."
    rejected = replace(
        approval(), tally=replace(approval().tally, state=TallyState.REJECTED, by=(GRACE,),
        sentence="Grace Hopper rejected it: Not before the sale is over.")
    )  # fmt: skip
    resumed = after(P.QUEUED, P.REQUESTED, held, by=GRACE)
    return {
        "awaiting_approval.plan_card": view(
            awaiting, forecast=warned, protected=True, deployment=deployment(awaiting, reason="Fixes the rounding.")
        ),
        "awaiting_approval.downgrade": view(
            awaiting,
            forecast=forecast(downgrade=True, usual=None, failure_rate=None, counted=0, current=release("v1.3")),
            deployment=deployment(awaiting, plan=Plan(current=running("v1.3"), changes=("2 instances are replaced.",))),
        ),
        "awaiting_approval.one_of_two": view(awaiting, approval=approval(GRACE, need=2)),
        "awaiting_approval.escalated": view(awaiting, approval=approval(nudged=True, escalated=True)),
        "awaiting_approval.void": view(awaiting, approval=approval(void=void)),
        "awaiting_approval.group_id": view(
            awaiting,
            approval=approval(rule=ApprovalRule(group="S0RELEASE"), tally=replace(
                approval().tally, sentence="One more person of @S0RELEASE must approve it.")),
        ),
        "queued.approved": view(
            P.QUEUED, approval=approval(GRACE), deployment=after(P.QUEUED, P.REQUESTED, awaiting, by=GRACE),
            forecast=forecast(),
        ),
        "deploying.approved": view(
            P.DEPLOYING, approval=approval(GRACE),
            deployment=after(P.DEPLOYING, P.REQUESTED, awaiting, P.QUEUED),
        ),
        "rejected.by_grace": view(
            P.REJECTED, approval=rejected, deployment=after(P.REJECTED, P.REQUESTED, awaiting, by=GRACE)
        ),
        "expired.unapproved": view(P.EXPIRED, deployment=after(P.EXPIRED, P.REQUESTED, awaiting)),
        "held.window": view(held, blocking=(), deployment=deployment(held, hold=window, note=window.sentence),
                            forecast=warned),
        "queued.resumed": view(P.QUEUED, deployment=resumed),
        "scheduled.moved": view(P.SCHEDULED, schedule=schedule(version=2), forecast=forecast()),
        "queued.its_time": view(P.QUEUED, deployment=after(P.QUEUED, P.REQUESTED, P.SCHEDULED)),
        "queued.hurried": view(
            P.QUEUED, queue=queue(position=1),
            deployment=deployment(P.QUEUED, hurried=True, note="Grace Hopper: the fix for the outage."),
        ),
        "deploying.glass_broken": view(P.DEPLOYING, overrides=(override(),)),
        "succeeded.glass_reviewed": view(P.SUCCEEDED, overrides=(override(reviewed_by=ADA),)),
        "deploying.override": view(
            P.DEPLOYING, overrides=(override(OverrideKind.FREEZE, by=ADA, seconded_by=GRACE),)
        ),
    }  # fmt: skip
