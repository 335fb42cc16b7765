"""Appends to the audit's chain, in the transaction of the act that is recorded.

Must be the last thing that a transaction does: whoever has the head has everybody else waiting until it commits.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, insert, select, update

from bot.domain.audit import ChainHead, link
from bot.domain.errors import StoreError
from bot.store.tables import audit, audit_head, messages

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

_OF_DEPLOYMENT = "deployment:"
_CARDS = select(messages.c.deployment_id, messages.c.channel, messages.c.ts).where(
    messages.c.deployment_id.in_(bindparam("ids", expanding=True)),
    messages.c.key == "root",
    messages.c.ts.is_not(None),
)


async def append(connection: AsyncConnection, entries: Sequence[AuditEntry]) -> ChainHead | None:
    """Chain these entries in their order; the new head. Raises `StoreError` when the head is gone."""
    if not entries:
        return None
    entries = await _linked(connection, entries)  # before others have to wait for the head
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


async def _linked(connection: AsyncConnection, entries: Sequence[AuditEntry]) -> Sequence[AuditEntry]:
    """The entries with the place of the card that tells of their deployment, where there is one by now."""
    ids = {entry.object.removeprefix(_OF_DEPLOYMENT) for entry in entries if entry.object.startswith(_OF_DEPLOYMENT)}
    if not ids:
        return entries
    cards = {
        f"{_OF_DEPLOYMENT}{row.deployment_id}": f"archives/{row.channel}/p{row.ts.replace('.', '')}"
        for row in await connection.execute(_CARDS, {"ids": sorted(ids)})
    }
    return [
        replace(entry, deed=replace(entry.deed, permalink=entry.deed.permalink or cards.get(entry.object, "")))
        for entry in entries
    ]
