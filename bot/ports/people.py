"""Who somebody is now, and who is in a group: asked of the place where people talk to the bot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bot.domain.actor import Actor, Membership


class People(Protocol):
    """People and groups, at most a minute old. What cannot be told raises, and counts as no."""

    async def member(self, actor: Actor, *, for_rollback: bool = False) -> Membership:
        """The actor with their groups now. A service account is in none, and nobody is asked about it.

        Raises `NotAuthorized` for somebody who may do nothing any more, such as a deactivated account, and its subclass
        `IdentityUnknown` when it cannot be told. For a rollback, what was known within the last hour will do.
        """

    async def in_groups(self, groups: Collection[str]) -> Sequence[str]:
        """Ids of the people in any of these groups (ids or handles without the @), each once.

        Raises `IdentityUnknown` when it cannot be told.
        """
