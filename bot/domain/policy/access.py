"""Who may do what, where. Deny by default: no rule, no right; a deny rule beats every allow."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import TYPE_CHECKING

from bot.domain.actor import ActorKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bot.domain.actor import Membership
    from bot.domain.ids import EnvironmentName, ServiceName


class Action(StrEnum):
    """What a rule can allow or deny."""

    #: Ask for a deployment.
    DEPLOY = "deploy"
    #: Bring the earlier release back.
    ROLLBACK = "rollback"
    #: Stop a deployment, also somebody else's. Whoever may roll back may do so too.
    ABORT = "abort"
    #: Decide what happens to a deployment that needs attention: retry it or mark it as succeeded.
    RESOLVE = "resolve"
    #: Say yes or no to somebody else's deployment.
    APPROVE = "approve"
    #: Let a rollout of several steps go on, or hold it where it is.
    PROMOTE = "promote"
    #: Put a lock, or take one over.
    LOCK = "lock"
    #: Take a lock away, also somebody else's.
    UNLOCK = "unlock"
    #: Agree that somebody else's deployment may pass a freeze or a closed window, once.
    OVERRIDE_FREEZE = "override_freeze"
    #: Pass approval, freezes and locks once, in an emergency.
    BREAK_GLASS = "break_glass"
    #: Let a deployment that waits go before the others.
    RUN_NEXT = "run_next"
    #: Ask for a deployment at a later time, and move or cancel somebody else's.
    SCHEDULE = "schedule"
    #: Put and lift freezes, and change what the bot is told about a place.
    CONFIGURE = "configure"

    @property
    def words(self) -> str:
        """The verb as people say it, with its preposition: "You may not … checkout in production"."""
        return _WORDS.get(self, self.value)


_WORDS = {
    Action.ROLLBACK: "roll back",
    Action.OVERRIDE_FREEZE: "override a freeze for",
    Action.BREAK_GLASS: "break the glass for",
    Action.RUN_NEXT: "change the queue of",
    Action.CONFIGURE: "freeze or unfreeze",
}


_COUNTING: Mapping[Action, frozenset[Action]] = MappingProxyType({Action.ABORT: frozenset({Action.ROLLBACK})})
"""Actions as which others count too: whoever may bring the earlier release back may stop what replaces it, and what
is denied to them there is denied as well.
"""
_NONE: frozenset[Action] = frozenset()


FOR_PEOPLE = frozenset({Action.APPROVE, Action.OVERRIDE_FREEZE, Action.BREAK_GLASS})
"""What only a person may do, whatever a rule says: a second opinion, and passing the other rules."""


class Effect(StrEnum):
    """What a matching rule says."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row: these subjects, these services, these environments, these actions."""

    role: str
    effect: Effect = Effect.ALLOW
    users: frozenset[str] = frozenset()
    """Ids of people."""
    groups: frozenset[str] = frozenset()
    """Ids or handles (without the @) of user groups."""
    accounts: frozenset[str] = frozenset()
    """Names of service accounts."""
    services: tuple[str, ...] = ("*",)
    environments: tuple[str, ...] = ("*",)
    actions: frozenset[Action] = frozenset()

    def names(self, action: Action) -> Action | None:
        """The action of this row that speaks of ``action``: itself, or one that counts for it; None without any."""
        if action in self.actions:
            return action
        return next((one for one in _COUNTING.get(action, _NONE) if one in self.actions), None)

    def speaks_of(self, member: Membership) -> bool:
        """Whether they are a subject of this row: a service account only by its name, a person only by id and group."""
        if member.actor.kind is ActorKind.SERVICE_ACCOUNT:
            return member.actor.id in self.accounts
        return member.actor.id in self.users or bool(member.groups & self.groups)

    def covers(self, member: Membership, action: Action, service: ServiceName, environment: EnvironmentName) -> bool:
        """Whether this row speaks about this act."""
        return (
            self.names(action) is not None
            and not for_people(member, action)
            and self.speaks_of(member)
            and any(fnmatchcase(service, glob) for glob in self.services)
            and any(fnmatchcase(environment, glob) for glob in self.environments)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Yes or no, with the sentence that explains it."""

    allowed: bool
    reason: str
    role: str | None = None
    """The role whose rule decided."""


def for_people(member: Membership, action: Action) -> bool:
    """Whether it is a service account that asks for what only a person may do."""
    return member.actor.kind is ActorKind.SERVICE_ACCOUNT and action in FOR_PEOPLE


def may(
    rules: Iterable[Rule],
    member: Membership,
    action: Action,
    *,
    service: ServiceName,
    environment: EnvironmentName,
) -> Decision:
    """Whether ``member`` may do ``action`` to ``service`` in ``environment``."""
    allowing: Rule | None = None
    holders: list[str] = []
    for rule in rules:
        if rule.covers(member, action, service, environment):
            if rule.effect is Effect.DENY:
                reason = f"The role {rule.role} denies {rule.names(action)} of {service} in {environment}."
                return Decision(allowed=False, reason=reason, role=rule.role)
            allowing = allowing or rule
        elif rule.effect is Effect.ALLOW and _grants(rule, action, service, environment):
            holders.append(rule.role)
    if allowing:
        return Decision(allowed=True, reason=f"The role {allowing.role} allows it.", role=allowing.role)
    if for_people(member, action):
        return Decision(allowed=False, reason=f"A service account may not {action.words} anything: it takes a person.")
    roles = " or ".join(dict.fromkeys(holders))
    needs = f" It takes the role {roles}." if roles else " No role allows it."
    return Decision(allowed=False, reason=f"You may not {action.words} {service} in {environment}.{needs}")


def _grants(rule: Rule, action: Action, service: ServiceName, environment: EnvironmentName) -> bool:
    return (
        rule.names(action) is not None
        and any(fnmatchcase(service, glob) for glob in rule.services)
        and any(fnmatchcase(environment, glob) for glob in rule.environments)
    )
