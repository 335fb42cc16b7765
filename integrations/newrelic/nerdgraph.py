"""Calls NerdGraph. It answers 200 to nearly everything, so errors are looked for in the answer; half of one is none."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from bot.domain.errors import ProviderError, ProviderRejected, ProviderTimeout, ProviderUnavailable
from integrations._shared.failures import told
from integrations._shared.http import Caller
from integrations._shared.secrets import reveal
from integrations.newrelic.nrql import PROVIDER

if TYPE_CHECKING:
    from integrations.newrelic.options import NewRelicOptions

_NAME = "New Relic"
_FIELDS = "results queryProgress { queryId completed retryAfter retryDeadline }"
_ASK = (
    "query($account: Int!, $nrql: Nrql!) { actor { account(id: $account) "
    f"{{ nrql(query: $nrql, async: true) {{ {_FIELDS} }} }} }} }}"
)
_ASK_AGAIN = (
    "query($account: Int!, $id: ID!) { actor { account(id: $account) "
    f"{{ nrqlQueryProgress(queryId: $id) {{ {_FIELDS} }} }} }} }}"
)
_LEAST_WAIT = 0.1
_MOST_WAIT = 10.0


class NerdGraph:
    """The API of one account. Holds no connection and no secret."""

    def __init__(self, options: NewRelicOptions) -> None:
        self._options = options
        self._caller = Caller(PROVIDER, _NAME, options.timeout, options.ca_file)

    async def rows(self, nrql: str) -> list[dict[str, Any]]:
        """The rows that a query gives. Waits for slow ones, at most ``timeout`` seconds. Raises `ProviderError`."""
        deadline = time.monotonic() + self._options.timeout
        found = await self._rows(_ASK, {"nrql": nrql}, "nrql", deadline)
        while isinstance(found, tuple):
            # Slow queries run on by themselves; New Relic says when it is worth asking again.
            identity, wait = found
            if time.monotonic() + wait >= deadline:
                limit = self._options.timeout
                raise ProviderTimeout(f"{_NAME} was not done with the query within {limit:g} s.", provider=PROVIDER)
            await asyncio.sleep(wait)
            found = await self._rows(_ASK_AGAIN, {"id": identity}, "nrqlQueryProgress", deadline)
        return found

    async def call(
        self, document: str, variables: dict[str, object], *, deadline: float | None = None
    ) -> dict[str, Any]:
        """The ``data`` of a whole answer; raises `ProviderError` for one with any error in it."""
        headers = {"API-Key": await reveal(self._options.user_key)}
        left = None if deadline is None else max(0.01, deadline - time.monotonic())
        body = {"query": document, "variables": variables}
        answer = await self._caller.post(self._options.endpoint, headers=headers, body=body, timeout=left)
        content = answer.json()
        errors = content.get("errors") if isinstance(content, dict) else None
        if errors:
            raise _refusal(errors)
        if answer.status // 100 != 2:
            raise self._caller.refusal(answer)
        data = content.get("data") if isinstance(content, dict) else None
        if not isinstance(data, dict):
            raise _unreadable()
        return data

    async def _rows(
        self, document: str, variables: dict[str, object], field: str, deadline: float
    ) -> list[dict[str, Any]] | tuple[str, float]:
        """The rows, or under which id to ask for them and after how many seconds."""
        data = await self.call(document, {"account": self._options.account, **variables}, deadline=deadline)
        match data:
            case {"actor": {"account": dict(account)}}:
                answer = account.get(field)
            case _:
                answer = None
        match answer:
            case {"queryProgress": {"completed": False, "queryId": str(identity)} as progress}:
                wait = progress.get("retryAfter")
                seconds = float(wait) if isinstance(wait, int | float) else 1.0
                return identity, min(max(seconds, _LEAST_WAIT), _MOST_WAIT)
            case {"results": list(rows)} if all(isinstance(row, dict) for row in rows):
                return rows
        raise _unreadable()


def _unreadable() -> ProviderError:
    return ProviderError(f"What answered is not {_NAME}, or a part of its answer is missing.", provider=PROVIDER)


def _refusal(errors: object) -> ProviderError:
    """What the errors of an answer mean; the first one counts."""
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    said = told(str(first.get("message", ""))) or "it does not say what"
    extensions = first.get("extensions")
    kind = str(extensions.get("errorClass") or extensions.get("code") or "") if isinstance(extensions, dict) else ""
    kind = kind.upper()
    if "TIMEOUT" in kind:
        return ProviderTimeout(f"{_NAME} gave the query up: {said}.", provider=PROVIDER)
    if kind in ("TOO_MANY_REQUESTS", "SERVER_ERROR", "INTERNAL_SERVER_ERROR", "SERVICE_UNAVAILABLE"):
        return ProviderUnavailable(f"{_NAME} has trouble: {said}.", provider=PROVIDER)
    return ProviderRejected(f"{_NAME} refused the request: {said}.", provider=PROVIDER)
