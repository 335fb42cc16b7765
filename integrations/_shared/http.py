"""One HTTP call with a deadline that holds, a bounded answer and errors in our own words. Knows no vendor.

Imports httpx, so only sources whose extra brings it may import this. Nothing of a request is put into a message: its
headers hold secrets.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from bot.domain.errors import ConfigurationError, ProviderError, ProviderTimeout, ProviderUnavailable
from bot.domain.redact import redact
from integrations._shared.failures import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LARGEST = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> object:
        """The content as JSON; None when it is none."""
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            return None


@dataclass(slots=True)
class Caller:
    """Calls one server. Holds no connection, so there is nothing to close."""

    provider: str
    name: str
    """What people call the server."""
    timeout: float
    """Seconds that a call may take, from the first byte sent to the last one read."""
    ca_file: Path | None = None
    _trust: ssl.SSLContext | None = None

    async def post(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        form: Mapping[str, str] | None = None,
        body: object = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """The answer to a POST of a form or of JSON, whatever its status, except one that `refusal` knows.

        Follows no redirect: the secrets in the headers are meant for this server. Raises `ProviderError`.
        """
        limit = self.timeout if timeout is None else min(timeout, self.timeout)
        trouble: ProviderError
        try:
            async with asyncio.timeout(limit):
                return await self._post(url, headers, form, body, auth, limit)
        except (TimeoutError, httpx.TimeoutException):
            trouble = ProviderTimeout(f"{self.name} did not answer within {limit:g} s.", provider=self.provider)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            trouble = ProviderUnavailable(
                f"{self.name} cannot be reached: {redact(str(error)) or type(error).__name__}.", provider=self.provider
            )
        # Outside of the handler, so that no exception that knows the request hangs on ours.
        raise trouble

    async def _post(
        self,
        url: str,
        headers: Mapping[str, str],
        form: Mapping[str, str] | None,
        body: object,
        auth: tuple[str, str] | None,
        limit: float,
    ) -> Answer:
        trust: ssl.SSLContext | bool = self._trusted() if url.startswith("https:") else False
        async with (
            httpx.AsyncClient(verify=trust, timeout=limit) as client,
            client.stream("POST", url, headers=dict(headers), data=form, json=body, auth=auth) as response,
        ):
            content = bytearray()
            async for part in response.aiter_bytes():
                content += part
                if len(content) > _LARGEST:
                    raise ProviderError(f"{self.name} answered more than 16 MiB.", provider=self.provider)
            return Answer(response.status_code, response.headers, bytes(content))

    def _trusted(self) -> ssl.SSLContext:
        if self._trust is None:
            try:
                self._trust = ssl.create_default_context(cafile=self.ca_file)
            except (OSError, ssl.SSLError):
                raise ConfigurationError(f"The certificates in {self.ca_file} cannot be read.") from None
        return self._trust

    def refusal(self, answer: Answer, said: str = "") -> ProviderError:
        """What an answer with a status other than 2xx means; ``said`` is the server's own explanation, if any."""
        return refusal(self.provider, self.name, answer.status, answer.headers, said)
