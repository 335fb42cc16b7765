"""Where it is told what a deployment does and how long that takes: one trace for each deployment, made of spans.

Nothing here may wait, and what cannot be told is lost. Names are of a few kinds only; what varies is a tag.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from bot.domain.ids import DeploymentId


class Span(Protocol):
    """Something that goes on until it is ended, once."""

    def begin(self, name: str, *, tags: Mapping[str, str | int | float | bool]) -> Span:
        """Something that is asked of others begins within it."""

    def end(self, *, tags: Mapping[str, str | int | float | bool], error: str | None) -> None:
        """It is over; ``error`` says what went wrong, without secrets."""


class Traces(Protocol):
    """Takes spans, of which all of one deployment are one trace, whichever process tells them."""

    def begin(self, deployment: DeploymentId, name: str, *, tags: Mapping[str, str | int | float | bool]) -> Span:
        """A step of the deployment begins."""

    def past(
        self,
        deployment: DeploymentId,
        name: str,
        *,
        began: datetime,
        ended: datetime,
        tags: Mapping[str, str | int | float | bool],
        error: str | None,
    ) -> None:
        """Something of the deployment is over that nobody told when it began."""

    def whole(
        self,
        deployment: DeploymentId,
        *,
        began: datetime,
        ended: datetime,
        tags: Mapping[str, str | int | float | bool],
        error: str | None,
        taking_back: DeploymentId | None,
    ) -> None:
        """The deployment itself is over: what all its other spans belong to. To be told once."""

    def close(self) -> None:
        """Send what is left, within two seconds, and take no more."""
