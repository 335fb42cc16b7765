"""Takes alerts that others raise, and tells the deployment that each began after.

An alert holds a rollout and raises a question. It never rolls anything back, and that it is over lets nothing go on:
both are for people to say. What was taken is kept first and worked off afterwards, by whichever replica comes to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from bot.domain import alert as alerting
from bot.domain.actor import BOT
from bot.domain.alert import AlertOutcome, AlertStatus
from bot.domain.analysis.standing import standing_of
from bot.domain.errors import BadCommand, ConfigurationError, DeploymentArchitectError, StoreError
from bot.domain.history import Event
from bot.domain.lifecycle import Phase
from bot.domain.strategy.interpret import seen
from bot.domain.strategy.plan import plan
from bot.domain.strategy.voice import hear
from bot.domain.strategy.words import HoldWord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from bot.domain.alert import Alert
    from bot.domain.catalog import Service
    from bot.domain.deployment import Deployment
    from bot.domain.strategy.kinds import Strategy
    from bot.engine.ledger import Ledger
    from bot.ports.alerts import Alerts, Counts
    from bot.ports.deployments import Deployments
    from bot.ports.providers import CatalogSource

log = logging.getLogger(__name__)

_PAST = 50
"""Deployments of a place among which the newest one that has begun is looked for."""
_KEPT = timedelta(days=7)
"""For how long an alert that concerned nothing is remembered, so that it is known when it is told again."""
_PRUNE_EVERY = timedelta(hours=1)


class Uncounted:
    """`bot.ports.alerts.Counts` where nobody wants to know."""

    def counted(self, source: object, outcome: object, number: int = 1) -> None:
        """Forget it."""


@dataclass(kw_only=True)
class Alerting:
    """Alerts from outside."""

    ledger: Ledger
    deployments: Deployments
    catalogs: CatalogSource
    kept: Alerts
    counts: Counts = field(default_factory=Uncounted)
    look_every: float = 5.0
    """Seconds between two looks for what another replica has taken and not worked off."""
    _came: asyncio.Event = field(default_factory=asyncio.Event)
    _pruned_at: datetime | None = None

    def known(self, service: str, environment: str) -> bool:
        """Whether the catalog has that place."""
        return any((one.name, place.name) == (service, environment) for one, place in self.catalogs.current().places())

    async def take(self, alerts: Sequence[Alert]) -> Mapping[AlertOutcome | None, int]:
        """Keep what concerns a place of the catalog; how many of each outcome, None: they are worked off soon.

        Once it has returned, nothing of it is lost any more. Raises `StoreError`.
        """
        ours = [one for one in alerts if self.known(one.service, one.environment)]
        distinct = {one.key: one for one in ours}
        new = await self.kept.add(list(distinct.values()))
        if new:
            self._came.set()
        told = {None: new, AlertOutcome.DUPLICATE: len(ours) - new, AlertOutcome.ELSEWHERE: len(alerts) - len(ours)}
        for outcome, number in told.items():
            if outcome is not None and number and alerts:
                self.counts.counted(alerts[0].source, outcome, number)
        return Counter({outcome: number for outcome, number in told.items() if number})

    async def run(self) -> None:
        """Work off for ever whatever was taken, by this replica or another one."""
        while True:
            self._came.clear()
            try:
                await self.work_off()
            except StoreError as error:
                log.warning("alerts wait: %s", error.message)
            except Exception:
                log.exception("working off alerts broke, and is tried again")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.look_every):
                    await self._came.wait()

    async def work_off(self) -> None:
        """Tell the deployments of every alert that is kept and waits. Raises `StoreError`."""
        for alert in await self.kept.pending():
            try:
                outcome = await self._tell(alert)
            except StoreError:
                raise
            except DeploymentArchitectError as error:
                log.warning("the alert %s waits: %s", alert.key, error.message)
                continue
            if await self.kept.settle(alert.key, outcome, at=self.ledger.now()):
                self.counts.counted(alert.source, outcome)
        now = self.ledger.now()
        if self._pruned_at is None or now - self._pruned_at >= _PRUNE_EVERY:
            self._pruned_at = now
            await self.kept.prune(before=now - _KEPT)

    async def _tell(self, alert: Alert) -> AlertOutcome:
        if alert.status is AlertStatus.RESOLVED:
            concerned = await self.kept.end(alert)
            if concerned is None:
                return AlertOutcome.NO_DEPLOYMENT
            await self.ledger.amend(concerned, lambda found: found.touch())
            return AlertOutcome.RESOLVED
        deployment = alerting.newest(await self.deployments.history(alert.service, alert.environment, limit=_PAST))
        service, strategy = await self._wanted(deployment) if deployment else (None, None)
        outcome = alerting.outcome(alert, deployment, service)
        if deployment is not None and outcome is AlertOutcome.ATTACHED:
            # First where it belongs: whoever draws the deployment anew because it has changed must find it there.
            await self.kept.attach(alert.key, deployment.id)
            await self._attach(deployment, alert, service, strategy)
        return outcome

    async def _wanted(self, deployment: Deployment) -> tuple[Service | None, Strategy | None]:
        """What its configuration says of it; nothing when that is gone."""
        try:
            catalog = await self.catalogs.at(deployment.catalog_revision)
            strategy = catalog.strategy(deployment.strategy, deployment.service, deployment.environment)
            return catalog.service(deployment.service), strategy
        except (BadCommand, ConfigurationError, KeyError):
            return None, None

    async def _attach(
        self, deployment: Deployment, alert: Alert, service: Service | None, strategy: Strategy | None
    ) -> None:
        """Tell the deployment, once, and hold it where it is under way in steps."""
        at = self.ledger.now()

        def told(found: Deployment) -> Deployment:
            return _held(found, alert, service, strategy, at).touch()

        def event(before: Deployment, after: Deployment) -> Event:
            return Event(
                deployment=after.id,
                key=key,
                kind="alert",
                actor=BOT,
                at=at,
                before=before.phase,
                after=after.phase,
                note=f"{alert.name} since {alert.starts_at:%H:%M:%S} UTC ({alert.source} {alert.fingerprint})",
            )

        key = f"alert:{alert.key}"
        self.ledger.announce(await self.deployments.update(deployment.id, told, event=event, key=key))


def _held(
    found: Deployment, alert: Alert, service: Service | None, strategy: Strategy | None, at: datetime
) -> Deployment:
    """The deployment held by the bot, as a person would hold it; as it was where there is nothing to hold."""
    progression = found.progression
    if strategy is None or service is None or progression is None or found.request is not None:
        return found
    if found.phase not in {Phase.DEPLOYING, Phase.PAUSED}:
        return found
    position = progression.position
    word = HoldWord(by=BOT, at=at, step=position.step, reason=f"alert {alert.name}")
    standing = seen(
        plan(strategy), position, standing_of(progression.watches(service.checks), at, weight=position.weight)
    )
    after, answer = hear(strategy, position, word, standing)
    if not answer.accepted:
        return found
    held = replace(progression, position=after, question=None, why=after.held.why if after.held else answer.sentence)
    return replace(found, progression=held, version=found.version + 1)
