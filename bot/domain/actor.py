"""Who does things: a person in a workspace, a service account, or the bot itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ActorKind(StrEnum):
    """What sort of principal acts."""

    PERSON = "person"
    #: Another system that has shown a secret of ours, such as one that tells of incidents.
    SERVICE_ACCOUNT = "service_account"
    #: The bot acting on its own, for example when it adopts what already runs.
    BOT = "bot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Somebody who acts. Two actors are the same one when workspace and id agree; names change."""

    kind: ActorKind = ActorKind.PERSON
    workspace: str
    id: str
    name: str

    def same_as(self, other: Actor) -> bool:
        """Whether both are one principal, whatever they are called today."""
        return (self.kind, self.workspace, self.id) == (other.kind, other.workspace, other.id)


ACCOUNT_PREFIX = "sa:"
"""What the name of a service account begins with wherever it could be taken for a person's."""


def service_account(name: str) -> Actor:
    """The service account of that name, given without the prefix. It is of no workspace, so nobody there can be it."""
    return Actor(kind=ActorKind.SERVICE_ACCOUNT, workspace="", id=name, name=f"{ACCOUNT_PREFIX}{name}")


BOT = Actor(kind=ActorKind.BOT, workspace="", id="bot", name="Deployment Architect")


class Door(StrEnum):
    """Through what an act came in."""

    COMMAND = "command"
    MENTION = "mention"
    BUTTON = "button"
    FORM = "form"
    HOME = "home"
    API = "api"
    #: The bot itself, between two acts of people.
    ENGINE = "engine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """An actor with the groups that they are in at this moment, and the door that they have come in by."""

    actor: Actor
    groups: frozenset[str] = frozenset()
    door: Door | None = None
    remembered: bool = False
    """It could not be asked just now: this is what was known within the last hour, which is good for rollbacks only."""
