"""What a target can do beyond the plain replacement of a release, as far as strategies ask for it.

Each power is a Protocol in `bot.ports.target`; which target has which is found out by who reads the catalog.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from bot.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from bot.domain.strategy.kinds import Strategy


class Power(StrEnum):
    """An optional ability of a target."""

    TRAFFIC_WEIGHT = "traffic_weight"
    PROMOTE = "promote"
    ABORT = "abort"
    RECREATE = "recreate"

    @property
    def protocol(self) -> str:
        """The Protocol that a target with this power fulfils."""
        return "Supports" + self.value.title().replace("_", "")

    @property
    def words(self) -> str:
        """What it cannot do without, after "it cannot"."""
        return {
            Power.TRAFFIC_WEIGHT: "split traffic between two releases",
            Power.PROMOTE: "make a canary the stable release",
            Power.ABORT: "take a canary back",
            Power.RECREATE: "stop what runs before it starts the next",
        }[self]


def missing(strategy: Strategy, powers: Collection[Power]) -> tuple[Power, ...]:
    """What a target with ``powers`` lacks for ``strategy``; empty if it can do it."""
    return tuple(power for power in Power if power in strategy.needs and power not in powers)


def check_powers(strategy: Strategy, *, target: str, targets: Mapping[str, Collection[Power]]) -> None:
    """Refuse a strategy that the ``target`` of that kind cannot do, naming the ``targets`` that can.

    Raises `ConfigurationError`. A kind that is not among ``targets`` has no powers.
    """
    lacks = missing(strategy, targets.get(target, ()))
    if not lacks:
        return
    able = sorted(kind for kind, powers in targets.items() if not missing(strategy, powers))
    who = f"These targets can: {', '.join(able)}." if able else "None of the targets that are installed can."
    cannot = ", ".join(power.words for power in lacks)
    raise ConfigurationError(f"The target {target} cannot do the strategy {strategy.kind}: it cannot {cannot}. {who}")
