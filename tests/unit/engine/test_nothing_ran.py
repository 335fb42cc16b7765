"""A release that is brought to where no instance is wanted: it is there, and nobody claims that it is well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from canary_world import CHECKOUT, PRODUCTION, Canaries, story
from unit.engine.simulation.outside import release

from bot.domain.lifecycle import Phase
from bot.domain.rollout import NOTHING_RAN, Health

if TYPE_CHECKING:
    from bot.domain.deployment import Deployment

pytestmark = pytest.mark.long

IDLE = Health(healthy=0, instances=0, message="It is scaled to zero.", none_wanted=True)
WELL = Health(healthy=2, instances=2)
SICK = Health(healthy=0, instances=2, message="It does not answer.")
UNSEEN = Health(healthy=0, instances=0, message="No instance of it runs.")


async def deployed(w: Canaries, *looks: Health) -> Deployment:
    """The end of a deployment whose looks came to that, and whatever the site says after them."""
    w.site.looks.extend(looks)
    return await w.ended(await w.deploy(strategy="rolling"))


async def is_proven(w: Canaries) -> bool:
    wanted = release(CHECKOUT, "v2")
    return any(one.release.same_as(wanted) for one in await w.store.releases.proven(CHECKOUT, PRODUCTION, wanted))


@story()
async def test_it_succeeds_says_so_and_is_no_release_to_go_back_to(w: Canaries) -> None:
    done = await deployed(w, *[IDLE] * 9)
    assert (done.phase, done.note) == (Phase.SUCCEEDED, NOTHING_RAN)
    assert done.ran_nothing
    assert len(w.site.looks) == 7, "as many looks as health takes"
    assert not await is_proven(w)
    (placed,) = await w.store.releases.placements([(CHECKOUT, PRODUCTION)])
    assert placed.release.version == "v2"


@story()
async def test_what_wakes_up_meanwhile_is_looked_at(w: Canaries) -> None:
    done = await deployed(w, IDLE, WELL, WELL)
    assert (done.phase, done.note) == (Phase.SUCCEEDED, "")
    assert await is_proven(w)


@story()
async def test_what_falls_asleep_meanwhile_proves_nothing(w: Canaries) -> None:
    done = await deployed(w, WELL, IDLE, IDLE)
    assert (done.phase, done.note) == (Phase.SUCCEEDED, NOTHING_RAN)
    assert not await is_proven(w)


@story()
async def test_looks_of_both_kinds_are_not_counted_together(w: Canaries) -> None:
    done = await deployed(w, IDLE, WELL, IDLE, WELL, IDLE, SICK, *[SICK] * 60)
    assert done.phase is Phase.FAILED
    assert "It does not answer." in done.note


@story()
async def test_none_that_is_ready_and_none_that_is_seen_are_not_none_that_is_wanted(w: Canaries) -> None:
    for look in (SICK, UNSEEN):
        w.site.looks.clear()
        done = await deployed(w, *[look] * 60)
        assert done.phase is Phase.FAILED
        assert look.message in done.note
        assert not done.ran_nothing


@story()
async def test_the_next_one_that_fails_goes_back_to_it_all_the_same(w: Canaries) -> None:
    await deployed(w, IDLE, IDLE)
    w.site.sick = True
    failed = await w.ended(await w.deploy("v3", strategy="rolling"))
    assert failed.phase is Phase.FAILED
    assert "v2 serves again" in failed.note
    assert w.site.stable is not None
    assert w.site.stable.version == "v2"
