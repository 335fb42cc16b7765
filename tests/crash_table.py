"""The table of crash points at the end of a run. A plugin, because the process that prints it collects no tests."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show at how many points the bot died, and came back as it should."""
    rows: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == "crash points" and getattr(report, "when", "") == "call":
                    database, kind, points, reached, failed = value
                    row = rows[database, kind]
                    row[0] += points
                    row[1] += reached
                    row[2] += failed
    if not rows:
        return
    terminalreporter.section("crash matrix")
    terminalreporter.write_line(f"{'database':<12} {'request':<16} {'points':>7} {'died there':>11} {'ended well':>11}")
    for (database, kind), (points, reached, failed) in sorted(rows.items()):
        terminalreporter.write_line(f"{database:<12} {kind:<16} {points:>7} {reached:>11} {points - failed:>11}")
