"""Who is told of a deployment: once when it begins and once when it has ended, however often a source is away."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from engine_world import CHECKOUT, MINUTE, NOON, STAGING, World, open_world

from bot.domain.actor import BOT
from bot.domain.analysis.check import Check, Kind
from bot.domain.errors import ConfigurationError, ProviderRejected, ProviderUnavailable
from bot.domain.ids import OperationId
from bot.domain.lifecycle import Phase
from bot.domain.metric import Track
from bot.domain.rollout import Handle
from bot.engine.marking import Marking

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime
    from pathlib import Path

    from bot.domain.catalog import Catalog
    from bot.domain.deployment import Deployment
    from bot.domain.metric import Subject

P = Phase


@dataclass
class Source:
    """A vendor: shows what it is told unless it says something else first."""

    says: list[Exception] = field(default_factory=list)
    hangs: bool = False
    shown: list[tuple[str, datetime, datetime | None, bool]] = field(default_factory=list)
    subjects: list[Subject] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    asked: int = 0

    async def mark(
        self, *, subject: Subject, operation: str, began: datetime, ended: datetime | None, text: str, succeeded: bool
    ) -> None:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.says:
            raise self.says.pop(0)
        self.shown.append((operation, began, ended, succeeded))
        self.subjects.append(subject)
        self.texts.append(text)


class Mute:
    """A source that can show nothing."""


@dataclass
class Desk:
    """The use case over a real store, before two sources that can show deployments and one that cannot."""

    world: World
    sources: dict[str, Any]

    def metrics(self, _: Catalog, name: str) -> Any:
        found = self.sources[name]
        if isinstance(found, Exception):
            raise found
        return found

    def marking(self) -> Marking:
        """That of one process."""
        made = Marking(
            ledger=self.world.ledger,
            deployments=self.world.store.deployments,
            catalogs=self.world,
            providers=self,  # type: ignore[arg-type]  # of all providers only metric sources are asked for
            kept=self.world.store.markers,
            look_every=0.05,
        )
        self.world.ledger.listeners.append(made.heard)
        return made

    async def began(self, *phases: Phase) -> Deployment:
        made = await self.world.deployed(*(phases or (P.QUEUED, P.DEPLOYING)), begin=NOON)
        handle = Handle(operation=OperationId(f"{made.id}-apply-1"), generation="g1")
        return await self.world.ledger.amend(made.id, lambda found: found.evolve(handle=handle))

    async def ended(self, made: Deployment, *phases: Phase) -> Deployment:
        for number, phase in enumerate(phases, 3):
            made = await self.world.ledger.advance(made.id, phase, actor=BOT, key=phase, at=NOON + number * MINUTE)
        return made

    async def looks(self, marking: Marking, *, after: timedelta = timedelta()) -> None:
        self.world.time += after
        await marking.look()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_world(tmp_path) as world:
        checks = tuple(
            Check(name=name, source=name, query="q", kind=Kind.SHARE, limit=1, interval=1, window=1)
            for name in ("vendor", "other", "mute")
        )
        service = replace(world.catalog.services[CHECKOUT], checks=(*checks, replace(checks[0], name="again")))
        world.set(services={**world.catalog.services, CHECKOUT: service})
        yield Desk(world, {"vendor": Source(), "other": Source(), "mute": Mute()})


async def test_each_source_is_told_of_its_begin_and_of_its_end_once(desk: Desk) -> None:
    marking = desk.marking()
    made = await desk.began()
    await desk.looks(marking)
    await desk.looks(marking, after=MINUTE)
    for source in (desk.sources["vendor"], desk.sources["other"]):
        assert source.shown == [(made.id, NOON + 2 * MINUTE, None, False)]
    await desk.ended(made, P.VERIFYING, P.SUCCEEDED)
    await desk.looks(marking)
    assert len(desk.sources["vendor"].shown) == 2, "at once, and not when it would be looked at anyway"
    await desk.looks(marking, after=MINUTE)
    await desk.ended(made, P.ROLLING_BACK)
    await desk.looks(marking, after=60 * MINUTE)
    for source in (desk.sources["vendor"], desk.sources["other"]):
        assert source.shown[1:] == [(made.id, NOON + 2 * MINUTE, NOON + 4 * MINUTE, True)]
        assert {subject.track for subject in source.subjects} == {Track.CANARY}
        assert source.subjects[0].version == "v1.2"
        assert source.texts == [
            "#1 checkout v1.2 to staging, asked for by Ada",
            "#1 checkout v1.2 to staging, asked for by Ada: succeeded",
        ]


@pytest.mark.parametrize("end", [P.FAILED, P.ABORTED, P.ERRORED, P.SUPERSEDED])
async def test_an_end_without_success_is_told_as_such_even_if_all_was_over_before_anybody_looked(
    desk: Desk, end: Phase
) -> None:
    marking = desk.marking()
    made = await desk.ended(await desk.began(), end)
    await desk.looks(marking)
    ended = NOON + 3 * MINUTE
    assert desk.sources["vendor"].shown == [
        (made.id, NOON + 2 * MINUTE, None, False),
        (made.id, NOON + 2 * MINUTE, ended, False),
    ]


async def test_what_changed_nothing_is_not_shown(desk: Desk) -> None:
    marking = desk.marking()
    await desk.world.deployed(P.QUEUED, P.DEPLOYING, P.HELD, begin=NOON)
    await desk.world.deployed(P.QUEUED, P.ABORTED, begin=NOON)
    await desk.looks(marking, after=60 * MINUTE)
    assert (desk.sources["vendor"].asked, await desk.world.store.markers.due(before=NOON + 999 * MINUTE)) == (0, [])


async def test_a_source_that_is_away_is_told_when_it_is_back_in_order_and_holds_up_nobody(desk: Desk) -> None:
    vendor, other = desk.sources["vendor"], desk.sources["other"]
    away = ProviderUnavailable("It is away.", provider="vendor")
    vendor.says = [away, away, ConfigurationError("The secret env:KEY is not set."), RuntimeError("a bug of theirs")]
    marking = desk.marking()
    made = await desk.began()
    await desk.looks(marking)
    assert (vendor.asked, len(other.shown)) == (1, 1)
    await desk.looks(marking, after=timedelta(seconds=4))
    assert vendor.asked == 1, "not before its pause is over"
    await desk.ended(made, P.VERIFYING, P.SUCCEEDED)
    for _ in range(20):
        await desk.looks(marking, after=timedelta(seconds=10))
    assert [bool(ended) for _, _, ended, _ in vendor.shown] == [False, True]
    assert vendor.asked == 6
    assert [bool(ended) for _, _, ended, _ in other.shown] == [False, True]


async def test_what_a_source_refuses_or_never_takes_is_given_up(desk: Desk) -> None:
    vendor, other = desk.sources["vendor"], desk.sources["other"]
    vendor.says = [ProviderRejected("No such entity.", provider="vendor")]
    other.says = [ProviderUnavailable("It is away.", provider="other") for _ in range(100)]
    marking = desk.marking()
    await desk.ended(await desk.began(), P.VERIFYING, P.SUCCEEDED)
    for _ in range(60):
        await desk.looks(marking, after=5 * MINUTE)
    assert [bool(ended) for _, _, ended, _ in vendor.shown] == [True], "the end is told all the same"
    assert (vendor.asked, other.asked, other.shown) == (2, 32, [])
    assert await desk.world.store.markers.due(before=NOON + timedelta(days=9)) == []


async def test_a_process_that_dies_leaves_it_to_the_next_and_replicas_share_it(desk: Desk) -> None:
    vendor = desk.sources["vendor"]
    dead = desk.marking()
    made = await desk.began()
    desk.world.ledger.listeners.remove(dead.heard)  # died before it looked
    others = [desk.marking() for _ in range(3)]
    running = [asyncio.create_task(one.run()) for one in others]
    try:
        await _until(lambda: len(vendor.shown) == 1)
        for one in others:
            desk.world.ledger.listeners.remove(one.heard)  # another replica ends it
        await desk.ended(made, P.VERIFYING, P.SUCCEEDED)
        desk.world.time += MINUTE
        await _until(lambda: len(vendor.shown) == 2)
        async with asyncio.timeout(10):  # and until that is written down: whoever dies before tells it once more
            while await desk.world.store.markers.due(before=NOON + timedelta(days=9)):
                await asyncio.sleep(0.01)
    finally:
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    await desk.looks(others[0], after=60 * MINUTE)
    assert (vendor.asked, len(desk.sources["other"].shown)) == (2, 2)


async def test_a_configuration_that_is_gone_makes_no_trouble(desk: Desk) -> None:
    desk.sources["vendor"] = ConfigurationError("There is no such source.")
    marking = desk.marking()
    await desk.ended(await desk.began(), P.VERIFYING, P.SUCCEEDED)
    await desk.looks(marking)
    desk.world.set(services={})
    await desk.ended(await desk.began(), P.FAILED)
    await desk.looks(marking, after=MINUTE)
    found = await desk.world.store.deployments.history(CHECKOUT, STAGING, limit=5)
    assert [one.phase for one in found] == [P.FAILED, P.SUCCEEDED]


async def _until(true: Any) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)
