"""Exceptions: two people pass a freeze, one breaks the glass, and each is for one artifact, once, and told of."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from controls_world import IN_PRODUCTION, Controls, open_controls, order
from engine_world import (
    ADA,
    CHECKOUT,
    GRACE,
    HOUR,
    LINUS,
    MINUTE,
    NOON,
    PRODUCTION,
    member,
    person,
    release,
    running,
)

from bot.domain.audit import Deed
from bot.domain.errors import (
    BadCommand,
    Blocked,
    NotAuthorized,
    NothingToDo,
    RevisionNotFound,
    SomebodyWasFaster,
    UnknownService,
)
from bot.domain.notice import NoticeKind
from bot.domain.policy.access import Action, Effect, Rule
from bot.domain.policy.approval import ApprovalRule
from bot.domain.policy.lock import StickyLock
from bot.domain.policy.override import OverrideKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MARGARET = person("Margaret")
TWO_MORE = Rule(role="lead", users=frozenset({MARGARET.id}), actions=frozenset({Action.OVERRIDE_FREEZE}))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Controls]:
    async with open_controls(tmp_path) as opened:
        yield opened


async def hold_everything(world: Controls) -> None:
    """A freeze, somebody else's hard lock, and an approval that nobody gave."""
    await world.freezing.freeze(scope=IN_PRODUCTION, requester=member(LINUS), reason="the fair")
    lock = StickyLock(id="l1", scope=IN_PRODUCTION, reason="hands off", owner=LINUS, at=NOON, hard=True)
    await world.store.locks.place(lock)
    world.change(approval=ApprovalRule(quorum=2))


# -- two people -------------------------------------------------------------------------------------------------------


async def test_an_override_is_asked_for_where_operators_are_and_agreed_to_by_a_second(world: Controls) -> None:
    world.set(admin_channel="#ops")
    asked = await world.overriding.ask(order())
    assert (asked.kind, asked.digest, asked.until) == (OverrideKind.FREEZE, "sha256:checkout-v1.2", NOON + HOUR)
    (told,) = await world.told()
    assert (told.kind, told.to, told.facts["override"]) == (NoticeKind.OVERRIDE_ASKED, "channel:#ops", asked.id)
    assert "checkout v1.2" in told.sentence
    assert told.sentence.endswith("may pass freezes and windows in production once: the site is down")
    agreed = await world.overriding.agree(asked.id, requester=member(LINUS))
    assert agreed.seconded_by == LINUS
    (told,) = await world.told(NoticeKind.OVERRIDE_AGREED)
    assert (told.to, told.by) == (f"user:{GRACE.id}", LINUS)
    assert told.sentence == (
        "Linus agrees to your override for checkout in production (the site is down). "
        "One deployment of that artifact may pass freezes and windows there."
    )
    assert world.woken == ["checkout@production"]
    assert await world.acts() == ["override.asked", "override.agreed"]


async def test_with_it_a_deployment_passes_the_freeze_once(world: Controls) -> None:
    await world.freezing.freeze(scope=IN_PRODUCTION, requester=member(LINUS), reason="the fair")
    asked = await world.overriding.ask(order())
    wanted = order(origin="slack:2", override=asked.id)
    with pytest.raises(Blocked):
        await world.overriding.requests.deploy(wanted)
    await world.overriding.agree(asked.id, requester=member(LINUS))
    passed = await world.overriding.requests.deploy(wanted)
    assert (await world.store.overrides.get(asked.id)).used_by == passed.id
    with pytest.raises(Blocked):
        await world.overriding.requests.deploy(order(origin="slack:3", override=asked.id, force=True))
    with pytest.raises(Blocked):
        await world.overriding.requests.deploy(order(origin="slack:4", version="v1.3"))


async def test_what_is_held_is_named_to_who_asked(world: Controls) -> None:
    held = await world.held(by=GRACE)
    asked = await world.overriding.ask(order())
    await world.overriding.agree(asked.id, requester=member(LINUS))
    (told,) = await world.told(NoticeKind.OVERRIDE_AGREED)
    assert told.deployment == held.id
    assert f"#{held.number} may pass" in told.sentence
    assert (await world.store.deployments.get(held.id)).view > held.view


async def test_whoever_may_deploy_may_ask_but_only_with_the_right_one_agrees(world: Controls) -> None:
    asked = await world.overriding.ask(order(ADA))
    with pytest.raises(NotAuthorized):
        await world.overriding.agree(asked.id, requester=member(ADA))
    agreed = await world.overriding.agree(asked.id, requester=member(LINUS))
    assert (agreed.by.id, agreed.seconded_by.id if agreed.seconded_by else None) == (ADA.id, LINUS.id)


async def test_it_needs_the_right_a_reason_and_something_that_there_is(world: Controls) -> None:
    with pytest.raises(NotAuthorized):
        await world.overriding.ask(order(MARGARET))
    with pytest.raises(BadCommand, match="needs a reason"):
        await world.overriding.ask(order(reason=" "))
    with pytest.raises(UnknownService):
        await world.overriding.ask(order(service="chekout"))
    with pytest.raises(RevisionNotFound) as refusal:
        await world.overriding.ask(order(version="v9"))
    assert "/deploy history checkout" in str(refusal.value.hint)
    assert (await world.acts(), await world.told()) == ([], [])


async def test_nobody_agrees_to_their_own_and_nobody_without_the_right(world: Controls) -> None:
    asked = await world.overriding.ask(order())
    with pytest.raises(NotAuthorized, match="takes a second person"):
        await world.overriding.agree(asked.id, requester=member(GRACE))
    with pytest.raises(NotAuthorized):
        await world.overriding.agree(asked.id, requester=member(ADA))
    assert (await world.store.overrides.get(asked.id)).seconded_by is None


async def test_the_same_act_again_is_one_override_and_tells_what_a_crash_left_untold(world: Controls) -> None:
    first = await world.overriding.ask(order())
    world.time += MINUTE
    assert await world.overriding.ask(order()) == first
    assert await world.overriding.ask(order(origin="slack:2")) != first
    assert len(await world.told(NoticeKind.OVERRIDE_ASKED)) == 2


async def test_of_two_who_agree_one_does_and_the_asker_hears_once(world: Controls) -> None:
    world.set(rules=(*world.catalog.rules, TWO_MORE))
    asked = await world.overriding.ask(order())
    calls = (world.overriding.agree(asked.id, requester=member(who)) for who in (LINUS, MARGARET, LINUS))
    found = await asyncio.gather(*calls, return_exceptions=True)
    agreed = {one.seconded_by.id for one in found if not isinstance(one, BaseException) and one.seconded_by}
    assert len(agreed) == 1
    assert all(isinstance(one, SomebodyWasFaster) for one in found if isinstance(one, BaseException))
    assert len(await world.told(NoticeKind.OVERRIDE_AGREED)) == 1


async def test_who_died_over_agreeing_is_made_up_for_by_the_next_click(world: Controls) -> None:
    world.set(rules=(*world.catalog.rules, TWO_MORE))
    asked = await world.overriding.ask(order())
    await world.store.overrides.second(asked.id, by=LINUS, deed=Deed(actor=LINUS, at=NOON))  # and no more
    with pytest.raises(SomebodyWasFaster):
        await world.overriding.agree(asked.id, requester=member(MARGARET))
    (told,) = await world.told(NoticeKind.OVERRIDE_AGREED)
    assert told.by == LINUS
    await world.overriding.agree(asked.id, requester=member(LINUS))
    assert len(await world.told(NoticeKind.OVERRIDE_AGREED)) == 1


async def test_nobody_agrees_to_what_is_void(world: Controls) -> None:
    asked = await world.overriding.ask(order())
    world.time += HOUR
    with pytest.raises(NothingToDo, match="nobody used it in time"):
        await world.overriding.agree(asked.id, requester=member(LINUS))
    with pytest.raises(NothingToDo):
        await world.overriding.agree("o0", requester=member(LINUS))


# -- breaking the glass -----------------------------------------------------------------------------------------------


async def test_broken_glass_passes_what_holds_everybody_and_is_announced_for_review(world: Controls) -> None:
    world.set(security_channel="#security", admin_channel="#ops")
    await hold_everything(world)
    with pytest.raises(Blocked):
        await world.overriding.requests.deploy(order())
    made = await world.overriding.break_glass(order(), confirm=" checkout ")
    assert world.begun.ids == [made.id]
    (broken,) = await world.store.overrides.of_deployment(made.id)
    assert (broken.kind, broken.by, broken.until) == (OverrideKind.BREAK_GLASS, GRACE, NOON + 15 * MINUTE)
    (told,) = await world.told(NoticeKind.GLASS_BROKEN)
    assert (told.to, told.by, told.deployment) == ("channel:#security", GRACE, made.id)
    assert told.facts["override"] == broken.id
    assert told.sentence.startswith(f"Grace broke the glass: #{made.number}, checkout v1.2 (")
    assert told.sentence.endswith("passes approval, freezes, windows and locks: the site is down")
    assert await world.store.overrides.to_review() == [broken]
    gates = await world.gatekeeper.ask(made)
    assert not [gate for gate in gates if gate.verdict.stops]


async def test_where_there_is_no_security_channel_operators_are_told(world: Controls) -> None:
    world.set(admin_channel="#ops")
    await world.overriding.break_glass(order(), confirm="checkout")
    assert [one.to for one in await world.told()] == ["channel:#ops"]


async def test_it_takes_the_right_a_reason_and_the_name_typed(world: Controls) -> None:
    with pytest.raises(NotAuthorized):
        await world.overriding.break_glass(order(ADA), confirm="checkout")
    with pytest.raises(BadCommand, match="needs a reason"):
        await world.overriding.break_glass(order(reason=" "), confirm="checkout")
    for typed in ("", "Checkout", "web", "yes"):
        with pytest.raises(BadCommand, match="type the service's name") as refusal:
            await world.overriding.break_glass(order(), confirm=typed)
        assert refusal.value.hint == "Type checkout to confirm."
    assert (await world.acts(), await world.told(), world.begun.ids) == ([], [], [])


async def test_it_never_passes_who_may_deploy(world: Controls) -> None:
    denies = Rule(role="suspended", effect=Effect.DENY, users=frozenset({GRACE.id}), actions=frozenset({Action.DEPLOY}))
    world.set(rules=(*world.catalog.rules, denies))
    with pytest.raises(NotAuthorized, match="suspended"):
        await world.overriding.break_glass(order(), confirm="checkout")
    assert world.begun.ids == []


async def test_it_never_passes_what_is_there(world: Controls) -> None:
    with pytest.raises(RevisionNotFound):
        await world.overriding.break_glass(order(version="v9"), confirm="checkout")
    assert await world.acts() == []


async def test_what_is_not_accepted_leaves_an_exception_that_ends_unused_and_is_not_announced(
    world: Controls,
) -> None:
    what = release("v1.2")
    await world.runs(what, PRODUCTION)
    world.target(world.catalog, CHECKOUT, PRODUCTION)
    world.targets[CHECKOUT, PRODUCTION].runs = running(what)
    with pytest.raises(NothingToDo, match=r"already runs v1\.2"):
        await world.overriding.break_glass(order(), confirm="checkout")
    assert await world.told() == []
    assert await world.store.overrides.to_review() == []
    (left,) = await world.store.overrides.of_place(CHECKOUT, PRODUCTION, what.artifact.digest)
    assert (left.used_by, left.until) == (None, NOON + 15 * MINUTE)
    assert await world.acts() == ["glass.broken"]


async def test_what_is_left_unused_opens_nothing_for_the_next(world: Controls) -> None:
    what = release("v1.2")
    await world.runs(what, PRODUCTION)
    world.target(world.catalog, CHECKOUT, PRODUCTION)
    world.targets[CHECKOUT, PRODUCTION].runs = running(what)
    with pytest.raises(NothingToDo):
        await world.overriding.break_glass(order(), confirm="checkout")
    world.targets[CHECKOUT, PRODUCTION].runs = None
    await hold_everything(world)
    with pytest.raises(Blocked):
        await world.overriding.requests.deploy(order(ADA, origin="slack:8", force=True))


async def test_the_same_act_twice_is_one_exception_and_one_deployment(world: Controls) -> None:
    await hold_everything(world)
    first = await world.overriding.break_glass(order(), confirm="checkout")
    world.time += HOUR  # even when it is long void
    assert (await world.overriding.break_glass(order(), confirm="checkout")).id == first.id
    assert len(await world.told(NoticeKind.GLASS_BROKEN)) == 1
    assert (await world.acts()).count("glass.broken") == 1


async def test_the_same_act_at_once_is_one_exception_and_one_deployment(world: Controls) -> None:
    await hold_everything(world)
    made = await asyncio.gather(*(world.overriding.break_glass(order(), confirm="checkout") for _ in range(5)))
    assert len({one.id for one in made}) == 1
    assert len(await world.told(NoticeKind.GLASS_BROKEN)) == 1
    assert (await world.acts()).count("glass.broken") == 1


async def test_it_is_for_one_deployment_and_one_artifact(world: Controls) -> None:
    await hold_everything(world)
    made = await world.overriding.break_glass(order(), confirm="checkout")
    (broken,) = await world.store.overrides.of_deployment(made.id)
    for again in (order(origin="slack:2", override=broken.id), order(origin="slack:3", version="v1.3")):
        with pytest.raises(Blocked):
            await world.overriding.requests.deploy(again)


# -- reviewing --------------------------------------------------------------------------------------------------------


async def test_somebody_else_reviews_it_and_the_card_is_drawn_anew(world: Controls) -> None:
    made = await world.overriding.break_glass(order(), confirm="checkout")
    (broken,) = await world.store.overrides.to_review()
    with pytest.raises(NotAuthorized, match="somebody else must review it"):
        await world.overriding.review(broken.id, requester=member(GRACE))
    with pytest.raises(NotAuthorized, match="You may not review"):
        await world.overriding.review(broken.id, requester=member(ADA))
    reviewed = await world.overriding.review(broken.id, requester=member(LINUS))
    assert reviewed.reviewed_by == LINUS
    assert await world.store.overrides.to_review() == []
    assert (await world.store.deployments.get(made.id)).view > made.view
    assert await world.overriding.review(broken.id, requester=member(LINUS)) == reviewed


async def test_who_configures_a_place_may_review_there(world: Controls) -> None:
    configures = Rule(role="operator", users=frozenset({MARGARET.id}), actions=frozenset({Action.CONFIGURE}))
    world.set(rules=(*world.catalog.rules, configures))
    await world.overriding.break_glass(order(), confirm="checkout")
    (broken,) = await world.store.overrides.to_review()
    assert (await world.overriding.review(broken.id, requester=member(MARGARET))).reviewed_by == MARGARET
    with pytest.raises(SomebodyWasFaster, match="Margaret has reviewed it already"):
        await world.overriding.review(broken.id, requester=member(LINUS))


async def test_there_is_nothing_to_review_in_what_was_not_used_or_was_agreed_to(world: Controls) -> None:
    asked = await world.overriding.ask(order())
    with pytest.raises(NothingToDo, match="Only broken glass"):
        await world.overriding.review(asked.id, requester=member(LINUS))
    unused = replace(asked, id="g1", kind=OverrideKind.BREAK_GLASS)
    await world.store.overrides.add(unused, deed=Deed(actor=GRACE, at=NOON, reason="r"))
    with pytest.raises(NothingToDo, match="was not used"):
        await world.overriding.review("g1", requester=member(LINUS))
    with pytest.raises(NothingToDo, match="waits for nobody"):
        await world.overriding.agree("g1", requester=member(LINUS))
