"""The bot is killed wherever a deployment, a rollback or what comes before them leaves a trace, and started again.

A first run writes down the points that it passes (see `launcher`); then there is one run for each, in which the bot
dies there. One world serves them all: the bot that recovers from one death is the one that dies next, so that each run
also shows that the one before has left the environment free.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from crash_kinds import KINDS
from crash_matrix import Matrix, name_of
from world import PATIENCE, World, catalog, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

pytestmark = [pytest.mark.long, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(900)]

CHUNKS = 3
CHUNKS_OF_KINDS = 2
LEAST = 40
"""Points at which the bot has to die in a deployment, and in a rollback."""
_AGENT: dict[str, Any] = {"before": 0.3, "after": 0.3}
"""Seconds that the agent takes before it applies a change and before it answers, so that one can die in between."""


@pytest.fixture(scope="module")
def matrix_database(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """The address of an empty PostgreSQL database, or None for SQLite."""
    if request.param == "sqlite":
        yield None
        return
    server = request.getfixturevalue("postgres_server")
    url = server.create_database()
    yield url
    server.drop_database(url)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def matrix(matrix_database: str | None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Matrix]:
    """One world on each database."""
    text = catalog(
        environments={"staging": "{}", "production": "{ approval: { expires: 12h } }"},
        actions="deploy, rollback, abort, resolve, approve, lock, unlock, schedule, configure, break_glass",
    )
    world = await World.open(tmp_path_factory.mktemp("matrix") / "world", matrix_database, text=text)
    try:
        await world.platform.faults(**_AGENT)
        yield Matrix(world=world)
    finally:
        await world.close()


on_each_database = pytest.mark.parametrize(
    "matrix_database",
    [
        # One worker for each database, side by side.
        pytest.param("sqlite", marks=pytest.mark.xdist_group("crash-sqlite")),
        pytest.param("postgresql", marks=[pytest.mark.xdist_group("crash-postgresql"), pytest.mark.postgres]),
    ],
    indirect=True,
)


@on_each_database
@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("kind", ["deploy", "roll_back"])
async def test_killed_anywhere_it_ends_as_it_should(
    matrix: Matrix, kind: str, chunk: int, record_property: Callable[[str, object], None]
) -> None:
    points, share = await matrix.points(kind), await matrix.share(kind)
    assert len(points) > LEAST * 4 / 3
    for name in ("mutation apply:sent, not applied#1", "mutation apply:applied, not answered#1"):
        assert name in points
    await _die_at(matrix, kind, share[chunk::CHUNKS], record_property)


@on_each_database
@pytest.mark.parametrize("chunk", range(CHUNKS_OF_KINDS))
@pytest.mark.parametrize("kind", list(KINDS))
async def test_killed_on_its_way_there_it_ends_as_it_should(
    matrix: Matrix, kind: str, chunk: int, record_property: Callable[[str, object], None]
) -> None:
    points, share = await matrix.points(kind), await matrix.share(kind)
    assert set(KINDS[kind].meets) <= set(points)
    plain = {name_of(at) for at in await matrix.points("deploy")}
    assert len({name_of(at) for at in points} - plain) >= KINDS[kind].least
    await _die_at(matrix, kind, share[chunk::CHUNKS_OF_KINDS], record_property)


@on_each_database
async def test_what_comes_too_late_expires_and_changes_nothing(matrix: Matrix) -> None:
    world = matrix.world
    await matrix.run("scheduled", at="nowhere")
    assert matrix.bot is not None
    newest = await world.newest()
    assert newest is not None
    before = await matrix.picture()
    version = "v1.4" if before.serves != "v1.4" else "v1.2"
    await world.command("ada", f'checkout {version} staging at="in 2s" expires=1s')
    late = await world.ends(newest.number + 1, "scheduled")
    await matrix.bot.kill()

    async def past() -> bool:
        return late.wish is not None and datetime.now(UTC) > late.wish.expires

    await until(past, what="a time that has passed")
    matrix.bot = await world.start(under_launcher=True)
    await world.ends(late.number, "expired")
    assert (await matrix.picture()).journal == before.journal
    assert await world.serves() == before.serves
    assert (await world.audit()).ok
    assert not world.told_twice()


async def _die_at(
    matrix: Matrix, kind: str, ours: Sequence[str], record_property: Callable[[str, object], None]
) -> None:
    reached: list[str] = []
    missed: list[str] = []
    failed: dict[str, str] = {}
    for at in ours:
        try:
            # How the background work falls between the steps differs a little from run to run.
            died = await matrix.run(kind, at=at) or await matrix.run(kind, at=at)
            (reached if died else missed).append(at)
        except (AssertionError, RuntimeError) as error:
            failed[at] = str(error)
            await _come_to_rest(matrix)
    twice = matrix.world.told_twice()
    record_property(
        "crash points", [matrix.world.database_url.partition(":")[0], kind, len(ours), len(reached), len(failed)]
    )
    assert not failed, "\n\n".join(f"killed at {at}: {why}" for at, why in failed.items())
    assert not twice, f"told twice: {twice}"
    certain = [at for at in missed if at.startswith(("step ", "mutation ", "request:", "workflow "))]
    assert not certain, f"not reached: {certain}"
    assert len(missed) <= max(2, len(ours) / 4), f"not reached: {missed}"


async def _come_to_rest(matrix: Matrix) -> None:
    """After a failure: let the next point begin in peace, or give up."""
    if matrix.bot is not None:
        await matrix.bot.kill()
    matrix.bot = await matrix.world.start(under_launcher=True)

    async def at_rest() -> bool:
        return not await matrix.world.under_way()

    await until(at_rest, within=PATIENCE, what="rest after a failure")
