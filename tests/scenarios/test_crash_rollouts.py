"""The bot is killed while a canary goes up with people's leave, while it is taken back, and while that is counted down.

A first telling of each tale writes down the points that it passes (see `launcher`); then it is told again and again by
bots that die at some of them, several in each telling. Every point has its turn within about five weeks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from crash_rollouts import TALES
from crash_tales import Tales
from crash_telling import database, told_with_deaths

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

pytestmark = [pytest.mark.long, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

TELLINGS = dict.fromkeys(TALES, 1) | {"canary": 2}
"""With deaths, on each database, in one run."""


@pytest.fixture(scope="module")
def tales_database(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """The address of an empty PostgreSQL database, or None for SQLite."""
    yield from database(request)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tales(tales_database: str | None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tales]:
    """One world on each database."""
    made = await Tales.open(tmp_path_factory.mktemp("tales") / "world", tales_database)
    try:
        yield made
    finally:
        await made.close()


@pytest.mark.parametrize(
    "tales_database",
    [
        # One worker for each database, side by side.
        pytest.param("sqlite", marks=pytest.mark.xdist_group("crash-rollouts-sqlite")),
        pytest.param("postgresql", marks=[pytest.mark.xdist_group("crash-rollouts-postgresql"), pytest.mark.postgres]),
    ],
    indirect=True,
)
@pytest.mark.parametrize("tale", list(TALES))
async def test_killed_anywhere_a_rollout_ends_as_it_should(
    tales: Tales, tale: str, record_property: Callable[[str, object], None]
) -> None:
    await told_with_deaths(tales, tale, TELLINGS[tale], record_property)
