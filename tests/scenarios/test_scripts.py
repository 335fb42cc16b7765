"""Every script in this folder holds. A newcomer can play each with ``deployment-architect demo --script``."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from world import World, catalog

from bot.bootstrap import demonstration, read_script
from bot.sandbox.script.player import play
from bot.store.engine import Database
from bot.store.feed import DatabaseFeed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HERE = Path(__file__).parent
SCRIPTS = sorted(path.stem for path in HERE.glob("*.script"))
SPECIAL = sorted(path.stem for path in HERE.glob("special/*.script"))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", SCRIPTS)
async def test_it_holds_on_a_fresh_demo(name: str, tmp_path: Path) -> None:
    script = read_script(HERE / f"{name}.script")
    out = io.StringIO()
    async with (
        demonstration(data=tmp_path / "demo") as demo,
        await Database.open(demo.database_url, read_only=True) as database,
    ):
        code = await play(
            script,
            hands=demo.server.hands,
            workspace=demo.server.workspace,
            faults=demo.server.faults,
            feed=DatabaseFeed(database),
            bot=demo.bot,
            out=out,
            as_json=False,
        )
        log = (demo.folder / "bot.log").read_text()
    assert code == 0, f"{out.getvalue()}\n{log[-3000:]}"
    assert "Traceback" not in log, log
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """The place that a script needs and that no demo has."""
    name = request.node.callspec.params["name"]
    text, runs = {
        "first": (catalog(environments=("staging", "production"), patience=6), None),
        "verifying": (catalog(passes=60, interval=0.2), "v1.1"),
    }[name]
    found = await World.open(tmp_path / "world", text=text, runs=runs)
    try:
        yield found
    finally:
        await found.close()


@pytest.mark.parametrize("name", SPECIAL)
async def test_it_holds_where_it_is_at_home(name: str, world: World) -> None:
    script = read_script(HERE / "special" / f"{name}.script")
    out = io.StringIO()
    bot = await world.start()
    async with await Database.open(world.database_url, read_only=True) as database:
        code = await play(
            script,
            hands=world.server.hands,
            workspace=world.server.workspace,
            faults=world.server.faults,
            feed=DatabaseFeed(database),
            bot=bot,
            out=out,
            as_json=False,
        )
    assert code == 0, f"{out.getvalue()}\n{world.log_tail()}"
