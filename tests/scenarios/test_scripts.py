"""Every script in this folder holds. A newcomer can play each with ``deployment-architect demo --script``."""

from __future__ import annotations

import io
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from world import World, catalog

from bot.bootstrap import demonstration, read_script
from bot.sandbox.demo import catalog_text
from bot.sandbox.script.player import play
from bot.store.engine import Database
from bot.store.feed import DatabaseFeed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from _pytest.mark.structures import ParameterSet

HERE = Path(__file__).parent
LONG = frozenset(
    {
        "abort",
        "ask",
        "crash",
        "failing",
        "faster",
        "first",
        "form",
        "freeze",
        "home",
        "hostile",
        "insight",
        "queue",
        "reject",
        "schedule",
        "several",
        "thread",
        "trouble",
        "verifying",
        "void",
        "windows",
        "break_glass",
        "blue_green",
        "blue_green_back",
        "canary",
        "canary_abort",
        "canary_crash",
        "canary_late",
        "canary_silent",
        "canary_two",
        "canary_up",
        "canary_vendor",
        "canary_words",
        "late",
        "locks",
        "lock_pause",
        "plan",
        "run_next",
        "supersede",
    }
)
"""Those that the short run leaves out: what they show is close to what others show, or waits."""


def _scripts(pattern: str) -> list[ParameterSet]:
    names = sorted(path.stem for path in HERE.glob(pattern))
    return [pytest.param(name, marks=[pytest.mark.long] if name in LONG else []) for name in names]


SCRIPTS = _scripts("*.script")
SPECIAL = _scripts("special/*.script")


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


SECOND_REVIEWER = """\
  reviewer:
    members: [U0LINUS]
    allow:
      - { actions: [approve, break_glass], services: "*", environments: production }
"""


def like_the_demo(**environments: str) -> str:
    """The demo's catalog with some of its environments written differently."""
    before, rest = catalog_text().split("\nenvironments:\n", 1)
    _, after = rest.split("\n\n", 1)
    places = {"staging": "{}", "production": "{}", **environments}
    written = "".join(f"  {name}: {place}\n" for name, place in places.items())
    return f"{before}\nenvironments:\n{written}\n{after}"


def closed_now(now: datetime) -> str:
    """An environment that opens in two hours, but for payments, which may come at any time."""
    opens = now + timedelta(hours=2)
    return f"""
    protected: true
    windows:
      - {{ name: release hour, allow: "{opens.minute} {opens.hour} * * *", for: 1h, services: [checkout, catalog] }}
      - {{ name: any time, allow: "0 * * * *", for: 1h, services: [payments] }}"""


@pytest.fixture
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """The place that a script needs and that no demo has."""
    name = request.node.callspec.params["name"]
    text, runs = {
        "first": (catalog(environments=("staging", "production"), patience=6), None),
        "verifying": (catalog(passes=60, interval=0.2), "v1.1"),
        "supersede": (like_the_demo(staging="{ queue: newest }"), "v1.1"),
        "windows": (like_the_demo(production=closed_now(datetime.now(UTC))), "v1.1"),
        "void": (like_the_demo(production="{ protected: true, approval: { quorum: 2 } }") + SECOND_REVIEWER, "v1.1"),
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
