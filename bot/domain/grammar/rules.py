"""Builds the intents that are about who may, when and in what order. Each says what it still needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.actor import ACCOUNT_PREFIX
from bot.domain.errors import BadCommand
from bot.domain.grammar.found import only
from bot.domain.grammar.intents import (
    BreakGlassIntent,
    ClosePreviewIntent,
    DiffIntent,
    FreezeIntent,
    LockIntent,
    MayIntent,
    PreviewIntent,
    PromoteIntent,
    RejectIntent,
    RunNextIntent,
    ScheduleIntent,
    UnfreezeIntent,
    UnlockIntent,
)
from bot.domain.grammar.refusals import clip, listing
from bot.domain.grammar.rights import RIGHTS
from bot.domain.grammar.verbs import Verb
from bot.domain.policy.lock import ChangeType, LockLevel
from bot.domain.policy.scope import EVERYTHING, Scope

if TYPE_CHECKING:
    from bot.domain.grammar.found import Found
    from bot.domain.grammar.intents import DeploymentRef
    from bot.domain.ids import EnvironmentName, ServiceName

_ALL = "all"


def with_reason(
    verb: Verb,
    found: Found,
    deployment: DeploymentRef | None,
    service: ServiceName | None,
    environment: EnvironmentName | None,
) -> RejectIntent | RunNextIntent:
    """What stops a deployment or moves it before others, and therefore takes a reason."""
    reason = _reason(verb, found)
    if verb is Verb.REJECT:
        return RejectIntent(deployment=deployment, service=service, environment=environment, reason=reason)
    return RunNextIntent(deployment=deployment, service=service, environment=environment, reason=reason)


def promote(
    found: Found,
    deployment: DeploymentRef | None,
    service: ServiceName | None,
    environment: EnvironmentName | None,
) -> PromoteIntent:
    """A rollout that goes on; whether what is asked for can be had, only the rollout knows."""
    return PromoteIntent(
        deployment=deployment,
        service=service,
        environment=environment,
        to=found.number("to", 0) or None,
        force=found.is_set("force"),
        skip=found.is_set("skip"),
        reason=found.text("reason"),
    )


def schedule(
    found: Found,
    deployment: DeploymentRef | None,
    service: ServiceName | None,
    environment: EnvironmentName | None,
) -> ScheduleIntent:
    """The list of what waits for its time, or a deployment with the time that it is moved to."""
    refuse_lone_expiry(found)
    at = found.text("at")
    if at is not None and deployment is None:
        raise BadCommand(
            "Which deployment is to be moved to that time?",
            suggestions=("schedule #42 at 19:00",),
            hint="Name it by its number, as in schedule #42 at 19:00; to deploy at a time leave schedule out.",
        )
    if at is None and deployment is not None:
        named = f"#{deployment}" if isinstance(deployment, int) else clip(deployment)
        hint = f"Write schedule {named} at 19:00 to move it; status {named} shows it."
        raise BadCommand(
            f"To what time is {named} to be moved?", suggestions=(f"schedule {named} at 19:00",), hint=hint
        )
    expires = found.text("expires")
    return ScheduleIntent(deployment=deployment, service=service, environment=environment, at=at, expires=expires)


def refuse_lone_expiry(found: Found) -> None:
    """Raise `BadCommand` for a last moment without the time that it counts from."""
    option = "expires"
    if found.text(option) is not None and found.text("at") is None:
        raise BadCommand(
            "expires= says how long after its time it may still start, but there is no time.",
            token=option,
            suggestions=("at 18:00",),
            hint="Add a time, such as at 18:00, or leave expires= out.",
        )


def preview(found: Found, service: ServiceName | None, version: str | None) -> PreviewIntent | ClosePreviewIntent:
    """A version for a pull request, or the end of its preview."""
    number, closing = found.number("pr", 0), found.is_set("close")
    said = " ".join(filter(None, ["preview", "close" if closing else "", clip(service or "")]))
    if service is None:
        example = f"{said} checkout{'' if closing else ' v1.2'} pr={number or 123}"
        raise BadCommand("Which service's preview?", hint=f"Name one, as in {example}.")
    if closing and version is not None:
        raise BadCommand(
            "A preview is closed whole, so a version says nothing.",
            token=clip(version),
            hint=f"Leave {clip(version)} out.",
        )
    if not number:
        example = f"{said}{'' if closing else ' ' + clip(version or 'v1.2')} pr=123"
        raise BadCommand(
            "Which pull request is the preview of?", suggestions=("pr=123",), hint=f"Say it, as in {example}."
        )
    if closing:
        option = "for"
        if found.text(option) is not None:
            raise BadCommand("What is closed is not kept.", token=option, hint="Leave for= out.")
        return ClosePreviewIntent(service=service, number=number)
    if version is None:
        raise BadCommand(f"Which version of {clip(service)}?", hint=f"Name it, as in {said} v1.2 pr={number}.")
    return PreviewIntent(service=service, version=version, number=number, keep=found.text("for"))


def lock(found: Found, service: ServiceName | None, environment: EnvironmentName | None) -> LockIntent:
    """A lock with its reason."""
    return LockIntent(
        scope=_scope(Verb.LOCK, found, service, environment),
        reason=_reason(Verb.LOCK, found),
        until=found.text("until"),
        level=LockLevel(found.text("level") or LockLevel.BLOCK),
        change_type=ChangeType(found.text("type") or ChangeType.ANY),
        hard=found.is_set("hard"),
        pause=found.is_set("pause"),
        incident=found.text("incident"),
    )


def freeze(found: Found, service: ServiceName | None, environment: EnvironmentName | None) -> FreezeIntent:
    """A freeze with its reason."""
    scope = _scope(Verb.FREEZE, found, service, environment)
    return FreezeIntent(scope=scope, reason=_reason(Verb.FREEZE, found), until=found.text("until"))


def lift(
    verb: Verb, found: Found, service: ServiceName | None, environment: EnvironmentName | None
) -> UnlockIntent | UnfreezeIntent:
    """The end of a scope's locks or freezes."""
    scope, reason = _scope(verb, found, service, environment), found.text("reason")
    if verb is Verb.UNLOCK:
        return UnlockIntent(scope=scope, reason=reason)
    return UnfreezeIntent(scope=scope, reason=reason)


def may(found: Found, service: ServiceName | None, environment: EnvironmentName | None) -> MayIntent:
    """The question whether somebody may do something."""
    right = found.text("right")
    if right is not None and RIGHTS[right] not in found.rights:
        found.rights.append(RIGHTS[right])
    action = only(found.rights, "rights", hint="Ask about one right at a time.")
    if action is None:
        raise BadCommand(
            "May somebody do what?",
            suggestions=("may rollback checkout staging",),
            hint=f"Add the action, as in may @somebody rollback checkout staging: {listing(tuple(RIGHTS), limit=20)}.",
        )
    whom = only(found.people, "people", hint="Ask about one person or service account at a time.")
    if whom is not None and whom.startswith(ACCOUNT_PREFIX):
        account = whom.removeprefix(ACCOUNT_PREFIX)
        return MayIntent(action=action, account=account, service=service, environment=environment)
    return MayIntent(action=action, person=whom, service=service, environment=environment)


def diff(found: Found, service: ServiceName | None) -> DiffIntent:
    """Two environments in the order in which they stand in the text."""
    named = sorted(found.environments, key=found.places.__getitem__)
    if len(named) != 2:
        count = {0: "none is", 1: "only one is"}.get(len(named), f"{len(named)} are")
        raise BadCommand(
            f"diff compares two environments, but {count} named.",
            suggestions=("diff staging production",),
            hint="Name two different ones, as in diff staging production.",
        )
    return DiffIntent(one=named[0], other=named[1], service=service)


def break_glass(
    found: Found, service: ServiceName | None, version: str | None, environment: EnvironmentName | None
) -> BreakGlassIntent:
    """An emergency's deployment: one service, and nothing about it left open."""
    if service is None or version is None or environment is None:
        parts = (("a service", service), ("a version", version), ("an environment", environment))
        missing = listing([part for part, there in parts if there is None], conjunction="and")
        raise BadCommand(
            f"break-glass needs a service, a version and an environment; {missing} is missing.",
            suggestions=('break-glass checkout v1.3 production reason="…" confirm=checkout',),
            hint='Write all of it: break-glass checkout v1.3 production reason="…" confirm=checkout.',
        )
    return BreakGlassIntent(
        service=service,
        version=version,
        environment=environment,
        reason=found.text("reason"),
        confirm=found.text("confirm"),
        force=found.is_set("force"),
    )


def _scope(verb: Verb, found: Found, service: ServiceName | None, environment: EnvironmentName | None) -> Scope:
    """What ``verb`` is about; raises `BadCommand` when nothing is named: everything takes the word for it."""
    everything = _ALL if found.everything or found.text("scope") is not None else None
    place = _place(found)
    if everything and place:
        raise BadCommand(
            f"{verb} {clip(place)}, or {verb} all?",
            token=everything,
            suggestions=(f"{verb} {clip(place)}", f"{verb} all"),
            hint=f"Say {verb} {clip(place)} for that alone, or {verb} all for everything.",
        )
    if not everything and not place:
        raise BadCommand(
            f"{str(verb).capitalize()} what?",
            suggestions=(f"{verb} checkout production", f"{verb} production", f"{verb} all"),
            hint=f"Name a service, an environment or both; everything is {verb} all.",
        )
    return EVERYTHING if everything else Scope(service=service, environment=environment)


def _reason(verb: Verb, found: Found) -> str:
    """The reason; raises `BadCommand` when there is none, with what to write."""
    reason = found.text("reason")
    if reason is None:
        everything = found.everything or found.text("scope") is not None
        said = " ".join(filter(None, [verb, _deployment(found), _place(found) or _ALL * everything]))
        raise BadCommand(
            f"{verb} needs a reason, for the people who read it later.",
            token=verb,
            suggestions=(f'{clip(said, limit=120)} reason="…"',),
            hint=f'Add reason="…", as in {clip(said, limit=120)} reason="incident 42".',
        )
    return reason


def _deployment(found: Found) -> str:
    return "".join(f"#{name}" if isinstance(name, int) else name for name in found.deployments[:1])


def _place(found: Found) -> str:
    return " ".join([*found.services[:1], *found.environments[:1]])
