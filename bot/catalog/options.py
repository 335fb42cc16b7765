"""The options of providers, checked by the providers' own models at the lines where they stand.

The models come from outside: the catalog knows no provider, and loads none that the file does not name.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from os.path import normpath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from bot.catalog.document import Node, merged
from bot.catalog.explain import explained
from bot.catalog.problems import nearest, quoted
from bot.domain.catalog import ProviderRef
from bot.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from bot.catalog.document import Source
    from bot.catalog.problems import Problem
    from bot.domain.strategy.powers import Power


_TYPES = {"metrics": "metric source"}


@dataclass(frozen=True, slots=True)
class Providers:
    """The providers that there are: for each the model of its options.

    A mapping may be lazy: looking a kind up may raise `ConfigurationError`, which is told at the line that names it.
    """

    targets: Mapping[str, type[BaseModel]]
    images: Mapping[str, type[BaseModel]]
    metrics: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    powers: Mapping[str, Collection[Power]] = field(default_factory=dict)
    """What targets can do beyond the plain replacement of a release; those that are missing here can nothing."""
    clusters: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    clustered: Mapping[str, bool] = field(default_factory=dict)
    """Which targets run on one of the catalog's clusters, named by their option ``cluster``; others do not."""
    unpullable: Mapping[str, bool] = field(default_factory=dict)
    """Which images lie where the bot runs, so that no cluster can pull them."""
    previews: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    queries: Mapping[str, Collection[str]] = field(default_factory=dict)
    """What metric sources can be asked, where that is a few words; nothing for those that have a language."""
    check: Callable[[str, str], None] | None = None
    """Called with the noun (``target``, ``images``, ``metrics``, ``cluster``, ``preview``) and the type that the file
    names: raises `ConfigurationError` when packages that it needs are not installed."""


class OptionsChecker:
    """Checks provider blocks of one document and gathers what is wrong with them."""

    def __init__(self, providers: Providers, source: Source, folder: Path) -> None:
        self._providers = providers
        self._source = source
        self._folder = folder
        self.problems: list[Problem] = []

    def targets(self, block: Node, environments: Sequence[str]) -> dict[str, ProviderRef]:
        """The target of each environment that has a good one."""
        kind, model = self._model(block, "target", self._providers.targets)
        if kind is None or model is None:
            return {}
        base = _without(block, "type", "environments")
        special = {name: over for name in environments if (over := self._special(block, name, kind))}
        references: dict[str, ProviderRef] = {}
        told: set[tuple[str, str]] = set()
        if len(special) < len(environments):
            # What is the same in several environments is checked and told once.
            shared, problems = self._reference(kind, model, base)
            self.problems += problems
            told = {(problem.path, problem.message) for problem in problems}
            references = {name: shared for name in environments if shared and name not in special}
        for name, over in special.items():
            laid = merged(base, over) or base
            note = f" for {name}"
            reference, problems = self._reference(
                kind, model, Node(laid.value, block.at, block.key_at, block.path), note
            )
            self.problems += [p for p in problems if (p.path, p.message.replace(note, "", 1)) not in told]
            if reference is not None:
                references[name] = reference
        return {name: references[name] for name in environments if name in references}

    def _special(self, block: Node, environment: str, kind: str) -> Node | None:
        """The options that are different in an environment, if any are."""
        over = block.get("environments", environment)
        if over is None or not over.items():
            return None
        if other := over.get("type"):
            message = f"a service has one type of target, here {quoted(kind)}; only its options differ"
            self.problems.append(self._source.problem(other.key_at, other.path, message))
        return _without(over, "type")

    def images(self, block: Node) -> ProviderRef | None:
        """The images that the block names, if they are good."""
        return self._whole(block, "images", self._providers.images)

    def metrics(self, block: Node) -> ProviderRef | None:
        """The metric source that the block names, if it is good."""
        return self._whole(block, "metrics", self._providers.metrics)

    def cluster(self, block: Node) -> ProviderRef | None:
        """The cluster that the block describes, if it is good."""
        return self._whole(block, "cluster", self._providers.clusters)

    def previews(self, block: Node) -> ProviderRef | None:
        """The previews that the block describes, if they are good."""
        return self._whole(block, "preview", self._providers.previews)

    def _whole(self, block: Node, noun: str, models: Mapping[str, type[BaseModel]]) -> ProviderRef | None:
        """A provider of a block over and under which nothing is laid."""
        kind, model = self._model(block, noun, models)
        if kind is None or model is None:
            return None
        reference, problems = self._reference(kind, model, _without(block, "type"))
        self.problems += problems
        return reference

    def _model(
        self, block: Node, noun: str, models: Mapping[str, type[BaseModel]]
    ) -> tuple[str | None, type[BaseModel] | None]:
        type_node = block.get("type")
        if type_node is None and isinstance(block.value, dict):
            problem = self._source.problem(block.key_at, block.path, "'type' is missing", allowed=tuple(sorted(models)))
            self.problems.append(problem)
        if type_node is None or not isinstance(type_node.value, str):
            return None, None  # the schema tells what is no text or no mapping
        kind = type_node.value
        try:
            if kind in models:
                if self._providers.check is not None:
                    self._providers.check(noun, kind)
                return kind, models[kind]
        except ConfigurationError as error:
            message = error.message.rstrip(".")
            self.problems.append(self._source.problem(type_node.at, type_node.path, message))
            return kind, None
        known = tuple(sorted(models))
        message = f"there is no type of {_TYPES.get(noun, noun)} {quoted(kind)}"
        guess = nearest(kind, known)
        self.problems.append(
            self._source.problem(type_node.at, type_node.path, message, allowed=known, nearest=guess),
        )
        return kind, None

    def _reference(
        self, kind: str, model: type[BaseModel], options: Node, note: str = ""
    ) -> tuple[ProviderRef | None, list[Problem]]:
        try:
            # As JSON, and strictly: text is a path where the model says so, but "2" is never a number.
            checked = model.model_validate_json(json.dumps(options.plain()), strict=True)
        except ValidationError as error:
            return None, list(explained(error, model, options, self._source, note=note))
        return ProviderRef(kind=kind, options=_anchored(checked.model_dump(by_alias=True), self._folder)), []


def _without(block: Node, *keys: str) -> Node:
    return Node({k: n for k, n in block.items().items() if k not in keys}, block.at, block.key_at, block.path)


def _anchored(value: Any, folder: Path) -> Any:
    """``value`` with its relative paths made absolute: they are meant from ``folder``, not from where the bot began."""
    if isinstance(value, Path):
        return Path(normpath(folder / value))
    if isinstance(value, dict):
        return {key: _anchored(item, folder) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_anchored(item, folder) for item in value)
    return value
