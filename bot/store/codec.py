"""Domain values to rows and back.

Lenient about what an older build did not write (a default stands in for it), strict about what a newer one may have
(an unknown phase is an error, never a guess).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.domain.actor import Door
from bot.domain.deployment import Deployment, Hold, Moment, Request, Resolution, Wish
from bot.domain.history import Event, Placement, ProvenRelease
from bot.domain.ids import DeploymentId, EnvironmentName, LockScope, OperationId, ServiceName
from bot.domain.lifecycle import Phase
from bot.domain.release import Artifact, Release
from bot.domain.rollout import Handle, Plan, Progress, Running
from bot.store.body import Json, actor_in, actor_out, dump, enum_of, instant_in, instant_out, load, maybe
from bot.store.codec_progression import countdown_in, countdown_out, progression_in, progression_out

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import RowMapping


def deployment_row(deployment: Deployment) -> Json:
    """The columns of a deployment, but for what the store itself keeps about it."""
    taken_back = deployment.reached(Phase.ROLLING_BACK)
    return {
        "id": deployment.id,
        "number": deployment.number,
        "service": deployment.service,
        "environment": deployment.environment,
        "scope": deployment.scope,
        "phase": deployment.phase.value,
        "active": not deployment.phase.final,
        "rank": 0 if deployment.is_rollback else 1 if deployment.hurried else 2,
        "version": deployment.version,
        "view": deployment.view,
        "origin": deployment.origin,
        "turn": deployment.turn,
        "ended_at": deployment.finished_at,
        "taken_back_at": taken_back.at if taken_back else None,
        "body": dump(
            {
                "release": _release_out(deployment.release),
                "strategy": deployment.strategy,
                "reason": deployment.reason,
                "requester": actor_out(deployment.requester),
                "channel": deployment.channel,
                "catalog_revision": deployment.catalog_revision,
                "rollback_of": deployment.rollback_of,
                "force": deployment.force,
                "wish": maybe(deployment.wish, _wish_out),
                "waits": deployment.waits,
                "hurried": deployment.hurried,
                "hold": maybe(deployment.hold, _hold_out),
                "timeline": [_moment_out(moment) for moment in deployment.timeline],
                "note": deployment.note,
                "plan": maybe(deployment.plan, _plan_out),
                "previous": maybe(deployment.previous, _running_out),
                "previous_recorded": deployment.previous_recorded,
                "handle": maybe(deployment.handle, _handle_out),
                "attempt": deployment.attempt,
                "progress": maybe(deployment.progress, _progress_out),
                "progression": maybe(deployment.progression, progression_out),
                "countdown": maybe(deployment.countdown, countdown_out),
                "request": maybe(deployment.request, _request_out),
            }
        ),
    }


def deployment_of(row: RowMapping) -> Deployment:
    """The deployment in a row; raises `StoreError` if a newer build wrote it."""
    body = load(row["body"], f"deployment {row['id']}")
    return Deployment(
        id=DeploymentId(row["id"]),
        number=row["number"],
        service=ServiceName(row["service"]),
        environment=EnvironmentName(row["environment"]),
        scope=LockScope(row["scope"]),
        phase=enum_of(Phase, row["phase"], "phase"),
        version=row["version"],
        view=row["view"],
        origin=row["origin"],
        turn=row["turn"],
        release=_release_in(body["release"]),
        strategy=body.get("strategy", "rolling"),
        reason=body.get("reason", ""),
        requester=actor_in(body["requester"]),
        channel=body.get("channel", ""),
        catalog_revision=body.get("catalog_revision", ""),
        rollback_of=body.get("rollback_of"),
        force=body.get("force", False),
        wish=maybe(body.get("wish"), _wish_in),
        waits=body.get("waits", False),
        hurried=body.get("hurried", False),
        hold=maybe(body.get("hold"), _hold_in),
        timeline=tuple(_moment_in(moment) for moment in body.get("timeline", ())),
        note=body.get("note", ""),
        plan=maybe(body.get("plan"), _plan_in),
        previous=maybe(body.get("previous"), _running_in),
        previous_recorded=body.get("previous_recorded", False),
        handle=maybe(body.get("handle"), _handle_in),
        attempt=body.get("attempt", 1),
        progress=maybe(body.get("progress"), _progress_in),
        progression=maybe(body.get("progression"), progression_in),
        countdown=maybe(body.get("countdown"), countdown_in),
        request=maybe(body.get("request"), _request_in),
    )


def event_row(event: Event) -> Json:
    """The columns of an event; its order is given by the database."""
    return {
        "deployment_id": event.deployment,
        "key": event.key,
        "kind": event.kind,
        "actor_id": event.actor.id,
        "at": event.at,
        "before": event.before.value if event.before else None,
        "after": event.after.value if event.after else None,
        "body": dump(
            {
                "actor": actor_out(event.actor),
                "note": event.note,
                "door": event.door.value if event.door else None,
                "rule": event.rule,
                "override": event.override,
                "permalink": event.permalink,
            }
        ),
    }


def event_of(row: RowMapping) -> Event:
    """The event in a row."""
    body = load(row["body"], f"event {row['sequence']}")
    door = body.get("door")
    return Event(
        deployment=DeploymentId(row["deployment_id"]),
        key=row["key"],
        kind=row["kind"],
        actor=actor_in(body["actor"]),
        at=row["at"],
        before=None if row["before"] is None else enum_of(Phase, row["before"], "phase"),
        after=None if row["after"] is None else enum_of(Phase, row["after"], "phase"),
        note=body.get("note", ""),
        door=None if door is None else enum_of(Door, door, "door"),
        rule=body.get("rule", ""),
        override=body.get("override", False),
        permalink=body.get("permalink", ""),
        sequence=row["sequence"],
    )


def placement_row(placement: Placement) -> Json:
    """The columns of a placement."""
    return {
        "service": placement.service,
        "environment": placement.environment,
        "since": placement.since,
        "deployment_id": placement.deployment,
        "body": dump({"release": _release_out(placement.release), "by": actor_out(placement.by)}),
    }


def placement_of(row: RowMapping) -> Placement:
    """The placement in a row."""
    body = load(row["body"], f"placement of {row['service']}")
    return Placement(
        service=ServiceName(row["service"]),
        environment=EnvironmentName(row["environment"]),
        release=_release_in(body["release"]),
        since=row["since"],
        deployment=row["deployment_id"],
        by=actor_in(body["by"]),
    )


def proven_row(proven: ProvenRelease) -> Json:
    """The columns of a proven release."""
    return {
        "service": proven.service,
        "environment": proven.environment,
        "digest": proven.release.artifact.digest,
        "proven_at": proven.proven_at,
        "deployment_id": proven.deployment,
        "retired_at": None,
        "body": dump({"release": _release_out(proven.release), "by": actor_out(proven.by)}),
    }


def proven_of(row: RowMapping) -> ProvenRelease:
    """The proven release in a row."""
    body = load(row["body"], f"proven release {row['sequence']}")
    return ProvenRelease(
        service=ServiceName(row["service"]),
        environment=EnvironmentName(row["environment"]),
        release=_release_in(body["release"]),
        proven_at=row["proven_at"],
        deployment=row["deployment_id"],
        by=actor_in(body["by"]),
    )


def _release_out(release: Release) -> Json:
    return {
        "service": release.service,
        "version": release.version,
        "digest": release.artifact.digest,
        "location": release.artifact.location,
    }


def _release_in(value: Mapping[str, Any]) -> Release:
    artifact = Artifact(digest=value["digest"], location=value.get("location", ""))
    return Release(service=ServiceName(value["service"]), version=value["version"], artifact=artifact)


def _moment_out(moment: Moment) -> Json:
    return {
        "phase": moment.phase.value,
        "at": instant_out(moment.at),
        "actor": actor_out(moment.actor),
        "note": moment.note,
    }


def _moment_in(value: Mapping[str, Any]) -> Moment:
    return Moment(
        phase=enum_of(Phase, value["phase"], "phase"),
        at=instant_in(value["at"]),
        actor=actor_in(value["actor"]),
        note=value.get("note", ""),
    )


def _running_out(running: Running) -> Json:
    return {
        "release": _release_out(running.release),
        "healthy": running.healthy,
        "instances": running.instances,
        "operation": running.operation,
        "details": dict(running.details),
    }


def _running_in(value: Mapping[str, Any]) -> Running:
    return Running(
        release=_release_in(value["release"]),
        healthy=value.get("healthy", 0),
        instances=value.get("instances", 0),
        operation=value.get("operation"),
        details=value.get("details", {}),
    )


def _plan_out(plan: Plan) -> Json:
    return {
        "current": maybe(plan.current, _running_out),
        "changes": list(plan.changes),
        "warnings": list(plan.warnings),
        "no_change": plan.no_change,
    }


def _plan_in(value: Mapping[str, Any]) -> Plan:
    return Plan(
        current=maybe(value.get("current"), _running_in),
        changes=tuple(value.get("changes", ())),
        warnings=tuple(value.get("warnings", ())),
        no_change=value.get("no_change", False),
    )


def _handle_out(handle: Handle) -> Json:
    return {"operation": handle.operation, "generation": handle.generation}


def _handle_in(value: Mapping[str, Any]) -> Handle:
    return Handle(operation=OperationId(value["operation"]), generation=value.get("generation", ""))


def _progress_out(progress: Progress) -> Json:
    return {"done": progress.done, "total": progress.total, "message": progress.message}


def _progress_in(value: Mapping[str, Any]) -> Progress:
    return Progress(done=value.get("done", 0), total=value.get("total", 0), message=value.get("message", ""))


def _request_out(request: Request) -> Json:
    return {
        "actor": actor_out(request.actor),
        "at": instant_out(request.at),
        "resolution": request.resolution.value if request.resolution else None,
        "reason": request.reason,
    }


def _request_in(value: Mapping[str, Any]) -> Request:
    resolution = value.get("resolution")
    return Request(
        actor=actor_in(value["actor"]),
        at=instant_in(value["at"]),
        resolution=None if resolution is None else enum_of(Resolution, resolution, "decision"),
        reason=value.get("reason", ""),
    )


def _wish_out(wish: Wish) -> Json:
    return {"at": instant_out(wish.at), "expires": instant_out(wish.expires)}


def _wish_in(value: Mapping[str, Any]) -> Wish:
    return Wish(at=instant_in(value["at"]), expires=instant_in(value["expires"]))


def _hold_out(hold: Hold) -> Json:
    return {
        "gate": hold.gate,
        "sentence": hold.sentence,
        "until": maybe(hold.until, instant_out),
        "resumes": hold.resumes,
        "expires": maybe(hold.expires, instant_out),
    }


def _hold_in(value: Mapping[str, Any]) -> Hold:
    return Hold(
        gate=value["gate"],
        sentence=value.get("sentence", ""),
        until=maybe(value.get("until"), instant_in),
        resumes=value.get("resumes", False),
        expires=maybe(value.get("expires"), instant_in),
    )
