"""The schema: once, from anywhere, however many begin at the same time; and the same as the tables in the code."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from store_samples import NOON, moved, store

from bot.domain.actor import BOT
from bot.domain.dora import figures
from bot.domain.errors import ConfigurationError
from bot.domain.ids import DeploymentId, LockScope
from bot.domain.lifecycle import Phase
from bot.store.audit import StoredAudit
from bot.store.deployments import StoredDeployments
from bot.store.engine import Database
from bot.store.migrations import alembic_config, check_schema, migrate, revision_of
from bot.store.tables import SCHEMA, metadata

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection

REVISIONS = [script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()][::-1]


@pytest.fixture
async def empty(database_url: str) -> AsyncIterator[Database]:
    async with await Database.open(database_url) as opened:
        yield opened


async def differences(database: Database) -> list[Any]:
    def compare(connection: Connection) -> list[Any]:
        options = {"compare_type": True, "compare_server_default": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    async def look(connection: AsyncConnection) -> list[Any]:
        return await connection.run_sync(compare)

    return await database.read(look)


async def execute(database: Database, statement: str) -> None:
    async def work(connection: AsyncConnection) -> None:
        await connection.execute(text(statement))

    await database.write(work)


def test_this_build_wants_the_newest_revision() -> None:
    assert REVISIONS[-1] == SCHEMA
    assert ScriptDirectory.from_config(alembic_config()).get_heads() == [SCHEMA]


async def test_from_nothing_and_again(empty: Database) -> None:
    assert await revision_of(empty) is None
    assert await migrate(empty) is None
    assert await migrate(empty) == SCHEMA
    await check_schema(empty)
    assert (await store(StoredDeployments(empty))).number == 1


async def test_the_tables_in_the_code_are_those_in_the_database(empty: Database) -> None:
    await migrate(empty)
    assert await differences(empty) == []
    index = "ix_deployments_turn"
    await execute(empty, f"DROP INDEX {index}")
    assert index in repr(await differences(empty))


@pytest.mark.parametrize("revision", REVISIONS)
async def test_from_each_earlier_revision(empty: Database, revision: str) -> None:
    await migrate(empty, to=revision)
    assert await revision_of(empty) == revision
    await migrate(empty)
    assert await revision_of(empty) == SCHEMA
    assert await differences(empty) == []


async def test_what_the_first_revision_kept_goes_on(empty: Database) -> None:
    """Rows as the build of that revision wrote them; the audit claims nothing about them and begins with what comes."""
    await migrate(empty, to="0001")
    actor = '{"kind":"person","workspace":"T1","id":"U0ADA","name":"Ada"}'
    release = '{"service":"checkout","version":"v1","digest":"sha256:1","location":"a/1"}'
    moment = f'{{"phase":"requested","at":"2031-05-17T12:00:00+00:00","actor":{actor},"note":""}}'
    body = f'{{"release":{release},"requester":{actor},"channel":"C1","catalog_revision":"c1","timeline":[{moment}]}}'
    body, record = (text.replace(":", "\\:") for text in (body, f'{{"actor":{actor},"note":"to fix it"}}'))
    await execute(
        empty,
        "INSERT INTO deployments (id, number, service, environment, scope, phase, active, rank, version, view, "
        "untold_since, origin, body) VALUES ('d1', 1, 'checkout', 'staging', 's', 'requested', TRUE, 1, 1, 1, "
        f"'2031-05-17 12\\:00\\:00', 'o1', '{body}')",
    )
    await execute(
        empty,
        'INSERT INTO events (deployment_id, key, kind, actor_id, at, "before", "after", body) VALUES '
        f"('d1', 'requested', 'requested', 'U0ADA', '2031-05-17 12\\:00\\:00', NULL, 'requested', '{record}')",
    )
    await execute(empty, "INSERT INTO counters (name, value) VALUES ('deployments', 1)")

    assert await migrate(empty) == "0001"
    assert await differences(empty) == []
    deployments, audit = StoredDeployments(empty), StoredAudit(empty)
    [old] = await deployments.events(DeploymentId("d1"))
    assert (old.actor.name, old.note, old.door, old.rule, old.override) == ("Ada", "to fix it", None, "", False)
    assert (await audit.verify()).rows == 0
    await deployments.update(old.deployment, lambda now: now.advance(Phase.QUEUED, actor=BOT, at=NOON), event=moved)
    assert (await store(deployments)).number == 2
    verdict = await audit.verify()
    assert (verdict.ok, verdict.rows) == (True, 2)


async def test_what_the_second_revision_kept_goes_on(empty: Database) -> None:
    """Who waits keeps the place that it had; what ended is counted in its period, with no word of it read anew."""
    await migrate(empty, to="0002")
    actor = '{"kind":"person","workspace":"T1","id":"U0ADA","name":"Ada"}'
    release = '{"service":"checkout","version":"v1","digest":"sha256:1","location":"a/1"}'
    phases = {
        1: ("queued", ["requested", "queued"]),
        2: ("queued", ["requested", "queued"]),
        3: ("succeeded", ["requested", "queued", "deploying", "verifying", "succeeded"]),
        4: (
            "rolled_back",
            ["requested", "queued", "deploying", "verifying", "succeeded", "rolling_back", "rolled_back"],
        ),
        5: ("failed", ["requested", "queued", "deploying", "failed"]),
    }
    ranks = {1: 1, 2: 0, 3: 1, 4: 1, 5: 0}
    for number, (phase, way) in phases.items():
        # Each a day of its own, each phase an hour of it.
        moments = [
            f'{{"phase":"{to}","at":"2031-05-{number:02}T{hour:02}:00:00+00:00","actor":{actor},"note":""}}'
            for hour, to in enumerate(way)
        ]
        body = f'{{"release":{release},"requester":{actor},"channel":"C1","timeline":[{",".join(moments)}]}}'
        await execute(
            empty,
            "INSERT INTO deployments (id, number, service, environment, scope, phase, active, rank, version, view, "
            f"untold_since, origin, body) VALUES ('d{number}', {number}, 'checkout', 'staging', 's', '{phase}', "
            f"{phase == 'queued'}, {ranks[number]}, 1, 1, '2031-05-17 12\\:00\\:00', 'o{number}', "
            f"'{body.replace(':', chr(92) + ':')}')",
        )
        for hour, to in enumerate(way):
            at = instant(datetime(2031, 5, number, hour, tzinfo=UTC), empty)
            await execute(
                empty,
                'INSERT INTO events (deployment_id, key, kind, actor_id, at, "after", body) VALUES '
                f"('d{number}', '{hour}', 'phase', 'U0ADA', '{at}', '{to}', '{{}}')",
            )
    await execute(empty, "INSERT INTO counters (name, value) VALUES ('deployments', 5)")

    assert await migrate(empty) == "0002"
    assert await differences(empty) == []
    deployments = StoredDeployments(empty)
    hurried = await store(deployments, Phase.QUEUED, hurried=True, scope=LockScope("s"))
    later = await store(deployments, Phase.QUEUED, scope=LockScope("s"))
    assert [one.number for one in await deployments.queue(LockScope("s"))] == [2, hurried.number, 1, later.number]

    async def ended(day: int, hour: int) -> list[int]:
        since = datetime(2031, 5, day, hour, tzinfo=UTC)
        return [one.number for one in await deployments.ended(since=since, until=since + timedelta(hours=1))]

    assert await ended(3, 4) == [3]
    assert await ended(3, 3) == []
    assert await ended(4, 4) == await ended(4, 5) == [4]
    assert await ended(4, 6) == []
    assert await ended(5, 3) == [5]
    whole = await deployments.ended(since=datetime(2031, 5, 1, tzinfo=UTC), until=NOON)
    figures_of = figures(whole, since=datetime(2031, 5, 1, tzinfo=UTC), until=NOON)
    assert (figures_of.succeeded, figures_of.failures, figures_of.restored) == (2, 2, 2)


def instant(at: datetime, database: Database) -> str:
    """How that database keeps an instant, for a statement of text."""
    return (at.strftime("%Y-%m-%d %H:%M:%S.%f") if database.dialect == "sqlite" else at.isoformat()).replace(":", "\\:")


async def test_many_replicas_at_once(database_url: str) -> None:
    opened = [await Database.open(database_url) for _ in range(6)]
    try:
        before = await asyncio.gather(*(migrate(one) for one in opened))
        assert sum(one is None for one in before) >= 1
        await asyncio.gather(*(check_schema(one) for one in opened))
    finally:
        for one in opened:
            await one.close()


@pytest.mark.long
async def test_several_processes_at_once(database_url: str, empty: Database) -> None:
    script = (
        "import asyncio, sys\n"
        "from bot.store.engine import Database\n"
        "from bot.store.migrations import check_schema, migrate\n"
        "async def main():\n"
        "    async with await Database.open(sys.argv[1]) as database:\n"
        "        await migrate(database)\n"
        "        await check_schema(database)\n"
        "asyncio.run(main())\n"
    )
    processes = [await asyncio.create_subprocess_exec(sys.executable, "-c", script, database_url) for _ in range(3)]
    assert await asyncio.wait_for(asyncio.gather(*(process.wait() for process in processes)), 60) == [0, 0, 0]
    assert await differences(empty) == []


async def test_a_migration_that_breaks_leaves_nothing(empty: Database) -> None:
    # In the way of the last table of the first revision.
    await execute(empty, "CREATE TABLE messages (id INTEGER)")
    with pytest.raises(Exception, match="database"):
        await migrate(empty)
    assert await revision_of(empty) is None
    await execute(empty, "DROP TABLE messages")
    await migrate(empty)
    assert await differences(empty) == []


async def test_an_empty_database_is_refused_until_migrated(empty: Database) -> None:
    with pytest.raises(ConfigurationError, match=r"is empty.*deployment-architect migrate"):
        await check_schema(empty)
    with pytest.raises(ConfigurationError, match="deployment-architect migrate"):
        await StoredDeployments(empty).active()


async def test_a_newer_schema_is_refused_and_left_alone(empty: Database) -> None:
    await migrate(empty)
    await execute(empty, "UPDATE alembic_version SET version_num = '9999'")
    for act in (check_schema, migrate):
        with pytest.raises(ConfigurationError, match=r"schema 9999.*newer build"):
            await act(empty)
    assert await revision_of(empty) == "9999"
