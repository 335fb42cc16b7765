"""What somebody orders, and whether it may be accepted. Looks and asks only: nothing is written here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.deployment import Deployment, Moment
from bot.domain.errors import Blocked, NothingToDo, RevisionNotFound, UnknownEnvironment
from bot.domain.ids import new_deployment_id
from bot.domain.policy.access import Action
from bot.domain.policy.gates import stopping
from bot.domain.policy.override import OverrideKind
from bot.domain.redact import redact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.actor import Membership
    from bot.domain.catalog import Catalog
    from bot.domain.deployment import Wish
    from bot.domain.history import Placement
    from bot.domain.ids import DeploymentId, EnvironmentName, ServiceName
    from bot.domain.policy.gates import GateResult
    from bot.domain.release import Release
    from bot.domain.rollout import Plan
    from bot.domain.view import Forecast
    from bot.engine.gatekeeper import Gatekeeper
    from bot.engine.insight import Insight
    from bot.ports.deployments import Deployments, Releases
    from bot.ports.overrides import Overrides
    from bot.ports.providers import CatalogSource, Providers

_NOT_AT_A_LATER_TIME = frozenset({"access", "configuration", "window"})
"""Gates that are certain to stop it later as they do now; the others are asked again when its time has come."""


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
    strategy: str = ""
    """By name; empty means the one of the environment or of the service."""
    force: bool = False
    wish: Wish | None = None
    """When it is to start, if not as soon as it can."""
    waits: bool = False
    """Rather wait for a lock or a window than be refused."""
    override: str | None = None
    """The exception that it is to use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """An order that may be accepted: looked up once, and by whose leave."""

    order: Order
    catalog: Catalog
    release: Release
    environment: EnvironmentName
    rule: str
    override: str | None
    """The exception without which it could not be accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What an order would do."""

    release: Release
    plan: Plan
    forecast: Forecast


@dataclass(kw_only=True)
class Orders:
    """Reads orders."""

    deployments: Deployments
    releases: Releases
    catalogs: CatalogSource
    providers: Providers
    gatekeeper: Gatekeeper
    overrides: Overrides
    insight: Insight

    async def admit(self, order: Order) -> Admitted:
        """What an order means, once everything has said yes to it.

        Raises `RequestRefused`: `Blocked` when a lock, a freeze, a window or the order of environments stops it.
        """
        catalog, release, rule = await self.resolve(order)
        environment = catalog.environment(order.environment).name
        if not order.force:
            await self._refuse_repetition(release, environment)
        override = await self._pass_gates(order, release, environment)
        return Admitted(
            order=order, catalog=catalog, release=release, environment=environment, rule=rule, override=override
        )

    async def dry_run(self, order: Order) -> DryRun:
        """What an order would change and what stands in its way, found out without changing or locking anything."""
        catalog, release, _ = await self.resolve(order)
        environment = catalog.environment(order.environment).name
        plan = await self.providers.target(catalog, release.service, environment).plan(release=release)
        at = order.wish.at if order.wish else None
        gates = await self.gatekeeper.foresee(release, environment, member=order.requester, at=at)
        forecast = await self.insight.forecast(catalog, release.service, environment, release, plan, gates)
        return DryRun(release=release, plan=plan, forecast=forecast)

    async def resolve(self, order: Order) -> tuple[Catalog, Release, str]:
        """The catalog, the release that is meant, and the role that allows it."""
        catalog = self.catalogs.current()
        service, environment = self.place(catalog, order.service, order.environment)
        rule = self.gatekeeper.authorise(order.requester, Action.DEPLOY, service, environment)
        catalog.check_strategy(order.strategy, service, environment)
        try:
            release = await self.providers.images(catalog, service).resolve(version=order.version)
        except RevisionNotFound as refusal:
            if refusal.hint is None:
                refusal.hint = f"`/deploy history {service}` lists what was deployed."
            raise
        return catalog, release, rule

    def place(self, catalog: Catalog, service: str, environment: str) -> tuple[ServiceName, EnvironmentName]:
        """The place of those names; raises `UnknownService` or `UnknownEnvironment`."""
        found, place = catalog.service(service), catalog.environment(environment)
        if place.name not in found.targets:
            raise UnknownEnvironment(
                f"{service} does not run in {environment}.",
                token=environment,
                hint=f"It runs in {', '.join(found.targets)}.",
            )
        return found.name, place.name

    async def placement(self, service: ServiceName, environment: EnvironmentName) -> Placement | None:
        """What the place runs, as far as the bot knows."""
        placements = await self.releases.placements([(service, environment)])
        return placements[0] if placements else None

    def new(
        self,
        admitted: Admitted,
        *,
        at: Moment,
        rollback_of: DeploymentId | None = None,
    ) -> Deployment:
        """The deployment that is to be stored for an order."""
        order, catalog, release = admitted.order, admitted.catalog, admitted.release
        return Deployment(
            id=new_deployment_id(),
            number=0,
            service=release.service,
            environment=admitted.environment,
            scope=catalog.lock_scope(release.service, admitted.environment),
            release=release,
            strategy=_strategy(catalog, admitted),
            reason=redact(order.reason),  # everybody reads it
            requester=order.requester.actor,
            channel=order.channel or catalog.service(release.service).channel or catalog.channel,
            catalog_revision=catalog.revision,
            origin=order.origin,
            rollback_of=rollback_of,
            force=order.force,
            wish=order.wish,
            waits=order.waits,
            timeline=(at,),
        )

    async def _pass_gates(self, order: Order, release: Release, environment: EnvironmentName) -> str | None:
        """The exception that it needs, if it needs one; raises `Blocked`."""
        stops = await self._stops(order, release, environment, order.override)
        if not stops or order.override:
            if stops:
                raise blocked(None, stops)
            return order.override
        for one in await self.overrides.of_place(release.service, environment, release.artifact.digest):
            # Broken glass is for who broke it; only what a second person has agreed to may be used by whoever comes.
            free = one.used_by is None and one.kind is OverrideKind.FREEZE
            if free and not await self._stops(order, release, environment, one.id):
                return one.id
        if order.waits and all(stop.name in WAITS_FOR for stop in stops):
            return None
        raise blocked(None, stops)

    async def _stops(
        self, order: Order, release: Release, environment: EnvironmentName, override: str | None
    ) -> Sequence[GateResult]:
        at = order.wish.at if order.wish else None
        gates = await self.gatekeeper.foresee(release, environment, member=order.requester, at=at, override=override)
        stops = [stop for stop in stopping(gates) if stop.name != "approval"]
        return [stop for stop in stops if stop.name in _NOT_AT_A_LATER_TIME] if order.wish else stops

    async def _refuse_repetition(self, release: Release, environment: EnvironmentName) -> None:
        placement = await self.placement(release.service, environment)
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


def _strategy(catalog: Catalog, admitted: Admitted) -> str:
    """The name of the strategy that counts."""
    own = catalog.environments[admitted.environment].strategy or catalog.services[admitted.release.service].strategy
    return admitted.order.strategy or own


WAITS_FOR = frozenset({"lock", "window"})
"""Gates that one can ask to wait for. A freeze is none: after it, people choose what goes on."""


def blocked(number: int | None, stops: Sequence[GateResult]) -> Blocked:
    """The refusal of what these gates stop."""
    first = stops[0].sentence
    more = f" ({len(stops) - 1} more would stop it too.)" if len(stops) > 1 else ""
    which = f"#{number} cannot go on: " if number is not None else ""
    return Blocked(f"{which}{first}{more}", gates=stops)
