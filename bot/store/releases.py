"""What runs where, and what was proven healthy there. Must not judge whether a rollback is wise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import literal_column, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from bot.store.codec import placement_of, placement_row, proven_of, proven_row
from bot.store.tables import placements, proven

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.domain.history import Placement, ProvenRelease
    from bot.domain.ids import EnvironmentName, ServiceName
    from bot.domain.release import Release
    from bot.store.engine import Database


_NAMED = 100
"""Places up to which each is named in the question; more are most of all there are, and soon more than may be named."""
_LATEST = 20
"""Proven releases among which one of the same name is looked for, to tell that it was another artifact."""


def good_releases(
    service: str, environment: str, *, other_than: str = "", exactly: str | None = None, limit: int = 1
) -> Select[Any]:
    """The releases proven last that have another digest (or ``exactly`` that one) and were not taken back."""
    return (
        select(proven)
        .where(
            literal_column("retired_at IS NULL"),
            proven.c.service == service,
            proven.c.environment == environment,
            proven.c.digest != other_than,
            *([proven.c.digest == exactly] if exactly else []),
        )
        .order_by(proven.c.proven_at.desc(), proven.c.sequence.desc())
        .limit(literal_column(str(int(limit))))
    )


class StoredReleases:
    """`bot.ports.deployments.Releases` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        insert = sqlite_insert if database.dialect == "sqlite" else postgresql_insert
        place = insert(placements)
        self._place = place.on_conflict_do_update(
            index_elements=["service", "environment"],
            set_={name: place.excluded[name] for name in ("since", "deployment_id", "body")},
        )
        self._prove = insert(proven).on_conflict_do_nothing()

    async def placements(
        self, keys: Collection[tuple[ServiceName, EnvironmentName]] | None = None
    ) -> Sequence[Placement]:
        """What runs where, for the given places or for all; by service and environment."""
        if keys is not None and not keys:
            return []
        wanted = None if keys is None else set(keys)
        statement = select(placements).order_by(placements.c.service, placements.c.environment)
        if wanted is not None and len(wanted) <= _NAMED:
            statement = statement.where(tuple_(placements.c.service, placements.c.environment).in_(sorted(wanted)))

        async def look(connection: AsyncConnection) -> list[Placement]:
            rows = (await connection.execute(statement)).mappings()
            return [
                placement_of(row) for row in rows if wanted is None or (row["service"], row["environment"]) in wanted
            ]

        return await self._database.read(look)

    async def place(self, placement: Placement) -> None:
        """Record what runs in a place now."""
        await self._execute(self._place, placement_row(placement))

    async def prove(self, proven: ProvenRelease) -> None:
        """Record that a release was proven healthy; once for each deployment.

        One that ran before the bot came counts once for as long as it was not taken back.
        """
        await self._execute(self._prove, proven_row(proven))

    async def retire(
        self, service: ServiceName, environment: EnvironmentName, release: Release, *, at: datetime
    ) -> None:
        """Record that a release was taken back there: no rollback will choose it until it is proven anew."""
        statement = (
            update(proven)
            .where(
                literal_column("retired_at IS NULL"),
                proven.c.service == service,
                proven.c.environment == environment,
                proven.c.digest == release.artifact.digest,
            )
            .values(retired_at=at)
        )
        await self._execute(statement, None)

    async def proven(
        self, service: ServiceName, environment: EnvironmentName, release: Release
    ) -> Sequence[ProvenRelease]:
        """The proof of exactly ``release`` there, else those of the last few releases; none that was taken back."""
        exactly = good_releases(service, environment, exactly=release.artifact.digest)
        latest = good_releases(service, environment, limit=_LATEST)

        async def look(connection: AsyncConnection) -> list[ProvenRelease]:
            found = (await connection.execute(exactly)).mappings().all()
            found = found or (await connection.execute(latest)).mappings().all()
            return [proven_of(row) for row in found]

        return await self._database.read(look)

    async def rollback_target(
        self,
        service: ServiceName,
        environment: EnvironmentName,
        *,
        other_than: Release,
        exactly: Release | None = None,
    ) -> ProvenRelease | None:
        """The release proven healthy last that is not ``other_than`` nor was taken back; only ``exactly`` if given."""
        statement = good_releases(
            service,
            environment,
            other_than=other_than.artifact.digest,
            exactly=exactly.artifact.digest if exactly else None,
        )

        async def look(connection: AsyncConnection) -> ProvenRelease | None:
            row = (await connection.execute(statement)).mappings().first()
            return None if row is None else proven_of(row)

        return await self._database.read(look)

    async def _execute(self, statement: Any, row: dict[str, Any] | None) -> None:
        async def work(connection: AsyncConnection) -> None:
            await connection.execute(statement, row)

        await self._database.write(work)
