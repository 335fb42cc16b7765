"""What an API server's refusals mean, in our own words. What it says is hostile input: one line, short, no secrets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bot.domain.errors import ProviderRejected, ProviderUnavailable
from integrations._shared.failures import retry_after, told
from integrations._shared.kube import raw

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.domain.errors import ProviderError

PROVIDER = "kubernetes"

_LONGEST = 4096
"""Characters of a server's words that are looked at."""
_RULES = ("admission webhook", "ValidatingAdmissionPolicy", "violates PodSecurity", "exceeded quota", " usage per ")
"""What stands in the words of those who forbid a thing as such, whoever asks for it."""
_VERBS = {"GET": "get", "POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete"}


class Conflict(ProviderRejected):
    """Somebody else changed the object meanwhile; nothing was changed. Read it anew and decide anew."""


class NotFound(ProviderRejected):
    """There is no such object; nothing was changed."""


class Expired(ProviderUnavailable):
    """What was known of a list is too old to go on from; list anew."""


def refusal(
    cluster: str, method: str, path: str, status: int, headers: Mapping[str, str], body: bytes
) -> ProviderError:
    """The error that an answer means which is not 2xx. ``method`` is that of HTTP, or WATCH."""
    said = status_of(body)
    words = told(raw.text(said, "message")[:_LONGEST])
    detail = f": {words}" if words else ""
    what = spoken(path)
    if status == 404:
        return NotFound(f"The cluster {cluster} has no {what}{detail}.", provider=PROVIDER)
    if status == 401:
        return ProviderRejected(f"The cluster {cluster} does not accept our credentials (401).", provider=PROVIDER)
    if status == 403 and any(rule in words for rule in _RULES):
        sentence = f"A rule of the cluster {cluster} forbids the change of {what}{detail}."
        return ProviderRejected(sentence, provider=PROVIDER)
    if status == 403:
        return ProviderRejected(
            f"The cluster {cluster} does not allow us to {_VERBS.get(method, method.lower())} {what}{detail}.",
            provider=PROVIDER,
        )
    if status == 409 or (status == 422 and not _causes(said) and method == "PATCH"):
        # A JSON Patch whose test does not hold is answered 422 without a word about which one.
        return Conflict(f"{what} in the cluster {cluster} was changed by somebody else{detail}.", provider=PROVIDER)
    if status == 410:
        return Expired(f"What the cluster {cluster} told about {what} is too old.", provider=PROVIDER)
    if status == 429 or status >= 500 or status == 408:
        return ProviderUnavailable(
            f"The cluster {cluster} has trouble ({status}){detail}.",
            provider=PROVIDER,
            retry_after=_wait(said, headers),
        )
    return ProviderRejected(
        f"The cluster {cluster} refused the request for {what} ({status}){detail}.", provider=PROVIDER
    )


def status_of(body: bytes) -> Mapping[str, Any]:
    """The Status object that ``body`` is; empty when it is none."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) and found.get("kind") == "Status" else {}


def spoken(path: str) -> str:
    """What a path leads to, for people: ``deployments checkout in namespace shop``."""
    parts = [part for part in path.partition("?")[0].split("/") if part]
    parts = parts[2:] if parts[:1] == ["api"] else parts[3:]
    where = ""
    if parts[:1] == ["namespaces"] and len(parts) > 2:
        where, parts = f" in namespace {parts[1]}", parts[2:]
    resource, name, *rest = [*parts, "", ""] if len(parts) < 2 else parts
    return f"{'/'.join([resource, *filter(None, rest)])}{f' {name}' if name else ''}{where}"


def _causes(said: Mapping[str, Any]) -> bool:
    details = said.get("details")
    return isinstance(details, dict) and bool(details.get("causes"))


def _wait(said: Mapping[str, Any], headers: Mapping[str, str]) -> float | None:
    details = said.get("details")
    seconds = details.get("retryAfterSeconds") if isinstance(details, dict) else None
    if isinstance(seconds, int) and not isinstance(seconds, bool) and seconds > 0:
        return float(min(seconds, 3600))
    return retry_after(headers)
