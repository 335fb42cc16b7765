"""The strategies, as data: what is wanted, not how far it has come."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import ClassVar, TypeAlias

from bot.domain.errors import ConfigurationError
from bot.domain.strategy.powers import Power

_WEIGHTED = frozenset({Power.TRAFFIC_WEIGHT, Power.PROMOTE, Power.ABORT})


class StrategyKind(StrEnum):
    """How strategies are called."""

    ROLLING = "rolling"
    RECREATE = "recreate"
    BLUE_GREEN = "blue_green"
    CANARY = "canary"


class OnTimeout(StrEnum):
    """What happens when people were asked and nobody answered."""

    ABORT = "abort"
    #: It stays as it is until somebody says something.
    HOLD = "hold"
    #: It goes on if every check passes, and is held otherwise.
    PROMOTE = "promote"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A weight, and what must be before the next one. Raises `ConfigurationError`."""

    weight: int
    """Per cent of the traffic that go to the canary; 1 to 100."""
    bake: float = 0.0
    """Seconds for which the checks are watched at this weight."""
    approval: bool = False
    """Whether a person must say yes before it goes beyond this weight."""

    def __post_init__(self) -> None:
        """Refuse a step that is none."""
        if not 1 <= self.weight <= 100:
            raise ConfigurationError(f"A step sends 1 to 100 % of the traffic to the canary, not {self.weight} %.")
        _check_seconds(self.bake, "bake", least=0)
        if self.weight == 100 and self.approval:
            raise ConfigurationError("Nothing follows a step of 100 %: put the approval on the step before it.")
        if self.weight < 100 and not self.bake and not self.approval:
            raise ConfigurationError(f"The step of {self.weight} % neither bakes nor asks anybody, so it is none.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rolling:
    """Instances are replaced one after the other, as the target does it."""

    kind: ClassVar[StrategyKind] = StrategyKind.ROLLING
    needs: ClassVar[frozenset[Power]] = frozenset()

    @property
    def words(self) -> str:
        """The strategy in a line."""
        return "rolling: instances are replaced one after the other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recreate:
    """What runs is stopped, and then the next is started: never two releases at once, and nothing in between."""

    kind: ClassVar[StrategyKind] = StrategyKind.RECREATE
    needs: ClassVar[frozenset[Power]] = frozenset({Power.RECREATE})

    @property
    def words(self) -> str:
        """The strategy in a line."""
        return "recreate: what runs is stopped before the next is started"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlueGreen:
    """The next release is started beside the old one and verified without traffic; then all traffic is switched."""

    kind: ClassVar[StrategyKind] = StrategyKind.BLUE_GREEN
    needs: ClassVar[frozenset[Power]] = _WEIGHTED

    keep: float = 600.0
    """Seconds for which the old release is kept after the switch, ready to be switched back to."""
    verify: float = 0.0
    """Seconds for which the new one is watched before the switch, by checks that need no traffic."""
    approval: bool = False
    """Whether a person must say yes before the switch."""
    timeout: float = 1800.0
    """Seconds for which people are waited for."""
    on_timeout: OnTimeout = OnTimeout.ABORT

    def __post_init__(self) -> None:
        """Refuse times that are none."""
        _check_seconds(self.keep, "keep", least=0)
        _check_seconds(self.verify, "verify", least=0)
        _check_seconds(self.timeout, "timeout", least=1)

    @property
    def words(self) -> str:
        """The strategy in a line."""
        asks = ", then a person is asked" if self.approval else ""
        kept = f", and the old release is kept for {span(self.keep)}" if self.keep else ""
        return f"blue_green: verified without traffic{asks}, then all traffic is switched{kept}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """A growing part of the traffic goes to the next release. After the last step all of it does."""

    kind: ClassVar[StrategyKind] = StrategyKind.CANARY
    needs: ClassVar[frozenset[Power]] = _WEIGHTED

    steps: tuple[Step, ...]
    timeout: float = 1800.0
    """Seconds for which people are waited for."""
    on_timeout: OnTimeout = OnTimeout.ABORT

    def __post_init__(self) -> None:
        """Refuse what is no canary."""
        if not self.steps:
            raise ConfigurationError("A canary needs at least one step.")
        for one, following in pairwise(self.steps):
            if following.weight <= one.weight:
                weights = ", ".join(f"{step.weight} %" for step in self.steps)
                raise ConfigurationError(f"The weights of a canary's steps must rise; these do not: {weights}.")
        _check_seconds(self.timeout, "timeout", least=1)

    @property
    def words(self) -> str:
        """The strategy in a line."""
        return f"canary: {', '.join(_step_words(step) for step in self.steps)}{self._rest}"

    @property
    def _rest(self) -> str:
        return "" if self.steps[-1].weight == 100 else ", then 100 %"


Strategy: TypeAlias = Rolling | Recreate | BlueGreen | Canary


def span(seconds: float) -> str:
    """A length of time for people: ``45 s``, ``5 min``, ``1 h 30 min``."""
    whole = round(seconds)
    if whole < 60 or (whole % 60 and whole < 600):
        minutes, rest = divmod(whole, 60)
        return f"{minutes} min {rest} s" if minutes else f"{rest} s"
    hours, minutes = divmod(round(whole / 60), 60)
    return " ".join(text for text, there in ((f"{hours} h", hours), (f"{minutes} min", minutes)) if there)


def _step_words(step: Step) -> str:
    bake = f" for {span(step.bake)}" if step.bake else ""
    return f"{step.weight} %{bake}{' until a person says yes' if step.approval else ''}"


def _check_seconds(value: float, name: str, *, least: float) -> None:
    if not (math.isfinite(value) and value >= least):
        raise ConfigurationError(f"{name} is a number of seconds of at least {least:g}, not {value:g}.")
