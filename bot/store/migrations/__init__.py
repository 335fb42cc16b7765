"""Brings the database to the schema of this build, once, however many replicas start at the same time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from bot.domain.errors import ConfigurationError
from bot.store.tables import SCHEMA

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store.engine import Database

_LOCK = 5_207_613_909_418_377_217
"""Names our advisory lock among everybody else's in the same PostgreSQL database."""


async def migrate(database: Database, *, to: str = "head") -> str | None:
    """Bring the schema to ``to``; returns the revision that it had before (None: an empty database).

    Raises `ConfigurationError` when a newer build has been here, and then changes nothing.
    """
    before = await revision_of(database)
    if before == SCHEMA and to == "head":
        return before

    async def work(connection: AsyncConnection) -> str | None:
        if database.dialect == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            await connection.execute(text("SET LOCAL statement_timeout = 0"))
        # On SQLite the transaction holds the write lock from its beginning.
        return await connection.run_sync(_upgrade, to, database.shown)

    return await database.write(work)


async def check_schema(database: Database) -> None:
    """Raise `ConfigurationError` unless the schema is the one that this build works with."""
    found = await revision_of(database)
    if found == SCHEMA:
        return
    if found is None:
        raise ConfigurationError(f"The database {database.shown} is empty. Run `deployment-architect migrate`.")
    _refuse_newer(found, database.shown)
    raise ConfigurationError(
        f"The database {database.shown} has the older schema {found}, this build needs {SCHEMA}. "
        "Run `deployment-architect migrate`."
    )


async def revision_of(database: Database) -> str | None:
    """The revision of the schema that is there; None when there is none."""

    async def look(connection: AsyncConnection) -> str | None:
        return await connection.run_sync(_revision)

    return await database.read(look)


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's settings for our migrations, on that connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _upgrade(connection: Connection, to: str, shown: str) -> str | None:
    from alembic import command

    before = _revision(connection)
    if before is not None:
        _refuse_newer(before, shown)
    command.upgrade(alembic_config(connection), to)
    return before


def _refuse_newer(found: str, shown: str) -> None:
    from alembic.script import ScriptDirectory

    known = {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}
    if found not in known:
        raise ConfigurationError(
            f"The database {shown} has the schema {found}, which this build does not know: a newer build has migrated "
            "it. Start that build, or restore a backup from before."
        )
