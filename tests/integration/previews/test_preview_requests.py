"""People ask for previews: a tag of a registry becomes pods of a namespace, for a while, for those who may."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from integration.images.fake_oci import CONTENT, fake
from integration.images.oci_subject import Clock, images
from integration.images.real_registry import digest_of
from integration.previews.preview_world import CHECKOUT, NOW, world
from unit.engine.engine_world import ADA, GRACE, LINUS, catalog, member

from bot.domain.errors import NotAuthorized, ProviderUnavailable, RequestRefused, RevisionNotFound, UnknownService
from bot.domain.policy.access import Action, Effect, Rule
from bot.engine.previews import Previewing, comment
from bot.ports.previews import Preview, Previewed, PreviewState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime

    from integration.images.fake_oci import FakeRegistry
    from integration.previews.preview_world import World

    from bot.domain.catalog import Catalog
    from bot.domain.ids import ServiceName
    from bot.ports.images import Images
    from bot.ports.previews import Previews
    from bot.ports.providers import Providers

pytestmark = pytest.mark.timeout(60)
DAY = timedelta(days=1)
RULES = (
    Rule(role="deployer", users=frozenset({ADA.id}), actions=frozenset({Action.DEPLOY}), environments=("staging",)),
    Rule(role="reader", users=frozenset({LINUS.id}), actions=frozenset({Action.APPROVE})),
    Rule(role="out", users=frozenset({GRACE.id}), actions=frozenset({Action.DEPLOY})),
    Rule(role="out", users=frozenset({GRACE.id}), actions=frozenset({Action.DEPLOY}), effect=Effect.DENY),
)


@dataclass
class Office:
    """What the use case is built from, and a time that goes on when it is told to."""

    here: World
    registry: FakeRegistry
    versions: Images
    others: list[Previews] = field(default_factory=list)
    time: datetime = NOW
    paused: list[float] = field(default_factory=list)
    catalog: Catalog = field(default_factory=lambda: catalog(rules=RULES))

    def current(self) -> Catalog:
        return self.catalog

    async def at(self, revision: str) -> Catalog:
        return self.catalog

    def images(self, _: Catalog, service: ServiceName) -> Images:
        return self.versions

    def of(self, _: Catalog, service: ServiceName) -> Previews | None:
        return self.here.previews() if service == CHECKOUT else None

    def every(self, _: Catalog) -> Sequence[Previews]:
        return [*self.others, self.here.previews()]

    async def pause(self, seconds: float) -> None:
        self.paused.append(seconds)

    @property
    def desk(self) -> Previewing:
        return Previewing(
            catalogs=self, providers=cast("Providers", self), previews=self, now=lambda: self.time, pause=self.pause
        )

    async def open(self, number: int = 7, **more: Any) -> Preview:
        return await self.desk.open("checkout", "v1.2", number=number, requester=member(ADA), **more)


@asynccontextmanager
async def office(*, alive: bool = False) -> AsyncIterator[Office]:
    async with world(alive=alive) as here, fake() as registry:
        yield Office(here, registry, images(registry, Clock()))


async def test_a_tag_becomes_pods_for_three_days() -> None:
    async with office() as here:
        preview = await here.open()
        assert preview.until == NOW + 3 * DAY
        assert preview.by == "Ada"
        assert preview.services[CHECKOUT].digest == digest_of(CONTENT)
        found = here.here.server.get("deployments", "shop-pr-7", "checkout")["spec"]["template"]["spec"]["containers"]
        assert found[0]["image"] == f"{here.registry.address}/acme/checkout@{digest_of(CONTENT)}"
        assert here.here.untouched(7)
        mark = len(here.here.server.log)
        assert await here.open() == preview
        assert not [call for call in here.here.server.log[mark:] if call.writes and call.code < 300]


async def test_a_tag_that_moved_is_deployed_anew() -> None:
    async with office() as here:
        first = await here.open()
        here.registry.manifests["v1.2"] = CONTENT + b"\n"
        second = await here.open()
        assert second.identity == first.identity
        assert second.services[CHECKOUT].digest == digest_of(CONTENT + b"\n")


async def test_only_who_may_deploy_it_somewhere_may_preview_it() -> None:
    async with office() as here:
        for actor in (LINUS, GRACE):
            with pytest.raises(NotAuthorized, match="may not deploy checkout anywhere"):
                await here.desk.open("checkout", "v1.2", number=7, requester=member(actor))
        preview = await here.open()
        for actor in (LINUS, GRACE):
            with pytest.raises(NotAuthorized):
                await here.desk.close("checkout", number=7, requester=member(actor))
        assert (await here.desk.all())[0].identity == preview.identity
        with pytest.raises(RequestRefused, match="web has no previews"):
            await here.desk.open("web", "v1.2", number=7, requester=member(ADA))
        with pytest.raises(UnknownService):
            await here.desk.open("nothing", "v1.2", number=7, requester=member(ADA))


async def test_what_is_not_there_is_not_begun() -> None:
    async with office() as here:
        with pytest.raises(RevisionNotFound):
            await here.desk.open("checkout", "v9", number=7, requester=member(ADA))
        for keep in (timedelta(), -DAY, 15 * DAY):
            with pytest.raises(RequestRefused, match="14 days at most"):
                await here.open(keep=keep)
        with pytest.raises(RequestRefused, match="no preview of #7"):
            await here.desk.close("checkout", number=7, requester=member(ADA))
        assert here.here.untouched()


async def test_it_is_closed_when_it_is_over_and_no_other_is() -> None:
    async with office() as here:
        await here.open(1, keep=DAY)
        await here.open(2, keep=2 * DAY)
        assert await here.desk.sweep() == []
        here.time += DAY
        [swept] = await here.desk.sweep()
        assert (swept.preview.number, swept.trouble) == (1, "")
        await here.here.server.until(lambda: here.here.numbers() == ["shop-pr-2", "shop-pr-99"])
        assert await here.desk.sweep() == []
        assert [each.number for each in await here.desk.all()] == [2]
        assert not await here.desk.close("checkout", number=2, requester=member(ADA))
        await here.here.server.until(lambda: here.here.numbers() == ["shop-pr-99"])
        assert here.here.untouched()


async def test_trouble_with_one_is_told_and_keeps_no_other() -> None:
    async with office() as here:
        for number in (1, 2):
            await here.open(number, keep=DAY)
        here.time += DAY
        here.here.server.faults.refuse(429, verb="delete", path="shop-pr-1", times=50)
        swept = await here.desk.sweep()
        assert [(each.preview.number, bool(each.trouble)) for each in swept] == [(1, True), (2, False)]
        here.here.server.faults.clear()
        again = await here.desk.sweep()
        assert (again[0].preview.number, again[0].trouble) == (1, "")


async def test_a_cluster_that_hiccups_is_asked_again_and_one_that_is_down_is_not_asked_for_ever() -> None:
    async with office() as here:
        here.here.server.faults.lose_answer(verb="create", path="namespaces", times=2)
        preview = await here.open()
        assert preview.services[CHECKOUT].version == "v1.2"
        here.here.server.faults.down()
        here.paused.clear()
        with pytest.raises(ProviderUnavailable):
            await here.open(8)
        assert len(here.paused) == 3
        assert await here.desk.sweep() == []


async def test_the_comment_is_ready_and_harmless() -> None:
    async with office(alive=True) as here:
        preview = await here.open()
        async for _ in here.here.previews().observe(preview=preview, service=CHECKOUT):
            pass
        [found] = await here.desk.all()
        text = comment(found)
        assert text.startswith("**Preview of #7**\n\n| service | version | address | state |\n|---|---|---|---|\n")
        assert "| checkout | v1.2 | https://checkout-pr-7.preview.example.com | ready |\n" in text
        assert "| payments | as in the template | https://payments-pr-7.preview.example.com | " in text
        assert text.endswith("It is kept until 2026-11-26 12:00 UTC.\n")
    odd = Previewed(address="https://x", version="v1|<b>@team`#1`\n# x", message="![a](http://evil)")
    hostile = replace(preview, services={CHECKOUT: odd}, notes=("@everybody <img src=x>",))
    for text in (comment(hostile), comment(replace(hostile, state=PreviewState.CLOSING))):
        assert "@team" not in text
        assert "@everybody" not in text
        assert "<b>" not in text
        assert "![a](" not in text
        assert len([line for line in text.splitlines() if line.startswith("|")]) == 3
