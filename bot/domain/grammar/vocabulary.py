"""The closed sets of names that a command may use, from one revision of the catalog. Versions are not among them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

from bot.domain.grammar.options import FLAGS
from bot.domain.grammar.tokens import quote
from bot.domain.grammar.verbs import Verb
from bot.domain.grammar.versions import is_unmistakable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.domain.catalog import Catalog
    from bot.domain.ids import EnvironmentName, ServiceName

_PUNCTUATION = ".,;:!?"


class Kind(StrEnum):
    """Which set a name belongs to. The value is the key that says so: ``service=status``."""

    SERVICE = "service"
    ENVIRONMENT = "environment"
    ACTION = "action"
    #: ``dry-run`` and ``force``, which stand alone.
    OPTION = "option"


@dataclass(frozen=True, slots=True, order=True)
class Reading:
    """One thing that a word can mean: a name as the catalog writes it, and its set."""

    kind: Kind
    name: str

    @property
    def explicit(self) -> str:
        """How to say this one and no other."""
        return f"--{self.name}" if self.kind is Kind.OPTION else f"{self.kind}={self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Which names there are. Upper and lower case count as the same unless the catalog tells two names apart by it."""

    services: tuple[ServiceName, ...]
    environments: tuple[EnvironmentName, ...]
    homes: Mapping[ServiceName, tuple[EnvironmentName, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """Where each service runs, for completions and examples."""
    verbs: tuple[Verb, ...] = tuple(Verb)
    strategies: tuple[str, ...] = ("rolling",)
    """Not among the closed sets: a name that a strategy shares with a service or an environment means those."""
    _index: Mapping[str, tuple[Reading, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        index: dict[str, tuple[Reading, ...]] = {}
        for kind, names in (
            (Kind.SERVICE, self.services),
            (Kind.ENVIRONMENT, self.environments),
            (Kind.ACTION, self.verbs),
            (Kind.OPTION, FLAGS),
        ):
            for name in names:
                key = str(name).casefold()
                index[key] = (*index.get(key, ()), Reading(kind, str(name)))
        object.__setattr__(self, "_index", MappingProxyType(index))

    @classmethod
    def of(cls, catalog: Catalog) -> Self:
        """The vocabulary of a catalog."""
        homes: dict[ServiceName, tuple[EnvironmentName, ...]] = dict.fromkeys(catalog.services, ())
        for service, environment in catalog.places():
            homes[service.name] = (*homes.get(service.name, ()), environment.name)
        return cls(
            services=tuple(service.name for service in catalog.services.values()),
            environments=tuple(environment.name for environment in catalog.environments.values()),
            homes=MappingProxyType(homes),
            strategies=tuple(catalog.strategies),
        )

    def readings(self, word: str) -> tuple[Reading, ...]:
        """Everything in the closed sets that ``word`` names; a full stop or comma after it is not part of it."""
        key = word.casefold()
        found = self._index.get(key) or self._index.get(key.rstrip(_PUNCTUATION), ())
        exact = tuple(reading for reading in found if reading.name == word)
        # Case tells two names of one set apart; it never chooses between two sets.
        if exact and len({reading.kind for reading in found}) == 1:
            return exact
        return found

    def names(self) -> tuple[str, ...]:
        """Every name, environments first: a command most often misses there."""
        return (*self.environments, *self.services, *map(str, self.verbs))

    def spell(self, kind: Kind, name: str) -> str:
        """``name`` so that it can only be read as this: ``checkout``, or ``service=queue`` where two sets have it."""
        if self.readings(name) == (Reading(kind, name),) and not is_unmistakable(name):
            return name
        return f"{kind}={name if ' ' not in name else quote(name)}"
