"""How Flagger calls its webhooks: a POST of JSON, a deadline, and anything above 202 is a no.

Follows flagger 1.44.0, pkg/controller/webhook.go and docs.flagger.app/usage/webhooks: the payload is name, namespace,
phase, checksum and metadata; no credentials are sent; the default deadline is 10 s, there are no retries unless asked
for; redirects are followed as Go's client does.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from .resources import Object

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Asked:
    """One webhook that was called."""

    kind: str
    url: str
    payload: Object
    ok: bool
    said: str


def duration(text: str | None, default: float = 10.0) -> float:
    """Go's durations, in seconds: ``500ms``, ``1m30s``."""
    if not text or len(text) < 2:
        return default
    return sum(float(number) * UNITS[unit] for number, unit in re.findall(r"([\d.]+)(ms|s|m|h)", text))


class Webhooks:
    """Calls them, and remembers it in ``asked``."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []

    async def call(
        self, canary: Object, hook: Object, *, phase: str, checksum: str, more: dict[str, str] | None = None
    ) -> bool:
        """Whether it said yes."""
        metadata: dict[str, Any] = {**(hook.get("metadata") or {}), **(more or {})}
        payload: Object = {
            "name": canary["metadata"]["name"],
            "namespace": canary["metadata"]["namespace"],
            "phase": phase,
            "checksum": checksum,
        }
        if metadata:
            payload["metadata"] = metadata
        ok, said = False, ""
        for _ in range(int(hook.get("retries") or 0) + 1):
            ok, said = await _post(hook["url"], payload, duration(hook.get("timeout")))
            if ok:
                break
        self.asked.append(Asked(hook.get("type") or "rollout", hook["url"], payload, ok, said))
        return ok


async def _post(url: str, payload: Object, timeout: float) -> tuple[bool, str]:
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout), trust_env=False) as session,
            session.post(url, json=payload, max_redirects=10) as answer,
        ):
            body = await answer.text()
            return answer.status <= 202, body
    except (aiohttp.ClientError, asyncio.TimeoutError) as error:  # noqa: UP041  -- what aiohttp raises
        return False, f"{type(error).__name__}: {error}"
