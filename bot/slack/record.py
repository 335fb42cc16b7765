"""What is on record of one deployment's messages during one pass, and the search for one whose post got no answer.

Nothing is posted from here.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from bot.ports.messages import PostedMessage
from bot.slack.calls import Gone, Lost, Refused, Whereabouts
from bot.slack.slots import NotHolder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.slack.calls import CallFailed
    from bot.slack.slots import Place, Slot
    from bot.slack.telling import Teller

log = logging.getLogger(__name__)


class Record:
    """The rows of one deployment, kept in step with the database."""

    def __init__(self, teller: Teller, slot: Slot, number: int, rows: Sequence[PostedMessage]) -> None:
        self._t = teller
        self._slot = slot
        self._number = number
        self.rows = {row.key: row for row in rows}

    async def find(self, row: PostedMessage, thread: str | None, *, file: str | None = None) -> str | None:
        """Where a message is whose post got no answer; None when it is certainly not there."""
        slot = self._slot
        if row.key in slot.absent:
            return None
        tried = row.tried_at.timestamp()
        lost = slot.lost.get(row.key, tried)
        where = Whereabouts(channel=row.channel, thread=thread, since=tried - self._t.look_back, lost=lost)
        try:
            if file is not None:
                found = await self._t.calls.find_file(where, file)
            else:
                found = await self._t.calls.find(where, row.deployment, row.key)
        except Gone as gone:
            if gone.error == "thread_not_found":
                raise
            found = None
        except Refused as refusal:
            log.warning("%s of #%s may be posted twice, it cannot be looked for: %s", row.key, self._number, refusal)
            found = None
        if found is None:
            slot.absent.add(row.key)
        return found

    async def trying(self, key: str, channel: str) -> None:
        """Put on record that a message is going to be posted, which from here on it may have been."""
        at = self._t.clock()
        await self._t.messages.trying(self._slot.id, key, channel=channel, at=at)
        if not self._t.holds():
            self._slot.absent.add(key)
            raise NotHolder
        self._slot.absent.discard(key)
        self._slot.lost[key] = at.timestamp()

    def failed(self, key: str, failure: CallFailed) -> None:
        """A post came to nothing, or to something that nobody can see."""
        if isinstance(failure, Lost):
            self._slot.lost[key] = self._t.clock().timestamp()
        else:
            self._slot.absent.add(key)

    async def posted(self, key: str, place: Place, digest: str) -> None:
        """Put on record where a message is, and what it shows."""
        await self._t.messages.posted(self._slot.id, key, channel=place.channel, ts=place.ts, digest=digest)
        tried = self.rows[key].tried_at if key in self.rows else self._t.clock()
        self.rows[key] = PostedMessage(
            deployment=self._slot.id, key=key, channel=place.channel, ts=place.ts, digest=digest, tried_at=tried
        )
        self._slot.absent.discard(key)
        self._slot.lost.pop(key, None)
