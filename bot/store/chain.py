"""Appends to the audit's chain, in the transaction of the act that is recorded.

Must be the last thing that a transaction does: whoever has the head has everybody else waiting until it commits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, insert, select, update

from bot.domain.audit import ChainHead, link
from bot.domain.errors import StoreError
from bot.store.tables import audit, audit_head

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.domain.audit import AuditEntry

_NAME = "audit"
READ_HEAD = select(audit_head.c.sequence, audit_head.c.hash).where(audit_head.c.name == _NAME)
"""The stored head. At most one row."""
# SQLite ignores the lock: its transactions write one at a time anyway.
_TAKE_HEAD = READ_HEAD.with_for_update()
_APPEND = insert(audit)
_MOVE_HEAD = (
    update(audit_head)
    .where(audit_head.c.name == _NAME)
    .values(sequence=bindparam("to_sequence"), hash=bindparam("to_hash"))
)


async def append(connection: AsyncConnection, entries: Sequence[AuditEntry]) -> ChainHead | None:
    """Chain these entries in their order; the new head. Raises `StoreError` when the head is gone."""
    if not entries:
        return None
    found = (await connection.execute(_TAKE_HEAD)).first()
    if found is None:
        raise StoreError(
            "The head of the audit is gone, so nothing can be recorded and nothing was changed. See audit."
        )
    head = ChainHead(found.sequence, found.hash)
    rows = []
    for entry in entries:
        row, head = link(entry, head)
        rows.append({"sequence": head.sequence, **row})
    await connection.execute(_APPEND, rows)
    await connection.execute(_MOVE_HEAD, {"to_sequence": head.sequence, "to_hash": head.hash})
    return head
