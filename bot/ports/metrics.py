"""Where numbers about a running release come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bot.domain.metric import Point, Reading, Subject


class MetricSource(Protocol):
    """Answers queries written in its own language. Reading only.

    ``query`` is a template: ``{service}``, ``{environment}``, ``{version}``, ``{digest}``, ``{track}`` and ``{window}``
    stand for what `Subject` and ``window`` say, put in so that they cannot change what the query means. Raises
    `ProviderError` when the source does not answer or refuses the query, and `ConfigurationError` when a secret that it
    needs cannot be read just then; *no data* is an answer and not an error.
    """

    async def read(self, query: str, *, subject: Subject, window: float, at: datetime | None = None) -> Reading:
        """One number about the last ``window`` seconds before ``at`` (None: now)."""

    async def series(
        self, query: str, *, subject: Subject, window: float, since: datetime, until: datetime, step: float
    ) -> Sequence[Point]:
        """The same number over time, for people to look at: one point each ``step`` seconds."""


@runtime_checkable
class SupportsMarkers(Protocol):
    """A source that can show deployments among its graphs."""

    async def mark(
        self, *, subject: Subject, operation: str, began: datetime, ended: datetime | None, text: str, succeeded: bool
    ) -> None:
        """Record a deployment; the same ``operation`` again changes nothing where the source can tell."""
