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


@dataclass(slots=True, repr=False)
class _Ask:
    method: str
    url: str
    headers: dict[str, str]
    form: Mapping[str, str] | None = None
    body: object = None
    auth: tuple[str, str] | None = None
    largest: int = _LARGEST
    raw: bool = False


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
        ask = _Ask("POST", url, dict(headers), form=form, body=body, auth=auth)
        return await self._within(ask, timeout)

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        largest: int = _LARGEST,
    ) -> Answer:
        """The answer to a GET, whatever its status. Its content is as it came over the wire, ``largest`` bytes at most.

        Follows no redirect. Raises `ProviderError`.
        """
        return await self._within(_Ask("GET", url, dict(headers), auth=auth, largest=largest, raw=True), timeout)

    async def head(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """The answer to a HEAD, whatever its status: like `get`, without content."""
        return await self._within(_Ask("HEAD", url, dict(headers), auth=auth, largest=0, raw=True), timeout)

    async def _within(self, ask: _Ask, timeout: float | None) -> Answer:
        limit = self.timeout if timeout is None else min(timeout, self.timeout)
        trouble: ProviderError
        try:
            async with asyncio.timeout(limit):
                return await self._send(ask, limit)
        except (TimeoutError, httpx.TimeoutException):
            trouble = ProviderTimeout(f"{self.name} did not answer within {limit:g} s.", provider=self.provider)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            trouble = ProviderUnavailable(
                f"{self.name} cannot be reached: {redact(str(error)) or type(error).__name__}.", provider=self.provider
            )
        # Outside of the handler, so that no exception that knows the request hangs on ours.
        raise trouble

    async def _send(self, ask: _Ask, limit: float) -> Answer:
        trust: ssl.SSLContext | bool = self._trusted() if ask.url.startswith("https:") else False
        if ask.raw:
            # What is hashed must not be repacked on its way, nor grow when it is unpacked.
            ask.headers["Accept-Encoding"] = "identity"
        async with (
            httpx.AsyncClient(verify=trust, timeout=limit) as client,
            client.stream(
                ask.method, ask.url, headers=ask.headers, data=ask.form, json=ask.body, auth=ask.auth
            ) as response,
        ):
            content = bytearray()
            async for part in response.aiter_raw() if ask.raw else response.aiter_bytes():
                content += part
                if len(content) > ask.largest:
                    raise ProviderError(f"{self.name} answered more than {_size(ask.largest)}.", provider=self.provider)
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


def _size(number: int) -> str:
    return f"{number // 1024**2} MiB" if number >= 1024**2 else f"{number // 1024} KiB"
