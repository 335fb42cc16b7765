"""Reads the audit: verifies its chain and exports it, page by page, while others append.

Must not trust what it reads: a row may hold anything that its database can.
"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from bot.domain.audit import COLUMNS, ChainCheck, ChainHead
from bot.domain.errors import StoreError
from bot.store.chain import READ_HEAD, append

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from sqlalchemy import TextClause
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.domain.audit import AuditEntry, AuditVerdict
    from bot.ports.audit import Format
    from bot.store.engine import Database

_PAGE = 1000
_ROUNDS = 100
"""How often the end is looked for while others append."""
_LAST = 2**63 - 1


class StoredAudit:
    """`bot.ports.audit.AuditLog` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pages = _sqlite_page() if database.dialect == "sqlite" else _postgresql_page()

    async def append(self, entry: AuditEntry) -> ChainHead:
        """Record an act that changes no row of ours."""

        async def work(connection: AsyncConnection) -> ChainHead | None:
            return await append(connection, [entry])

        head = await self._database.write(work)
        assert head is not None
        return head

    async def head(self) -> ChainHead:
        """The newest row; raises `StoreError` when the head is gone."""
        found = await self._head()
        if found is None:
            raise StoreError("The head of the audit is gone. Run `deployment-architect audit verify`.")
        return found

    async def verify(self, *, against: ChainHead | None = None) -> AuditVerdict:
        """Look at every row; with ``against``, also whether the chain still goes through that head."""
        check = ChainCheck(against=against)
        for _ in range(_ROUNDS):
            stored = await self._head()
            if not await self._follow(check, up_to=stored.sequence if stored else _LAST):
                break
            if stored is None:
                check.fail(None, "The head of the chain is gone; its rows are as they were written.")
                break
            if not check.ends_at(stored):
                break
            beyond = await self._first_after(stored.sequence)
            if beyond is None:
                break
            # Somebody appends, and then the head has gone on too; or the row was put there past us.
            moved = await self._head()
            if moved is None or moved.sequence < beyond:
                check.fail(beyond, f"Row {beyond} was put in: the chain ends with row {stored.sequence}.")
                break
        return check.verdict()

    async def export(self, *, format: Format) -> AsyncIterator[str]:  # noqa: A002 - the word that people type
        """Every row up to now, oldest first, in pieces of text that end with a line."""
        stored = await self._head()
        write = _csv_lines if format == "csv" else _json_lines
        if format == "csv":
            yield _csv_lines([("sequence", COLUMNS)])
        last = 0
        while page := await self._page(last, stored.sequence if stored else _LAST):
            yield write([(sequence, _readable(values)) for sequence, _, values in page])
            last = page[-1][0]

    async def _follow(self, check: ChainCheck, *, up_to: int) -> bool:
        """Look at the rows from where ``check`` is; False once one is broken."""
        last = check.head.sequence
        # Before the first row there must be none either.
        last = last or -_LAST
        while page := await self._page(last, up_to):
            for sequence, sound, values in page:
                if not check.follow(sequence, _exact(values) if sound else None):
                    return False
            last = page[-1][0]
        return True

    async def _head(self) -> ChainHead | None:
        async def look(connection: AsyncConnection) -> ChainHead | None:
            row = (await connection.execute(READ_HEAD)).first()
            return None if row is None else ChainHead(row.sequence, row.hash)

        return await self._database.read(look)

    async def _first_after(self, sequence: int) -> int | None:
        page = await self._page(sequence, _LAST, limit=1)
        return page[0][0] if page else None

    async def _page(self, after: int, up_to: int, *, limit: int = _PAGE) -> list[tuple[int, bool, Sequence[Any]]]:
        async def look(connection: AsyncConnection) -> list[tuple[int, bool, Sequence[Any]]]:
            bounds = {"after": after, "up_to": up_to, "limit": limit}
            rows = (await connection.execute(self._pages, bounds)).all()
            return [(row[0], bool(row[1]), row[2:]) for row in rows]

        return await self._database.read(look)


def _postgresql_page() -> TextClause:
    return _page_of("TRUE", ", ".join(f'"{name}"' for name in COLUMNS))


def _sqlite_page() -> TextClause:
    # As bytes: SQLite keeps what it is given, text that is none included, and the driver would stumble over that.
    sound = " AND ".join(f"typeof(\"{name}\") = 'text'" for name in COLUMNS)
    return _page_of(sound, ", ".join(f'CAST("{name}" AS BLOB)' for name in COLUMNS))


def _page_of(sound: str, columns: str) -> TextClause:
    # Only names of our own columns are put together here.
    return text(
        f"SELECT sequence, {sound}, {columns} FROM audit "  # noqa: S608 - no value in it
        "WHERE sequence > :after AND sequence <= :up_to ORDER BY sequence LIMIT :limit"
    )


def _exact(values: Sequence[Any]) -> dict[str, str] | None:
    """The fields of a row as they are; None when one is no text."""
    try:
        return {
            name: value.decode() if isinstance(value, bytes) else value
            for name, value in zip(COLUMNS, values, strict=True)
        }
    except UnicodeDecodeError:
        return None


def _readable(values: Sequence[Any]) -> list[str]:
    """The fields for people, also where one is damaged."""
    return [
        value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value or "") for value in values
    ]


def _json_lines(rows: Sequence[tuple[int | str, Sequence[str]]]) -> str:
    return "".join(
        json.dumps({"sequence": sequence, **dict(zip(COLUMNS, values, strict=True))}) + "\n"
        for sequence, values in rows
    )


def _csv_lines(rows: Sequence[tuple[int | str, Sequence[str]]]) -> str:
    to = io.StringIO()
    writer = csv.writer(to, lineterminator="\n")
    writer.writerows((sequence, *(_inert(value) for value in values)) for sequence, values in rows)
    return to.getvalue()


def _inert(value: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
