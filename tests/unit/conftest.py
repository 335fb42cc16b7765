"""A whole bot over a real database and a clock that tests turn: see `engine.simulation`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest
from unit.engine.simulation.hands import Hands
from unit.engine.simulation.world import copy_of, empty, run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


class Happens(Protocol):
    """Lets a story happen in a world of its own; takes the settings of `engine.simulation.world.run`."""

    def __call__(self, story: Callable[[Hands], Awaitable[None]], **settings: Any) -> None: ...


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the schema of this build, to be copied."""
    path = tmp_path_factory.mktemp("empty") / "empty.sqlite"
    empty(path)
    return path


@pytest.fixture
def happens(empty_database: Path, tmp_path: Path) -> Happens:
    """See `Happens`."""

    def go(story: Callable[[Hands], Awaitable[None]], **settings: Any) -> None:
        settings.setdefault("haste", 0.0)
        run(lambda world: story(Hands(world)), path=copy_of(empty_database, tmp_path / "world.sqlite"), **settings)

    return go
