"""Texts of the catalog that deployments began with."""

from __future__ import annotations

from typing import Protocol


class CatalogRevisions(Protocol):
    """Catalog texts by their digest, kept as long as a deployment refers to them."""

    async def save(self, revision: str, *, name: str, text: str) -> None:
        """Keep a text; saving it again changes nothing."""

    async def text(self, revision: str) -> tuple[str, str] | None:
        """Name of the file and its text, or None when that revision is unknown."""
