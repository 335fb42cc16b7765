"""The Home tab: drawn for a person when they open it, and anew while things change for those who opened it lately."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from typing import TYPE_CHECKING, Any

from bot.domain.errors import DeploymentArchitectError, RequestRefused
from bot.slack.render.home import home
from bot.slack.trouble import TROUBLE, brief

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from slack_bolt.async_app import AsyncApp

    from bot.engine.queries import Queries
    from bot.slack.identity import Identity
    from bot.slack.work import Work

log = logging.getLogger(__name__)

_REMEMBERED = 15 * 60.0
_VIEWERS = 20
_SPACING = 2.0
"""Seconds between two drawings, also between two looks for what other replicas have done."""


class Home:
    """Publishes the Home tab. Losing a drawing costs nothing: the next change or opening draws it again."""

    def __init__(
        self,
        app: AsyncApp,
        *,
        queries: Queries,
        identity: Identity,
        work: Work,
        stamp: Callable[[], Awaitable[Hashable]],
        spacing: float = _SPACING,
    ) -> None:
        """``stamp`` is another one whenever something that the tab shows has changed, whoever changed it."""
        self._app = app
        self._queries = queries
        self._identity = identity
        self._work = work
        self._stamp = stamp
        self._spacing = spacing
        self._viewers: dict[str, float] = {}
        self._shown: dict[str, str] = {}
        self._seen: Hashable = None
        self._changed = asyncio.Event()

    def register(self) -> None:
        """Listen to people opening the tab."""

        async def opened(event: dict[str, Any], body: dict[str, Any]) -> None:
            if event.get("tab", "home") == "home":
                user = event["user"]
                self._viewers.pop(user, None)
                self._viewers[user] = time.monotonic()
                self._shown.pop(user, None)
                while len(self._viewers) > _VIEWERS:
                    self._viewers.pop(next(iter(self._viewers)))
                self._work.begin(self._publish(user, body.get("team_id")))

        self._app.event("app_home_opened")(opened)

    def changed(self) -> None:
        """Something that the tab shows has changed."""
        self._changed.set()

    async def run(self) -> None:
        """Keep the tabs of recent viewers true. Runs for ever."""
        while True:
            # More may come with the first change, and is drawn with it.
            await asyncio.sleep(self._spacing)
            told = self._changed.is_set()
            self._changed.clear()
            if not (recent := self._recent()):
                continue
            try:
                if not (await self._is_new() or told):
                    continue
                for user in recent:
                    await self._publish(user, None)
            except DeploymentArchitectError as error:
                log.info("the Home tabs are not drawn now: %s", error.message)
            except Exception:
                # A tab that cannot be drawn must not keep all of them as they are.
                log.exception("the Home tabs are not drawn now")

    def _recent(self) -> list[str]:
        now = time.monotonic()
        return [user for user, opened in self._viewers.items() if now - opened < _REMEMBERED]

    async def _is_new(self) -> bool:
        stamp = await self._stamp()
        before, self._seen = self._seen, stamp
        return before != stamp

    async def _publish(self, user: str, team: str | None) -> None:
        viewer = None
        with contextlib.suppress(RequestRefused):
            viewer = await self._identity.membership(user, team_id=team)
        overview = await self._queries.overview(viewer)
        view = home(overview, viewer=viewer.actor if viewer else None)
        # Without its last line, which says when it was drawn.
        digest = json.dumps(view["blocks"][:-1], sort_keys=True)
        if self._shown.get(user) == digest:
            return
        try:
            await self._app.client.views_publish(user_id=user, view=view)
        except TROUBLE as error:
            log.info("the Home tab of %s could not be drawn: %s", user, brief(error))
            return
        self._shown[user] = digest
        while len(self._shown) > _VIEWERS:
            self._shown.pop(next(iter(self._shown)))
