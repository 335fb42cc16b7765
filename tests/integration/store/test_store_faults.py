"""What people are told when the database cannot be used, and what becomes of work when it goes away under it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg
import pytest
from store_samples import NOON, deployment, requested, store
from store_wire import CutWire

from bot.domain.actor import BOT
from bot.domain.errors import ConfigurationError, DeploymentArchitectError, StoreError
from bot.domain.history import Event
from bot.store.address import read_address
from bot.store.deployments import StoredDeployments
from bot.store.engine import Database
from bot.store.inbox import StoredInbox
from bot.store.migrations import migrate

if TYPE_CHECKING:
    from pathlib import Path

    from postgres import PostgresServer

    from bot.domain.deployment import Deployment

SECRET = "correct-horse"


async def refusal(url: str) -> DeploymentArchitectError:
    with pytest.raises(DeploymentArchitectError) as caught:
        async with asyncio.timeout(15):
            await Database.open(url)
    assert SECRET not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    return caught.value


class TestAddresses:
    @pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
    def test_postgresql_in_every_spelling(self, scheme: str) -> None:
        address = read_address(f"{scheme}://ada:{SECRET}@db.example:6543/deploys?sslmode=require")
        assert address.dialect == "postgresql"
        assert address.url.drivername == "postgresql+psycopg"
        assert address.url.query["sslmode"] == "require"
        assert address.shown == "db.example:6543/deploys"

    def test_sqlite_names_a_file(self, tmp_path: Path) -> None:
        address = read_address(f" sqlite:///{tmp_path}/a.db ")
        assert (address.dialect, address.path) == ("sqlite", tmp_path / "a.db")
        assert read_address("sqlite:///a.db").shown.endswith("/a.db")

    @pytest.mark.parametrize(
        "url",
        ["", "nonsense", f"mysql://ada:{SECRET}@h/d", "sqlite://", "sqlite:///:memory:", "postgres://h", "a://:x"],
    )
    def test_what_cannot_be_read_is_explained(self, url: str) -> None:
        with pytest.raises(ConfigurationError, match="Write sqlite:///path") as caught:
            read_address(url)
        assert SECRET not in str(caught.value)


class TestSqlite:
    async def test_folders_are_made(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path}/a/b c/%41?.db".replace("?", "")
        async with await Database.open(url) as opened:
            await migrate(opened)
        assert (tmp_path / "a" / "b c").is_dir()

    async def test_a_folder_that_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        error = await refusal(f"sqlite:///{tmp_path}/file/bot.db")
        assert isinstance(error, ConfigurationError)
        assert f"folder {tmp_path}/file" in str(error)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    async def test_a_folder_that_may_not_be_written(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o500)
        assert "folder can be written" in str(await refusal(f"sqlite:///{tmp_path}/bot.db"))

    async def test_a_folder_in_the_place_of_the_file(self, tmp_path: Path) -> None:
        error = await refusal(f"sqlite:///{tmp_path}")
        assert isinstance(error, ConfigurationError)
        assert "cannot be opened" in str(error)

    async def test_something_that_is_not_a_database(self, tmp_path: Path) -> None:
        path = tmp_path / "notes.txt"
        path.write_text("Buy milk. " * 500)
        error = await refusal(f"sqlite:///{path}")
        assert isinstance(error, ConfigurationError)
        assert "is not a database" in str(error)
        assert path.read_text() == "Buy milk. " * 500

    def test_nothing_but_the_sentence_is_printed(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("Buy milk. " * 500)
        for name in ("", "notes.txt"):
            script = (
                "import asyncio\n"
                "from bot.domain.errors import ConfigurationError\n"
                "from bot.store.engine import Database\n"
                "try:\n"
                f"    asyncio.run(Database.open('sqlite:///{tmp_path}/{name}'))\n"
                "except ConfigurationError as error:\n"
                "    print(error)\n"
            )
            done = subprocess.run(
                [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
            )
            assert done.stderr == ""
            assert len(done.stdout.splitlines()) == 1

    async def test_it_is_set_up_for_many_readers_and_one_writer(self, tmp_path: Path) -> None:
        async with await Database.open(f"sqlite:///{tmp_path}/bot.db") as opened:
            await migrate(opened)
            with sqlite3.connect(tmp_path / "bot.db") as other:
                assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            other.close()

    async def test_two_hundred_updates_at_once_beside_another_program(self, tmp_path: Path) -> None:
        async with await Database.open(f"sqlite:///{tmp_path}/bot.db") as opened:
            await migrate(opened)
            deployments = StoredDeployments(opened)
            made = [await store(deployments) for _ in range(20)]
            other = sqlite3.connect(tmp_path / "bot.db", isolation_level=None)
            try:
                other.execute("BEGIN IMMEDIATE")
                updates = [
                    asyncio.ensure_future(deployments.update(made[n % 20].id, lambda now: now.touch()))
                    for n in range(200)
                ]
                # Readers need not wait for the writer.
                assert len(await deployments.active()) == 20
                other.execute("ROLLBACK")
                await asyncio.gather(*updates)
            finally:
                other.close()
            assert {one.view for one in await deployments.active()} == {11}


@pytest.mark.postgres
class TestPostgresql:
    async def test_nobody_answers(self, postgres_server: PostgresServer, unused_tcp_port: int) -> None:
        error = await refusal(f"postgresql://postgres:{SECRET}@127.0.0.1:{unused_tcp_port}/bot")
        assert isinstance(error, StoreError)
        assert f"127.0.0.1:{unused_tcp_port}/bot cannot be reached" in str(error)

    async def test_a_host_that_does_not_exist(self) -> None:
        assert "cannot be reached" in str(await refusal(f"postgresql://ada:{SECRET}@db.invalid/bot"))

    async def test_a_wrong_password(self, postgres_url: str) -> None:
        error = await refusal(postgres_url.replace(SECRET, "wrong-horse"))
        assert isinstance(error, ConfigurationError)
        assert "as postgres. Check the password" in str(error)
        assert "wrong-horse" not in "".join(traceback.format_exception(error))

    async def test_a_database_that_is_not_there(self, postgres_server: PostgresServer) -> None:
        error = await refusal(postgres_server.url("missing"))
        assert isinstance(error, ConfigurationError)
        assert "There is no database" in str(error)

    async def test_it_goes_away_and_comes_back(self, postgres_server: PostgresServer, postgres_url: str) -> None:
        async with await Database.open(postgres_url) as opened:
            await migrate(opened)
            deployments = StoredDeployments(opened)
            made = await store(deployments)
            await asyncio.gather(*(deployments.get(made.id) for _ in range(20)))  # several connections are open
            postgres_server.stop()
            try:
                for act in (
                    deployments.get(made.id),
                    deployments.update(made.id, lambda now: now.touch()),
                    deployments.add(replace(deployment(), origin="later"), event=requested(made)),
                    opened.ping(),
                ):
                    with pytest.raises(StoreError) as caught:
                        async with asyncio.timeout(15):
                            await act
                    assert SECRET not in "".join(traceback.format_exception(caught.value))
                    assert "deployments" not in str(caught.value)
            finally:
                postgres_server.start()
            after = await deployments.update(made.id, lambda now: now.touch())
            assert after.view == made.view + 1
            assert [one.id for one in await deployments.active()] == [made.id]

    async def test_a_restart_between_two_calls_is_not_noticed(
        self, postgres_server: PostgresServer, postgres_url: str
    ) -> None:
        async with await Database.open(postgres_url) as opened:
            await migrate(opened)
            deployments = StoredDeployments(opened)
            made = await store(deployments)
            await asyncio.gather(*(deployments.get(made.id) for _ in range(20)))
            for _ in range(2):
                postgres_server.stop()
                postgres_server.start()
                await deployments.update(made.id, lambda now: now.touch())
                assert len(await deployments.active()) == 1
            assert (await deployments.get(made.id)).view == made.view + 2

    async def test_cut_connections_are_replaced_under_load(self, postgres_url: str) -> None:
        async with await Database.open(postgres_url) as opened:
            await migrate(opened)
            deployments = StoredDeployments(opened)
            made = await store(deployments)
            updates = [
                asyncio.ensure_future(deployments.update(made.id, lambda now: now.touch(), key=f"n{n}"))
                for n in range(100)
            ]
            await asyncio.wait(updates, return_when=asyncio.FIRST_COMPLETED)
            async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as other:
                await other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            outcomes = await asyncio.gather(*updates, return_exceptions=True)
            failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
            assert all(isinstance(error, StoreError) for error in failed)
            keys = {event.key for event in await deployments.events(made.id)} - {"requested"}
            after = await deployments.get(made.id)
            assert after.view == made.view + len(keys)
            assert len(keys) >= 100 - len(failed)

    @pytest.mark.parametrize("arrives", [True, False])
    async def test_a_commit_without_an_answer_is_applied_once(self, postgres_url: str, arrives: bool) -> None:
        async with CutWire(postgres_url) as wire, await Database.open(wire.url) as opened:
            await migrate(opened)
            deployments = StoredDeployments(opened)
            made = await store(deployments)

            wire.cut_next_commit(arrives=arrives)
            after = await deployments.update(made.id, lambda now: replace(now.touch(), note=now.note + "x"))
            assert wire.cuts == 1
            assert (after.view, after.note) == (made.view + 1, "x")
            assert await deployments.get(made.id) == after

            def record(_: Deployment, now: Deployment) -> Event:
                return Event(deployment=now.id, key=f"k{now.view}", kind="noted", actor=BOT, at=NOON)

            wire.cut_next_commit(arrives=arrives)
            after = await deployments.update(made.id, lambda now: now.touch(), event=record)
            assert (wire.cuts, after.view) == (2, made.view + 2)
            assert [event.key for event in await deployments.events(made.id)] == ["requested", "k3"]

            another = deployment()
            wire.cut_next_commit(arrives=arrives)
            assert (await deployments.add(another, event=requested(another))).number == 2
            assert [one.number for one in await deployments.active()] == [1, 2]

    @pytest.mark.parametrize("arrives", [True, False])
    async def test_an_act_is_taken_up_by_who_asked_though_the_answer_was_lost(
        self, postgres_url: str, arrives: bool
    ) -> None:
        from datetime import timedelta

        async with CutWire(postgres_url) as wire, await Database.open(wire.url) as opened:
            await migrate(opened)
            inbox = StoredInbox(opened)
            wire.cut_next_commit(arrives=arrives)
            minute = timedelta(minutes=1)
            assert await inbox.begin("click", owner="a", at=NOON, abandoned_after=minute)
            assert wire.cuts == 1
            assert not await inbox.begin("click", owner="a", at=NOON, abandoned_after=minute)
