"""What a platform that asks is told: yes only for what was said, on a look that is fresh, once for each step."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.domain.gate import FRESH, SETTLES, Door, Gate, Goal, Hook, Sighting, answer, place

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
STEPS = (20, 40, 60)
ASKED = [hook for hook in Hook if hook not in (Hook.EVENT, Hook.ROLLBACK)]


def sighting(weight: int | None = 20, **more: object) -> Sighting:
    given = {"at": NOON, "phase": "Progressing", "weight": weight, "digest": "d", "going_on": True, "begun": True}
    return Sighting(**(given | more))  # type: ignore[arg-type]  # a test says it right


def gate(ceiling: int = 40, weight: int | None = 20, **more: object) -> Gate:
    given = {
        "key": place(namespace="shop", canary="checkout", cluster="main"),
        "held": True,
        "goal": Goal.WEIGHT,
        "operation": "o",
        "base": "o",
        "digest": "d",
        "ceiling": ceiling,
        "steps": STEPS,
        "seen": sighting(weight),
    }
    return Gate(**(given | more))  # type: ignore[arg-type]  # the same


def opens(one: Gate, hook: Hook = Hook.TRAFFIC, *, at: datetime = NOON, checksum: str = "c") -> bool:
    return answer(one, hook, at=at, checksum=checksum).open


@pytest.mark.parametrize(
    ("ceiling", "weight", "wanted"),
    [(0, 0, False), (20, 0, True), (20, 20, False), (39, 20, False), (40, 20, True), (100, 60, False), (60, 40, True)],
)
def test_the_next_step_must_have_been_allowed(ceiling: int, weight: int, wanted: bool) -> None:
    assert opens(gate(ceiling, weight)) is wanted


def test_as_it_is_made_and_once_it_is_closed_nothing_is_allowed() -> None:
    for one in (Gate(key="k"), Gate(key="k", seen=sighting()), gate(100, promote=True, rollback=True).closed()):
        assert not any(opens(one, hook) for hook in (*ASKED, Hook.ROLLBACK))


@pytest.mark.parametrize(
    "doubt",
    [
        {"seen": None},
        {"seen": sighting(at=NOON - FRESH - timedelta(seconds=1))},
        {"seen": sighting(at=NOON + FRESH + timedelta(seconds=1))},
        {"seen": sighting(digest="other")},
        {"seen": sighting(digest=""), "digest": ""},
        {"seen": sighting(going_on=False, phase="Failed")},
        {"rollback": True, "seen": sighting(digest="other")},
    ],
)
def test_whatever_is_not_certain_is_a_no(doubt: dict[str, object]) -> None:
    one = gate(100, promote=True, **doubt)
    assert not any(opens(one, hook) for hook in ASKED)


def test_without_a_weight_no_step_is_opened() -> None:
    assert not opens(gate(60, None))
    assert not opens(gate(60, seen=sighting(phase="Succeeded", going_on=False, begun=False)))


def test_something_else_than_what_was_begun_is_not_let_on() -> None:
    one = gate(60, checksum="c")
    assert opens(one)
    assert not opens(one, checksum="other")
    assert not opens(replace(one, promote=True), Hook.PROMOTION, checksum="other")
    assert not opens(gate(rollback=True, checksum="c"), Hook.ROLLBACK, checksum="other")


def test_a_rollback_is_decided_by_a_person_or_not_at_all() -> None:
    assert not opens(gate(100, promote=True), Hook.ROLLBACK)
    assert opens(gate(0, rollback=True), Hook.ROLLBACK)
    assert opens(gate(0, rollback=True, seen=None), Hook.ROLLBACK), "a decision does not grow old"
    assert not opens(gate(0, rollback=True, seen=sighting(going_on=False, phase="Failed")), Hook.ROLLBACK)
    assert not opens(gate(100, rollback=True, promote=True))


def test_a_yes_counts_as_used_until_a_later_look_shows_otherwise() -> None:
    said = answer(gate(40, 20), Hook.TRAFFIC, at=NOON, checksum="c")
    assert said.keep is not None
    assert (said.keep.granted, said.keep.granted_at, said.keep.checksum) == (20, NOON, "c")
    assert not opens(said.keep)
    later = NOON + timedelta(seconds=5)
    assert not opens(replace(said.keep, seen=sighting(20, at=later)), at=later)
    much_later = NOON + SETTLES
    assert opens(replace(said.keep, seen=sighting(20, at=much_later)), at=much_later), "it was never used"
    assert not opens(replace(said.keep, seen=sighting(40, at=later)), at=later)
    assert opens(replace(said.keep, ceiling=60, seen=sighting(40, at=later)), at=later)


@pytest.mark.parametrize("seed", range(60))
def test_no_traffic_beyond_what_was_said_however_late_looks_and_questions_are(seed: int) -> None:
    """Flagger asks, perhaps more than once, answers get lost, looks come late: a walk of each."""
    chance = random.Random(seed)
    one, real, at, allowed = gate(0, 0, seen=None), 0, NOON, 0
    for _ in range(200):
        at += timedelta(seconds=chance.choice((0.1, 1, 10, 40)))
        match chance.randrange(4):
            case 0:
                allowed = max(allowed, chance.choice((0, 20, 40, 60)))
                one = replace(one, ceiling=allowed)
            case 1:
                one = replace(one, seen=sighting(real, at=at))
            case _:
                answers = [answer(one, Hook.TRAFFIC, at=at, checksum="c")]
                for _ in range(chance.randrange(2)):  # asked again at once, as after a cut connection
                    one = answers[-1].keep or one
                    answers.append(answer(one, Hook.TRAFFIC, at=at, checksum="c"))
                one = answers[-1].keep or one
                if any(said.open for said in answers) and chance.random() < 0.7:  # else its answer was lost
                    real = one.next_step(real) or real
        assert real <= allowed


def test_addresses_are_of_one_place_and_one_secret() -> None:
    door, other = Door(url="http://bot/", secret="s" * 20), Door(url="http://bot", secret="t" * 20)
    assert door.address("k", Hook.ROLLBACK) == f"http://bot/hooks/flagger/{door.token('k')}/rollback"
    assert len({door.token("k"), door.token("l"), other.token("k")}) == 3
    assert "s" * 20 not in repr(door)
    assert not Door().there


def test_who_can_only_read_the_address_cannot_shut_the_platform_out() -> None:
    """Whoever asks first leaves a word of their own; the platform gets its first step all the same, a little later."""
    foreign = answer(gate(20, 0), Hook.TRAFFIC, at=NOON, checksum="foreign").keep
    assert foreign is not None
    assert not foreign.proven
    soon, later = NOON + timedelta(seconds=5), NOON + SETTLES
    assert not opens(replace(foreign, seen=sighting(0, at=soon)), at=soon, checksum="c")
    looked = replace(foreign, seen=sighting(0, at=later))
    assert looked.unused
    said = answer(looked, Hook.TRAFFIC, at=later, checksum="c")
    assert said.open
    assert said.keep is not None
    assert said.keep.checksum == "c"
    used = replace(said.keep, ceiling=60, seen=sighting(20, at=later + SETTLES))
    assert used.proven
    assert not used.unused
    assert not opens(used, at=later + SETTLES, checksum="foreign")
    assert opens(used, at=later + SETTLES)
    assert not opens(replace(foreign, granted=20, seen=sighting(20, at=later)), at=later, checksum="c"), "it was used"
