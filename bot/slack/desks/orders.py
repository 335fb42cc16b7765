"""Orders: to deploy, to wait, to go back, and to pass what forbids it. One that is stopped is answered with ways on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bot.domain.deployment import Wish
from bot.domain.errors import BadCommand, Blocked
from bot.domain.ids import EnvironmentName, ServiceName
from bot.domain.policy.access import Action
from bot.domain.policy.gates import opens_at
from bot.engine.orders import Order
from bot.engine.scheduling import GOOD_FOR
from bot.slack.names import OrderValue
from bot.slack.render import answers, plans, rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.actor import Membership
    from bot.domain.deployment import Deployment
    from bot.domain.grammar import BreakGlassIntent, DeployIntent, RollbackIntent
    from bot.domain.ids import DeploymentId
    from bot.engine.locking import Locking
    from bot.engine.overriding import Overriding
    from bot.engine.requests import Requests
    from bot.slack.desks.times import Times
    from bot.slack.doors import Caller, Reception, Reply
    from bot.slack.render.message import Message

_REASON_KEPT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """The desk for what brings a release somewhere."""

    requests: Requests
    locking: Locking
    overriding: Overriding
    reception: Reception
    times: Times

    async def deploy(self, intent: DeployIntent, caller: Caller, reply: Reply) -> None:
        """Deploy, now or later, or only say what that would do."""
        requester = await self.reception.member(caller)
        orders = [
            Order(
                service=service,
                version=intent.version,
                environment=intent.environment,
                requester=requester,
                origin=f"{caller.act}:{service}",
                reason=intent.reason or "",
                strategy=intent.strategy or "",
                force=intent.force,
                wish=await self.times.wish(
                    intent.at, intent.expires, caller, service=service, environment=intent.environment
                ),
            )
            for service in intent.services
        ]
        if intent.dry_run:
            for order in orders:
                await self.rehearse(order, reply)
        else:
            await self.place(orders, reply)

    async def place(self, orders: Sequence[Order], reply: Reply) -> None:
        """Ask for deployments; what a lock, a freeze or a window stops is answered with what can be done about it."""
        try:
            await self.requests.deploy_all(orders)
        except Blocked as blocked:
            if len(orders) > 1:
                blocked.hint = "Nothing was started. Ask for the services one by one, and each can wait its turn."
                raise
            await reply(await self.stopped(blocked, orders[0]))

    async def rehearse(self, order: Order, reply: Reply) -> None:
        """Say what an order would do."""
        found = await self.requests.dry_run(order)
        await reply(plans.dry_run(order.service, order.environment, found.release, found.plan, found.forecast))

    async def stopped(self, blocked: Blocked, order: Order) -> Message:
        """The answer to an order that was stopped: who, why, since when, until when, and what can be done."""
        stopped_by = {gate.name for gate in blocked.gates}
        at = order.wish.at if order.wish else opens_at(blocked.gates) if "window" in stopped_by else None
        value = OrderValue(
            order.service,
            order.version,
            order.environment,
            at=at.timestamp() if at else None,
            reason=order.reason[:_REASON_KEPT],
            force=order.force,
        )
        locks = await self.locking.current(order.service, order.environment) if "lock" in stopped_by else ()
        return answers.blocked(blocked, value, locks=locks, viewer=order.requester.actor)

    async def wait(self, value: OrderValue, caller: Caller) -> Message:
        """The buttons *Queue behind it* and *Run when it opens*: the same order once more, and now it waits."""
        order = self.order(value, caller, await self.reception.member(caller))
        at = datetime.fromtimestamp(value.at, UTC) if value.at is not None else None
        wish = Wish(at=at, expires=at + GOOD_FOR) if at and at > self.times.now() else None
        [deployment] = await self.requests.deploy_all([replace(order, wish=wish, waits=True)])
        return answers.accepted(deployment)

    def order(self, value: OrderValue, caller: Caller, requester: Membership, *, reason: str = "") -> Order:
        """The order that a button carries, as its presser's own."""
        return Order(
            service=value.service,
            version=value.version,
            environment=value.environment,
            requester=requester,
            origin=f"{caller.act}:{value.service}",
            reason=reason or value.reason,
            force=value.force,
        )

    async def ask_override(self, value: OrderValue, reason: str, caller: Caller) -> Message:
        """Ask that this order may pass a freeze or a closed window."""
        order = self.order(value, caller, await self.reception.member(caller), reason=reason)
        return rules.overridden(await self.overriding.ask(order))

    async def agree(self, override_id: str, caller: Caller) -> Message:
        """Be the second person who says yes to an exception."""
        return rules.overridden(await self.overriding.agree(override_id, requester=await self.reception.member(caller)))

    async def review(self, override_id: str, caller: Caller) -> Message:
        """Say that one has looked at broken glass."""
        return rules.overridden(
            await self.overriding.review(override_id, requester=await self.reception.member(caller))
        )

    async def break_glass(self, intent: BreakGlassIntent, caller: Caller) -> Deployment:
        """Deploy past approval, freezes and locks."""
        if not (intent.reason and intent.confirm):
            raise BadCommand(
                "To break the glass takes a reason and the name of the service once more.",
                hint=f'Add reason="…" confirm={intent.service}, or use the slash command, which opens a form.',
            )
        value = OrderValue(intent.service, intent.version, intent.environment, reason=intent.reason, force=intent.force)
        return await self.shatter(value, intent.reason, intent.confirm, caller)

    async def to_break(self, value: OrderValue, caller: Caller) -> None:
        """Raise `NotAuthorized` unless the caller may break the glass there. It is asked again when they do."""
        requester = await self.reception.member(caller)
        service, environment = ServiceName(value.service), EnvironmentName(value.environment)
        self.overriding.gatekeeper.authorise(requester, Action.BREAK_GLASS, service, environment)

    async def shatter(self, value: OrderValue, reason: str, confirm: str, caller: Caller) -> Deployment:
        """Break the glass for this order; ``confirm`` is what was typed as the name of the service."""
        requester = await self.reception.member(caller)
        return await self.overriding.break_glass(self.order(value, caller, requester, reason=reason), confirm=confirm)

    async def roll_back(self, intent: RollbackIntent, meant: Deployment | None, caller: Caller) -> None:
        """Bring an earlier release back."""
        requester = await self.reception.member(caller, for_rollback=True)
        reason = intent.reason or ""
        if meant is not None:
            await self.requests.roll_back(meant.id, requester=requester, origin=caller.act, reason=reason, to=intent.to)
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

    async def take_back(self, deployment: DeploymentId, caller: Caller) -> None:
        """The button *Roll back*."""
        requester = await self.reception.member(caller, for_rollback=True)
        await self.requests.roll_back(deployment, requester=requester, origin=caller.act)
