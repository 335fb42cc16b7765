"""What every test may use. The PostgreSQL server is in `postgres.py`."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

pytest_plugins = ["crash_table", "postgres"]

# The same examples in every run, so that a change is judged by what it changed. `make explore` looks for new ones.
settings.register_profile("steady", derandomize=True)
settings.register_profile("explore", print_blob=True)
settings.load_profile("explore" if os.environ.get("EXPLORE") else "steady")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let ``xdist_group`` mean something: pytest-xdist 3.8 writes groups where pytest 9.2 does not look any more."""
    for item in items:
        # Against a real server as well: what is shown on SQLite quickly is shown on PostgreSQL in the long run.
        if "postgresql" in getattr(item, "name", "").partition("[")[2]:
            item.add_marker(pytest.mark.long)
    if not getattr(config.option, "loadgroup", False):
        return
    for item in items:
        group = "_".join(sorted({str(mark.args[0]) for mark in item.iter_markers("xdist_group")}))
        if group and not item.nodeid.endswith(f"@{group}"):
            item._id = type(item.id).parse(f"{item.nodeid}@{group}")
