"""``python -m bench``: measure, print one table, write ``bench/results/latest.json``."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from bench.report import document, table, write

if TYPE_CHECKING:
    from bench.report import Found

MEASUREMENTS = {
    "ack": "acknowledging a command, against a bare Bolt app",
    "first": "from a command to the first change of the target",
    "crowd": "1,000 deployments at once",
    "rollback_reaction": "from a limit that is crossed, and from Roll back now, to the first change back",
    "handover": "the lock from one deployment to the next",
    "policy": "whether a deployment may go on, of a large organisation",
    "where": "what runs where, of a large organisation",
    "past": "a million past deployments against a thousand",
    "canaries": "200 canaries whose truth is known",
    "rollouts": "Deployments of a cluster, beside kubectl and beside polling",
    "start": "starting",
}
_LIMIT = 210.0
"""Seconds that one measurement may take, on a machine that is busy with other things too."""
_BUSY = 1.5
RESULTS = Path(__file__).parent / "results" / "latest.json"


async def _measure(name: str) -> Found:
    with tempfile.TemporaryDirectory(prefix=f"bench-{name}-", ignore_cleanup_errors=True) as folder:
        async with asyncio.timeout(_LIMIT):
            found: Found = await import_module(f"bench.{name}").measure(Path(folder))
            return found


def main() -> int:
    """Exit code 1 when something could not be measured, 0 otherwise; an aim that is missed is told, not failed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=[*MEASUREMENTS], help="measure this alone; may be repeated")
    wanted = parser.parse_args().only or [*MEASUREMENTS]
    found: dict[str, Found] = {}
    problems: dict[str, str] = {}
    busy = 0.0
    for name, about in MEASUREMENTS.items():
        if name not in wanted:
            continue
        began = time.monotonic()
        busy = max(busy, os.getloadavg()[0] / (os.cpu_count() or 1))
        print(f"{name}: {about} …", end=" ", file=sys.stderr, flush=True)
        try:
            found[name] = asyncio.run(_measure(name))
        except Exception as error:  # noqa: BLE001 - one that cannot be measured must not hide the others
            problems[name] = f"{type(error).__name__}: {error}".partition("\n")[0]
        print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    print(table([row for one in found.values() for row in one.rows]))
    for name, problem in problems.items():
        print(f"✗ {name} could not be measured: {problem}", file=sys.stderr)
    if busy > _BUSY:
        print(f"The machine was busy with {busy:.1f} processes a core: absolute numbers are worse than they need be.")
    write(RESULTS, document(found, problems))
    print(f"Everything is in {RESULTS.relative_to(Path.cwd()) if RESULTS.is_relative_to(Path.cwd()) else RESULTS}.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
