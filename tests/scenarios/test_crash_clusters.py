"""The bot is killed while a Deployment, a Canary of Flagger's or a Rollout of Argo's is rolled out, and taken back.

The cluster stays: it does what it was told, asks for what it was not told, and says afterwards what was done to it. A
first telling of each tale writes down the points that it passes (see `launcher`); then it is told again by bots that
die at some of them, several in each telling, always around each change of the cluster; at other points each day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from crash_clusters import TALES, ClusterTales
from crash_telling import database, told_with_deaths

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

pytestmark = [pytest.mark.long, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def clusters_database(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """The address of an empty PostgreSQL database, or None for SQLite."""
    yield from database(request)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tales(clusters_database: str | None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ClusterTales]:
    """One world on each database."""
    made = await ClusterTales.open(tmp_path_factory.mktemp("clusters") / "world", clusters_database)
    try:
        yield made
    finally:
        await made.close()


@pytest.mark.xdist_group("crash-clusters-sqlite")
@pytest.mark.parametrize("clusters_database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("tale", list(TALES))
async def test_killed_anywhere_a_rollout_in_a_cluster_ends_as_it_should(
    tales: ClusterTales, tale: str, record_property: Callable[[str, object], None]
) -> None:
    await told_with_deaths(tales, tale, 1, record_property)


@pytest.mark.postgres
@pytest.mark.xdist_group("crash-clusters-postgresql")
@pytest.mark.parametrize("clusters_database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("tale", ["rolling_fails", "flagger", "argo"])
async def test_and_so_it_does_on_postgresql(
    tales: ClusterTales, tale: str, record_property: Callable[[str, object], None]
) -> None:
    await told_with_deaths(tales, tale, 1, record_property)


@pytest.mark.xdist_group("crash-clusters-sqlite")
@pytest.mark.parametrize("clusters_database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("tale", ["rolling_fails", "flagger", "argo", "argo_aborted"])
async def test_and_so_it_does_when_no_change_is_ever_answered(tales: ClusterTales, tale: str) -> None:
    tales.cluster.loses_answers = True
    try:
        assert not await tales.tell(tale, [])
    finally:
        tales.cluster.loses_answers = False
