"""Which human acts have been taken up already: Slack delivers some of them more than once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime, timedelta


class Inbox(Protocol):
    """A set of act ids with a memory of at least a day."""

    async def begin(self, key: str, *, owner: str, at: datetime, abandoned_after: timedelta) -> bool:
        """Whether ``owner`` should work on this act now.

        False when it is finished or somebody is at it; an act begun by another owner longer than
        ``abandoned_after`` ago was left unfinished and is given away again.
        """

    async def finish(self, key: str, *, at: datetime) -> None:
        """Record that the act is done; every later delivery of it is ignored."""

    async def prune(self, *, before: datetime) -> int:
        """Forget acts older than ``before``; how many."""
