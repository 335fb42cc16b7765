"""Where every door leads: an intent and a caller come in, the engine is asked, and the caller is answered.

Knows nothing of how the words came (command, mention, form, button) or how the answer goes back: `Reply` does that.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from bot.domain.errors import BadCommand, DeploymentArchitectError, RequestRefused
from bot.domain.grammar import (
    AbortIntent,
    DeployIntent,
    HelpIntent,
    HistoryIntent,
    OpenFormIntent,
    QueueIntent,
    RollbackIntent,
    StatusIntent,
    Verb,
    Vocabulary,
    WhereIntent,
    parse,
    usage,
)
from bot.domain.policy.access import Action, may
from bot.engine.requests import Order
from bot.slack.render import answers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.domain.actor import Door, Membership
    from bot.domain.deployment import Deployment, Resolution
    from bot.domain.grammar import DeploymentRef, Intent
    from bot.domain.ids import DeploymentId
    from bot.engine.queries import Queries
    from bot.engine.requests import Requests
    from bot.ports.providers import CatalogSource
    from bot.slack.identity import Identity
    from bot.slack.render.message import Message

log = logging.getLogger(__name__)

_NEEDS = {Verb.DEPLOY: Action.DEPLOY, Verb.ROLLBACK: Action.ROLLBACK, Verb.ABORT: Action.ABORT}


class Reply(Protocol):
    """Shows something to the caller alone."""

    async def __call__(self, message: Message) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, from where."""

    user: str
    team: str | None
    channel: str | None
    act: str
    """The id of the human act; the same act delivered twice has the same one."""
    door: Door
    about: DeploymentId | None = None
    """The deployment in whose thread it was said."""


@dataclass(kw_only=True)
class Desk:
    """Turns intents into requests and queries, and their results into answers."""

    requests: Requests
    queries: Queries
    catalogs: CatalogSource
    identity: Identity
    open_form: Callable[[OpenFormIntent, str], Awaitable[None]]
    """Opens the deploy form for a trigger id."""

    async def say(self, text: str, caller: Caller, reply: Reply, *, trigger: str | None) -> None:
        """Read what was said and do it; whatever happens, the caller is answered."""

        async def act() -> None:
            intent = parse(text, vocabulary=Vocabulary.of(self.catalogs.current()))
            if isinstance(intent, OpenFormIntent):
                await self._form(intent, trigger)
            else:
                await self._carry_out(intent, caller, reply)

        await self.answering(act, reply)

    async def answering(self, act: Callable[[], Awaitable[None]], reply: Reply) -> None:
        """Do something for a person, and tell them what stood in the way."""
        try:
            await act()
        except RequestRefused as refusal:
            await self._tell(reply, answers.refused(refusal))
        except DeploymentArchitectError as error:
            reference = secrets.token_hex(4)
            log.error("[%s] %s: %s", reference, type(error).__name__, error.message)
            await self._tell(reply, answers.failure(error, reference=reference))
        except Exception:
            reference = secrets.token_hex(4)
            log.exception("[%s] a request failed", reference)
            await self._tell(reply, answers.unexpected(reference))

    async def member(self, caller: Caller, *, for_rollback: bool = False) -> Membership:
        """Who the caller is; raises `NotAuthorized`."""
        member = await self.identity.membership(caller.user, team_id=caller.team, for_rollback=for_rollback)
        return replace(member, door=caller.door)

    async def roll_back(self, deployment: DeploymentId, caller: Caller) -> Deployment:
        """The button *Roll back*."""
        requester = await self.member(caller, for_rollback=True)
        return await self.requests.roll_back(deployment, requester=requester, origin=caller.act)

    async def abort(self, deployment: DeploymentId, caller: Caller) -> Deployment:
        """The button *Abort*."""
        return await self.requests.abort(deployment, requester=await self.member(caller))

    async def resolve(self, deployment: DeploymentId, resolution: Resolution, caller: Caller) -> Deployment:
        """The buttons of a deployment that needs attention."""
        requester = await self.member(caller, for_rollback=True)
        return await self.requests.resolve(deployment, resolution, requester=requester)

    async def _form(self, intent: OpenFormIntent, trigger: str | None) -> None:
        if trigger is None:
            given = " ".join([*intent.services, intent.version or "", intent.environment or ""]).split()
            missing = [
                word
                for word, there in (
                    ("a service", bool(intent.services)),
                    ("a version", intent.version is not None),
                    ("an environment", intent.environment is not None),
                )
                if not there
            ]
            raise BadCommand(
                f"There is {' and '.join(missing)} missing" + (f" beside {' '.join(given)}." if given else "."),
                hint="Say service, version and environment; the form only opens from the slash command.",
            )
        await self.open_form(intent, trigger)

    async def _carry_out(self, intent: Intent, caller: Caller, reply: Reply) -> None:
        match intent:
            case DeployIntent():
                await self._deploy(intent, caller, reply)
            case RollbackIntent():
                await self._rollback(intent, caller)
            case AbortIntent():
                await self._abort(intent, caller)
            case StatusIntent():
                await self._status(intent, caller, reply)
            case HistoryIntent(service=service, environment=environment, limit=limit):
                found = await self.queries.history(service, environment, limit=limit + 1)
                await reply(answers.history(service, environment, found[:limit], more=len(found) > limit))
            case QueueIntent(service=service, environment=environment):
                await self._queue(intent, reply)
            case WhereIntent(service=service):
                await reply(answers.where(await self.queries.where(service)))
            case HelpIntent(topic=topic):
                await self._help(topic, caller, reply)
            case OpenFormIntent():
                raise AssertionError("forms are opened where the trigger is")

    async def _deploy(self, intent: DeployIntent, caller: Caller, reply: Reply) -> None:
        requester = await self.member(caller)
        orders = [
            Order(
                service=service,
                version=intent.version,
                environment=intent.environment,
                requester=requester,
                origin=f"{caller.act}:{service}",
                reason=intent.reason or "",
                strategy=intent.strategy or "rolling",
                force=intent.force,
            )
            for service in intent.services
        ]
        if intent.dry_run:
            for order in orders:
                release, plan = await self.requests.dry_run(order)
                await reply(answers.plan(release.service, intent.environment, release, plan))
            return
        await self.requests.deploy_all(orders)

    async def _rollback(self, intent: RollbackIntent, caller: Caller) -> None:
        requester = await self.member(caller, for_rollback=True)
        reason = intent.reason or ""
        deployment = await self._meant(intent.deployment, intent.service, caller)
        if deployment is not None:
            await self.requests.roll_back(
                deployment.id, requester=requester, origin=caller.act, reason=reason, to=intent.to
            )
        elif intent.service and intent.environment:
            await self.requests.roll_back_place(
                intent.service,
                intent.environment,
                requester=requester,
                origin=caller.act,
                reason=reason,
                to=intent.to,
            )
        else:
            raise BadCommand("Roll back what, and where?", hint="/deploy rollback <service> <environment>")

    async def _abort(self, intent: AbortIntent, caller: Caller) -> None:
        requester = await self.member(caller)
        deployment = await self._meant(intent.deployment, intent.service or intent.environment, caller)
        if deployment is None:
            deployment = await self.queries.the_one_under_way(intent.service, intent.environment)
        await self.requests.abort(deployment.id, requester=requester, reason=intent.reason or "")

    async def _meant(self, named: DeploymentRef | None, place: str | None, caller: Caller) -> Deployment | None:
        """The deployment that was named, or in whose thread something was said without naming any place."""
        if named is not None:
            return await self.queries.find(str(named))
        if place is None and caller.about is not None:
            return await self.queries.find(caller.about)
        return None

    async def _status(self, intent: StatusIntent, caller: Caller, reply: Reply) -> None:
        deployment = await self._meant(intent.deployment, intent.service or intent.environment, caller)
        if deployment is not None:
            await reply(answers.status(await self.queries.view_of(deployment)))
            return
        running = await self.queries.under_way(intent.service, intent.environment)
        views = [await self.queries.view_of(found) for found in running[: answers.SHOWN]]
        placements = await self.queries.where(intent.service, intent.environment)
        where = " ".join(filter(None, [intent.service, f"in {intent.environment}" if intent.environment else None]))
        await reply(
            answers.statuses(f"Status of {where}" if where else "Status", views, placements, total=len(running))
        )

    async def _queue(self, intent: QueueIntent, reply: Reply) -> None:
        queues = await self.queries.queues(intent.service, intent.environment)
        if not queues:
            await reply(answers.no_queue())
        for scope, holder, waiting in queues:
            views = [await self.queries.view_of(found) for found in waiting[: answers.SHOWN]]
            await reply(answers.queue(scope, holder, views, total=len(waiting)))

    async def _help(self, topic: Verb | None, caller: Caller, reply: Reply) -> None:
        catalog = self.catalogs.current()
        allowed = {verb for verb in Verb if verb not in _NEEDS}
        with contextlib.suppress(RequestRefused):
            member = await self.member(caller)
            allowed |= {
                verb
                for verb, action in _NEEDS.items()
                if any(
                    may(catalog.rules, member, action, service=service.name, environment=environment.name).allowed
                    for service, environment in catalog.places()
                )
            }
        await reply(answers.help_(usage(Vocabulary.of(catalog), allowed=allowed, topic=topic, command="")))

    async def _tell(self, reply: Reply, message: Message) -> None:
        try:
            await reply(message)
        except Exception as error:  # noqa: BLE001 - Slack is down or forgot the place; the request itself is settled
            log.warning("an answer could not be shown: %s", error)
