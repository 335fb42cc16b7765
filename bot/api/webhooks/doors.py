"""Answers ``POST /webhooks/alertmanager`` and ``POST /webhooks/datadog``.

Who sends is known before a byte of the body is read. 200 means that it is kept; 503 that nothing is and that it should
be sent again; every other answer that sending the same again is of no use. Must not repeat what it was sent.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi.responses import JSONResponse

from bot.api.webhooks import payloads
from bot.api.webhooks.payloads import Unreadable
from bot.api.webhooks.receiving import Unacceptable, bearer, no_bearer, received, refusal, same
from bot.domain.alert import AlertOutcome, AlertSource
from bot.domain.errors import DeploymentArchitectError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from fastapi import Request, Response

    from bot.api.webhooks.payloads import Read
    from bot.domain.alert import Alert
    from bot.ports.alerts import Counts

    Take = Callable[[Sequence[Alert]], Awaitable[Mapping[AlertOutcome | None, int]]]
    Handler = Callable[[Request], Awaitable[Response]]

log = logging.getLogger(__name__)

LARGEST = 2 * 1024 * 1024
"""Bytes that one delivery may have."""
SECRET_HEADER = "X-Webhook-Secret"  # noqa: S105 - the name of the header, not what is in it
_PATIENCE = 8.0
"""Seconds that the database may take; who sends gives up after ten or fifteen."""


@dataclass(frozen=True, kw_only=True)
class Webhooks:
    """The routes. A source without a secret has none."""

    take: Take
    counts: Counts
    now: Callable[[], datetime]
    alertmanager_token: str | None = None
    datadog_secret: str | None = None

    def routes(self) -> dict[str, Handler]:
        """What is answered, by path."""
        found: dict[str, Handler] = {}
        if self.alertmanager_token is not None:
            found["/webhooks/alertmanager"] = self.alertmanager
        if self.datadog_secret is not None:
            found["/webhooks/datadog"] = self.datadog
        return found

    async def alertmanager(self, request: Request) -> Response:
        """A group of alerts from an Alertmanager."""
        if not bearer(request, self.alertmanager_token):
            return no_bearer("ALERTMANAGER_TOKEN")
        return await self._take(request, AlertSource.ALERTMANAGER, payloads.alertmanager)

    async def datadog(self, request: Request) -> Response:
        """One alert from a Datadog monitor."""
        if not same(request.headers.get(SECRET_HEADER, ""), self.datadog_secret):
            return refusal(401, f"Show the secret of DATADOG_WEBHOOK_SECRET in the header {SECRET_HEADER}.")
        return await self._take(request, AlertSource.DATADOG, payloads.datadog)

    async def _take(self, request: Request, source: AlertSource, read: Callable[..., Read]) -> Response:
        try:
            body = await received(request, largest=LARGEST)
        except Unacceptable as too_much:
            return too_much.answer
        try:
            found = await asyncio.to_thread(read, body, at=self.now())
        except Unreadable as error:
            self.counts.counted(source, AlertOutcome.UNREADABLE)
            log.warning("a delivery of %s cannot be read: %s", source, error)
            return refusal(400, str(error))
        try:
            async with asyncio.timeout(_PATIENCE):
                told = await self.take(found.alerts)
        except (DeploymentArchitectError, TimeoutError) as error:
            why = error.message if isinstance(error, DeploymentArchitectError) else "the database is too slow"
            log.warning("a delivery of %s is not taken, and has to come again: %s", source, why)
            return refusal(503, "It cannot be kept just now; send it again.", headers={"Retry-After": "5"})
        for outcome, number in found.others.items():
            self.counts.counted(source, outcome, number)
        ignored = sum(found.others.values()) + sum(number for outcome, number in told.items() if outcome is not None)
        return JSONResponse({"taken": told.get(None, 0), "ignored": ignored})
