"""Whether the targets that services run on can do what the strategies ask of them. Loads no target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.catalog.checks import block
from bot.catalog.times import in_file
from bot.domain.errors import ConfigurationError
from bot.domain.strategy.kinds import Recreate, Rolling
from bot.domain.strategy.powers import check_powers, missing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from bot.catalog.document import Node, Source
    from bot.catalog.problems import Problem
    from bot.domain.strategy.kinds import Strategy
    from bot.domain.strategy.powers import Power

_NAMED = 3  # places that one message names


class Capable:
    """What the targets of one document can do, looked up no further than strategies ask for it."""

    def __init__(self, root: Node, source: Source, powers: Mapping[str, Collection[Power]]) -> None:
        self._root = root
        self._source = source
        self._powers = powers
        self._kinds = {name: kind for name, service in block(root, "services").items() if (kind := _kind(service))}

    def strategies(self, own: Mapping[str, Strategy]) -> dict[str, Strategy]:
        """The strategies that can be asked for: those that are built in and can be done somewhere, and ``own``."""
        recreate = Recreate()
        somewhere = any(self._can(kind, recreate) for kind in set(self._kinds.values()))
        built_in: dict[str, Strategy] = {"rolling": Rolling()}
        if somewhere:
            built_in["recreate"] = recreate
        return {**built_in, **own}

    def powers(self, own: Mapping[str, Strategy]) -> dict[str, Collection[Power]]:
        """What every kind of target can do, as far as a strategy that can be asked for needs to know it."""
        needed = any(strategy.needs for strategy in self.strategies(own).values())
        return {name: self._of(name) for name in self._powers} if needed else {}

    def problems(self, own: Mapping[str, Strategy], places: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
        """What cannot be done where it is asked for; ``places`` are the environments of each service."""
        known: dict[str, Strategy] = {"rolling": Rolling(), "recreate": Recreate(), **own}
        asked: dict[tuple[int, str, str], tuple[Node, list[str]]] = {}
        for service, node in block(self._root, "services").items():
            kind = self._kinds.get(service)
            for environment in places.get(service, ()) if kind else ():
                chosen = self._root.get("environments", environment, "strategy") or node.get("strategy")
                strategy = known.get(chosen.value) if chosen and isinstance(chosen.value, str) else None
                if kind and chosen and strategy and not self._can(kind, strategy):
                    key = (chosen.at, str(chosen.value), kind)
                    asked.setdefault(key, (chosen, []))[1].append(f"{service} in {environment}")
        for (_, name, kind), (node, where) in asked.items():
            some = ", ".join(where[:_NAMED]) + (f" and {len(where) - _NAMED} more" if len(where) > _NAMED else "")
            message = f"nothing for {some}: {self._why(kind, known[name])}"
            yield self._source.problem(node.at, node.path, message)
        told = {name for _, name, _ in asked}
        for name, node in block(self._root, "strategies").items():
            kinds = sorted(set(self._kinds.values()))
            if name in own and name not in told and kinds and not any(self._can(kind, own[name]) for kind in kinds):
                message = f"nothing for any service here: {self._why(kinds[0], own[name])}"
                yield self._source.problem(node.key_at, node.path, message)

    def _can(self, kind: str, strategy: Strategy) -> bool:
        return not strategy.needs or not missing(strategy, self._of(kind))

    def _of(self, kind: str) -> Collection[Power]:
        try:
            return self._powers.get(kind, ())
        except ConfigurationError:
            return ()  # such a type is told where it is named

    def _why(self, kind: str, strategy: Strategy) -> str:
        try:
            check_powers(strategy, target=kind, targets={name: self._of(name) for name in self._powers})
        except ConfigurationError as error:
            return in_file(error)
        return f"the target {kind} cannot do it"


def _kind(service: Node) -> str | None:
    node = service.get("target", "type")
    return node.value if node is not None and isinstance(node.value, str) else None
