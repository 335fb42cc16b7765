"""Answers ``POST /webhooks/incident``: another system tells that an incident is open, or over.

Who sends is known before a byte of the body is read. 503 says that nothing was changed, or may have been, and that it
should be sent again: the same told twice is one lock. Must not decide what may be locked.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError

from bot.api.webhooks.receiving import Unacceptable, bearer, no_bearer, received, refusal
from bot.domain.errors import BadCommand, DeploymentArchitectError, NotAuthorized, RequestRefused
from bot.domain.grammar.refusals import nearest
from bot.domain.incident import Incident, IncidentState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fastapi import Request, Response

    from bot.engine.incidents import Told

    Handler = Callable[[Request], Awaitable[Response]]

log = logging.getLogger(__name__)

LARGEST = 64 * 1024
"""Bytes that one delivery may have."""
_PATIENCE = 8.0
"""Seconds that the database may take; who sends gives up after ten or fifteen."""
_KEYS = 100
"""Unknown keys that are compared with known ones."""
_Name = Annotated[StrictStr, Field(min_length=1, max_length=100)]


class _Payload(BaseModel):
    """What is sent. Other keys are not looked at, unless one is nearly the name of a place."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)

    incident: StrictStr = Field(pattern=r"^[!-~]{1,80}$")
    state: Literal["open", "resolved"]
    service: _Name | None = None
    environment: _Name | None = None
    title: StrictStr | None = None
    url: StrictStr | None = None


@dataclass(frozen=True, kw_only=True)
class IncidentDoor:
    """The route. Without a token there is none."""

    take: Callable[[Incident], Awaitable[Told]]
    account: str
    token: str | None = None

    def routes(self) -> dict[str, Handler]:
        """What is answered, by path."""
        return {} if self.token is None else {"/webhooks/incident": self.incident}

    async def incident(self, request: Request) -> Response:
        """An incident that is open, or resolved."""
        if not bearer(request, self.token):
            return no_bearer("INCIDENT_TOKEN")
        try:
            found = _read(await received(request, largest=LARGEST))
        except Unacceptable as too_much:
            return too_much.answer
        try:
            async with asyncio.timeout(_PATIENCE):
                told = await self.take(found)
        except BadCommand as unknown:
            hint = f" {unknown.hint}" if unknown.hint else ""
            return refusal(400, f"{unknown.message}{hint}", suggestions=unknown.suggestions)
        except NotAuthorized as no:
            log.warning("an incident is not taken: the service account %s may not: %s", self.account, no.message)
            hint = f"The service account sa:{self.account} needs a role with the action lock there."
            return refusal(403, f"{no.message} {hint}")
        except RequestRefused as no:
            return refusal(409, no.message)
        except (DeploymentArchitectError, TimeoutError) as error:
            why = error.message if isinstance(error, DeploymentArchitectError) else "the database is too slow"
            log.warning("an incident is not taken, and has to come again: %s", why)
            return refusal(503, "It cannot be kept just now; send it again.", headers={"Retry-After": "5"})
        lock = told.lock
        return JSONResponse(
            {
                "lock": lock.id if lock else None,
                "scope": lock.scope.words if lock else None,
                "locked": told.locked,
                "changed": told.changed,
                "says": told.sentence,
            }
        )


def _read(body: bytes) -> Incident:
    """The incident; raises `Unacceptable` with what is wrong, without what stands there."""
    try:
        payload = _Payload.model_validate_json(body)
    except ValidationError as error:
        raise Unacceptable(refusal(400, _why(error))) from None
    left_out = [name for name in ("service", "environment") if name not in payload.model_fields_set]
    for key in islice(payload.model_extra or {}, _KEYS):
        if meant := nearest(key, left_out):
            # A name that is read past would lock far more than was meant.
            raise Unacceptable(refusal(400, "One key is unknown.", suggestions=meant))
    return Incident(
        id=payload.incident,
        state=IncidentState(payload.state),
        service=payload.service,
        environment=payload.environment,
        title=payload.title or "",
        url=payload.url or "",
    )


def _why(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    kind, where = str(first["type"]), str(first["loc"][0]) if first["loc"] else "the body"
    if kind == "json_invalid":
        return "It is no JSON."
    if kind == "missing":
        return f"{where} is missing."
    expected = {
        "incident": "must be a name of 1 to 80 visible ASCII characters without a space",
        "state": "must be open or resolved",
        "service": "must be the name of a service; leave it out for all of them",
        "environment": "must be the name of an environment; leave it out for all of them",
        "title": "must be text",
        "url": "must be text",
    }
    return f"{where} {expected.get(where, 'is not what it should be')}."
