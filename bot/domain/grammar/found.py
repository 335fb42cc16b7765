"""What the words of one command turned out to be, before it is known whether they belong together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from bot.domain.errors import BadCommand
from bot.domain.grammar.refusals import clip, show_both

if TYPE_CHECKING:
    from bot.domain.grammar.intents import DeploymentRef
    from bot.domain.grammar.options import Value
    from bot.domain.grammar.verbs import Verb
    from bot.domain.grammar.vocabulary import Reading
    from bot.domain.ids import EnvironmentName, ServiceName
    from bot.domain.policy.access import Action

T = TypeVar("T")


@dataclass(slots=True)
class Found:
    """The parts of a command. Lists keep the order of typing; saying the same thing twice counts once."""

    verbs: list[Verb] = field(default_factory=list)
    services: list[ServiceName] = field(default_factory=list)
    lists: set[int] = field(default_factory=set)
    """The comma lists (by place) that the services came from."""
    environments: list[EnvironmentName] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    deployments: list[DeploymentRef] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)
    """The options by name, except those that spell out one of the parts above."""
    people: list[str] = field(default_factory=list)
    """Ids of users."""
    rights: list[Action] = field(default_factory=list)
    everything: bool = False
    """Whether the word for everything was said."""
    bare_text: bool = False
    """Whether a text option came without quotation marks, so that words of it may lie about."""
    places: dict[EnvironmentName, int] = field(default_factory=dict)
    """Where in the text each environment is named first."""
    plain: dict[str, Reading] = field(default_factory=dict)
    """The names that were said without a key, by the word that said them."""

    def text(self, option: str) -> str | None:
        """The value of an option that is text."""
        value = self.values.get(option)
        return value if isinstance(value, str) else None

    def is_set(self, option: str) -> bool:
        """Whether a flag is on."""
        return self.values.get(option) is True

    def number(self, option: str, default: int) -> int:
        """The value of an option that is a number."""
        value = self.values.get(option)
        return value if isinstance(value, int) and not isinstance(value, bool) else default

    def put(self, option: str, value: Value, *, token: str) -> None:
        """Record an option; raises `BadCommand` when it was given with another value already."""
        if option in self.values and self.values[option] != value:
            raise BadCommand(
                f"{option}= is given twice, with different values.", token=clip(token), hint=f"Keep one {option}=."
            )
        self.values[option] = value

    def add_service(self, service: ServiceName, place: int) -> None:
        """Record a service and the comma list that it stood in."""
        if service not in self.services:
            self.services.append(service)
            self.lists.add(place)

    def add_environment(self, environment: EnvironmentName, place: int) -> None:
        """Record an environment and where it was named."""
        add(self.environments, environment)
        self.places[environment] = min(place, self.places.get(environment, place))


def add(items: list[T], item: T) -> None:
    """Append ``item`` unless it is there already."""
    if item not in items:
        items.append(item)


def only(items: list[T], what: str, *, hint: str) -> T | None:
    """The one item, or None; raises `BadCommand` naming two when there are several."""
    if len(items) > 1:
        both = show_both(str(items[0]), str(items[1]))
        raise BadCommand(f"There are two {what}: {both}.", token=clip(str(items[1])), hint=hint)
    return items[0] if items else None
