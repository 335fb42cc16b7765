"""Answers to why, where and how well: who may and by which row, what differs, what was changed behind our back.

Reading only; every look at a target has an end. What could not be read is said, and never taken for "all is well".
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from bot.charts import Bars, Chart
from bot.domain import dora, explanation, versions
from bot.domain.errors import BadCommand, DeploymentArchitectError
from bot.domain.explanation import places_of
from bot.domain.insight import Difference, Drift, DriftKind, Relation, Stats
from bot.domain.view import Forecast
from bot.domain.when import find_zone

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bot.domain.actor import Membership
    from bot.domain.catalog import Catalog
    from bot.domain.dora import Day, Figures
    from bot.domain.grammar.intents import MayIntent
    from bot.domain.history import Placement
    from bot.domain.ids import EnvironmentName, ServiceName
    from bot.domain.insight import Explanation
    from bot.domain.policy.gates import GateResult
    from bot.domain.release import Release
    from bot.domain.rollout import Plan, Running
    from bot.engine.ledger import Ledger
    from bot.ports.deployments import Deployments, Releases
    from bot.ports.providers import CatalogSource, Providers

    Place = tuple[ServiceName, EnvironmentName]

log = logging.getLogger(__name__)

_AT_ONCE = 8
"""Places that are looked at at the same time."""
_CHANGES = 20
"""Changes that make the failure rate."""
_PAST = 3 * _CHANGES
"""Past deployments among which they are looked for: not every one has changed something."""
_LONGEST = 366
_DAILY = 62
"""Days of which each has its own bar; of more, each week has one."""


@dataclass(kw_only=True)
class Insight:
    """What people ask to understand."""

    ledger: Ledger
    deployments: Deployments
    releases: Releases
    catalogs: CatalogSource
    providers: Providers
    one_look: float = 5.0
    """Seconds that one place has to say what it runs."""
    all_looks: float = 30.0
    """Seconds that all places have together."""

    async def explain(self, intent: MayIntent, asker: Membership, subject: Membership) -> Sequence[Explanation]:
        """Whether ``subject`` may do it, and the row that says so; all places with one answer are one line.

        ``subject`` comes with the groups that it is in now. At most twenty lines, of which the last one then sums up
        all others. Raises `UnknownService` and `UnknownEnvironment`, also for a service that does not run there.
        """
        catalog = self.catalogs.current()
        places = places_of(catalog, intent.service, intent.environment)
        return explanation.explain(catalog, intent.action, places, asker=asker.actor, subject=subject)

    async def diff(
        self, one: EnvironmentName, other: EnvironmentName, service: ServiceName | None = None
    ) -> Sequence[Difference]:
        """How what ``one`` runs differs from what ``other`` runs, for every service that runs in both, or for one.

        Raises `BadCommand` for an environment and itself, `UnknownService`, `UnknownEnvironment`.
        """
        catalog = self.catalogs.current()
        if catalog.environment(one) is catalog.environment(other):
            raise BadCommand(f"{one} does not differ from itself.", token=other, hint="Name two environments.")
        in_one, in_other = (dict(places_of(catalog, service, environment)) for environment in (one, other))
        services = [name for name in in_one if name in in_other]
        keys = [(name, environment) for name in services for environment in (one, other)]
        there = {(found.service, found.environment): found for found in await self.releases.placements(keys)}
        return [
            await self._difference(name, (one, there.get((name, one))), (other, there.get((name, other))))
            for name in services
        ]

    async def drift(
        self, service: ServiceName | None = None, environment: EnvironmentName | None = None
    ) -> Sequence[Drift]:
        """What each of the places runs now beside what was recorded last; one for each place, in the catalog's order.

        A place that gives no answer in time is `DriftKind.UNREADABLE`. Raises like `explain`.
        """
        catalog = self.catalogs.current()
        places = places_of(catalog, service, environment)
        found = await self._look_at(catalog, places)
        # A deployment may have ended between a look and the reading of what was recorded: nobody is accused at once.
        odd = [place for place in places if found[place].kind in {DriftKind.CHANGED, DriftKind.UNRECORDED}]
        if odd:
            found |= await self._look_at(catalog, odd)
        return [found[place] for place in places]

    async def stats(
        self, service: ServiceName | None = None, environment: EnvironmentName | None = None, days: int = 30
    ) -> Stats:
        """The figures of the last ``days``, up to now, with their definitions and a chart.

        Raises like `explain`, and `BadCommand` for a number of days that cannot be.
        """
        catalog = self.catalogs.current()
        places_of(catalog, service, environment)
        if not 1 <= days <= _LONGEST:
            raise BadCommand(f"Figures are of 1 to {_LONGEST} days.", token=str(days), hint="Leave it out for 30 days.")
        until = self.ledger.now()
        since = until - timedelta(days=days)
        zone = find_zone(catalog.zone)
        assert zone is not None, "the catalog was checked when it was read"
        past = await self.deployments.ended(since=since, until=until, service=service, environment=environment)
        figures = dora.figures(past, since=since, until=until, service=service, environment=environment)
        by_day = dora.by_day(past, since=since, until=until, zone=zone, service=service, environment=environment)
        return Stats(figures=figures, days=by_day, definitions=dora.DEFINITIONS, chart=chart_of(figures, by_day))

    async def forecast(
        self,
        catalog: Catalog,
        service: ServiceName,
        environment: EnvironmentName,
        release: Release,
        plan: Plan | None,
        gates: Sequence[GateResult],
    ) -> Forecast:
        """What is known of a deployment before it begins. At most three questions to the store.

        Whether it is a downgrade is told by the versions' names where these tell (`bot.domain.versions`), else by
        whether the release was proven there before what runs there now came; a release that was taken back since does
        not count. Where names do not tell and it never was there it cannot be told, and is not said.
        """
        name = catalog.environment(environment).name
        placements = await self.releases.placements([(service, name)])
        placement = placements[0] if placements else None
        past = await self.deployments.history(service, name, limit=_PAST)
        current = placement.release if placement else None
        if plan is not None:  # the target knows better
            current = plan.current.release if plan.current else None
        rate, counted = dora.failure_rate(past, last=_CHANGES)
        return Forecast(
            downgrade=await self._is_downgrade(release, name, current, placement),
            current=current,
            gates=tuple(gates),
            usual=dora.usual_duration(past),
            failure_rate=rate,
            counted=counted,
        )

    async def _is_downgrade(
        self, release: Release, environment: EnvironmentName, current: Release | None, placement: Placement | None
    ) -> bool:
        if current is None or release.same_as(current):
            return False
        if order := versions.compare(release.version, current.version):
            return order < 0
        if placement is None or not placement.release.same_as(current):
            return False  # since when that runs nobody knows
        proven = await self._proven_at(release, environment)
        return proven is not None and proven < placement.since

    async def _proven_at(self, release: Release, environment: EnvironmentName) -> datetime | None:
        """When exactly this release was proven there last; None if it never was, or was taken back since."""
        proofs = await self.releases.proven(release.service, environment, release)
        return next((one.proven_at for one in proofs if one.release.same_as(release)), None)

    async def _look_at(self, catalog: Catalog, places: Sequence[Place]) -> dict[Place, Drift]:
        end = asyncio.get_running_loop().time() + self.all_looks
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def look(place: Place) -> Running | str | None:
            try:
                async with asyncio.timeout_at(end), at_once, asyncio.timeout(self.one_look):
                    return await self.providers.target(catalog, *place).current()
            except TimeoutError:
                return "it gave no answer in time."
            except DeploymentArchitectError as error:
                return error.message
            except Exception as error:
                log.exception("looking at what %s runs in %s broke", *place)
                return f"the bot itself broke ({type(error).__name__}); its log says more."

        seen = await asyncio.gather(*(look(place) for place in places))
        # In this order: what has ended before the first of the two was recorded before the second.
        busy = {
            (other.service, other.environment): other
            for other in await self.deployments.active()
            if other.phase.holds_lock
        }
        recorded = {(known.service, known.environment): known for known in await self.releases.placements(places)}
        found: dict[Place, Drift] = {}
        for place, running in zip(places, seen, strict=True):
            known, under_way = recorded.get(place), busy.get(place)
            if isinstance(running, str):
                kind, sentence = DriftKind.UNREADABLE, f"What it runs could not be read: {running}"
            elif under_way is not None:
                kind, sentence = DriftKind.UNDER_WAY, f"#{under_way.number} has it for itself: {under_way.phase.words}."
            else:
                kind, sentence = _compared(known, running)
            found[place] = Drift(
                service=place[0],
                environment=place[1],
                kind=kind,
                recorded=known,
                running=None if isinstance(running, str) else running,
                sentence=sentence,
                at=self.ledger.now(),
            )
        return found

    async def _difference(
        self,
        service: ServiceName,
        one: tuple[EnvironmentName, Placement | None],
        other: tuple[EnvironmentName, Placement | None],
    ) -> Difference:
        (here, mine), (there, theirs) = one, other
        if mine is None or theirs is None:
            relation, sentence = Relation.MISSING_IN_BOTH, f"It runs neither in {here} nor in {there}"
            if mine is not None or theirs is not None:
                relation = Relation.MISSING_IN_ONE if mine is None else Relation.MISSING_IN_OTHER
                sentence = f"It does not run in {here if mine is None else there}"
            sentence += ", as far as the bot knows."
        elif mine.release.same_as(theirs.release):
            name, called = mine.release.version, theirs.release.version
            relation, sentence = Relation.SAME, f"Both run {name}."
            if name != called:
                relation = Relation.RENAMED
                sentence = f"The very same artifact is called {name} in {here} and {called} in {there}."
        elif mine.release.version == theirs.release.version:
            relation = Relation.REBUILT
            digests = f"{mine.release.short_digest} in {here}, {theirs.release.short_digest} in {there}"
            sentence = f"{mine.release.version} was built twice: {digests}."
        else:
            ahead, why = await self._is_ahead(mine, theirs)
            relation = Relation.ONE_AHEAD if ahead else Relation.OTHER_AHEAD
            sentence = f"{here if ahead else there} is ahead: {why}."
        return Difference(service=service, one=mine, other=theirs, relation=relation, sentence=sentence)

    async def _is_ahead(self, one: Placement, other: Placement) -> tuple[bool, str]:
        """Whether ``one`` has the later release, and from what that is told."""
        if order := versions.compare(one.release.version, other.release.version):
            return order > 0, "its version is higher"
        # Where what one runs was proven in the other place before, that place has gone on since.
        mine_there = await self._proven_at(one.release, other.environment)
        theirs_here = await self._proven_at(other.release, one.environment)
        if (mine_there is None) != (theirs_here is None):
            behind = one if mine_there is not None else other
            return mine_there is None, f"it ran {behind.release.version} before"
        return one.since > other.since, "what it runs came later, and the versions' names do not tell"


def chart_of(figures: Figures, days: Sequence[Day]) -> Chart | None:
    """Successes and failures of each day, or of each week of a long time; None when there was neither."""
    good, bad = sum(day.succeeded for day in days), sum(day.failed for day in days)
    if not good and not bad:
        return None
    width = 1 if len(days) <= _DAILY else 7
    bars = [days[begin : begin + width] for begin in range(0, len(days), width)]
    parts = [
        f"of {figures.service}" if figures.service else "",
        f"in {figures.environment}" if figures.environment else "",
    ]
    what = " ".join(["Deployments", *filter(None, parts)])
    each = "day" if width == 1 else "week"
    alt = f"{what} on each {each} from {days[0].date} to {days[-1].date}: {good} succeeded, {bad} failed."
    if bad:
        worst = max(bars, key=lambda bar: sum(day.failed for day in bar))
        alt += f" Most failures: {sum(day.failed for day in worst)} on the {each} of {worst[0].date}."
    return Chart(
        title=f"{what}, {days[0].date} to {days[-1].date}",
        alt=alt,
        unit=f"deployments a {each}",
        categories=tuple(f"{bar[0].date:%m-%d}" for bar in bars),
        bars=(
            Bars(label="succeeded", values=tuple(float(sum(day.succeeded for day in bar)) for bar in bars)),
            Bars(label="failed", values=tuple(float(sum(day.failed for day in bar)) for bar in bars)),
        ),
    )


def _compared(known: Placement | None, running: Running | None) -> tuple[DriftKind, str]:
    """What it means that one was recorded and the other one was seen."""
    if known is None:
        if running is None:
            return DriftKind.NONE, "Nothing runs there, and nothing was recorded."
        return DriftKind.UNRECORDED, f"It runs {running.release.version}, and nothing was ever recorded there."
    if running is None:
        return DriftKind.CHANGED, f"Nothing runs there, though {known.release.version} should: changed outside the bot."
    if running.release.same_as(known.release):
        return DriftKind.NONE, f"It runs {running.release.version}, as was recorded last."
    now, then = running.release, known.release
    names = (
        (f"{now.version} ({now.short_digest})", f"{then.version} ({then.short_digest})")
        if now.version == then.version
        else (now.version, then.version)
    )
    return DriftKind.CHANGED, f"It runs {names[0]}, though {names[1]} was recorded last: changed outside the bot."
