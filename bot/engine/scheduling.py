"""Deployments that wait for their time: which there are, moving one, and the instant that people mean.

Must not start anything: `bot.engine.timetable` fires, and the engine then asks all gates anew. To cancel is to abort.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from bot.domain.audit import Deed
from bot.domain.errors import BadCommand, InvalidTransition
from bot.domain.lifecycle import Phase
from bot.domain.policy.access import Action
from bot.domain.policy.window import next_open
from bot.domain.when import FARTHEST, find_zone, in_utc, parse_when

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, tzinfo

    from bot.domain.actor import Membership
    from bot.domain.deployment import Deployment
    from bot.domain.ids import DeploymentId
    from bot.domain.schedule import Schedule
    from bot.engine.gatekeeper import Gatekeeper
    from bot.engine.ledger import Ledger
    from bot.ports.deployments import Deployments
    from bot.ports.providers import CatalogSource
    from bot.ports.schedules import Schedules

GOOD_FOR = timedelta(hours=1)
"""How long after its time a deployment may still start, if nobody says."""

_LAST_MOMENT = timedelta(seconds=2)
"""How long before its time a deployment is moved no more: longer than it takes to write down that it was."""
_NEXT_WINDOW = frozenset({"next-window", "next window"})


def _nobody() -> None:
    """Tell nobody."""


@dataclass(kw_only=True)
class Scheduling:
    """What waits for its time."""

    ledger: Ledger
    deployments: Deployments
    schedules: Schedules
    catalogs: CatalogSource
    gatekeeper: Gatekeeper
    changed: Callable[[], None] = _nobody
    """Called after every change, so that this replica's timetable is read again; others look by themselves."""

    async def all(
        self, service: str | None = None, environment: str | None = None
    ) -> Sequence[tuple[Schedule, Deployment]]:
        """What waits for its time there, the next one first."""
        waiting = {
            deployment.id: deployment
            for deployment in await self.deployments.active()
            if deployment.phase is Phase.SCHEDULED
            and service in {None, deployment.service}
            and environment in {None, deployment.environment}
        }
        if not waiting:
            return []
        return [
            (schedule, waiting[schedule.deployment])
            for schedule in await self.schedules.all()
            if schedule.deployment in waiting
        ]

    async def move(
        self,
        deployment_id: DeploymentId,
        *,
        at: datetime,
        expires: datetime | None = None,
        requester: Membership,
        version: int | None = None,
    ) -> Schedule:
        """Give a deployment that waits for its time another one; ``expires`` is `GOOD_FOR` after it if not said.

        One's own takes no right, unless a row denies it. Raises `NotAuthorized`, `InvalidTransition` when it does not
        wait for a time any more, `BadCommand` for a time that is over or too far away, and `SomebodyWasFaster` when the
        schedule is not at ``version`` any more, which is what a button shows. Raises `ValueError` for naive times.
        """
        found = await self.deployments.get(deployment_id)
        rule = self.gatekeeper.authorise(
            requester,
            Action.SCHEDULE,
            found.service,
            found.environment,
            own=found.requester.same_as(requester.actor),
        )
        now = self.ledger.now()
        at = in_utc(at)
        expires = at + GOOD_FOR if expires is None else in_utc(expires)
        if at <= now:
            raise BadCommand("That time is over.", hint="Say a time to come, such as `in 30m`.")
        if at - now > FARTHEST:
            raise BadCommand(f"That is more than {FARTHEST.days} days away.", hint="Say an earlier time.")
        if expires <= at:
            raise BadCommand(
                "It would expire before its time comes.", hint="Let it expire later, such as `expires=1h`."
            )
        if found.phase is not Phase.SCHEDULED:
            raise InvalidTransition(
                f"#{found.number} is {found.phase.words}; only one that waits for its time can be moved."
            )
        waits = await self.schedules.of(found.id)
        if waits is not None and waits.at - now <= _LAST_MOMENT:
            # Whoever fires it may have read its time by the time that this is written, and would start it all the same.
            raise InvalidTransition(
                f"The time of #{found.number} has come: it is being started.", hint="Abort it instead."
            )
        deed = Deed(actor=requester.actor, at=now, door=requester.door, rule=rule)
        moved = await self.schedules.move(found.id, at=at, expires=expires, deed=deed, version=version)
        self.changed()
        await self.ledger.amend(found.id, lambda shown: shown.touch())
        return moved

    def when(
        self, text: str, *, zone: tzinfo | None = None, service: str | None = None, environment: str | None = None
    ) -> datetime:
        """The instant, in UTC, that ``text`` means; ``next-window`` is that of ``service`` in ``environment``.

        Without a ``zone``, that of the person who asks, the catalog's counts. Raises `BadCommand`, also for
        ``next-window`` where there are no windows.
        """
        catalog, now = self.catalogs.current(), self.ledger.now()
        place = zone or find_zone(catalog.zone)
        if place is None:  # the catalog has been checked when it was read
            raise ValueError(f"{catalog.zone!r} is no time zone")
        opens: datetime | None = None
        if " ".join(text.casefold().split()).removeprefix("at ").strip() in _NEXT_WINDOW:
            opens = self._next_window(text, service, environment, now)
        return parse_when(text, now=now, zone=place, next_window=opens)

    def _next_window(self, text: str, service: str | None, environment: str | None, now: datetime) -> datetime | None:
        catalog = self.catalogs.current()
        hint = "Say a time instead, such as `18:00` or `in 30m`."
        if service is None or environment is None:
            raise BadCommand("`next-window` needs a service and an environment.", token=text, hint=hint)
        name, there = catalog.service(service).name, catalog.environment(environment)
        windows = [window for window in there.windows if window.covers(name)]
        if not windows:
            whose = f"{environment} has none for {service}" if there.windows else f"{environment} has none"
            raise BadCommand(
                f"`next-window` needs windows, and {whose}: it is open at any time.", token=text, hint=hint
            )
        return next_open(windows, now)
