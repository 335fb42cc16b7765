"""The open store: every repository of one process, and the certainty that no other process has the same name."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine

from bot.domain.errors import ConfigurationError
from bot.store.alerts import StoredAlerts
from bot.store.audit import StoredAudit
from bot.store.ballots import StoredBallots
from bot.store.deployments import StoredDeployments
from bot.store.engine import Database, look_into_file
from bot.store.faults import DATABASE_FAULTS, understand
from bot.store.freezes import StoredFreezes
from bot.store.gates import StoredGates
from bot.store.inbox import StoredInbox
from bot.store.leases import StoredLeases
from bot.store.locks import StoredLocks
from bot.store.markers import StoredMarkers
from bot.store.messages import StoredMessages
from bot.store.migrations import migrate
from bot.store.notices import StoredNotices
from bot.store.overrides import StoredOverrides
from bot.store.readings import StoredReadings
from bot.store.releases import StoredReleases
from bot.store.revisions import StoredCatalogRevisions
from bot.store.schedules import StoredSchedules

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncConnection

_PATIENCE = 3.0
"""Seconds that a process which is just ending may still hold the name."""


@dataclass(frozen=True, kw_only=True)
class Store:
    """Everything that is kept, behind the protocols of `bot.ports`."""

    database: Database
    deployments: StoredDeployments
    releases: StoredReleases
    messages: StoredMessages
    inbox: StoredInbox
    leases: StoredLeases
    revisions: StoredCatalogRevisions
    audit: StoredAudit
    locks: StoredLocks
    freezes: StoredFreezes
    ballots: StoredBallots
    schedules: StoredSchedules
    overrides: StoredOverrides
    notices: StoredNotices
    readings: StoredReadings
    alerts: StoredAlerts
    markers: StoredMarkers
    gates: StoredGates

    @property
    def shared(self) -> bool:
        """Whether other replicas may write to the same database."""
        return self.database.dialect == "postgresql"

    @property
    def durable_url(self) -> str:
        """Where the durable workflows are kept: beside our file, or in a schema of their own."""
        if self.database.address.path is not None:
            return f"sqlite:///{_workflows(self.database.address.path)}"
        return self.database.address.url.set(drivername="postgresql").render_as_string(hide_password=False)

    async def ping(self) -> None:
        """Raise `StoreError` unless the database answers."""
        await self.database.ping()

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, url: str, *, replica: str) -> AsyncIterator[Store]:
        """The store, migrated to this build's schema, until the block is left.

        Raises `ConfigurationError` when another live process uses the same file, or the same ``replica`` name in the
        same database: two processes that resume the same workflows would both act on them.
        """
        async with contextlib.AsyncExitStack() as stack:
            database = await stack.enter_async_context(await Database.open(url))
            await stack.enter_async_context(_alone(database, replica))
            await migrate(database)
            if database.address.path is not None:
                # With the log, which the file then keeps, those who read the workflows do not hold up who writes them.
                workflows = replace(database.address, path=_workflows(database.address.path))
                await asyncio.to_thread(look_into_file, workflows, read_only=False)
            yield cls(
                database=database,
                deployments=StoredDeployments(database),
                releases=StoredReleases(database),
                messages=StoredMessages(database),
                inbox=StoredInbox(database),
                leases=StoredLeases(database),
                revisions=StoredCatalogRevisions(database),
                audit=StoredAudit(database),
                locks=StoredLocks(database),
                freezes=StoredFreezes(database),
                ballots=StoredBallots(database),
                schedules=StoredSchedules(database),
                overrides=StoredOverrides(database),
                notices=StoredNotices(database),
                readings=StoredReadings(database),
                alerts=StoredAlerts(database),
                markers=StoredMarkers(database),
                gates=StoredGates(database),
            )


def _workflows(path: Path) -> Path:
    """The file of the durable workflows beside our own."""
    return path.with_suffix(".workflows.sqlite")


@contextlib.asynccontextmanager
async def _alone(database: Database, replica: str) -> AsyncIterator[None]:
    """Hold the name. The holder's death gives it back at once, however it dies."""
    path = database.address.path
    if path is not None:
        with path.with_suffix(".lock").open("a") as lock:
            try:
                await _patiently(lambda: fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB))
            except BlockingIOError:
                raise ConfigurationError(
                    f"Another bot is using {path}. Stop it first, or use PostgreSQL to run several."
                ) from None
            yield
        return
    # A connection of its own: the lock lasts as long as the session does.
    engine = create_async_engine(database.address.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    async with contextlib.AsyncExitStack() as stack:
        try:
            connection = await stack.enter_async_context(engine.connect())
        except DATABASE_FAULTS as error:
            raise understand(error, database.address).error from error
        for _ in range(int(_PATIENCE / 0.1)):
            if await _take(connection, replica):
                break
            await asyncio.sleep(0.1)
        else:
            raise ConfigurationError(
                f"Another replica is running under the name {replica}. Give this one another EXECUTOR_ID."
            )
        yield


async def _take(connection: AsyncConnection, replica: str) -> bool:
    statement = text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))")
    found = await connection.execute(statement, {"name": f"deployment-architect:{replica}"})
    return bool(found.scalar_one())


async def _patiently(attempt: Callable[[], None]) -> None:
    for _ in range(int(_PATIENCE / 0.1)):
        with contextlib.suppress(BlockingIOError):
            attempt()
            return
        await asyncio.sleep(0.1)
    attempt()
