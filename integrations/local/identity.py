"""Tells a process from another one that got the same number later. Only looks."""

from __future__ import annotations

import os
from pathlib import Path

_STAT = "/proc/{}/stat"
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def born(pid: int) -> str | None:
    """When, in which boot, ``pid`` started: together with the number it names one process. None if it does not run."""
    try:
        # The name in parentheses may hold anything, so fields are counted from the last parenthesis.
        fields = Path(_STAT.format(pid)).read_bytes().rpartition(b")")[2].split()
    except ProcessLookupError:
        return None
    except FileNotFoundError:
        return None if _BOOT.exists() else _born_elsewhere(pid)
    if fields[0] in (b"Z", b"X"):
        return None
    return f"{_BOOT.read_text().strip()}:{fields[19].decode()}"


def _born_elsewhere(pid: int) -> str | None:
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return f"{process.create_time():.1f}:{' '.join(process.cmdline())}"
    except psutil.Error:
        return None


def find_orphan(*, cwd: Path, variables: dict[str, str]) -> int | None:
    """The leader of a session in ``cwd`` with those variables; for a process whose number was never written down."""
    import psutil

    for process in psutil.process_iter():
        try:
            if Path(process.cwd()) != cwd or os.getsid(process.pid) != process.pid:
                continue
            known = process.environ()
        except (psutil.Error, OSError):
            continue
        if all(known.get(name) == value for name, value in variables.items()):
            return process.pid
    return None
