"""Alerts that others told us of: kept before they are answered, so that what was taken is never forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bot.domain.alert import Alert, AlertOutcome, AlertSource
    from bot.domain.ids import DeploymentId


class Alerts(Protocol):
    """Alerts as rows, each once. Raises `StoreError`."""

    async def add(self, alerts: Sequence[Alert]) -> int:
        """Keep those that are not there yet, all or none; how many that were."""

    async def pending(self, *, limit: int = 100) -> Sequence[Alert]:
        """Those of which nothing became yet, the oldest first."""

    async def attach(self, key: str, deployment_id: DeploymentId) -> None:
        """Record which deployment an alert belongs to."""

    async def end(self, alert: Alert) -> DeploymentId | None:
        """Record that what ``alert`` says is over is over; the deployment that it belonged to, if there is one."""

    async def settle(self, key: str, outcome: AlertOutcome, *, at: datetime) -> bool:
        """Record what became of an alert; whether nobody else had."""

    async def of(self, deployment_id: DeploymentId) -> Sequence[Alert]:
        """Those that belong to a deployment, the oldest first, over or not."""

    async def prune(self, *, before: datetime) -> int:
        """Forget those received before, of which something became and that belong to no deployment; how many."""


class Counts(Protocol):
    """Counts what became of alerts. Never raises."""

    def counted(self, source: AlertSource, outcome: AlertOutcome, number: int = 1) -> None:
        """So many more."""
