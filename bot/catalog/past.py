"""The configuration as it is and as it was: what a deployment began with can be read for as long as it may need it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.catalog.load import parse
from bot.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.catalog.options import Providers
    from bot.catalog.watch import LiveCatalog
    from bot.domain.catalog import Catalog
    from bot.ports.revisions import CatalogRevisions


@dataclass(kw_only=True)
class CatalogWithPast:
    """The live catalog, and every revision that a deployment began with."""

    live: LiveCatalog
    revisions: CatalogRevisions
    providers: Callable[[], Providers]
    """What can be configured now, for reading what was configured then."""
    _past: dict[str, Catalog] = field(default_factory=dict)

    def current(self) -> Catalog:
        """The last good configuration."""
        return self.live.current()

    async def at(self, revision: str) -> Catalog:
        """The configuration of that revision."""
        current = self.live.current()
        if current.revision == revision:
            return current
        if found := self.live.revision(revision) or self._past.get(revision):
            return found
        kept = await self.revisions.text(revision)
        if kept is None:
            raise ConfigurationError(f"The configuration {revision[:12]} that this deployment began with is gone.")
        name, text = kept
        self._past[revision] = catalog = parse(text, name, self.providers())
        return catalog

    async def keep_current(self) -> None:
        """Store the text of the current revision, before any deployment begins with it."""
        await self.revisions.save(self.live.current().revision, name=self.live.name, text=self.live.text)
