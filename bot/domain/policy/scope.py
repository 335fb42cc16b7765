"""What a lock or a freeze speaks about: everything, an environment, a service, or one service in one environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.ids import EnvironmentName, ServiceName

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Names that are None mean all of them."""

    service: ServiceName | None = None
    environment: EnvironmentName | None = None

    @property
    def words(self) -> str:
        """As people read it."""
        if self.service is None:
            return "everything" if self.environment is None else self.environment
        return self.service if self.environment is None else f"{self.service}@{self.environment}"

    @property
    def subject(self) -> str:
        """As a sentence begins with it; names are written as they are."""
        return "Everything" if self == EVERYTHING else self.words

    @property
    def key(self) -> str:
        """As it is stored: ``*@*``, ``*@production``, ``checkout@*`` or ``checkout@production``."""
        return f"{self.service or '*'}@{self.environment or '*'}"

    @property
    def breadth(self) -> int:
        """How much it covers: 0 one service in one environment, 3 everything."""
        return (self.service is None) * 2 + (self.environment is None)

    def covers(self, service: ServiceName, environment: EnvironmentName) -> bool:
        """Whether ``service`` in ``environment`` is within it."""
        return self.service in {None, service} and self.environment in {None, environment}


EVERYTHING = Scope()


def scope_of(key: str) -> Scope:
    """The scope that was stored as ``key``; raises `ValueError`."""
    service, at, environment = key.partition("@")
    if not (service and at and environment):
        raise ValueError(f"{key!r} is no scope")
    return Scope(
        service=None if service == "*" else ServiceName(service),
        environment=None if environment == "*" else EnvironmentName(environment),
    )


def in_order(scopes: Iterable[Scope]) -> list[Scope]:
    """The scopes in the one order in which several are taken, so that no two takers wait for each other."""
    return sorted(scopes, key=lambda scope: scope.key)
