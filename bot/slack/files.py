"""The files and pictures in a deployment's thread, each put there at most once. What they hold is said elsewhere."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from bot.slack.calls import BadContent, CallFailed, Refused
from bot.slack.render.note import NoteFile
from bot.slack.render.text import plain
from bot.slack.slots import Place

if TYPE_CHECKING:
    from bot.charts import Chart
    from bot.slack.record import Record
    from bot.slack.telling import Teller

log = logging.getLogger(__name__)

_NO_FILE = "none"


class Files:
    """Puts files under the notes of one deployment."""

    def __init__(self, teller: Teller, record: Record, number: int) -> None:
        self._t = teller
        self._record = record
        self._number = number

    async def put(self, key: str, file: NoteFile, root_at: Place) -> None:
        """Put a file into the thread, or find it there."""
        if not await self._is_there(key, file.name, root_at):
            await self._upload(key, file, root_at)

    async def draw(self, key: str, chart: Chart, root_at: Place) -> None:
        """Draw what belongs to a note and put it into the thread, once: it shows how things were then."""
        name = f"{self._number}-{key.removesuffix('.picture')}.png"
        if await self._is_there(key, name, root_at):
            return
        from bot.charts import render

        try:
            content = await render(chart)
        except ImportError:
            log.info("matplotlib is not installed, so verdicts are told without a picture")
            await self._record.posted(key, Place(root_at.channel, _NO_FILE), "")
            return
        await self._upload(key, NoteFile(name, content, chart.alt, plain(chart.title, 100)), root_at)

    async def _is_there(self, key: str, name: str, root_at: Place) -> bool:
        row = self._record.rows.get(key)
        if row is None or row.ts is not None:
            return row is not None
        ts = await self._record.find(row, root_at.ts, file=name)
        if ts is None:
            return False
        await self._record.posted(key, Place(root_at.channel, ts), "")
        return True

    async def _upload(self, key: str, file: NoteFile, root_at: Place) -> None:
        await self._record.trying(key, root_at.channel)
        try:
            ts = await self._t.calls.upload(root_at.channel, root_at.ts, file)
        except (BadContent, Refused) as refusal:
            log.error("the file %s of #%s is not taken: %s", file.name, self._number, refusal)
            ts = _NO_FILE
        except CallFailed as failure:
            self._record.failed(key, failure)
            raise
        await self._record.posted(key, Place(root_at.channel, ts), "")
