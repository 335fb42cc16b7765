"""What people say to a canary: each word counts once, the late are told, and who may say what is asked first."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from canary_world import Canaries, play, story

from bot.domain.errors import ChecksSayNo, InvalidTransition, NotAuthorized, RequestRefused, SomebodyWasFaster
from bot.domain.lifecycle import Phase
from bot.domain.strategy.kinds import OnTimeout, Step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.domain.deployment import Deployment

ASKING = (Step(weight=20, bake=4, approval=True), Step(weight=50, bake=4, approval=True))


def _words(found: Iterable[Deployment | BaseException]) -> list[str]:
    return [str(one) for one in found if isinstance(one, BaseException)]


@pytest.mark.parametrize("seed", range(6))
def test_of_two_promoters_exactly_one_wins(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    async def tell(w: Canaries) -> None:
        one = await w.deploy()
        await w.asked(one, 20)
        found = await asyncio.gather(
            w.say("promote", one, by="Ada", step=0, to=50),
            w.say("promote", one, by="Hedy", step=0, to=50),
            return_exceptions=True,
        )
        [told] = _words(found)
        assert "already promoted it" in told or "it is at step 2" in told
        await w.asked(one, 50)
        assert (await w.events(one)).count("deployment.promoted") == 1
        await w.abort(one)
        await w.ended(one)
        assert w.site.whats() == ["20 %", "50 %", "take back"]

    play(tell, tmp_path_factory, steps=ASKING, seed=seed, haste=0.5)


@pytest.mark.parametrize("seed", range(6))
def test_a_promote_and_an_abort_at_once_end_in_one_of_both(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    async def tell(w: Canaries) -> None:
        one = await w.deploy()
        await w.asked(one, 20)
        await asyncio.gather(w.say("promote", one, by="Hedy", step=0, to=50), w.abort(one), return_exceptions=True)
        done = await w.ended(one)
        assert done.phase is Phase.ABORTED
        assert done.note == "no good. v1 serves again."
        assert w.site.whats() in (["20 %", "take back"], ["20 %", "50 %", "take back"])
        assert not w.site.stopped_stable

    play(tell, tmp_path_factory, steps=ASKING, seed=seed, haste=0.5)


@story(steps=ASKING)
async def test_a_late_click_changes_nothing(w: Canaries) -> None:
    one = await w.deploy()
    await w.asked(one, 20)
    await w.say("promote", one, step=0, to=50)
    before = await w.asked(one, 50)
    with pytest.raises(SomebodyWasFaster, match="That was about step 1 of 3; it is at step 2 of 3 now"):
        await w.say("promote", one, step=0, to=50)
    with pytest.raises(RequestRefused, match="can be promoted to 100 %"):
        await w.say("promote", one, step=1, to=50)
    assert (await w.row(one)).version == before.version
    await w.abort(one)
    await w.ended(one)
    with pytest.raises(InvalidTransition, match="is over"):
        await w.say("promote", one, step=1, to=100)


@story(steps=ASKING)
async def test_without_a_weight_it_goes_to_the_next_step(w: Canaries) -> None:
    one = await w.deploy()
    await w.when(one, lambda row: row.progression and row.progression.position.begun)
    await w.hands.wait(3)  # it bakes, and nobody is asked yet
    row = await w.say("promote", one)
    assert row.progression is not None
    assert row.progression.position.approved == 50
    await w.asked(one, 50)
    await w.abort(one)
    await w.ended(one)


@story(steps=ASKING)
async def test_in_full_every_step_is_still_verified_unless_left_out(w: Canaries) -> None:
    one = await w.deploy()
    await w.asked(one, 20)
    await w.say("promote", one, step=0, to=100)
    assert (await w.ended(one)).phase is Phase.SUCCEEDED
    assert w.site.whats() == ["20 %", "50 %", "100 %", "promote"]
    two = await w.deploy("v3")
    await w.asked(two, 20)
    await w.say("promote", two, step=0, to=100, skip=True)
    assert (await w.ended(two)).phase is Phase.SUCCEEDED
    assert w.site.whats()[4:] == ["20 %", "100 %", "promote"]


@story(steps=ASKING, on_timeout=OnTimeout.HOLD, countdown=60)
async def test_what_fails_is_promoted_only_by_force_with_a_reason_and_the_right(w: Canaries) -> None:
    w.numbers.shares["v2"] = 0.3
    one = await w.deploy()
    await w.counting(one)
    with pytest.raises(ChecksSayNo, match="It is not promoted: errors") as refused:
        await w.say("promote", one, to=50)
    assert refused.value.hint == "Who may resolve can force it: `/deploy promote #1 force reason=…`."
    with pytest.raises(NotAuthorized):
        await w.say("promote", one, by="Ada", to=50, force=True, reason="it is the check")
    with pytest.raises(RequestRefused, match="takes a reason") as wrong:
        await w.say("promote", one, by="Linus", to=50, force=True)
    assert not isinstance(wrong.value, SomebodyWasFaster), "nobody was"
    assert w.site.whats() == ["20 %"]
    await w.say("promote", one, by="Linus", to=50, force=True, reason="it is the check")
    await w.when(one, lambda row: row.progression and row.progression.position.weight == 50)
    row = await w.asked(one, 50)
    assert row.progression is not None
    assert [waiver.reason for waiver in row.progression.position.waived] == ["it is the check"]
    rows = [line async for piece in w.store.audit.export(format="csv") for line in piece.splitlines()]
    assert any("To 50 %, by force. it is the check" in line for line in rows)
    await w.abort(one)
    await w.ended(one)


@story(steps=ASKING)
async def test_who_may_not_cannot(w: Canaries) -> None:
    one = await w.deploy()
    await w.asked(one, 20)
    for word in ("promote", "hold", "resume", "cancel_countdown", "snooze", "roll_back_now"):
        with pytest.raises(NotAuthorized):
            await w.say(word, one, by="Mallory")
    await w.abort(one)
    await w.ended(one)


@story(steps=ASKING, on_timeout=OnTimeout.HOLD, countdown=60)
async def test_a_secret_in_what_is_said_to_a_canary_is_shown_to_nobody(w: Canaries) -> None:
    pasted, shown = "see api_key=Zm9vYmFy", "see api_key=[hidden]"
    one = await w.deploy()
    await w.asked(one, 20)
    held = await w.say("hold", one, reason=pasted)
    assert held.progression is not None
    assert held.progression.position.held is not None
    assert shown in held.progression.position.held.why
    await w.say("resume", one)
    w.numbers.shares["v2"] = 0.3
    await w.counting(one)
    forced = await w.say("promote", one, by="Linus", to=50, force=True, reason=pasted)
    assert forced.progression is not None
    assert [waiver.reason for waiver in forced.progression.position.waived] == [shown]
    w.numbers.shares["v2"] = 0.0
    stop = w.engine.requests.abort(one.id, requester=w.hands.who("Ada"), reason=pasted)
    asked = await w.hands.do(stop)
    assert asked.request is not None
    assert asked.request.reason == shown
    done = await w.ended(one)
    assert done.note == f"{shown}. v1 serves again."
    assert "Zm9vYmFy" not in repr(done)


@story(steps=(Step(weight=20, bake=10), Step(weight=50, bake=10)))
async def test_what_is_held_waits_until_it_is_resumed(w: Canaries) -> None:
    one = await w.deploy()
    await w.when(one, lambda row: row.progression and row.progression.position.begun)
    await w.say("hold", one, step=0, reason="we look into it")
    held = await w.when(one, lambda row: row.phase is Phase.PAUSED)
    assert "we look into it" in held.note
    await w.hands.wait(300)
    assert w.site.whats() == ["20 %"]
    with pytest.raises(SomebodyWasFaster, match="Ada holds it already"):
        await w.say("hold", one, by="Hedy", step=0)
    await w.say("resume", one, by="Hedy", step=0)
    assert (await w.ended(one)).phase is Phase.SUCCEEDED


@story(steps=(Step(weight=20, bake=10), Step(weight=50, bake=10)))
async def test_what_is_held_while_its_weight_changes_stays_held_there(w: Canaries) -> None:
    one = await w.deploy()
    await w.when(one, lambda row: row.progression and row.progression.position.begun)
    w.site.settles = 10
    await w.when(one, lambda row: row.handle and "weight50" in row.handle.operation)
    await w.say("hold", one, step=0)
    await w.when(one, lambda row: row.phase is Phase.PAUSED)
    await w.hands.wait(100)
    assert w.site.whats() == ["20 %", "50 %"]
    await w.say("resume", one)
    assert (await w.ended(one)).phase is Phase.SUCCEEDED


@story(steps=ASKING, countdown=60)
async def test_of_two_at_the_countdown_the_second_is_told(w: Canaries) -> None:
    w.numbers.shares["v2"] = 0.3
    one = await w.deploy()
    await w.counting(one)
    found = await asyncio.gather(
        w.say("cancel_countdown", one, by="Hedy"), w.say("roll_back_now", one, by="Ada"), return_exceptions=True
    )
    [told] = _words(found)
    assert "already" in told
    row = await w.row(one)
    assert row.countdown is not None
    assert row.countdown.by is not None
    if row.countdown.by.name == "Hedy":
        await w.asked(one, 20)
        await w.abort(one)
    await w.ended(one)
    assert w.site.whats() == ["20 %", "take back"]


@story()
async def test_there_is_nothing_to_say_to_one_without_steps(w: Canaries) -> None:
    w.site.settles = 20
    one = await w.deploy(strategy="rolling")
    await w.when(one, lambda row: row.handle is not None)
    with pytest.raises(InvalidTransition, match="#1 is deploying; it is at no step"):
        await w.say("promote", one)
    assert (await w.ended(one)).phase is Phase.SUCCEEDED
