"""Builds vocabularies for the grammar's tests."""

from __future__ import annotations

from bot.domain.grammar import Vocabulary
from bot.domain.ids import EnvironmentName, ServiceName


def vocabulary_of(
    services: dict[str, str], *environments: str, strategies: tuple[str, ...] = ("rolling",)
) -> Vocabulary:
    """A vocabulary of services, each with the environments it runs in (blank-separated)."""
    return Vocabulary(
        services=tuple(map(ServiceName, services)),
        environments=tuple(map(EnvironmentName, environments)),
        homes={ServiceName(name): tuple(map(EnvironmentName, homes.split())) for name, homes in services.items()},
        strategies=strategies,
    )
