"""The names that the grammar's tests use: some plain, some that collide on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from grammar_names import vocabulary_of

if TYPE_CHECKING:
    from bot.domain.grammar import Vocabulary


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    """The demo's names and a few more."""
    everywhere = "staging production"
    services = {"checkout": everywhere, "catalog": everywhere, "payments": "production", "api2": everywhere}
    return vocabulary_of(services, "staging", "production", "qa1")


@pytest.fixture(scope="session")
def tricky() -> Vocabulary:
    """Names that are in two sets, look like versions, or differ by case only."""
    services = {"queue": "prod", "prod": "prod", "v1": "prod", "force": "prod", "API": "prod", "api": "prod"}
    return vocabulary_of(services | {"to": "prod", "2048": "prod", "help": "prod"}, "prod", "live", "Live2", "status")
