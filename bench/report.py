"""What was measured, as one table for people and one JSON file for machines. Measures nothing itself."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from math import ceil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_LIBRARIES = ("deployment-architect", "dbos", "slack-bolt", "sqlalchemy", "fastapi", "uvicorn", "aiohttp")
_COLUMNS = ("measurement", "measured", "baseline", "ratio", "aim", "met")


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """A bound on the number measured or, with ``of_ratio``, on its ratio to the baseline."""

    limit: float
    at_most: bool = True
    of_ratio: bool = False

    def met_by(self, value: float) -> bool:
        """Whether a number keeps the bound."""
        return value <= self.limit if self.at_most else value >= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One number, in ``unit``, with what it is compared to."""

    name: str
    measured: float
    unit: str
    baseline: float | None = None
    aim: Aim | None = None

    @property
    def ratio(self) -> float | None:
        """Measured by baseline."""
        return self.measured / self.baseline if self.baseline else None

    @property
    def met(self) -> bool | None:
        """Whether the aim was met; None without one."""
        if self.aim is None:
            return None
        value = self.ratio if self.aim.of_ratio else self.measured
        return value is not None and self.aim.met_by(value)

    def cells(self) -> tuple[str, ...]:
        """The row as text."""
        aim = ""
        if self.aim is not None:
            sign = "≤" if self.aim.at_most else "≥"
            bound = f"{self.aim.limit:g}×" if self.aim.of_ratio else f"{self.aim.limit:g} {self.unit}"
            aim = f"{sign} {bound}"
        return (
            self.name,
            _number(self.measured, self.unit),
            "" if self.baseline is None else _number(self.baseline, self.unit),
            "" if self.ratio is None else f"{self.ratio:.2f}×",
            aim,
            {None: "", True: "yes", False: "no"}[self.met],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one measurement found: the rows of the table, and everything else worth keeping."""

    rows: Sequence[Row]
    details: Mapping[str, Any] = field(default_factory=dict)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` (0 to 1) of the values lie; nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def table(rows: Sequence[Row]) -> str:
    """The table, numbers to the right."""
    lines = [_COLUMNS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_COLUMNS))]
    text = []
    for line in lines:
        cells = [
            cell.rjust(width) if 0 < column < 4 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        text.append("  ".join(cells).rstrip())
    text.insert(1, "  ".join("─" * width for width in widths))
    return "\n".join(text)


def document(found: Mapping[str, Found], problems: Mapping[str, str]) -> dict[str, Any]:
    """Everything that a later run may want to be compared to."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "system": platform.platform(),
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "memory_mb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6),
            "load": [round(number, 2) for number in os.getloadavg()],
        },
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
        "measurements": {
            name: {
                "rows": [{**asdict(row), "ratio": row.ratio, "met": row.met} for row in one.rows],
                "details": dict(one.details),
            }
            for name, one in found.items()
        },
        "problems": dict(problems),
    }


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Replace the file by this content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _number(value: float, unit: str) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f} {unit}"
