"""What the status of an answer means, and a server's words as people may see them. Needs no vendor's package."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from bot.domain.errors import ProviderRejected, ProviderUnavailable
from bot.domain.redact import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.domain.errors import ProviderError

_SHOWN = 300
_LONGEST_WAIT = 3600.0


def refusal(provider: str, name: str, status: int, headers: Mapping[str, str], said: str = "") -> ProviderError:
    """The error that an HTTP status means, with the server's own words if it gave any."""
    detail = f": {told(said)}" if said else ""
    if status == 429:
        wait = retry_after(headers)
        return ProviderUnavailable(f"{name} says that we ask too often.", provider=provider, retry_after=wait)
    if status in (401, 403):
        reason = "does not accept our credentials" if status == 401 else "does not allow this with our credentials"
        return ProviderRejected(f"{name} {reason} ({status}){detail}.", provider=provider)
    if 300 <= status < 400:
        return ProviderRejected(f"{name} sends us elsewhere ({status}); give its final address.", provider=provider)
    if status >= 500 or status == 408:
        return ProviderUnavailable(
            f"{name} has trouble ({status}){detail}.", provider=provider, retry_after=retry_after(headers)
        )
    return ProviderRejected(f"{name} refused the request ({status}){detail}.", provider=provider)


def told(text: str) -> str:
    """Words of a server as people may see them: one line, short, without secrets."""
    line = redact(" ".join(text.split())).rstrip(".")
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from ``X-RateLimit-Reset`` or ``Retry-After`` (seconds or a date); None if neither says."""
    found = {name.lower(): value for name, value in headers.items()}
    for name in ("x-ratelimit-reset", "retry-after"):
        value = found.get(name, "").strip()
        if value.replace(".", "", 1).isdecimal() and value.isascii():
            return min(float(value), _LONGEST_WAIT)
        if name == "retry-after" and value:
            try:
                when = parsedate_to_datetime(value)
            except ValueError:
                continue
            return min(max((when.astimezone(UTC) - datetime.now(UTC)).total_seconds(), 0.0), _LONGEST_WAIT)
    return None
