"""What people can ask to see. Reading only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import TYPE_CHECKING

from bot.domain.errors import BadCommand, ConfigurationError, UnknownDeployment
from bot.domain.ids import DeploymentId
from bot.domain.lifecycle import WAITING, Phase
from bot.domain.policy.access import Action, may
from bot.domain.policy.lock import covering, decide
from bot.domain.policy.window import is_open
from bot.domain.strategy.plan import How
from bot.domain.strategy.plan import plan as steps_of
from bot.domain.view import DeploymentView, Overview, QueueView

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bot.domain.actor import Membership
    from bot.domain.catalog import Catalog, Service
    from bot.domain.deployment import Deployment
    from bot.domain.history import Placement
    from bot.domain.ids import EnvironmentName, LockScope, ServiceName
    from bot.domain.policy.lock import StickyLock
    from bot.domain.policy.override import Override
    from bot.domain.policy.window import Window, WindowDecision
    from bot.domain.strategy.kinds import Strategy
    from bot.domain.view import Forecast
    from bot.engine.approvals import Approvals
    from bot.engine.gatekeeper import Gatekeeper
    from bot.engine.insight import Insight
    from bot.engine.ledger import Ledger
    from bot.ports.alerts import Alerts
    from bot.ports.deployments import Deployments, Releases
    from bot.ports.freezes import Freezes
    from bot.ports.locks import Locks
    from bot.ports.overrides import Overrides
    from bot.ports.providers import CatalogSource
    from bot.ports.readings import Readings
    from bot.ports.schedules import Schedules

_RECENT = 10
"""Deployments whose durations make the expected wait."""
_HOME_ROWS = 20
_FORESEEN = frozenset({Phase.REQUESTED, Phase.AWAITING_APPROVAL, Phase.SCHEDULED, Phase.HELD})
"""Phases in which people are shown what stands before the deployment. In the queue it is the queue."""


@dataclass(kw_only=True)
class Queries:
    """Read-only use cases."""

    ledger: Ledger
    deployments: Deployments
    releases: Releases
    catalogs: CatalogSource
    gatekeeper: Gatekeeper
    approvals: Approvals
    insight: Insight
    schedules: Schedules
    locks: Locks
    freezes: Freezes
    overrides: Overrides
    readings: Readings
    alerts: Alerts

    async def view(self, deployment_id: DeploymentId) -> DeploymentView:
        """A deployment with what people need to see around it."""
        return await self.view_of(await self.deployments.get(deployment_id))

    async def view_of(self, deployment: Deployment) -> DeploymentView:
        """Like `view`, for a deployment that is at hand."""
        placements = await self.releases.placements([(deployment.service, deployment.environment)])
        current = bool(placements) and placements[0].deployment == deployment.id
        takes_back = await self.deployments.get(deployment.rollback_of) if deployment.rollback_of else None
        back_to = None
        if current and deployment.phase is Phase.SUCCEEDED:
            back_to = await self.releases.rollback_target(
                deployment.service, deployment.environment, other_than=deployment.release
            )
            if back_to and takes_back and back_to.release.same_as(takes_back.release):
                back_to = None  # it is just being taken back
        environment = self.catalogs.current().environments.get(deployment.environment)
        strategy, service = await self._strategy(deployment)
        steps = steps_of(strategy) if strategy else ()
        watched = deployment.progression is not None
        question = deployment.progression.question if deployment.progression else None
        succeeded = deployment.reached(Phase.SUCCEEDED)
        bakes = service is not None and service.bake > 0 and bool(service.checks) and not deployment.is_rollback
        held = deployment.phase is Phase.HELD and deployment.hold is not None and deployment.hold.gate == "lock"
        scheduled = deployment.phase is Phase.SCHEDULED
        return DeploymentView(
            deployment=deployment,
            protected=bool(environment and environment.protected),
            queue=await self._queue(deployment) if deployment.phase is Phase.QUEUED else None,
            approval=await self.approvals.view(deployment),
            schedule=await self.schedules.of(deployment.id) if scheduled else None,
            forecast=await self._forecast(deployment) if deployment.phase in _FORESEEN else None,
            blocking=await self._blocking(deployment) if held else (),
            overrides=await self.overrides.of_deployment(deployment.id),
            steps=steps if steps and steps[0].how is How.WEIGHT else (),
            checks=service.checks if service else (),
            readings=await self.readings.of(deployment.id) if watched else {},
            alerts=await self.alerts.of(deployment.id) if deployment.phase not in WAITING else (),
            reminded=question is not None and self.ledger.now() >= question.nags_at,
            escalated=question is not None and self.ledger.now() >= question.escalates_at,
            bakes_until=(
                succeeded.at + timedelta(seconds=service.bake)
                if service and bakes and succeeded and deployment.phase is Phase.SUCCEEDED and current
                else None
            ),
            current=current,
            rollback_to=back_to,
            takes_back=takes_back,
            taken_back_by=await self._taken_back_by(deployment),
        )

    async def _strategy(self, deployment: Deployment) -> tuple[Strategy | None, Service | None]:
        """What its configuration says of how it is rolled out; nothing when that is gone."""
        try:
            catalog = await self.catalogs.at(deployment.catalog_revision)
            strategy = catalog.strategy(deployment.strategy, deployment.service, deployment.environment)
            return strategy, catalog.service(deployment.service)
        except (BadCommand, ConfigurationError, KeyError):
            return None, None

    async def find(self, reference: str) -> Deployment:
        """The deployment that somebody means by ``#42``, ``42`` or its id; raises `UnknownDeployment`."""
        text = reference.removeprefix("#")
        if text.isdecimal() and text.isascii():
            if len(text) > 9:
                raise UnknownDeployment(f"There is no deployment #{text[:9]}….")
            return await self.deployments.by_number(int(text))
        return await self.deployments.get(DeploymentId(text))

    async def under_way(self, service: str | None = None, environment: str | None = None) -> Sequence[Deployment]:
        """Deployments whose work is not over, oldest first."""
        return [
            deployment
            for deployment in await self.deployments.active()
            if service in {None, deployment.service} and environment in {None, deployment.environment}
        ]

    async def the_one_under_way(self, service: str | None, environment: str | None) -> Deployment:
        """The only deployment under way that fits; raises when none does, or when several do, naming them."""
        fitting = await self.under_way(service, environment)
        where = " ".join(filter(None, [f"of {service}" if service else "", f"in {environment}" if environment else ""]))
        if not fitting:
            raise UnknownDeployment(f"No deployment {where} is under way.".replace("  ", " "))
        if len(fitting) > 1:
            names = [f"#{deployment.number}" for deployment in fitting[:3]]
            raise BadCommand(
                f"{len(fitting)} deployments {where} are under way; say which one.".replace("  ", " "),
                suggestions=names,
                hint=f"`/deploy abort {names[0]}`",
            )
        return fitting[0]

    async def history(
        self, service: ServiceName, environment: EnvironmentName | None = None, *, limit: int = 10
    ) -> Sequence[Deployment]:
        """Deployments of a service, newest first."""
        return await self.deployments.history(service, environment, limit=limit)

    async def where(
        self, service: ServiceName | None = None, environment: EnvironmentName | None = None
    ) -> Sequence[Placement]:
        """What runs where."""
        catalog = self.catalogs.current()
        keys = [
            (found.name, place.name)
            for found, place in catalog.places()
            if service in {None, found.name} and environment in {None, place.name}
        ]
        return await self.releases.placements(keys)

    async def queues(
        self, service: ServiceName | None = None, environment: EnvironmentName | None = None
    ) -> Sequence[tuple[LockScope, Deployment | None, Sequence[Deployment]]]:
        """For each lock that is had or waited for: who has it, who waits in which order, and last whom a gate holds."""
        under_way = await self.under_way(service, environment)
        found = []
        for scope in dict.fromkeys(deployment.scope for deployment in under_way):
            holder, queue = await self.deployments.holder(scope), await self.deployments.queue(scope)
            held = [one for one in under_way if one.scope == scope and one.phase is Phase.HELD]
            if holder or queue or held:
                found.append((scope, holder, [*queue, *held]))
        return found

    async def overview(self, viewer: Membership | None = None) -> Overview:
        """What the Home tab tells; to ``viewer``, if that is known, also what waits for their word."""
        active = await self.deployments.active()
        to_approve = [] if viewer is None else await self._to_approve(active, viewer)
        first = sorted(active, key=lambda deployment: deployment.id not in to_approve)
        shown = [await self.view_of(deployment) for deployment in first[:_HOME_ROWS]]
        at, catalog = self.ledger.now(), self.catalogs.current()
        return Overview(
            running=shown,
            placements=await self.where(),
            attention=[deployment.id for deployment in active if _needs_somebody(deployment)],
            at=at,
            to_approve=to_approve,
            locks=await self.locks.current(at=at),
            freezes=await self.freezes.current(at=at),
            scheduled=await self.schedules.all(),
            windows=_windows(catalog, at),
            to_review=[] if viewer is None else await self._to_review(viewer),
        )

    async def _to_approve(self, active: Sequence[Deployment], viewer: Membership) -> list[DeploymentId]:
        found = []
        for deployment in active:
            if deployment.phase is Phase.AWAITING_APPROVAL and self.gatekeeper.may_approve(viewer, deployment):
                tally = await self.gatekeeper.tally_of(deployment)
                if tally is None or not any(one.same_as(viewer.actor) for one in tally.by):
                    found.append(deployment.id)
        return found

    async def _to_review(self, viewer: Membership) -> list[Override]:
        return [
            one
            for one in await self.overrides.to_review()
            if not one.by.same_as(viewer.actor)
            and any(
                may(
                    self.catalogs.current().rules,
                    viewer,
                    action,
                    service=one.service,
                    environment=one.environment,
                ).allowed
                for action in (Action.BREAK_GLASS, Action.CONFIGURE)
            )
        ]

    async def _forecast(self, deployment: Deployment) -> Forecast:
        return await self.insight.forecast(
            self.catalogs.current(),
            deployment.service,
            deployment.environment,
            deployment.release,
            deployment.plan,
            await self.gatekeeper.ask(deployment, artifact=False),
        )

    async def _blocking(self, deployment: Deployment) -> Sequence[StickyLock]:
        at = self.ledger.now()
        there = covering(await self.locks.current(at=at), deployment.service, deployment.environment, at)
        return decide(there, deployment.requester).holding

    async def _queue(self, deployment: Deployment) -> QueueView | None:
        waiting = await self.deployments.queue(deployment.scope)
        ids = [other.id for other in waiting]
        if deployment.id not in ids:
            return None
        index = ids.index(deployment.id)
        usual = await self._usual_duration(deployment)
        return QueueView(
            position=index + 1,
            length=len(waiting),
            holder=await self.deployments.holder(deployment.scope),
            ahead=waiting[index - 1] if index else None,
            expected_wait=usual * (index + 1) if usual is not None else None,
        )

    async def _usual_duration(self, deployment: Deployment) -> float | None:
        past = await self.deployments.history(deployment.service, deployment.environment, limit=_RECENT * 2)
        durations = [
            (end.at - begin.at).total_seconds()
            for other in past
            if (end := other.reached(Phase.SUCCEEDED)) and (begin := other.reached(Phase.DEPLOYING))
        ]
        return median(durations[:_RECENT]) if durations else None

    async def _taken_back_by(self, deployment: Deployment) -> Deployment | None:
        if deployment.phase not in {Phase.ROLLING_BACK, Phase.ROLLED_BACK}:
            return None
        for other in await self.deployments.history(deployment.service, deployment.environment, limit=_RECENT):
            if other.rollback_of == deployment.id and other.phase is not Phase.ABORTED:
                return other
        return None


def _windows(catalog: Catalog, at: datetime) -> list[tuple[str, WindowDecision]]:
    """Whether each environment with windows is open; by services, where these have not the same windows."""
    found: list[tuple[str, WindowDecision]] = []
    for environment in (one for one in catalog.environments.values() if one.windows):
        alike: dict[tuple[Window, ...], list[str]] = {}
        for service, place in catalog.places():
            if place.name == environment.name:
                windows = tuple(window for window in environment.windows if window.covers(service.name))
                alike.setdefault(windows, []).append(service.name)
        for windows, services in alike.items():
            label = environment.name if len(alike) == 1 else f"{environment.name} ({', '.join(services)})"
            if windows:
                found.append((label, is_open(windows, at)))
    return found


def _needs_somebody(deployment: Deployment) -> bool:
    """Whether it stays where it is until a person does something."""
    if deployment.phase is Phase.HELD:
        return deployment.hold is not None and not deployment.hold.resumes
    if deployment.phase is Phase.PAUSED and (going := deployment.progression) is not None:
        return going.question is not None or going.position.held is not None
    return deployment.phase is Phase.NEEDS_ATTENTION
