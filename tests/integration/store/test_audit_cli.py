"""`deployment-architect audit`: what an operator and an auditor see, and what the exit code says."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from store_samples import store

from bot.domain.lifecycle import Phase
from bot.store.audit import StoredAudit
from bot.store.deployments import StoredDeployments
from bot.store.engine import Database
from bot.store.migrations import migrate

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncConnection

pytestmark = pytest.mark.long  # each starts several processes


def call(*arguments: str, database_url: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    where = ["--database-url", database_url] if database_url else []
    return subprocess.run(
        [sys.executable, "-m", "bot", "audit", *arguments, *where],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "DATABASE_URL"} | environment,
    )


@pytest.fixture
async def filled(database_url: str) -> str:
    """Five rows."""
    async with await Database.open(database_url) as database:
        await migrate(database)
        await store(StoredDeployments(database), Phase.QUEUED, Phase.DEPLOYING, Phase.VERIFYING, Phase.SUCCEEDED)
    return database_url


async def tamper(database_url: str, statement: str) -> None:
    async def work(connection: AsyncConnection) -> None:
        if connection.dialect.name == "sqlite":
            await connection.execute(text("DROP TRIGGER audit_is_append_only_update"))
            await connection.execute(text("DROP TRIGGER audit_is_append_only_delete"))
        else:
            await connection.execute(text("DROP TRIGGER audit_is_append_only ON audit"))
        await connection.execute(text(statement))

    async with await Database.open(database_url) as database:
        await database.write(work)


async def test_a_whole_chain(filled: str) -> None:
    done = await asyncio.to_thread(call, "verify", database_url=filled)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("✓ 5 rows are as they were written. Head: 5:")
    head = done.stdout.split("Head: ")[1].strip()
    again = await asyncio.to_thread(call, "verify", "--head", head, database_url=filled)
    assert (again.returncode, again.stdout) == (0, done.stdout)


async def test_a_changed_row_is_named(filled: str) -> None:
    await tamper(filled, "UPDATE audit SET actor_name = 'Nobody' WHERE sequence = 3")
    done = await asyncio.to_thread(call, "verify", database_url=filled)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "✗ Row 3 of the audit is not as it was written. Row 3 was changed: its content does not match its hash."
    ]


async def test_a_tail_cut_off_is_found_with_a_kept_head(filled: str) -> None:
    async with await Database.open(filled) as database:
        head = await StoredAudit(database).head()
    await tamper(filled, "DELETE FROM audit WHERE sequence > 3")
    forged = "UPDATE audit_head SET sequence = 3, hash = (SELECT hash FROM audit WHERE sequence = 3)"
    async with await Database.open(filled) as database:

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(text(forged))

        await database.write(work)
    assert (await asyncio.to_thread(call, "verify", database_url=filled)).returncode == 0
    done = await asyncio.to_thread(call, "verify", "--head", str(head), database_url=filled)
    assert done.returncode == 1
    assert "✗ Row 4 of the audit" in done.stderr


async def test_it_is_exported(filled: str, tmp_path: Path) -> None:
    lines = await asyncio.to_thread(call, "export", database_url=filled)
    rows = [json.loads(line) for line in lines.stdout.splitlines()]
    assert [row["act"] for row in rows][:2] == ["deployment.requested", "deployment.moved"]
    target = tmp_path / "audit.csv"
    written = await asyncio.to_thread(call, "export", "--format", "csv", "--output", str(target), database_url=filled)
    assert (written.returncode, written.stdout, written.stderr) == (0, "", "")
    table = list(csv.DictReader(io.StringIO(target.read_text())))
    assert [row["hash"] for row in table] == [row["hash"] for row in rows]


async def test_whoever_reads_may_stop_early(filled: str) -> None:
    # `true` is gone long before the first row is written.
    command = f"{sys.executable} -m bot audit export --database-url {filled} | true"
    shell = await asyncio.create_subprocess_exec("bash", "-c", command, stderr=asyncio.subprocess.PIPE)
    _, said = await asyncio.wait_for(shell.communicate(), 60)
    assert said == b""


def test_what_is_wrong_is_said_in_one_sentence(tmp_path: Path) -> None:
    nothing = call("verify", "--data-dir", str(tmp_path))
    assert nothing.returncode == 1
    assert nothing.stderr == f"✗ There is no database {tmp_path}/deployments.sqlite yet.\n"
    assert not list(tmp_path.iterdir()), "looking must not make anything"
    sqlite3.connect(tmp_path / "deployments.sqlite").close()
    empty = call("verify", DATA_DIR=str(tmp_path))
    assert "is empty. Run `deployment-architect migrate`" in empty.stderr
    head = call("verify", "--head", "yesterday", "--data-dir", str(tmp_path))
    assert head.stderr == "✗ 'yesterday' is not a head. One looks like 42:9f86d081… with 64 characters of hash.\n"
    assert call("export", "--format", "xml").returncode == 2


async def test_an_output_that_cannot_be_written(filled: str, tmp_path: Path) -> None:
    done = await asyncio.to_thread(call, "export", "--output", f"{tmp_path}/no/such/file", database_url=filled)
    assert done.returncode == 1
    assert done.stderr == f"✗ {tmp_path}/no/such/file cannot be written: no such file or directory.\n"
