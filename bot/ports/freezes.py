"""Stop the line: the freezes that people have put, and a number that rises whenever the rules change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bot.domain.actor import Actor
    from bot.domain.audit import Deed
    from bot.domain.policy.freeze import Freeze


class Freezes(Protocol):
    """Freezes as rows. Every change is audited and raises the policy epoch in the same transaction.

    Raises `StoreError`.
    """

    async def place(self, freeze: Freeze, *, deed: Deed | None = None) -> Freeze:
        """Put a freeze; again with the same id changes nothing. Without a ``deed`` it is done by ``freeze.by``.

        Once this returns, whoever reads the freezes or the epoch sees it.
        """

    async def lift(self, freeze_id: str, *, deed: Deed) -> Freeze:
        """Take a freeze away; it comes back as it was. Raises `NothingToDo` when it is not there any more."""

    async def current(self, *, at: datetime) -> Sequence[Freeze]:
        """Every freeze that is not over at ``at``, the oldest first."""

    async def expire(self, *, at: datetime) -> Sequence[Freeze]:
        """Record the end of those whose time has passed; each comes back once, to whoever is to tell of it."""

    async def ended(self, *, since: datetime) -> Sequence[tuple[Freeze, Actor | None]]:
        """Those that ended at ``since`` or later, as they were, their ``until`` when that was, with who took them away
        (None: their time passed). The first to end first.
        """

    async def epoch(self) -> int:
        """Rises with every lock and freeze that is put, changed or taken away.

        Read before a mutation: as long as it is what it was when the rules were read, no person has changed them. What
        ends by itself does not raise it.
        """
