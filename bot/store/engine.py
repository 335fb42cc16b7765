"""The connection to the database: transactions, retries, and errors that people can read.

SQLite gets one writer and a few readers, so that any number of callers queue up here instead of finding the file
locked. Must not know what is stored.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import create_async_engine

from bot.domain.errors import ConfigurationError, StoreError
from bot.store.address import read_address
from bot.store.faults import DATABASE_FAULTS, understand

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from bot.store.address import Address, Dialect

T = TypeVar("T")

TRIES = 5
"""How often work is begun anew when the database was merely busy."""
_RECONNECTS = 1
_POOL_TIMEOUT = 30.0
_BUSY_MILLISECONDS = 10_000
_SQLITE_READERS = 4
_POSTGRESQL_CONNECTIONS = 10
_PING = text("SELECT 1")


class Interrupted(Exception):
    """The connection broke during a commit: what was written may or may not be there. Never leaves the store."""


class Database:
    """An open database. Belongs to the event loop that opened it."""

    def __init__(self, address: Address, *, writer: AsyncEngine, reader: AsyncEngine, read_only: bool) -> None:
        self.address = address
        self._writer = writer
        self._reader = reader
        self.read_only = read_only

    @classmethod
    async def open(cls, url: str, *, read_only: bool = False) -> Self:
        """Connect and look whether it answers.

        Takes ``sqlite:///path`` (folders are made) and ``postgresql://…``. With ``read_only`` nothing can be written.
        Raises `ConfigurationError` for what an operator must mend and `StoreError` when it does not answer.
        """
        address = read_address(url)
        if address.dialect == "sqlite":
            await asyncio.to_thread(look_into_file, address, read_only=read_only)
            writer, reader = _sqlite_engines(address, read_only=read_only)
        else:
            writer, reader = _postgresql_engines(address, read_only=read_only)
        database = cls(address, writer=writer, reader=reader, read_only=read_only)
        try:
            await database.ping()
        except BaseException:
            await database.close()
            raise
        return database

    @property
    def dialect(self) -> Dialect:
        """Which of the two it is."""
        return self.address.dialect

    @property
    def shown(self) -> str:
        """Where it is, for people and logs; never with a password."""
        return self.address.shown

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give every connection back."""
        await self._writer.dispose()
        if self.dialect == "sqlite":
            await self._reader.dispose()

    async def ping(self) -> None:
        """Raise `StoreError` or `ConfigurationError` unless it answers now."""

        async def look(connection: AsyncConnection) -> None:
            await connection.execute(_PING)

        await self.read(look)

    async def read(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Do ``work`` where every statement sees what is committed; raises `StoreError`."""

        async def once() -> T:
            async with self._reader.connect() as connection:
                return await work(connection)

        return await self._retrying(once)

    async def write(self, work: Callable[[AsyncConnection], Awaitable[T]], *, repeatable: bool = True) -> T:
        """Do ``work`` in one transaction; raises `StoreError`, and then nothing was changed.

        ``work`` is begun anew when the database was busy or the connection broke. If it broke during the commit it is
        begun anew only if ``repeatable`` says that doing it twice is the same as doing it once; else `Interrupted`.
        """

        async def once() -> T:
            async with self._writer.connect() as connection:
                result = await work(connection)
                try:
                    await connection.commit()
                except DATABASE_FAULTS as error:
                    if not repeatable and understand(error, self.address).dropped:
                        raise Interrupted from error
                    raise
                return result

        return await self._retrying(once)

    async def _retrying(self, once: Callable[[], Awaitable[T]]) -> T:
        reconnects = 0
        for attempt in range(1, TRIES + 1):
            try:
                return await once()
            except DATABASE_FAULTS as error:
                fault = understand(error, self.address)
                reconnects += fault.dropped
                if not fault.transient or attempt == TRIES or reconnects > _RECONNECTS:
                    raise fault.error from error
            # Those who met in a deadlock must not meet again.
            await asyncio.sleep(random.uniform(0.005, 0.03) * attempt)  # noqa: S311 - spreads callers, hides nothing
        raise AssertionError("unreachable")  # pragma: no cover


def look_into_file(address: Address, *, read_only: bool) -> None:
    """Raise `ConfigurationError` or `StoreError` unless the file can be used; a writable one gets a write-ahead log.

    Before the asynchronous driver: that one leaves a thread behind when it cannot connect, which complains later.
    """
    path = address.path
    assert path is not None
    if read_only and not path.exists():
        raise StoreError(f"There is no database {path} yet.")
    if not read_only:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = (error.strerror or "it is refused").lower()
            raise ConfigurationError(
                f"The folder {path.parent} for the database cannot be made: {reason}. Name another one."
            ) from None
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=_BUSY_MILLISECONDS / 1000)) as connection:
            # SQLite opens lazily: only a look at its content tells whether it is a database.
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if not read_only:
                connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.Error as error:
        raise understand(error, address).error from error


def _sqlite_engines(address: Address, *, read_only: bool) -> tuple[AsyncEngine, AsyncEngine]:
    url = address.url
    if read_only:
        url = url.set(database=f"file:{quote(str(address.path))}", query={**url.query, "mode": "ro", "uri": "true"})
    common: dict[str, Any] = {"hide_parameters": True, "pool_timeout": _POOL_TIMEOUT, "max_overflow": 0}
    # In autocommit there is no transaction to roll back, so a connection needs no reset between two uses.
    reader = create_async_engine(
        url, pool_size=_SQLITE_READERS, isolation_level="AUTOCOMMIT", pool_reset_on_return=None, **common
    )
    writer = create_async_engine(url, pool_size=1, **common)

    def prepare(connection: Any, _record: object) -> None:
        # The driver begins transactions by itself, too late and too weak; from here on we say when and how.
        connection.isolation_level = None
        cursor = connection.cursor()
        pragmas = ["foreign_keys = ON", f"busy_timeout = {_BUSY_MILLISECONDS}", "temp_store = MEMORY"]
        pragmas += ["query_only = ON"] if read_only else ["journal_mode = WAL", "synchronous = NORMAL"]
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def begin(connection: Connection) -> None:
        # The write lock at once: a transaction that reads first and then writes could not wait for it any more.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(writer.sync_engine, "connect", prepare)
    event.listen(writer.sync_engine, "begin", begin)
    event.listen(reader.sync_engine, "connect", prepare)
    return writer, reader


def _postgresql_engines(address: Address, *, read_only: bool) -> tuple[AsyncEngine, AsyncEngine]:
    options = {
        "timezone": "UTC",
        "statement_timeout": "30s",
        # A replica that froze in the middle of a transaction must not hold its rows for ever.
        "idle_in_transaction_session_timeout": "60s",
        "default_transaction_read_only": "on" if read_only else "off",
    }
    arguments: dict[str, Any] = {
        "connect_timeout": 5,
        "keepalives_idle": 30,
        "application_name": "deployment-architect",
        "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
    }
    writer = create_async_engine(
        address.url,
        # What the operator wrote into the address wins.
        connect_args={name: value for name, value in arguments.items() if name not in address.url.query},
        hide_parameters=True,
        pool_size=_POSTGRESQL_CONNECTIONS,
        max_overflow=0,
        pool_timeout=_POOL_TIMEOUT,
    )
    return writer, writer.execution_options(isolation_level="AUTOCOMMIT")
