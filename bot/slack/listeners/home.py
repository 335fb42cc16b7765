"""The Home tab: drawn when somebody opens it, and anew while things change for those who opened it lately."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any

from bot.domain.errors import DeploymentArchitectError, RequestRefused
from bot.slack.render.home import home
from bot.slack.trouble import TROUBLE, brief

if TYPE_CHECKING:
    from slack_bolt.async_app import AsyncApp

    from bot.engine.queries import Queries
    from bot.slack.identity import Identity
    from bot.slack.work import Work

log = logging.getLogger(__name__)

_REMEMBERED = 15 * 60.0
_VIEWERS = 20
_SPACING = 2.0


class Home:
    """Publishes the Home tab. Losing a drawing costs nothing: the next change or opening draws it again."""

    def __init__(self, app: AsyncApp, *, queries: Queries, identity: Identity, work: Work) -> None:
        self._app = app
        self._queries = queries
        self._identity = identity
        self._work = work
        self._viewers: dict[str, float] = {}
        self._changed = asyncio.Event()

    def register(self) -> None:
        """Listen to people opening the tab."""

        async def opened(event: dict[str, Any], body: dict[str, Any]) -> None:
            if event.get("tab", "home") == "home":
                self._viewers.pop(event["user"], None)
                self._viewers[event["user"]] = time.monotonic()
                while len(self._viewers) > _VIEWERS:
                    self._viewers.pop(next(iter(self._viewers)))
                self._work.begin(self._publish([event["user"]], body.get("team_id")))

        self._app.event("app_home_opened")(opened)

    def changed(self) -> None:
        """Something that the tab shows has changed."""
        self._changed.set()

    async def run(self) -> None:
        """Keep the tabs of recent viewers true. Runs for ever."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(_SPACING)
            self._changed.clear()
            now = time.monotonic()
            recent = [user for user, opened in self._viewers.items() if now - opened < _REMEMBERED]
            if recent:
                with contextlib.suppress(DeploymentArchitectError):
                    await self._publish(recent, None)

    async def _publish(self, users: list[str], team: str | None) -> None:
        overview = await self._queries.overview()
        for user in users:
            viewer = None
            with contextlib.suppress(RequestRefused):
                viewer = (await self._identity.membership(user, team_id=team)).actor
            try:
                await self._app.client.views_publish(user_id=user, view=home(overview, viewer=viewer))
            except TROUBLE as error:
                log.info("the Home tab of %s could not be drawn: %s", user, brief(error))
