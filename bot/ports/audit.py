"""The record of every act, chained so that nobody can change it unseen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.domain.audit import AuditEntry, AuditVerdict, ChainHead

Format = Literal["jsonl", "csv"]


class AuditLog(Protocol):
    """The audit. What the store writes is recorded by the store itself, in the same transaction."""

    async def append(self, entry: AuditEntry) -> ChainHead:
        """Record an act that changes no row of ours: a refusal, a use of break glass, a new configuration."""

    async def head(self) -> ChainHead:
        """The newest row; to be kept elsewhere, where who may write the database may not."""

    async def verify(self, *, against: ChainHead | None = None) -> AuditVerdict:
        """Look at every row; with ``against``, also whether the chain still goes through that head."""

    def export(self, *, format: Format) -> AsyncIterator[str]:  # noqa: A002 - the word that people type
        """Every row up to now, oldest first, in pieces of text that end with a line."""
