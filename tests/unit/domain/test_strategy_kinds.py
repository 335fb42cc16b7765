"""Strategies as data: what is refused, what is planned, and what a target must be able to do."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.errors import ConfigurationError
from bot.domain.strategy.kinds import BlueGreen, Canary, OnTimeout, Recreate, Rolling, Step, Strategy, span
from bot.domain.strategy.plan import How, PlannedStep, patience, plan
from bot.domain.strategy.powers import Power, check_powers, missing
from bot.ports import target

if TYPE_CHECKING:
    from collections.abc import Callable

CANARY = Canary(steps=(Step(weight=20, bake=300), Step(weight=50, bake=300, approval=True)))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Step(weight=0, bake=1), "1 to 100 %"),
        (lambda: Step(weight=101, bake=1), "1 to 100 %"),
        (lambda: Step(weight=5, bake=-1), "bake is a number of seconds"),
        (lambda: Step(weight=5, bake=math.nan), "bake is a number of seconds"),
        (lambda: Step(weight=5), "neither bakes nor asks"),
        (lambda: Step(weight=100, approval=True), "Nothing follows a step of 100 %"),
        (lambda: Canary(steps=()), "at least one step"),
        (lambda: Canary(steps=(Step(weight=50, bake=1), Step(weight=20, bake=1))), "must rise.*50 %, 20 %"),
        (lambda: Canary(steps=(Step(weight=50, bake=1), Step(weight=50, bake=1))), "must rise"),
        (lambda: Canary(steps=(Step(weight=50, bake=1),), timeout=0), "timeout is a number of seconds"),
        (lambda: BlueGreen(keep=-1), "keep is a number of seconds"),
        (lambda: BlueGreen(verify=math.inf), "verify is a number of seconds"),
        (lambda: BlueGreen(timeout=0.5), "timeout is a number of seconds"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        make()
    assert caught.value.message.endswith(".")


def test_what_each_strategy_comes_to() -> None:
    assert plan(Rolling()) == (PlannedStep(weight=100, how=How.APPLY),)
    assert plan(Recreate()) == (PlannedStep(weight=100, how=How.RECREATE),)
    assert plan(BlueGreen(keep=60, verify=5, approval=True)) == (
        PlannedStep(weight=0, bake=5, approval=True),
        PlannedStep(weight=100, bake=60),
    )
    assert plan(CANARY) == (
        PlannedStep(weight=20, bake=300),
        PlannedStep(weight=50, bake=300, approval=True),
        PlannedStep(weight=100),
    )
    whole = Canary(steps=(Step(weight=20, bake=1), Step(weight=100, bake=60)))
    assert plan(whole)[-1] == PlannedStep(weight=100, bake=60)
    assert patience(Canary(steps=CANARY.steps, timeout=60)).on_timeout is OnTimeout.ABORT


@settings(deadline=None)
@given(weights=st.sets(st.integers(1, 100), min_size=1))
def test_every_canary_rises_to_all_of_the_traffic(weights: set[int]) -> None:
    steps = plan(Canary(steps=tuple(Step(weight=weight, bake=1) for weight in sorted(weights))))
    assert steps[-1].weight == 100
    assert all(one.weight < following.weight for one, following in pairwise(steps))


def test_each_strategy_says_itself_in_a_line() -> None:
    assert CANARY.words == "canary: 20 % for 5 min, 50 % for 5 min until a person says yes, then 100 %"
    assert BlueGreen(approval=True).words == (
        "blue_green: verified without traffic, then a person is asked, then all traffic is switched, "
        "and the old release is kept for 10 min"
    )
    assert Rolling().words.startswith("rolling: ")
    assert Recreate().words.startswith("recreate: ")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (45, "45 s"),
        (90, "1 min 30 s"),
        (300, "5 min"),
        (3600, "1 h"),
        (5400, "1 h 30 min"),
        (86400, "24 h"),
        (59.9, "1 min"),
        (3599, "1 h"),
    ],
)
def test_spans_are_short(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_a_power_is_called_like_its_protocol() -> None:
    assert Power.TRAFFIC_WEIGHT.protocol == "SupportsTrafficWeight"
    assert Power.PROMOTE.protocol == "SupportsPromote"
    assert hasattr(target, Power.TRAFFIC_WEIGHT.protocol)
    for power in Power:
        assert power.words


@pytest.mark.parametrize("strategy", [Rolling(), Recreate(), BlueGreen(), CANARY])
def test_a_target_with_every_power_can_do_everything(strategy: Strategy) -> None:
    assert missing(strategy, frozenset(Power)) == ()
    check_powers(strategy, target="local", targets={"local": frozenset(Power)})
    assert missing(Rolling(), ()) == ()


def test_what_a_target_cannot_do_is_refused_with_those_that_can() -> None:
    targets: dict[str, frozenset[Power]] = {
        "plain": frozenset(),
        "weights": frozenset({Power.TRAFFIC_WEIGHT}),
        "local": frozenset(Power),
        "cloud_run": frozenset(Power) - {Power.RECREATE},
    }
    with pytest.raises(ConfigurationError) as caught:
        check_powers(CANARY, target="plain", targets=targets)
    assert caught.value.message == (
        "The target plain cannot do the strategy canary: it cannot split traffic between two releases, make a canary "
        "the stable release, take a canary back. These targets can: cloud_run, local."
    )
    with pytest.raises(ConfigurationError, match="None of the targets that are installed can"):
        check_powers(CANARY, target="plain", targets={"plain": frozenset()})
    with pytest.raises(ConfigurationError, match=r"stop what runs before.*These targets can: local\."):
        check_powers(Recreate(), target="cloud_run", targets=targets)
