"""Puts the parts of a command together, each action with the parts that it takes. Reads no text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.errors import BadCommand
from bot.domain.grammar import rules
from bot.domain.grammar.found import only
from bot.domain.grammar.intents import (
    DEFAULT_DAYS,
    DEFAULT_LIMIT,
    AbortIntent,
    ApproveIntent,
    DeployIntent,
    HelpIntent,
    HistoryIntent,
    HoldIntent,
    LocksIntent,
    OpenFormIntent,
    PreviewsIntent,
    QueueIntent,
    ResumeIntent,
    RollbackIntent,
    StartIntent,
    StatsIntent,
    StatusIntent,
    WhereIntent,
)
from bot.domain.grammar.options import OPTIONS
from bot.domain.grammar.refusals import clip, show
from bot.domain.grammar.times import is_clock
from bot.domain.grammar.verbs import Verb

if TYPE_CHECKING:
    from bot.domain.grammar.found import Found
    from bot.domain.grammar.intents import Intent
    from bot.domain.ids import EnvironmentName, ServiceName

_ONE_PLACE = "Ask for one environment at a time."
_ONE_VERSION = "Keep the one that you mean."
_ONE_DEPLOYMENT = "Name one deployment at a time."


def build(verb: Verb, found: Found) -> Intent:
    """The intent of ``verb`` with these parts; raises `BadCommand` when one is too many or does not belong."""
    _refuse_foreign(verb, found)
    version = only(found.versions, "versions", hint=_ONE_VERSION)
    deployment = only(found.deployments, "deployments", hint=_ONE_DEPLOYMENT)
    if verb is Verb.DEPLOY:
        return _deploy(found, version, _environment(found))
    service = only(found.services, "services", hint=f"Ask {verb} for one service at a time.")
    if verb is Verb.DIFF:
        return rules.diff(found, service)
    environment = _environment(found)
    reason = found.text("reason")
    match verb:
        case Verb.ROLLBACK:
            return RollbackIntent(
                service=service, environment=environment, deployment=deployment, to=version, reason=reason
            )
        case Verb.ABORT:
            return AbortIntent(deployment=deployment, service=service, environment=environment, reason=reason)
        case Verb.STATUS:
            return StatusIntent(service=service, environment=environment, deployment=deployment)
        case Verb.HISTORY:
            if service is None:
                hint = "Name one, as in history checkout staging; status shows what is going on everywhere."
                raise BadCommand("Which service's history?", hint=hint)
            return HistoryIntent(service=service, environment=environment, limit=found.number("limit", DEFAULT_LIMIT))
        case Verb.QUEUE:
            return QueueIntent(environment=environment, service=service)
        case Verb.WHERE:
            return WhereIntent(service=service)
        case Verb.APPROVE:
            return ApproveIntent(deployment=deployment, service=service, environment=environment, reason=reason)
        case Verb.REJECT | Verb.RUN_NEXT:
            return rules.with_reason(verb, found, deployment, service, environment)
        case Verb.START:
            return StartIntent(deployment=deployment)
        case Verb.PROMOTE:
            return rules.promote(found, deployment, service, environment)
        case Verb.HOLD:
            return HoldIntent(deployment=deployment, service=service, environment=environment, reason=reason)
        case Verb.RESUME:
            return ResumeIntent(deployment=deployment, service=service, environment=environment)
        case Verb.SCHEDULE:
            return rules.schedule(found, deployment, service, environment)
        case Verb.LOCK:
            return rules.lock(found, service, environment)
        case Verb.FREEZE:
            return rules.freeze(found, service, environment)
        case Verb.UNLOCK | Verb.UNFREEZE:
            return rules.lift(verb, found, service, environment)
        case Verb.LOCKS:
            return LocksIntent(service=service, environment=environment)
        case Verb.MAY:
            return rules.may(found, service, environment)
        case Verb.STATS:
            return StatsIntent(service=service, environment=environment, days=found.number("days", DEFAULT_DAYS))
        case Verb.PREVIEW:
            return rules.preview(found, service, version)
        case Verb.PREVIEWS:
            return PreviewsIntent()
        case Verb.BREAK_GLASS:
            return rules.break_glass(found, service, version, environment)
        case Verb.HELP:
            return HelpIntent()


def _environment(found: Found) -> EnvironmentName | None:
    return only(found.environments, "environments", hint=_ONE_PLACE)


def _deploy(found: Found, version: str | None, environment: EnvironmentName | None) -> DeployIntent | OpenFormIntent:
    if len(found.lists) > 1:
        raise BadCommand(
            f"There are two services: {show(found.services[0], limit=20)} and {show(found.services[1], limit=20)}.",
            token=clip(found.services[1]),
            suggestions=(",".join(found.services),),
            hint=f"To deploy both, join them with a comma: {','.join(found.services[:2])}.",
        )
    rules.refuse_lone_expiry(found)
    services = tuple(found.services)
    strategy, reason = found.text("strategy"), found.text("reason")
    at, expires = found.text("at"), found.text("expires")
    dry_run, force = found.is_set("dry-run"), found.is_set("force")
    if services and version is not None and environment is not None:
        return DeployIntent(
            services=services,
            version=version,
            environment=environment,
            strategy=strategy,
            reason=reason,
            dry_run=dry_run,
            force=force,
            at=at,
            expires=expires,
        )
    return OpenFormIntent(
        services=services,
        version=version,
        environment=environment,
        strategy=strategy,
        reason=reason,
        dry_run=dry_run,
        force=force,
        at=at,
        expires=expires,
    )


def _refuse_foreign(verb: Verb, found: Found) -> None:
    """Refuse a part that ``verb`` has no use for: dropping it silently could make the request mean something else."""
    for part, items in (
        ("service", found.services),
        ("environment", found.environments),
        ("version", found.versions),
        ("deployment", found.deployments),
    ):
        if items and verb not in OPTIONS[part].verbs:
            typed = str(items[0])
            raise BadCommand(
                f"{verb} takes no {part}, but there is {show(typed)}.",
                token=clip(typed),
                hint=_instead(verb, part, found),
            )


def _instead(verb: Verb, part: str, found: Found) -> str:
    if part == "version" and found.versions[0].isdecimal():
        if verb is Verb.HISTORY:
            return f"For so many entries write limit={clip(found.versions[0])}."
        if verb is Verb.STATS:
            return f"For so many days write days={clip(found.versions[0])}."
    if verb is Verb.WHERE and part == "environment":
        return f"For one environment write {' '.join([Verb.STATUS, *found.services[:1], *found.environments[:1]])}."
    if verb is Verb.SCHEDULE and part == "version" and not is_clock(found.versions[0]):
        services: list[ServiceName] = found.services[:1]
        said = " ".join([*services, clip(found.versions[0]), *found.environments[:1]])
        return f"To deploy at a time write {said} at 18:00, without schedule."
    return f"Leave it out, or say help {verb} to see what it takes."
