"""What lets the bot in at a registry: nothing, a password, or a token that a token server gives for it.

A password is sent to the registry itself or to a token server that `challenge` allows, and only once asked for.
"""

from __future__ import annotations

import re
import time
from base64 import b64encode
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from bot.domain.errors import ProviderError, ProviderRejected
from integrations._shared.http import Caller
from integrations._shared.secrets import reveal
from integrations._shared.turns import Turns
from integrations.oci import challenge
from integrations.oci.challenge import PROVIDER

if TYPE_CHECKING:
    from collections.abc import Callable

    from integrations._shared.http import Answer
    from integrations.oci.options import OciOptions
    from integrations.oci.reference import Repository

_LARGEST = 64 * 1024
_SENDABLE = re.compile(r"[!-~]{1,16384}")
_USUAL, _LONGEST = 60.0, 600.0
"""Seconds that a token counts when nothing is said of it, and at most."""
_EARLY = 5.0


class Keys:
    """The way in at one registry, for one repository."""

    def __init__(
        self, options: OciOptions, repository: Repository, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._options = options
        self._repository = repository
        self._clock = clock
        self._token: tuple[str, float] | None = None
        """What to send, and until when it counts."""
        self._basic = False
        """Whether the registry has asked for the password itself."""
        self._asking = Turns()

    async def known(self) -> str | None:
        """What to send without being asked; None for nothing. Raises `ConfigurationError`."""
        if self._token is not None and self._clock() < self._token[1]:
            return self._token[0]
        return await self._password() if self._basic else None

    async def meet(self, answer: Answer, refused: str | None) -> str | None:
        """What to send after ``answer``, a 401 to ``refused``; None if there is nothing better.

        Raises `ProviderError`, `ConfigurationError`.
        """
        ways = {way.scheme: way for way in reversed(challenge.read(answer.headers.get("www-authenticate", "")))}
        if bearer := ways.get("bearer"):
            async with self._asking.here:
                if self._token is None or self._token[0] == refused or self._clock() >= self._token[1]:
                    self._token = None
                    self._token = await self._ask(bearer)
                return self._token[0]
        if "basic" in ways and self._options.username is not None:
            self._basic = True
            password = await self._password()
            return None if password == refused else password
        return None

    async def _password(self) -> str | None:
        user, password = self._options.username, self._options.password
        if user is None or password is None:
            return None
        return "Basic " + b64encode(f"{user}:{await reveal(password)}".encode()).decode()

    async def _ask(self, way: challenge.Challenge) -> tuple[str, float]:
        options, said = self._options, way.said
        host = challenge.token_server(
            said.get("realm", ""), self._repository, further=options.token_hosts, insecure=options.insecure
        )
        caller = Caller(PROVIDER, host, options.timeout, options.ca_file)
        wanted = [("service", said["service"])] if said.get("service") else []
        wanted.append(("scope", challenge.scope(said.get("scope", ""), self._repository)))
        headers = {"Accept": "application/json"}
        if (password := await self._password()) is not None:
            headers["Authorization"] = password
        realm = said["realm"]
        address = f"{realm}{'&' if '?' in realm else '?'}{urlencode(wanted)}"
        asked = self._clock()
        answer = await caller.get(address, headers=headers, largest=_LARGEST)
        if answer.status != 200:
            raise self._refused(caller, answer)
        content = answer.json()
        found = content if isinstance(content, dict) else {}
        token = found.get("token") or found.get("access_token")
        if not isinstance(token, str) or not _SENDABLE.fullmatch(token):
            raise ProviderError(f"{host} gave no token that can be used.", provider=PROVIDER)
        return f"Bearer {token}", asked + _lifetime(found.get("expires_in"))

    def _refused(self, caller: Caller, answer: Answer) -> ProviderError:
        if answer.status in (401, 403) and self._options.username is None:
            return ProviderRejected(
                f"{self._repository.registry} does not show {self._repository.name} to everybody ({answer.status}); "
                "give username and password in the images of the service.",
                provider=PROVIDER,
            )
        return caller.refusal(answer, words(answer))


def words(answer: Answer) -> str:
    """What a registry or a token server itself says went wrong; nothing if it says nothing."""
    content = answer.json()
    if not isinstance(content, dict):
        return ""
    match content.get("errors"):
        case [{"message": str(message)}, *_] if message:
            return message
        case [{"code": str(code)}, *_]:
            return code
    details = content.get("details") or content.get("message")
    return details if isinstance(details, str) else ""


def _lifetime(said: object) -> float:
    seconds = float(said) if isinstance(said, int | float) and 0 < said < 1e9 else _USUAL
    return max(0.0, min(seconds, _LONGEST) - _EARLY)
