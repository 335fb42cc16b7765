"""Each human act counts once, however often Slack delivers it.

Slack delivers events again when it is not sure of our acknowledgement, and with several connections anything may come
twice. An act is remembered by its own id; what a dead process left unfinished is taken up again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from bot.domain.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from bot.ports.inbox import Inbox
    from bot.slack.work import Work

log = logging.getLogger(__name__)

_ABANDONED = timedelta(seconds=30)


def act_id(body: Mapping[str, Any]) -> str:
    """The id of the human act that a delivery carries."""
    if event := body.get("event_id"):
        return f"event:{event}"
    kind = body.get("type")
    if kind == "block_actions":
        action = (body.get("actions") or [{}])[0]
        container = body.get("container") or {}
        place = container.get("message_ts") or container.get("view_id") or ""
        user = (body.get("user") or {}).get("id")
        return f"action:{action.get('action_id')}:{place}:{user}:{action.get('action_ts')}"
    if kind == "view_submission":
        view = body.get("view") or {}
        # A form that was sent back with an error may be sent again, and then it is another act.
        return f"view:{view.get('id')}:{view.get('hash')}:{body.get('trigger_id') or ''}"
    return f"trigger:{body.get('trigger_id')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """Runs work for an act in the background, once."""

    inbox: Inbox
    work: Work
    owner: str
    now: Callable[[], datetime]

    def begin(self, body: Mapping[str, Any], piece: Callable[[str], Awaitable[None]]) -> None:
        """Run ``piece`` with the act's id unless the act was taken up before. Returns at once."""
        self.work.begin(self._run(act_id(body), piece))

    async def _run(self, act: str, piece: Callable[[str], Awaitable[None]]) -> None:
        try:
            mine = await self.inbox.begin(act, owner=self.owner, at=self.now(), abandoned_after=_ABANDONED)
        except StoreError:
            mine = True  # the request itself will meet the same database, and the caller is told
        if not mine:
            log.info("%s was delivered again and is ignored", act)
            return
        await piece(act)
        try:
            await self.inbox.finish(act, at=self.now())
        except StoreError as error:
            log.warning("%s could not be marked as done: %s", act, error.message)
