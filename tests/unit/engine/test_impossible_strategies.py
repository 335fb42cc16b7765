"""A strategy that the target cannot do: refused where it is asked for, and held where the configuration has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from canary_world import CHECKOUT, PRODUCTION, Canaries, configured, reload, story

from bot.domain.errors import BadCommand
from bot.domain.lifecycle import Phase
from bot.domain.policy.approval import ApprovalRule
from bot.domain.strategy.powers import Power
from bot.engine.orders import Order

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

WEAK: Mapping[str, Collection[Power]] = {"fake": {Power.ABORT}, "acme": frozenset(Power), "other": ()}
CANNOT = (
    "The target fake cannot do the strategy canary: it cannot split traffic between two releases, make a canary the "
    "stable release. These targets can: acme."
)


def _order(w: Canaries, strategy: str) -> Order:
    return Order(
        service=CHECKOUT,
        version="v2",
        environment=PRODUCTION,
        requester=w.hands.who("Ada"),
        origin=f"test:{strategy}",
        strategy=strategy,
    )


@story()
async def test_it_is_refused_with_the_targets_that_can_and_nothing_is_stored(w: Canaries) -> None:
    reload(w, powers=WEAK)
    requests = w.engine.requests
    for ask in (requests.deploy, requests.check, requests.dry_run, lambda order: requests.deploy_all([order])):
        for strategy in ("canary", ""):  # asked for, or the service's own
            with pytest.raises(BadCommand) as refused:
                await w.hands.do(ask(_order(w, strategy)))
            assert refused.value.message == CANNOT
            assert refused.value.hint == "checkout in production can be deployed with strategy=rolling."
    assert (await w.store.deployments.history(CHECKOUT, PRODUCTION, limit=5)) == []
    assert w.site.whats() == []
    done = await w.ended(await w.deploy(strategy="rolling"))
    assert (done.number, done.phase) == (1, Phase.SUCCEEDED)


@story(approval=ApprovalRule(quorum=1))
async def test_what_waits_is_held_when_its_place_cannot_do_it_any_more(w: Canaries) -> None:
    one = await w.when(await w.deploy(strategy="canary"), lambda row: row.phase is Phase.AWAITING_APPROVAL)
    reload(w, powers=WEAK)
    await w.hands.approve(one)
    held = await w.when(one, lambda row: row.phase is Phase.HELD)
    assert held.hold is not None
    assert (held.hold.gate, held.hold.sentence) == ("configuration", CANNOT)
    assert w.site.whats() == []


@story()
async def test_what_has_begun_goes_on_as_it_began(w: Canaries) -> None:
    one = await w.asked(await w.deploy())
    reload(w, powers=WEAK)
    await w.say("promote", one, by="Hedy", step=1, to=100)
    assert (await w.ended(one)).phase is Phase.SUCCEEDED


def test_where_nobody_has_said_what_targets_can_nothing_is_refused() -> None:
    configured().check_strategy("canary", CHECKOUT, PRODUCTION)
