"""The webhooks by which Flagger asks the bot: what to write into a Canary, and whether it is there."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bot.domain.gate import Hook

if TYPE_CHECKING:
    from bot.domain.gate import Door
    from integrations.flagger.canary import Canary

ASKED = (Hook.ROLLOUT, Hook.TRAFFIC, Hook.PROMOTION, Hook.ROLLBACK)
"""Those that a strategy with steps cannot do without."""
_TIMEOUT = "2s"
"""The bot answers within one. Three may be asked in one round, and together they must end before the next one, of which
none comes sooner than after 10 s.
"""
_NOT_SET = "FLAGGER_SECRET is not set, so Flagger's gates have no addresses at the bot"


def missing(canary: Canary, door: Door, key: str) -> list[Hook]:
    """The hooks that do not lead to the bot."""
    if not door.there:
        return list(ASKED)
    return [hook for hook in ASKED if not any(_path(url) == door.path(key, hook) for url in canary.hooks(hook))]


def lacks(canary: Canary, door: Door, key: str) -> str:
    """A sentence about the hooks that are missing, and what to do; empty when none is."""
    if not door.there:
        return f"{_NOT_SET}."
    gone = missing(canary, door, key)
    if not gone:
        return ""
    return (
        f"The Canary {canary.name} does not ask the bot: it lacks the webhook{'s' * (len(gone) > 1)} "
        f"{', '.join(gone)}. `deployment-architect flagger SERVICE ENVIRONMENT` prints what to write."
    )


def as_yaml(door: Door, key: str) -> str:
    """What to write under ``spec.analysis`` of the Canary."""
    lines = ["webhooks:"]
    for hook in (*ASKED, Hook.EVENT):
        lines += [
            f"  - name: deployment-architect-{hook}",
            f"    type: {hook}",
            f"    url: {door.address(key, hook)}",
            f"    timeout: {_TIMEOUT}",
        ]
    return "\n".join(lines)


def _path(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        return ""
