"""What runs where, and which release a rollback may choose."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from store_samples import ADA, CHECKOUT, GRACE, NOON, STAGING, release

from bot.domain.history import Placement, ProvenRelease
from bot.domain.ids import DeploymentId, EnvironmentName, ServiceName
from bot.store.releases import StoredReleases

if TYPE_CHECKING:
    from bot.store.engine import Database

PRODUCTION = EnvironmentName("production")
PAYMENTS = ServiceName("payments")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def releases(database: Database) -> StoredReleases:
    return StoredReleases(database)


def placed(version: str, service: ServiceName = CHECKOUT, environment: EnvironmentName = STAGING) -> Placement:
    return Placement(
        service=service,
        environment=environment,
        release=release(version, service),
        since=NOON,
        deployment=DeploymentId("d1"),
        by=ADA,
    )


def proven(version: str, deployment: str | None, minutes: int = 0) -> ProvenRelease:
    return ProvenRelease(
        service=CHECKOUT,
        environment=STAGING,
        release=release(version),
        proven_at=NOON + minutes * MINUTE,
        deployment=DeploymentId(deployment) if deployment else None,
        by=GRACE,
    )


async def test_a_place_shows_what_was_put_there_last(releases: StoredReleases) -> None:
    await releases.place(placed("v1.1"))
    newer = replace(placed("v1.2"), deployment=None, by=GRACE, since=NOON + MINUTE)
    await releases.place(newer)
    assert await releases.placements() == [newer]


async def test_places_are_found_by_service_and_environment(releases: StoredReleases) -> None:
    everything = [placed("v1", service, where) for service in (CHECKOUT, PAYMENTS) for where in (PRODUCTION, STAGING)]
    for one in reversed(everything):
        await releases.place(one)
    assert await releases.placements() == everything
    assert await releases.placements([(PAYMENTS, STAGING), (CHECKOUT, PRODUCTION)]) == [everything[0], everything[3]]
    assert await releases.placements([(PAYMENTS, EnvironmentName("nowhere"))]) == []
    assert await releases.placements([]) == []
    # More places than any database lets one name in a question.
    many = [(ServiceName(f"s{n}"), STAGING) for n in range(70_000)]
    assert await releases.placements([*many, (CHECKOUT, PRODUCTION)]) == [everything[0]]
    assert await releases.placements(many) == []


async def test_rollback_chooses_what_was_proven_last(releases: StoredReleases) -> None:
    for minute, version in enumerate(("v1.0", "v1.1", "v1.2")):
        await releases.prove(proven(version, f"d{minute}", minute))
    target = await releases.rollback_target(CHECKOUT, STAGING, other_than=release("v1.2"))
    assert target == proven("v1.1", "d1", 1)
    # Nothing runs any more, or something that was never proven: the last proven one then.
    assert await releases.rollback_target(CHECKOUT, STAGING, other_than=release("v1.3")) == proven("v1.2", "d2", 2)


async def test_rollback_never_chooses_what_was_taken_back(releases: StoredReleases) -> None:
    for minute, version in enumerate(("v1.0", "v1.1", "v1.2")):
        await releases.prove(proven(version, f"d{minute}", minute))
    await releases.retire(CHECKOUT, STAGING, release("v1.1"), at=NOON)
    assert await releases.rollback_target(CHECKOUT, STAGING, other_than=release("v1.2")) == proven("v1.0", "d0")
    await releases.retire(CHECKOUT, PRODUCTION, release("v1.0"), at=NOON)  # another place
    assert await releases.rollback_target(CHECKOUT, STAGING, other_than=release("v1.2")) == proven("v1.0", "d0")
    await releases.retire(CHECKOUT, STAGING, release("v1.0"), at=NOON)
    assert await releases.rollback_target(CHECKOUT, STAGING, other_than=release("v1.2")) is None
    await releases.prove(proven("v1.1", "d9", 9))  # mended and proven anew
    assert await releases.rollback_target(CHECKOUT, STAGING, other_than=release("v1.2")) == proven("v1.1", "d9", 9)


async def test_a_deployment_proves_once(releases: StoredReleases) -> None:
    await releases.prove(proven("v1.1", "d1"))
    await releases.retire(CHECKOUT, STAGING, release("v1.1"), at=NOON)
    await releases.prove(proven("v1.1", "d1", 5))  # a step that runs again after a crash
    assert await releases.rollback_target(CHECKOUT, STAGING, other_than=release("v1.2")) is None


async def test_what_ran_before_the_bot_counts_once(releases: StoredReleases) -> None:
    await releases.prove(proven("v1.0", None))
    await releases.prove(proven("v1.1", "d1", 1))
    await releases.prove(proven("v1.0", None, 9))  # found again at the next start
    assert await releases.rollback_target(CHECKOUT, STAGING, other_than=release("v1.2")) == proven("v1.1", "d1", 1)
    await releases.retire(CHECKOUT, STAGING, release("v1.0"), at=NOON)
    await releases.prove(proven("v1.0", None, 10))
    assert await releases.rollback_target(CHECKOUT, STAGING, other_than=release("v1.1")) == proven("v1.0", None, 10)


async def test_nothing_was_ever_proven(releases: StoredReleases) -> None:
    await releases.prove(proven("v1.1", "d1"))
    assert await releases.rollback_target(CHECKOUT, STAGING, other_than=release("v1.1")) is None
    assert await releases.rollback_target(PAYMENTS, STAGING, other_than=release("v1.1")) is None
