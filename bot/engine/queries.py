"""What people can ask to see. Reading only."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from bot.domain.errors import BadCommand, UnknownDeployment
from bot.domain.ids import DeploymentId
from bot.domain.lifecycle import Phase
from bot.domain.view import DeploymentView, Overview, QueueView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.deployment import Deployment
    from bot.domain.history import Placement
    from bot.domain.ids import EnvironmentName, LockScope, ServiceName
    from bot.engine.ledger import Ledger
    from bot.ports.deployments import Deployments, Releases
    from bot.ports.providers import CatalogSource

_RECENT = 10
"""Deployments whose durations make the expected wait."""
_HOME_ROWS = 20


@dataclass(kw_only=True)
class Queries:
    """Read-only use cases."""

    ledger: Ledger
    deployments: Deployments
    releases: Releases
    catalogs: CatalogSource

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
        return DeploymentView(
            deployment=deployment,
            protected=bool(environment and environment.protected),
            queue=await self._queue(deployment) if deployment.phase is Phase.QUEUED else None,
            current=current,
            rollback_to=back_to,
            takes_back=takes_back,
            taken_back_by=await self._taken_back_by(deployment),
        )

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
        """For each lock that is held or waited for: its holder, and who waits in which order."""
        scopes = dict.fromkeys(deployment.scope for deployment in await self.under_way(service, environment))
        return [(scope, await self.deployments.holder(scope), await self.deployments.queue(scope)) for scope in scopes]

    async def overview(self) -> Overview:
        """What the Home tab tells."""
        active = await self.deployments.active()
        shown = [await self.view_of(deployment) for deployment in active[:_HOME_ROWS]]
        return Overview(
            running=shown,
            placements=await self.where(),
            attention=[deployment.id for deployment in active if deployment.phase is Phase.NEEDS_ATTENTION],
            at=self.ledger.now(),
        )

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
