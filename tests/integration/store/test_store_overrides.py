"""Exceptions: used once, by one deployment, whoever tries at the same time; and every step of one is in the audit."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from store_samples import (
    ADA,
    CHECKOUT,
    GRACE,
    NOON,
    STAGING,
    actors,
    anything,
    deployment,
    instants,
    moved,
    plain,
    release,
    requested,
    store,
)
from store_wire import CutWire

from bot.domain.actor import BOT, Actor, Door
from bot.domain.audit import Deed
from bot.domain.deployment import Deployment
from bot.domain.errors import NothingToDo, SomebodyWasFaster, StoreError, UnknownDeployment
from bot.domain.ids import DeploymentId, EnvironmentName, ServiceName
from bot.domain.lifecycle import Phase
from bot.domain.policy.override import Override, OverrideKind
from bot.store.audit import StoredAudit
from bot.store.deployments import StoredDeployments
from bot.store.engine import Database
from bot.store.freezes import StoredFreezes
from bot.store.migrations import migrate
from bot.store.overrides import StoredOverrides

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sqlalchemy.ext.asyncio import AsyncConnection

HOUR = timedelta(hours=1)
LINUS = Actor(workspace="T1", id="U0LINUS", name="Linus")
DIGEST = release().artifact.digest
NOTHING = DeploymentId("d0nothing")


@pytest.fixture
def overrides(database: Database) -> StoredOverrides:
    return StoredOverrides(database)


@pytest.fixture
def audit(database: Database) -> StoredAudit:
    return StoredAudit(database)


@pytest.fixture
async def replicas(database_url: str, database: Database) -> AsyncIterator[list[Database]]:
    """The same database, as several processes have it."""
    others = [await Database.open(database_url) for _ in range(3)]
    try:
        yield [database, *others]
    finally:
        for other in others:
            await other.close()


def override(name: str = "o1", **changes: Any) -> Override:
    made = Override(
        id=name,
        kind=OverrideKind.FREEZE,
        service=CHECKOUT,
        environment=STAGING,
        digest=DIGEST,
        by=ADA,
        reason="the tax is wrong",
        at=NOON,
        until=NOON + 8 * HOUR,
    )
    return replace(made, **changes)


def glass(name: str = "g1", **changes: Any) -> Override:
    return override(name, kind=OverrideKind.BREAK_GLASS, **changes)


def deed(actor: Actor = GRACE, *, hours: float = 1, reason: str = "because") -> Deed:
    return Deed(actor=actor, at=NOON + hours * HOUR, reason=reason, door=Door.BUTTON, rule="role leads")


async def rows(audit: StoredAudit) -> list[dict[str, str]]:
    assert (await audit.verify()).ok
    return [json.loads(line) async for piece in audit.export(format="jsonl") for line in piece.splitlines()]


async def acts(audit: StoredAudit) -> list[str]:
    return [row["act"] for row in await rows(audit)]


class TestOverrides:
    async def test_one_is_asked_for_agreed_to_used_and_reviewed(
        self, database: Database, deployments: StoredDeployments, overrides: StoredOverrides, audit: StoredAudit
    ) -> None:
        made, epoch = await store(deployments), StoredFreezes(database).epoch
        for _ in range(2):
            assert await overrides.add(override(), deed=deed(ADA, hours=0, reason="the tax is wrong")) == override()
        assert (await overrides.get("o1"), await epoch()) == (override(), 1)
        agreed = await overrides.second("o1", by=GRACE, deed=deed())
        assert agreed == override(seconded_by=GRACE) == await overrides.second("o1", by=GRACE, deed=deed(hours=2))
        used = await overrides.use("o1", deployment=made.id, deed=deed(ADA))
        assert used == replace(agreed, used_by=made.id)
        assert await overrides.use("o1", deployment=made.id, deed=deed(ADA, hours=20)) == used, "also when it is late"
        reviewed = await overrides.review("o1", by=LINUS, deed=deed(LINUS))
        assert reviewed == replace(used, reviewed_by=LINUS) == await overrides.review("o1", by=LINUS, deed=deed(LINUS))
        assert (await overrides.get("o1"), await epoch()) == (reviewed, 4)
        written = (await rows(audit))[1:]
        assert [(row["act"], row["actor_name"].split()[0], row["override"], row["rule"]) for row in written] == [
            ("override.asked", "Ada", "yes", "role leads"),
            ("override.agreed", "Grace", "yes", "role leads"),
            ("override.used", "Ada", "yes", "role leads"),
            ("override.reviewed", "Linus", "yes", "role leads"),
        ]
        assert {(row["object"], row["about"]) for row in written} == {
            ("override:o1", "checkout → staging (sha256:v1.2)")
        }
        until = "freeze, until 2031-05-17T20:00:00.000000+00:00"
        assert [row["before"] for row in written] == ["", *(row["after"] for row in written[:-1])]
        assert written[0]["after"] == until
        assert written[3]["after"] == f"{until}, agreed by U0GRACE, used by {made.id}, reviewed by U0LINUS"

    async def test_of_many_deployments_one_uses_it(
        self,
        replicas: list[Database],
        deployments: StoredDeployments,
        overrides: StoredOverrides,
        audit: StoredAudit,
    ) -> None:
        made = [await store(deployments) for _ in range(8)]
        await overrides.add(override(), deed=deed(ADA))
        calls = [
            StoredOverrides(replicas[n % 4]).use("o1", deployment=made[n % 8].id, deed=deed(ADA)) for n in range(24)
        ]
        found = await asyncio.gather(*calls, return_exceptions=True)
        used = [one for one in found if isinstance(one, Override)]
        refused = [one for one in found if isinstance(one, SomebodyWasFaster)]
        assert len(used) + len(refused) == len(found)
        assert {one.used_by for one in used} == {(await overrides.get("o1")).used_by}
        assert len(used) == 3, "whoever has it may say so again"
        [winner] = [one for one in made if one.id == used[0].used_by]
        assert {str(error) for error in refused} == {f"#{winner.number} has used it already."}
        assert (await acts(audit)).count("override.used") == 1

    async def test_of_many_requests_that_bind_it_one_is_stored(
        self,
        replicas: list[Database],
        deployments: StoredDeployments,
        overrides: StoredOverrides,
        audit: StoredAudit,
    ) -> None:
        await overrides.add(glass(), deed=deed(ADA, hours=0))
        made = [deployment() for _ in range(12)]
        calls = [
            StoredDeployments(replicas[n % 4]).add(one, event=requested(one), override="g1")
            for n, one in enumerate(made)
        ]
        found = await asyncio.gather(*calls, return_exceptions=True)
        [stored] = [one for one in found if isinstance(one, Deployment)]
        refused = [one for one in found if isinstance(one, SomebodyWasFaster)]
        assert len(refused) == 11
        assert (stored.number, await deployments.active()) == (1, [stored])
        assert (await overrides.get("g1")).used_by == stored.id
        assert await overrides.of_deployment(stored.id) == [glass(used_by=stored.id)]
        written = await rows(audit)
        assert [row["act"] for row in written] == ["glass.broken", "deployment.requested", "override.used"]
        assert written[2]["override"] == "yes"
        # The same act again is the same deployment, and finds what it bound.
        assert (
            await deployments.add(replace(made[0], id=stored.id, origin=stored.origin), event=requested(stored))
            == stored
        )
        again = await deployments.add(stored, event=requested(stored), override="g1")
        assert (again, len(await acts(audit))) == (stored, 3)

    async def test_a_request_that_cannot_bind_it_is_not_stored(
        self, deployments: StoredDeployments, overrides: StoredOverrides, audit: StoredAudit
    ) -> None:
        await overrides.add(override(digest="sha256:other"), deed=deed(ADA))
        await overrides.add(override("o2", until=NOON), deed=deed(ADA))
        made = deployment()
        for name, why in (("o1", "one artifact only"), ("o2", "Nobody used it in time"), ("o9", "no such exception")):
            with pytest.raises(NothingToDo, match=why):
                await deployments.add(made, event=requested(made), override=name)
        assert await deployments.active() == []
        assert (await overrides.get("o1")).used_by is None
        assert await acts(audit) == ["override.asked", "override.asked"]

    async def test_it_binds_together_with_a_taking_back(
        self, deployments: StoredDeployments, overrides: StoredOverrides, audit: StoredAudit
    ) -> None:
        past = await store(deployments, Phase.QUEUED, Phase.DEPLOYING, Phase.VERIFYING, Phase.SUCCEEDED)
        await overrides.add(glass(), deed=deed(ADA))
        made = deployment(rollback_of=past.id)
        await deployments.add(
            made,
            event=requested(made),
            taking_back=past.id,
            change=lambda now: now.advance(Phase.ROLLING_BACK, actor=ADA, at=NOON),
            taking_back_event=moved(past, replace(past, version=99)),
            override="g1",
        )
        assert (await overrides.get("g1")).used_by == made.id
        assert (await acts(audit))[-3:] == ["deployment.requested", "deployment.moved", "override.used"]

    async def test_of_two_who_agree_one_does(
        self, replicas: list[Database], overrides: StoredOverrides, audit: StoredAudit
    ) -> None:
        await overrides.add(override(), deed=deed(ADA))
        people = [replace(GRACE, id=f"U{n}", name=f"Grace {n}") for n in range(8)]
        found = await asyncio.gather(
            *(StoredOverrides(replicas[n % 4]).second("o1", by=one, deed=deed(one)) for n, one in enumerate(people)),
            return_exceptions=True,
        )
        [agreed] = [one for one in found if isinstance(one, Override)]
        assert agreed.seconded_by is not None
        refused = {str(one) for one in found if isinstance(one, SomebodyWasFaster)}
        assert refused == {f"{agreed.seconded_by.name} has agreed already."}
        assert (await acts(audit)).count("override.agreed") == 1

    async def test_what_nobody_can_agree_to(self, deployments: StoredDeployments, overrides: StoredOverrides) -> None:
        made = await store(deployments)
        for one in (override("void", until=NOON + HOUR), override("used"), glass("glass")):
            await overrides.add(one, deed=deed(ADA, hours=0))
        await overrides.use("used", deployment=made.id, deed=deed(ADA))
        for name, why in (
            ("void", "good until"),
            ("used", "used already"),
            ("glass", "reviewed afterwards"),
            ("none", "no such"),
        ):
            with pytest.raises(NothingToDo, match=why):
                await overrides.second(name, by=GRACE, deed=deed())
        with pytest.raises(UnknownDeployment):
            await overrides.use("void", deployment=NOTHING, deed=deed(ADA))
        with pytest.raises(NothingToDo, match="no such"):
            await overrides.get("none")

    async def test_of_two_who_review_one_does(
        self, deployments: StoredDeployments, overrides: StoredOverrides, audit: StoredAudit
    ) -> None:
        made = await store(deployments)
        await overrides.add(glass("g2", at=NOON + HOUR), deed=deed(ADA))
        await overrides.add(glass("g1"), deed=deed(ADA))
        await overrides.add(override("o1"), deed=deed(ADA))
        assert await overrides.to_review() == [], "nobody used one yet"
        for name in ("g2", "g1", "o1"):
            await overrides.use(name, deployment=made.id, deed=deed(ADA))
        assert [one.id for one in await overrides.to_review()] == ["g1", "g2"]
        found = await asyncio.gather(
            *(overrides.review("g1", by=one, deed=deed(one)) for one in (GRACE, LINUS)), return_exceptions=True
        )
        assert sum(isinstance(one, Override) for one in found) == 1
        assert "has reviewed it already" in str(next(one for one in found if isinstance(one, SomebodyWasFaster)))
        assert [one.id for one in await overrides.to_review()] == ["g2"]
        assert [one.id for one in await overrides.of_deployment(made.id)] == ["g1", "o1", "g2"]
        assert (await acts(audit)).count("override.reviewed") == 1

    async def test_those_of_a_place_are_for_its_artifact_and_the_newest_comes_first(
        self, overrides: StoredOverrides
    ) -> None:
        others = {
            "service": ServiceName("payments"),
            "environment": EnvironmentName("production"),
            "digest": "sha256:v1.20",
        }
        for name, value in others.items():
            await overrides.add(override(name, **{name: value}), deed=deed(ADA))
        for hour in range(3):
            await overrides.add(override(f"o{hour}", at=NOON + hour * HOUR), deed=deed(ADA))
        assert [one.id for one in await overrides.of_place(CHECKOUT, STAGING, DIGEST)] == ["o2", "o1", "o0"]

    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        made=st.builds(
            Override,
            id=st.just(""),
            kind=st.sampled_from(OverrideKind),
            service=plain.map(ServiceName),
            environment=plain.map(EnvironmentName),
            digest=plain,
            by=actors,
            reason=anything,
            at=instants,
            until=instants,
            seconded_by=st.none() | actors,
            reviewed_by=st.none() | actors,
        )
    )
    async def test_it_comes_back_as_it_was(self, overrides: StoredOverrides, made: Override) -> None:
        made = replace(made, id=str(uuid4()))  # the same example may come again
        await overrides.add(made, deed=deed(ADA))
        assert await overrides.get(made.id) == made
        assert made in await overrides.of_place(made.service, made.environment, made.digest)


class TestWhenTheDatabaseFails:
    async def test_what_cannot_be_audited_is_not_done(
        self, database: Database, deployments: StoredDeployments, overrides: StoredOverrides
    ) -> None:
        there = await store(deployments)
        await overrides.add(override(), deed=deed(ADA))

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(text("DELETE FROM audit_head"))

        await database.write(work)
        made = deployment()
        calls: list[Callable[[], Any]] = [
            lambda: overrides.add(glass(), deed=deed(ADA)),
            lambda: overrides.second("o1", by=GRACE, deed=deed()),
            lambda: overrides.use("o1", deployment=there.id, deed=deed(ADA)),
            lambda: overrides.review("o1", by=GRACE, deed=deed()),
            lambda: deployments.add(made, event=requested(made), override="o1"),
        ]
        for call in calls:
            with pytest.raises(StoreError, match="nothing was changed"):
                await call()
        assert await overrides.of_place(CHECKOUT, STAGING, DIGEST) == [override()]
        assert await deployments.active() == [there]
        assert await StoredFreezes(database).epoch() == 1

    @pytest.mark.postgres
    @pytest.mark.parametrize("arrives", [True, False], ids=["written", "lost"])
    async def test_a_connection_that_breaks_in_a_commit_does_nothing_twice(
        self, postgres_url: str, arrives: bool
    ) -> None:
        async with CutWire(postgres_url) as wire, await Database.open(wire.url) as database:
            await migrate(database)
            deployments, overrides, audit = (
                StoredDeployments(database),
                StoredOverrides(database),
                StoredAudit(database),
            )
            first, made = deployment(), deployment()
            await deployments.add(first, event=requested(first))
            calls: list[Callable[[], Any]] = [
                lambda: overrides.add(override(), deed=deed(ADA)),
                lambda: overrides.second("o1", by=GRACE, deed=deed()),
                lambda: overrides.use("o1", deployment=first.id, deed=deed(ADA)),
                lambda: overrides.review("o1", by=GRACE, deed=deed()),
                lambda: overrides.add(glass(), deed=deed(ADA)),
                lambda: deployments.add(made, event=requested(made), override="g1"),
            ]
            for call in calls:
                wire.cut_next_commit(arrives=arrives)
                await call()
            assert wire.cuts == len(calls)
            assert (await overrides.get("g1")).used_by == made.id
            assert (await acts(audit))[1:] == [
                "override.asked",
                "override.agreed",
                "override.used",
                "override.reviewed",
                "glass.broken",
                "deployment.requested",
                "override.used",
            ]


async def test_an_update_is_not_in_the_way_of_an_exception(
    replicas: list[Database], deployments: StoredDeployments, overrides: StoredOverrides
) -> None:
    """Transitions, agreements and requests at once: none waits for another in a circle, and each is done."""
    made = [await store(deployments) for _ in range(4)]
    for n in range(8):
        await overrides.add(glass(f"g{n}") if n >= 4 else override(f"g{n}"), deed=deed(ADA))
    new = [deployment() for _ in range(4)]
    calls: list[Any] = [overrides.second(f"g{n}", by=GRACE, deed=deed()) for n in range(4)]
    calls += [
        StoredDeployments(replicas[n]).add(one, event=requested(one), override=f"g{n + 4}") for n, one in enumerate(new)
    ]
    calls += [StoredOverrides(replicas[n]).use(f"g{n}", deployment=made[n].id, deed=deed(ADA)) for n in range(4)]
    calls += [
        StoredDeployments(replicas[n % 4]).update(
            made[n].id, lambda now: now.advance(Phase.QUEUED, actor=BOT, at=NOON), event=moved
        )
        for n in range(4)
    ]
    found = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 30)
    # Who agrees may find that it was used before; nothing else may go wrong.
    assert [one for one in found[4:] if isinstance(one, BaseException)] == []
    assert all(not isinstance(one, BaseException) or isinstance(one, NothingToDo) for one in found[:4])
    assert {(await overrides.get(f"g{n}")).used_by for n in range(8)} == {one.id for one in (*made, *new)}
