"""Who gets how much traffic, and how it is counted."""

from __future__ import annotations

from collections import Counter as Tally

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.local.agent.balance import Balancer, shares
from integrations.local.agent.stats import BOUNDS_MS, Counter, percentile

WEIGHTS = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 100), min_size=1)


@given(WEIGHTS)
def test_every_choice_gets_its_share(weights: dict[str, int]) -> None:
    balancer = Balancer()
    total = sum(weights.values())
    if not total:
        assert balancer.pick(weights) is None
        return
    tally = Tally(balancer.pick(weights) for _ in range(total))
    assert tally == {name: weight for name, weight in weights.items() if weight}


def test_shares_are_spread_evenly() -> None:
    balancer = Balancer()
    picked = "".join(str(balancer.pick({"a": 75, "b": 25})) for _ in range(12))
    assert picked == "aabaaabaaaba"


def test_who_left_comes_back_without_debt() -> None:
    balancer = Balancer()
    for _ in range(3):
        balancer.pick({"a": 1, "b": 99})
    balancer.pick({"a": 1})
    assert balancer.pick({"a": 50, "b": 50}) in ("a", "b")
    tally = Tally(balancer.pick({"a": 50, "b": 50}) for _ in range(100))
    assert abs(tally["a"] - 50) <= 1


@given(
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 5)),
    st.none() | st.dictionaries(st.sampled_from("abc"), st.integers(0, 100)),
    st.none() | st.sampled_from("abc"),
)
def test_shares_sum_up_and_go_only_to_who_is_ready(
    ready: dict[str, int], weights: dict[str, int] | None, target: str | None
) -> None:
    found = shares(ready=ready, weights=weights, target=target)
    alive = {key for key, count in ready.items() if count}
    assert set(found) <= alive
    if alive:
        assert sum(found.values()) == pytest.approx(100)
    assert all(share >= 0 for share in found.values())


def test_a_promoted_canary_never_loses_traffic() -> None:
    parts = [
        shares(ready={"old": old, "new": new}, weights={"old": 20, "new": 80}, target="new")["new"]
        for old, new in [(3, 1), (3, 2), (2, 2), (1, 3), (0, 3)]
    ]
    assert parts == [80, 80, 80, 80, 100]


def test_without_a_split_instances_share_alike() -> None:
    assert shares(ready={"old": 3, "new": 1}, weights=None, target="new") == {"old": 75, "new": 25}


def test_percentiles() -> None:
    counter = Counter()
    for milliseconds in range(1, 101):
        counter.count(seconds=milliseconds / 1000, error=milliseconds > 95)
    found = counter.snapshot(in_flight=3)
    assert (found["requests"], found["errors"], found["in_flight"]) == (100, 5, 3)
    assert found["p50_ms"] == pytest.approx(50, rel=0.1)
    assert found["p99_ms"] == pytest.approx(99, rel=0.3)
    assert found["buckets"]["64"] == 64
    assert found["buckets"]["+Inf"] == 100
    assert percentile([0] * (len(BOUNDS_MS) + 1), 0.5) is None


def test_recent_numbers_forget() -> None:
    now = [1000.0]
    counter = Counter(clock=lambda: now[0])
    counter.count(seconds=1, error=True)
    now[0] += 30
    counter.count(seconds=0.001, error=False)
    assert counter.snapshot(in_flight=0)["recent_requests"] == 2
    now[0] += 40
    found = counter.snapshot(in_flight=0)
    assert (found["recent_requests"], found["recent_errors"], found["requests"], found["errors"]) == (1, 0, 2, 1)
    now[0] += 600
    found = counter.snapshot(in_flight=0)
    assert (found["recent_requests"], found["p99_ms"], found["requests"]) == (0, None, 2)
