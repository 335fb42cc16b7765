"""What people can ask for. Each use case authorises, then writes once; it never waits for a deployment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.deployment import Deployment, Moment, Request, Resolution
from bot.domain.errors import (
    BadCommand,
    InvalidTransition,
    NoRollback,
    NotAuthorized,
    NothingToDo,
    RevisionNotFound,
    SomebodyWasFaster,
    UnknownEnvironment,
)
from bot.domain.ids import DeploymentId, EnvironmentName, ServiceName, new_deployment_id
from bot.domain.lifecycle import WAITING, Phase
from bot.domain.policy.access import Action, may

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.actor import Membership
    from bot.domain.catalog import Catalog
    from bot.domain.history import Placement
    from bot.domain.release import Release
    from bot.domain.rollout import Plan
    from bot.engine.durable import Durable
    from bot.engine.ledger import Ledger
    from bot.ports.deployments import Deployments, Releases
    from bot.ports.providers import CatalogSource, Providers


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Somebody's wish to have a version of a service in an environment."""

    service: str
    version: str
    environment: str
    requester: Membership
    channel: str | None = None
    """Where to tell it, if not where the catalog says."""
    origin: str
    reason: str = ""
    strategy: str = "rolling"
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Admitted:
    """An order that may be accepted: looked up once, and by whose leave."""

    catalog: Catalog
    release: Release
    environment: EnvironmentName
    rule: str


@dataclass(kw_only=True)
class Requests:
    """The doors' common way in: command, mention, button, form, API."""

    ledger: Ledger
    deployments: Deployments
    releases: Releases
    catalogs: CatalogSource
    providers: Providers
    durable: Durable

    async def deploy(self, order: Order) -> Deployment:
        """Accept a deployment; raises `RequestRefused` when it cannot be, and then nothing was changed."""
        return await self._accept(await self._admit(order), order)

    async def deploy_all(self, orders: Sequence[Order]) -> Sequence[Deployment]:
        """Accept several deployments, or none: all are checked before the first is written."""
        admitted = [await self._admit(order) for order in orders]
        return [await self._accept(found, order) for found, order in zip(admitted, orders, strict=True)]

    async def check(self, order: Order) -> None:
        """Raise what `deploy` would raise, without accepting anything."""
        await self._admit(order)

    async def dry_run(self, order: Order) -> tuple[Release, Plan]:
        """What `deploy` would change, found out without changing or locking anything."""
        catalog, release, _ = await self._resolve(order)
        target = self.providers.target(catalog, release.service, catalog.environment(order.environment).name)
        return release, await target.plan(release=release)

    async def roll_back(
        self,
        deployment_id: DeploymentId,
        *,
        requester: Membership,
        origin: str,
        reason: str = "",
        to: str | None = None,
    ) -> Deployment:
        """Accept a rollback of a deployment to the release proven healthy before it, or to the version ``to``."""
        found = await self.deployments.get(deployment_id)
        catalog = self.catalogs.current()
        rule = self._authorise(catalog, requester, Action.ROLLBACK, found.service, found.environment)
        self._refuse_second(found, requester)
        if found.phase is not Phase.SUCCEEDED:
            hint = "Abort it instead." if not found.phase.final else None
            raise InvalidTransition(
                f"#{found.number} is {found.phase.words}; only a succeeded deployment can be rolled back.", hint=hint
            )
        now_running = await self._placement(found.service, found.environment)
        if now_running is None or now_running.deployment != found.id:
            raise InvalidTransition(
                f"#{found.number} is not what {found.service} runs in {found.environment} any more"
                + (f"; that is {now_running.release.version}." if now_running else "."),
                hint=f"`/deploy rollback {found.service} {found.environment}` rolls back what runs now.",
            )
        back_to = await self._proven(catalog, found, to)
        deployment = self._new(
            catalog,
            back_to,
            found.environment,
            requester,
            channel=found.channel,
            origin=origin,
            reason=reason,
            rollback_of=found.id,
        )
        try:
            added = await self.ledger.add(
                deployment, taking_back=found.id, phase=Phase.ROLLING_BACK, door=requester.door, rule=rule
            )
        except InvalidTransition:
            self._refuse_second(await self.deployments.get(found.id), requester)
            raise
        await self.durable.begin(added.id, added.scope)
        return added

    async def roll_back_place(
        self,
        service: str,
        environment: str,
        *,
        requester: Membership,
        origin: str,
        reason: str = "",
        to: str | None = None,
    ) -> Deployment:
        """Accept a rollback of whatever a service runs in an environment."""
        catalog = self.catalogs.current()
        service_name, environment_name = self._place(catalog, service, environment)
        self._authorise(catalog, requester, Action.ROLLBACK, service_name, environment_name)
        placement = await self._placement(service_name, environment_name)
        if placement is None or placement.deployment is None:
            runs = f"It runs {placement.release.version}, which" if placement else "What it runs, if anything,"
            raise NoRollback(
                f"There is nothing to roll back: {service} in {environment} was never deployed from here. "
                f"{runs} was there before.",
                hint=f"`/deploy {service} <version> {environment}` deploys a version.",
            )
        return await self.roll_back(placement.deployment, requester=requester, origin=origin, reason=reason, to=to)

    async def abort(self, deployment_id: DeploymentId, *, requester: Membership, reason: str = "") -> Deployment:
        """Stop a deployment. One that waits ends at once; one that changes its target stops and puts it back."""
        found = await self.deployments.get(deployment_id)
        rule = self._authorise(
            self.catalogs.current(),
            requester,
            Action.ABORT,
            found.service,
            found.environment,
            own=found.requester.same_as(requester.actor),
        )
        actor, at = requester.actor, self.ledger.now()
        if found.phase in WAITING:
            try:
                ended = await self.ledger.advance(
                    found.id,
                    Phase.ABORTED,
                    actor=actor,
                    key="closed:aborted",
                    note=reason or "Nothing was changed.",
                    at=at,
                    door=requester.door,
                    rule=rule,
                    first=_still_waiting,
                )
            except InvalidTransition:
                found = await self.deployments.get(deployment_id)
            else:
                if ended.timeline[-1].at != at:  # the key was there: another click had come first
                    raise self._too_late(ended, requester)
                await self.durable.steps.give_back(ended)
                for other in await self.deployments.queue(ended.scope):
                    self.ledger.announce(other)
                return ended
        if found.phase.final:
            raise self._too_late(found, requester)
        request = Request(actor=actor, at=at, reason=reason)
        return await self.ledger.ask(found.id, request, door=requester.door, rule=rule)

    async def resolve(
        self, deployment_id: DeploymentId, resolution: Resolution, *, requester: Membership
    ) -> Deployment:
        """Decide what happens to a deployment that needs attention."""
        found = await self.deployments.get(deployment_id)
        action = Action.ROLLBACK if resolution is Resolution.ROLL_BACK else Action.RESOLVE
        rule = self._authorise(self.catalogs.current(), requester, action, found.service, found.environment)
        request = Request(actor=requester.actor, at=self.ledger.now(), resolution=resolution)
        return await self.ledger.ask(found.id, request, door=requester.door, rule=rule)

    async def _admit(self, order: Order) -> _Admitted:
        """What an order means, once everything has said yes to it."""
        catalog, release, rule = await self._resolve(order)
        environment = catalog.environment(order.environment).name
        if not order.force:
            await self._refuse_repetition(release, environment)
        return _Admitted(catalog=catalog, release=release, environment=environment, rule=rule)

    async def _resolve(self, order: Order) -> tuple[Catalog, Release, str]:
        """The catalog, the release that is meant, and the role that allows it."""
        catalog = self.catalogs.current()
        service, environment = self._place(catalog, order.service, order.environment)
        rule = self._authorise(catalog, order.requester, Action.DEPLOY, service, environment)
        try:
            release = await self.providers.images(catalog, service).resolve(version=order.version)
        except RevisionNotFound as refusal:
            if refusal.hint is None:
                refusal.hint = f"`/deploy history {service}` lists what was deployed."
            raise
        return catalog, release, rule

    async def _accept(self, admitted: _Admitted, order: Order) -> Deployment:
        deployment = self._new(
            admitted.catalog,
            admitted.release,
            admitted.environment,
            order.requester,
            channel=order.channel,
            origin=order.origin,
            reason=order.reason,
            strategy=order.strategy,
            force=order.force,
        )
        door = order.requester.door
        added = await self.ledger.add(
            deployment, taking_back=None, phase=Phase.REQUESTED, door=door, rule=admitted.rule
        )
        await self.durable.begin(added.id, added.scope)
        return added

    def _new(
        self,
        catalog: Catalog,
        release: Release,
        environment: EnvironmentName,
        requester: Membership,
        *,
        channel: str | None,
        origin: str,
        reason: str,
        strategy: str = "rolling",
        rollback_of: DeploymentId | None = None,
        force: bool = False,
    ) -> Deployment:
        now = self.ledger.now()
        return Deployment(
            id=new_deployment_id(),
            number=0,
            service=release.service,
            environment=environment,
            scope=catalog.lock_scope(release.service, environment),
            release=release,
            strategy=strategy,
            reason=reason,
            requester=requester.actor,
            channel=channel or catalog.service(release.service).channel or catalog.channel,
            catalog_revision=catalog.revision,
            origin=origin,
            rollback_of=rollback_of,
            force=force,
            timeline=(Moment(phase=Phase.REQUESTED, at=now, actor=requester.actor),),
        )

    async def _proven(self, catalog: Catalog, found: Deployment, to: str | None) -> Release:
        """The release to go back to, made sure to exist still."""
        images = self.providers.images(catalog, found.service)
        wanted = await images.resolve(version=to) if to else None
        proven = await self.releases.rollback_target(
            found.service, found.environment, other_than=found.release, exactly=wanted
        )
        if proven is None and to is not None:
            raise NoRollback(
                f"{found.service} {to} was never proven healthy in {found.environment}, so nothing can be rolled back "
                "to it.",
                hint=f"`/deploy {found.service} {to} {found.environment}` deploys it.",
            )
        if proven is None:
            raise NoRollback(
                f"There is nothing to roll back to: no release of {found.service} before "
                f"{found.release.version} was proven healthy in {found.environment}."
            )
        try:
            still = await images.resolve(version=proven.release.version)
        except BadCommand as gone:
            raise NoRollback(
                f"{found.service} {proven.release.version} cannot be brought back: it is not to be found any more.",
                hint=f"`/deploy {found.service} <version> {found.environment}` deploys another version.",
            ) from gone
        if not still.same_as(proven.release):
            raise NoRollback(
                f"{found.service} {proven.release.version} is not what it was: it has been built anew since it was "
                f"proven healthy ({proven.release.short_digest} then, {still.short_digest} now).",
                hint=f"`/deploy {found.service} {proven.release.version} {found.environment}` deploys the new build.",
            )
        return proven.release

    async def _refuse_repetition(self, release: Release, environment: EnvironmentName) -> None:
        placement = await self._placement(release.service, environment)
        if placement is None or not placement.release.same_as(release):
            return
        catalog = self.catalogs.current()
        scope = catalog.lock_scope(release.service, environment)
        if await self.deployments.holder(scope) or await self.deployments.queue(scope):
            return  # what runs is about to change, so asking for it again is no repetition
        running = await self.providers.target(catalog, release.service, environment).current()
        if running is None or not running.release.same_as(release) or not running.all_healthy:
            return
        raise NothingToDo(
            f"{release.service} in {environment} already runs {release.version}, and it is healthy.",
            hint="Add `force` to deploy it all the same.",
        )

    async def _placement(self, service: ServiceName, environment: EnvironmentName) -> Placement | None:
        placements = await self.releases.placements([(service, environment)])
        return placements[0] if placements else None

    def _place(self, catalog: Catalog, service: str, environment: str) -> tuple[ServiceName, EnvironmentName]:
        found, place = catalog.service(service), catalog.environment(environment)
        if place.name not in found.targets:
            raise UnknownEnvironment(
                f"{service} does not run in {environment}.",
                token=environment,
                hint=f"It runs in {', '.join(found.targets)}.",
            )
        return found.name, place.name

    def _authorise(
        self,
        catalog: Catalog,
        requester: Membership,
        action: Action,
        service: ServiceName,
        environment: EnvironmentName,
        *,
        own: bool = False,
    ) -> str:
        """The role that allows it. Raises `NotAuthorized` unless one does; for one's ``own``, only if one denies it."""
        decision = may(catalog.rules, requester, action, service=service, environment=environment)
        if not decision.allowed and not (own and decision.role is None):
            raise NotAuthorized(decision.reason, hint="Ask somebody who has it, or an operator for the role.")
        return decision.role or "their own request"

    def _refuse_second(self, found: Deployment, requester: Membership) -> None:
        """Raise `SomebodyWasFaster` if the deployment is being rolled back or was."""
        if found.phase not in {Phase.ROLLING_BACK, Phase.ROLLED_BACK}:
            return
        # The last time: a rollback that came to nothing gives the deployment back to be rolled back again.
        begun = [moment for moment in found.timeline if moment.phase is Phase.ROLLING_BACK]
        taken = begun[-1] if begun else found.timeline[-1]
        who = "You" if taken.actor.same_as(requester.actor) else taken.actor.name
        ago = max(0, round((self.ledger.now() - taken.at).total_seconds()))
        raise SomebodyWasFaster(f"{who} already rolled #{found.number} back, {ago} s ago.")

    def _too_late(self, found: Deployment, requester: Membership) -> SomebodyWasFaster | InvalidTransition:
        last = found.timeline[-1]
        if found.phase is Phase.ABORTED:
            who = "You" if last.actor.same_as(requester.actor) else last.actor.name
            ago = max(0, round((self.ledger.now() - last.at).total_seconds()))
            return SomebodyWasFaster(f"{who} already aborted #{found.number}, {ago} s ago.")
        return InvalidTransition(f"#{found.number} is over: it {_WAS.get(found.phase, 'ended')}.")


_WAS = {
    Phase.SUCCEEDED: "succeeded",
    Phase.FAILED: "failed",
    Phase.ERRORED: "broke",
    Phase.REJECTED: "was rejected",
    Phase.EXPIRED: "expired",
    Phase.SUPERSEDED: "was superseded",
    Phase.ROLLING_BACK: "is being rolled back",
    Phase.ROLLED_BACK: "was rolled back",
}


def _still_waiting(deployment: Deployment) -> Deployment:
    if deployment.phase not in WAITING:
        raise InvalidTransition(f"#{deployment.number} is {deployment.phase.words}.")
    return deployment
