"""The catalog of a running bot: reads the file again when it changes and never runs on a bad one.

Looks instead of listening: a ConfigMap is swapped by a symlink, editors rename a new file into place, and a mounted
folder sends no events; a look each second sees them all. Who is told about a bad file is the caller's affair.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from bot.catalog.document import decoded
from bot.catalog.load import parse, read_bytes
from bot.catalog.problems import CatalogError
from bot.domain.policy.window import NEAR, is_open, next_open, spans

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from bot.catalog.options import Providers
    from bot.domain.catalog import Catalog

logger = logging.getLogger(__name__)

#: Revisions that are kept parsed. Older ones can be made again from their text, which the store has.
_REVISIONS = 16


class LiveCatalog:
    """The catalog as it is now. Opening it raises `CatalogError` when the file is not good to begin with."""

    def __init__(self, path: Path, *, providers: Providers, interval: float = 1.0, settle: float = 0.25) -> None:
        """``interval``: seconds between two looks at the file. ``settle``: seconds that a change must have stood."""
        self._path = path
        self._providers = providers
        self._interval = interval
        self._settle = settle
        self._revisions: OrderedDict[str, Catalog] = OrderedDict()
        look = _look(path)
        if isinstance(look, CatalogError):
            raise look
        self._seen = _digest(look)
        self._text = decoded(look, self.name)
        self._current = self._keep(self._read(self._text))
        self._invalid: CatalogError | None = None
        self._told: set[bytes] = set()

    @property
    def name(self) -> str:
        """The file's name, as problems name it."""
        return str(self._path)

    @property
    def text(self) -> str:
        """The text that the current catalog was read from; `parse` makes the same catalog of it again."""
        return self._text

    @property
    def invalid(self) -> CatalogError | None:
        """What is wrong with the file now, while an earlier revision of it is in force."""
        return self._invalid

    def current(self) -> Catalog:
        """The last good catalog."""
        return self._current

    def revision(self, revision: str) -> Catalog | None:
        """An earlier catalog of this process, or None: then parse the text that was kept for it."""
        return self._revisions.get(revision)

    async def run(
        self, *, on_invalid: Callable[[str], Awaitable[None]], on_reloaded: Callable[[Catalog], Awaitable[None]]
    ) -> None:
        """Look at the file until cancelled.

        ``on_invalid`` gets the problems, a line each, once for each bad content until the file is good again;
        ``on_reloaded`` gets each new catalog, and the old one when a bad file is put back as it was. What they raise
        is logged and changes nothing.
        """
        while True:
            await asyncio.sleep(self._interval)
            try:
                await self._refresh(on_invalid, on_reloaded)
            except Exception:
                # The watch must outlive a provider's broken model and a Slack that does not answer.
                logger.exception("The catalog %s could not be read again", self.name)

    async def _refresh(
        self, on_invalid: Callable[[str], Awaitable[None]], on_reloaded: Callable[[Catalog], Awaitable[None]]
    ) -> None:
        look = await asyncio.to_thread(_look, self._path)
        if _digest(look) == self._seen:
            return
        # A file that is being written is not judged, even if what is there so far happens to be good.
        while True:
            await asyncio.sleep(self._settle)
            again = await asyncio.to_thread(_look, self._path)
            if _digest(again) == _digest(look):
                break
            look = again
        digest = self._seen = _digest(look)
        try:
            if isinstance(look, CatalogError):
                raise look
            text = decoded(look, self.name)
            catalog = await asyncio.to_thread(self._read, text)
        except CatalogError as error:
            self._invalid = error
            logger.warning("The catalog is not good; the last good one stays in force\n%s", error)
            if digest not in self._told:
                self._told.add(digest)
                await on_invalid(str(error))
            return
        recovered, self._invalid = self._invalid is not None, None
        self._told.clear()
        if catalog.revision != self._current.revision or recovered:
            self._text, self._current = text, self._keep(catalog)
            logger.info("The catalog was read again: revision %s", catalog.revision[:12])
            await on_reloaded(catalog)

    def _read(self, text: str) -> Catalog:
        """The catalog in ``text``, its windows worked out ahead: nobody who deploys is to wait for a calendar."""
        catalog = parse(text, self.name, self._providers)
        now = datetime.now(UTC)
        for environment in catalog.environments.values():
            for window in environment.windows:
                spans(window, now, now + NEAR)
                next_open([window], now)
            is_open(environment.windows, now)
        return catalog

    def _keep(self, catalog: Catalog) -> Catalog:
        self._revisions[catalog.revision] = catalog
        self._revisions.move_to_end(catalog.revision)
        while len(self._revisions) > _REVISIONS:
            self._revisions.popitem(last=False)
        return catalog


def _look(path: Path) -> bytes | CatalogError:
    """What the file holds now, or why that cannot be told."""
    try:
        return read_bytes(path)
    except CatalogError as error:
        return error


def _digest(look: bytes | CatalogError) -> bytes:
    data = look if isinstance(look, bytes) else f"unreadable: {look}".encode()
    return sha256(data).digest()
