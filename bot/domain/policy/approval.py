"""Who must have said yes to what: N distinct people, to exactly this artifact, plan and configuration.

Counts ballots and nothing else: who may approve is `access`'s to say, and writing a ballot down is the engine's.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.domain.actor import ActorKind
from bot.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from bot.domain.actor import Actor, Membership
    from bot.domain.ids import EnvironmentName


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRule:
    """What an environment asks for. Raises `ConfigurationError` for what cannot be counted."""

    quorum: int = 1
    """People who must say yes."""
    group: str | None = None
    """A user group of which at least one of them must be, with or without its @."""
    fallback: str | None = None
    """The group that is asked when nobody answered; from then on one of it will do."""
    expires: float = 1800.0
    """Seconds until the request is void."""

    def __post_init__(self) -> None:
        """Refuse what could not be counted."""
        if self.quorum < 1:
            raise ConfigurationError("An approval takes at least one person.")
        if self.expires < 1:
            raise ConfigurationError("An approval must have at least a second's time.")

    def nudges_at(self, asked: datetime) -> datetime:
        """When those who were asked are reminded, once."""
        return asked + timedelta(seconds=self.expires / 2)

    def escalates_at(self, asked: datetime) -> datetime:
        """When the fallback group is asked too."""
        return asked + timedelta(seconds=self.expires * 3 / 4)

    def expires_at(self, asked: datetime) -> datetime:
        """When it is too late."""
        return asked + timedelta(seconds=self.expires)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What people say yes to. Another artifact, place, plan or configuration is another subject."""

    digest: str
    environment: EnvironmentName
    plan_hash: str
    catalog_revision: str

    @property
    def hash(self) -> str:
        """Names exactly this subject."""
        # Each with its length before it: no two different subjects are ever written the same.
        parts = (self.digest, self.environment, self.plan_hash, self.catalog_revision)
        text = "".join(f"{len(part)}:{part}," for part in parts)
        return hashlib.sha256(text.encode()).hexdigest()

    def changes(self, before: Subject) -> tuple[str, ...]:
        """What is not as it was in ``before``, in words; empty when it is the same subject."""
        pairs = (
            ("the artifact", self.digest, before.digest),
            ("the environment", self.environment, before.environment),
            ("the plan", self.plan_hash, before.plan_hash),
            ("the configuration", self.catalog_revision, before.catalog_revision),
        )
        return tuple(name for name, now, then in pairs if now != then)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """One person's word, at one time, about one subject."""

    actor: Actor
    approve: bool
    reason: str = ""
    at: datetime
    subject_hash: str
    linked: frozenset[str] = frozenset()
    """Other identities of the same person, as `identity` writes them or as another system does (``github:ada``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidBallot:
    """A ballot that does not count, and why."""

    ballot: Ballot
    why: str


class TallyState(StrEnum):
    """What the ballots come to."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What the ballots come to, and what is missing."""

    state: TallyState
    have: int
    """Distinct people who said yes and count."""
    need: int
    by: tuple[Actor, ...] = ()
    """Who decided: those who said yes, or who said no."""
    sentence: str
    """Who decided, or what is missing."""
    void: tuple[VoidBallot, ...] = ()
    """What was said and does not count."""

    @property
    def approved(self) -> bool:
        """Whether enough people said yes."""
        return self.state is TallyState.APPROVED


def identity(actor: Actor) -> str:
    """The name of a principal that never changes."""
    return f"{actor.kind}:{actor.workspace}:{actor.id}"


def tally(
    rule: ApprovalRule,
    subject: Subject,
    ballots: Iterable[Ballot],
    *,
    requester: Actor,
    members: Collection[Membership] | None,
    excluded: Iterable[Actor] = (),
    links: Iterable[frozenset[str]] = (),
    escalated: bool = False,
    until: datetime | None = None,
) -> Tally:
    """Count ``ballots`` about ``subject``.

    ``members`` are those who may approve here now, with their groups; None means that this cannot be told, and then
    nobody has approved. ``excluded`` are people who may not approve beside the requester: authors of the change, the
    owner of the service account that asked. Each of ``links`` is a set of identities of one person. ``escalated`` says
    that the fallback group was asked; ``until`` is when the request expired or will.
    """
    cast = sorted(ballots, key=lambda ballot: ballot.at)
    people = _People([*links, *(ballot.linked | {identity(ballot.actor)} for ballot in cast)])
    barred = {people.of(actor): "is an author of it" for actor in excluded}
    barred[people.of(requester)] = "asked for it"
    entitled = {identity(member.actor): member.groups for member in members or ()}

    yes: dict[str, Ballot] = {}
    groups: set[str] = set()
    no: list[Ballot] = []
    void: list[VoidBallot] = []
    for ballot in cast:
        person = people.of(ballot.actor)
        if why := _void(ballot, subject, None if members is None else entitled.keys(), until):
            void.append(VoidBallot(ballot=ballot, why=why))
        elif not ballot.approve:
            no.append(ballot)
        elif person in barred:
            why = f"{ballot.actor.name} {barred[person]} and may not approve it."
            void.append(VoidBallot(ballot=ballot, why=why))
        elif person in yes:
            groups |= entitled[identity(ballot.actor)]  # under another name they may be in the group
            why = f"{ballot.actor.name} has approved already; one person counts once."
            void.append(VoidBallot(ballot=ballot, why=why))
        else:
            yes[person] = ballot
            groups |= entitled[identity(ballot.actor)]
    wanted = [group for group in (rule.group, rule.fallback if escalated else None) if group]
    handles = {group.removeprefix("@") for group in wanted} if rule.group else set()
    in_group = not handles or bool(groups & handles)
    missing = max(rule.quorum - len(yes), 0)

    def result(state: TallyState, sentence: str, by: Iterable[Ballot]) -> Tally:
        return Tally(
            state=state,
            have=len(yes),
            need=rule.quorum,
            by=tuple(ballot.actor for ballot in by),
            sentence=sentence,
            void=tuple(void),
        )

    if no:
        return result(TallyState.REJECTED, f"{no[0].actor.name} rejected it: {no[0].reason.strip()}", no[:1])
    if not missing and in_group:
        names = " and ".join(ballot.actor.name for ballot in yes.values())
        return result(TallyState.APPROVED, f"{names} approved it.", yes.values())
    if members is None:
        return result(TallyState.PENDING, "Who may approve cannot be told right now, so nobody has.", ())
    return result(TallyState.PENDING, _what_is_missing(missing, None if in_group else wanted), yes.values())


def _void(ballot: Ballot, subject: Subject, entitled: Collection[str] | None, until: datetime | None) -> str | None:
    """Why a ballot does not count, whoever else said what; None if it does."""
    name, word = ballot.actor.name, "approval" if ballot.approve else "rejection"
    if ballot.actor.kind is not ActorKind.PERSON:
        return f"{name} is not a person."
    if ballot.subject_hash != subject.hash:
        return f"{name}'s {word} was for something else: the artifact, the plan or the configuration has changed."
    if until is not None and ballot.at >= until:
        return f"{name}'s {word} came too late."
    if entitled is None:
        return f"It cannot be told right now whether {name} may approve."
    if identity(ballot.actor) not in entitled:
        return f"{name} may not approve this."
    if not ballot.approve and not ballot.reason.strip():
        return f"{name}'s rejection gave no reason."
    return None


def _what_is_missing(missing: int, groups: list[str] | None) -> str:
    named = " or ".join(f"@{group.removeprefix('@')}" for group in groups or ())
    if not missing:
        return f"One of {named} must approve it too."
    people = "One more person" if missing == 1 else f"{missing} more people"
    if not named:
        return f"{people} must approve it."
    return f"{people} of {named} must approve it." if missing == 1 else f"{people} must approve it, one of {named}."


class _People:
    """Which identities are one person: those that are linked, by however many steps."""

    def __init__(self, links: Iterable[frozenset[str]]) -> None:
        self._leader: dict[str, str] = {}
        for link in links:
            leaders = {self._find(name) for name in link}
            first = min(leaders, default="")
            for leader in leaders:
                self._leader[leader] = first

    def of(self, actor: Actor) -> str:
        """One name for the person behind ``actor``."""
        return self._find(identity(actor))

    def _find(self, name: str) -> str:
        while (leader := self._leader.get(name, name)) != name:
            name = leader
        return name
