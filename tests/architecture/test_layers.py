"""The layers hold, and no module outgrows one noun."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOFT_CAP = 400


def test_import_contracts_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_no_module_is_longer_than_the_cap() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in ("bot", "integrations")
        for path in (ROOT / folder).rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > SOFT_CAP
    }
    assert not long, f"split these: {long}"


def test_help_needs_no_heavy_import() -> None:
    """What `--help` imports is what everybody waits for who mistypes a command."""
    code = "import sys, bot.cli; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True).stdout
    heavy = {"dbos", "sqlalchemy", "slack_bolt", "slack_sdk", "fastapi", "pydantic", "aiohttp", "alembic"}
    assert not heavy & set(loaded.split())
