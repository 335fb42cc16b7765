"""The time of a simulated cluster: it passes at a pace of its own, or only when told to."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


class Clock:
    """``second``: how many real seconds one simulated second lasts; None: time stands still but for `advance`."""

    def __init__(self, second: float | None = None) -> None:
        self._begun, self._moved = datetime.now(UTC).replace(microsecond=0), timedelta()
        self._real, self.second = time.monotonic(), second

    def now(self) -> datetime:
        passed = (time.monotonic() - self._real) / self.second if self.second else 0.0
        return self._begun + self._moved + timedelta(seconds=passed)

    def advance(self, seconds: float) -> None:
        self._moved += timedelta(seconds=seconds)

    def stamp(self) -> str:
        return written(self.now())


def written(moment: datetime) -> str:
    """As Kubernetes writes times: whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
