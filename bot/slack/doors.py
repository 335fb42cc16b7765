"""Who comes in by which door, and how they are answered whatever happens.

A door is a command, a mention, a button, a form or the Home tab. What is asked for there is the desks' business.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from bot.domain.errors import DeploymentArchitectError, RequestRefused
from bot.slack.render import answers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.domain.actor import Door, Membership
    from bot.domain.ids import DeploymentId
    from bot.slack.identity import Identity
    from bot.slack.render.message import Message

log = logging.getLogger(__name__)


class Reply(Protocol):
    """Shows something to the caller alone."""

    async def __call__(self, message: Message) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, from where."""

    user: str
    team: str | None
    channel: str | None
    act: str
    """The id of the human act; the same act delivered twice has the same one."""
    door: Door
    thread: str | None = None
    """The ``ts`` of the thread in which it was said."""
    about: DeploymentId | None = None
    """The deployment in whose thread it was said."""
    trigger: str | None = None
    """What a form is opened with, within three seconds; None where no form can be opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reception:
    """Knows who a caller is, and answers them."""

    identity: Identity

    async def member(self, caller: Caller, *, for_rollback: bool = False) -> Membership:
        """Who the caller is; raises `NotAuthorized`."""
        member = await self.identity.membership(caller.user, team_id=caller.team, for_rollback=for_rollback)
        return replace(member, door=caller.door)

    async def answering(self, act: Callable[[], Awaitable[None]], reply: Reply) -> bool:
        """Do something for a person, and tell them what stood in the way; True when nothing did."""
        try:
            await act()
        except RequestRefused as refusal:
            await self.tell(reply, answers.refused(refusal))
        except DeploymentArchitectError as error:
            reference = secrets.token_hex(4)
            log.error("[%s] %s: %s", reference, type(error).__name__, error.message)
            await self.tell(reply, answers.failure(error, reference=reference))
        except Exception:
            reference = secrets.token_hex(4)
            log.exception("[%s] a request failed", reference)
            await self.tell(reply, answers.unexpected(reference))
        else:
            return True
        return False

    async def tell(self, reply: Reply, message: Message) -> None:
        """Show an answer, as far as that is possible now."""
        try:
            await reply(message)
        except Exception as error:  # noqa: BLE001 - Slack is down or forgot the place; the request itself is settled
            log.warning("an answer could not be shown: %s", error)
