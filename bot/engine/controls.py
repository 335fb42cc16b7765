"""What locks, freezes and exceptions have in common: places, reasons, whom to tell, and cards that are drawn anew.

Must not decide who may do what: `bot.engine.gatekeeper` does.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from typing import TYPE_CHECKING

from bot.domain.actor import ActorKind
from bot.domain.ago import ago
from bot.domain.errors import BadCommand, DeploymentArchitectError, UnknownEnvironment
from bot.domain.lifecycle import WAITING, Phase
from bot.domain.policy.scope import EVERYTHING
from bot.domain.redact import redact

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from bot.domain.actor import Actor
    from bot.domain.catalog import Catalog
    from bot.domain.deployment import Deployment
    from bot.domain.ids import EnvironmentName, ServiceName
    from bot.domain.policy.scope import Scope
    from bot.engine.ledger import Ledger
    from bot.ports.deployments import Deployments

log = logging.getLogger(__name__)

REMEMBERED = 24.0
"""Hours for which it can be told who took a lock or a freeze away."""


async def nobody(_scope: Scope) -> None:
    """Wake nobody: what a use case does that nobody gave anything else."""


def place_of(catalog: Catalog, service: str, environment: str) -> tuple[ServiceName, EnvironmentName]:
    """The place of these names; raises `UnknownService` or `UnknownEnvironment`."""
    found, place = catalog.service(service), catalog.environment(environment)
    if place.name not in found.targets:
        raise UnknownEnvironment(
            f"{service} does not run in {environment}.",
            token=environment,
            hint=f"It runs in {', '.join(found.targets)}.",
        )
    return found.name, place.name


def check_scope(catalog: Catalog, scope: Scope) -> None:
    """Raise `UnknownService` or `UnknownEnvironment` unless the catalog has what ``scope`` names."""
    if scope.service is not None and scope.environment is not None:
        place_of(catalog, scope.service, scope.environment)
    elif scope.service is not None:
        catalog.service(scope.service)
    elif scope.environment is not None:
        catalog.environment(scope.environment)


def covered(catalog: Catalog, scope: Scope) -> bool:
    """Whether the catalog still has any place within ``scope``."""
    return any(scope.covers(service.name, environment.name) for service, environment in catalog.places())


def touches(scope: Scope, service: str | None, environment: str | None) -> bool:
    """Whether what is said about ``scope`` matters to somebody who asks about these; None asks about all."""
    return (service is None or scope.service in {None, service}) and (
        environment is None or scope.environment in {None, environment}
    )


def typed(scope: Scope) -> str:
    """The scope as it is written in a command."""
    if scope == EVERYTHING:
        return "all"
    return " ".join(name for name in (scope.service, scope.environment) if name)


def needed(reason: str, message: str, hint: str) -> str:
    """The reason without blanks around it, and without what looks like a secret: everybody reads it.

    Raises `BadCommand` when there is none.
    """
    if not reason.strip():
        raise BadCommand(message, hint=hint)
    return redact(reason.strip())


def ahead(until: datetime | None, now: datetime, what: str) -> datetime | None:
    """``until``, or none; raises `BadCommand` when it has passed."""
    if until is not None and until <= now:
        raise BadCommand(f"{what} cannot end in the past.", hint="Give a time that is still to come, such as until=2h.")
    return until


def who_and_when(actor: Actor, at: datetime, *, viewer: Actor, now: datetime) -> tuple[str, str]:
    """Who did something, as ``viewer`` reads it, and how long ago."""
    who = "You have" if actor.same_as(viewer) else f"{actor.name} has"
    return who, ago(at, now)


def to(actor: Actor, catalog: Catalog) -> str:
    """Where to tell somebody: a person directly, the bot's own in the channel of operators."""
    return f"user:{actor.id}" if actor.kind is ActorKind.PERSON else channel(catalog.admin_channel, catalog.channel)


def channel(*names: str | None) -> str:
    """The first of these channels that there is, as the address of a notice."""
    return f"channel:{next((name for name in names if name), '')}"


def new_id(kind: str) -> str:
    """A fresh id that begins with ``kind``."""
    return f"{kind}{secrets.token_hex(8)}"


def id_of(kind: str, act: str) -> str:
    """The id that a human act always makes: the same act twice makes one thing."""
    return f"{kind}{hashlib.sha256(act.encode()).hexdigest()[:24]}"


def numbers(deployments: Sequence[Deployment]) -> str:
    """The deployments by number, for a sentence: ``#41, #42 and #43``."""
    names = [f"#{one.number}" for one in deployments]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


async def redraw(ledger: Ledger, deployments: Deployments, scope: Scope) -> None:
    """Show what waits within ``scope`` anew, because what is said about it has changed.

    Those that are held are changed a little, so that every replica notices: who looks after them looks again.
    """
    for deployment in await deployments.active():
        if deployment.phase not in WAITING or not scope.covers(deployment.service, deployment.environment):
            continue
        if deployment.phase is Phase.HELD:
            await ledger.amend(deployment.id, lambda found: found.touch())
        else:
            ledger.announce(deployment)


async def afterwards(what: str, *steps: Callable[[], Awaitable[object]]) -> None:
    """Do what follows an act that stands already. What fails is left to the upkeep: the act is not called off by it."""
    for step in steps:
        try:
            await step()
        except DeploymentArchitectError as error:
            log.warning("after %s: %s", what, error.message)
