"""How things stand, for the bot's own metrics, asked of the small indexes: a million past deployments cost nothing.

Must not know what is made of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, literal_column, select

from bot.domain.ids import EnvironmentName
from bot.domain.lifecycle import Phase
from bot.ports.telemetry import Crowd, Standing
from bot.store.tables import deployments, events, leases

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store.engine import Database

_KNOWN = {phase.value for phase in Phase}
_REPLICA = "executor:"
"""What the lease of a replica whose heart beats is named after."""


def under_way() -> Select[Any]:
    """Every deployment under way with when it came into its phase."""
    came = and_(
        events.c.deployment_id == deployments.c.id,
        events.c.after == deployments.c.phase,
        events.c.kind.in_(("phase", "requested")),
    )
    return (
        select(deployments.c.environment, deployments.c.phase, func.max(events.c.at).label("since"))
        .join(events, came)
        .where(literal_column("active"))
        .group_by(deployments.c.id, deployments.c.environment, deployments.c.phase)
    )


def untold_for_longest() -> Select[Any]:
    """Since when there is something that Slack does not show."""
    return select(func.min(deployments.c.untold_since)).where(literal_column("view > told_view"))


class StoredOverview:
    """`bot.ports.telemetry.Overview` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def standing(self, *, at: datetime) -> Standing:
        """How things stand; see the port."""
        beating = (
            select(func.count())
            .select_from(leases)
            .where(leases.c.ends_at > at, func.substr(leases.c.name, 1, len(_REPLICA)) == _REPLICA)
        )

        async def look(connection: AsyncConnection) -> Standing:
            crowds: dict[tuple[EnvironmentName, Phase], Crowd] = {}
            for environment, phase, since in await connection.execute(under_way()):
                if phase not in _KNOWN:
                    continue  # of a newer build
                key = (EnvironmentName(environment), Phase(phase))
                known = crowds.get(key, Crowd(count=0, since=since))
                crowds[key] = Crowd(count=known.count + 1, since=min(known.since, since))
            untold = (await connection.execute(untold_for_longest())).scalar_one()
            replicas = (await connection.execute(beating)).scalar_one()
            return Standing(at=at, crowds=crowds, untold_since=untold, replicas=replicas)

        return await self._database.read(look)
