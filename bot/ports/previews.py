"""Where changes are looked at before they are merged: a place of its own for each pull request."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import datetime

    from bot.domain.catalog import Catalog
    from bot.domain.ids import OperationId, ServiceName
    from bot.domain.release import Release
    from bot.domain.rollout import Outcome, Progress


class PreviewState(StrEnum):
    """Whether a preview can be used."""

    OPEN = "open"
    #: It is being deleted, which takes a while.
    CLOSING = "closing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Previewed:
    """One service in a preview."""

    address: str
    version: str | None = None
    """None: it runs what the template runs."""
    digest: str | None = None
    operation: OperationId | None = None
    """What brought that version there."""
    ready: bool = False
    message: str = ""
    """How it stands, in plain words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The preview of one pull request."""

    number: int
    place: str
    """Where it is, as the platform calls it."""
    identity: str
    """Which one it is: one that is opened again later under the same number is another."""
    state: PreviewState = PreviewState.OPEN
    services: Mapping[ServiceName, Previewed] = field(default_factory=dict)
    until: datetime | None = None
    """When it is to be closed; None when that cannot be read any more."""
    by: str = ""
    """Who opened it, or deployed to it last."""
    notes: tuple[str, ...] = ()
    """What somebody who wonders should know, one sentence each."""

    def is_over(self, at: datetime) -> bool:
        """Whether it is to be closed by now. What is half closed is."""
        return self.state is PreviewState.CLOSING or (self.until is not None and self.until <= at)


class Previews(Protocol):
    """The previews that are made from one template. Raises `ProviderError`, and `RequestRefused` where named.

    Touches no place that it does not own, whatever that is called.
    """

    async def open(self, *, number: int, release: Release, until: datetime, by: str, operation: OperationId) -> Preview:
        """Begin to bring ``release`` to the preview of that pull request, which is made where there is none.

        The same call again finishes what was begun before. Raises `RequestRefused` when there are too many already, or
        when the one of that number is being closed.
        """

    def observe(self, *, preview: Preview, service: ServiceName) -> AsyncIterator[Progress | Outcome]:
        """Tell how the service in a preview comes up; ends with exactly one `Outcome`. Reading only."""

    async def find(self, *, number: int) -> Preview | None:
        """The preview of a pull request; None when there is none."""

    async def all(self) -> Sequence[Preview]:
        """All of them, by number."""

    async def extend(self, *, number: int, identity: str, until: datetime) -> Preview:
        """Keep it until then. Raises `RequestRefused` when it is not there any more."""

    async def close(self, *, number: int, identity: str, over_at: datetime | None = None) -> bool:
        """Have it deleted; whether it is gone already. The same call again is fine.

        With ``over_at`` only if it is over by then: raises `SomebodyWasFaster` when it was extended meanwhile, and
        when another one has the number by now.
        """


class PreviewSource(Protocol):
    """How the engine comes by previews."""

    def of(self, catalog: Catalog, service: ServiceName) -> Previews | None:
        """The previews that a service has a part in; None when it has none. Raises `ConfigurationError`."""

    def every(self, catalog: Catalog) -> Sequence[Previews]:
        """All that the configuration describes, each once. Raises `ConfigurationError`."""
