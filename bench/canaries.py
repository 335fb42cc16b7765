"""Two hundred canaries whose truth is known, judged over simulated time: are the bad ones caught, and only those?

Traffic is made up request by request from a seed, with what a real one has: few requests in some, a tail of slow ones,
a fault that is there from the first request or begins in the middle of a window. Nothing here waits or is measured by a
clock; the same seed gives the same table.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from bench.report import Aim, Found, Row, percentile
from bot.domain.analysis.check import Check, Comparison, Kind
from bot.domain.analysis.judge import judge_once
from bot.domain.analysis.standing import standing_of
from bot.domain.analysis.watch import Watch
from bot.domain.metric import Reading
from bot.domain.strategy.interpret import next_move
from bot.domain.strategy.kinds import Canary, OnTimeout, Step
from bot.domain.strategy.moves import Abort, AskApproval, Cause, SetWeight
from bot.domain.strategy.position import after, start

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_SEED = 2031
_NOON = datetime(2031, 5, 17, 12, tzinfo=UTC)
_INTERVAL, _BAKE, _BEFORE = 30.0, 600.0, 300.0
_WEIGHT = 20
_STRATEGY = Canary(steps=(Step(weight=_WEIGHT, bake=_BAKE),), timeout=300, on_timeout=OnTimeout.HOLD)
_CHECKS = (
    Check(
        name="errors",
        source="simulated",
        query="errors",
        kind=Kind.SHARE,
        limit=0.02,
        against_stable=Comparison(ratio=2, tolerance=0.01),
        interval=_INTERVAL,
        window=_INTERVAL,
    ),
    Check(
        name="latency",
        source="simulated",
        query="p95",
        unit="ms",
        against_stable=Comparison(ratio=1.5, tolerance=50),
        against_before=Comparison(ratio=1.5, tolerance=50),
        interval=_INTERVAL,
        window=_INTERVAL,
    ),
)
"""What a careful team would write; everything else is as a check has it by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Truth:
    """What a canary really is. Times are seconds since traffic first came to it."""

    kind: str
    bad: bool
    rate: float
    """Requests a second to the canary."""
    errors: float
    """Share of requests that fail without any fault."""
    before: float
    """The same before the deployment, and of stable."""
    median: float
    """Milliseconds that half of the requests take at most."""
    faults: tuple[tuple[float, float], ...] = ()
    """When it is faulty."""
    fault_errors: float = 0.0
    """Share of requests that fail then."""
    slower: float = 1.0
    """How many times as long requests take then."""
    silent: tuple[float, float] = (0.0, 0.0)
    """When the metric source does not answer."""

    @property
    def began(self) -> float:
        """When it is first faulty."""
        return self.faults[0][0]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Traffic:
    """The requests of one track in one window."""

    failed: int
    taken: list[float]
    """How long each took, in milliseconds."""


@dataclass(slots=True)
class _Told:
    """What was made of a canary."""

    truth: _Truth
    end: str = ""
    """``rolled back``, ``promoted``, or ``asked`` when people would have to decide."""
    after: float = 0.0
    """Seconds of traffic until then."""
    reasons: list[str] = field(default_factory=list)

    @property
    def intervals(self) -> float:
        """Intervals from the fault to the verdict."""
        return (self.after - self.truth.began) / _INTERVAL


async def measure(_folder: Path) -> Found:
    """Judge them all, one after the other."""
    chance = random.Random(_SEED)
    told = [_judge(truth, random.Random(chance.random())) for truth in _canaries(chance)]
    bad = [one for one in told if one.truth.bad]
    good = [one for one in told if not one.truth.bad]
    caught = [one for one in bad if one.end == "rolled back"]
    alarms = [one for one in good if one.end == "rolled back"]
    blind = [one for one in told if one.truth.kind == "no traffic" and one.end == "promoted"]
    healthy = [one for one in told if one.truth.kind == "healthy"]
    alone = [one for one in healthy if one.end == "promoted"]
    verdicts = [one.intervals for one in caught]
    return Found(
        rows=[
            Row(
                name=f"canaries, {len(bad)} bad ones, caught",
                measured=100 * len(caught) / len(bad),
                unit="%",
                aim=Aim(limit=100, at_most=False),
            ),
            Row(name=f"canaries, {len(good)} good ones, rolled back", measured=len(alarms), unit="", aim=Aim(limit=0)),
            Row(name="canaries promoted without data", measured=len(blind), unit="", aim=Aim(limit=0)),
            Row(
                name="canaries, fault to verdict, median",
                measured=percentile(verdicts, 0.5),
                unit="intervals",
                aim=Aim(limit=2),
            ),
            Row(name="canaries, fault to verdict, p95", measured=percentile(verdicts, 0.95), unit="intervals"),
            Row(
                name="canaries, healthy, promoted by themselves",
                measured=100 * len(alone) / len(healthy),
                unit="%",
            ),
        ],
        details={
            "canaries": len(told),
            "ends by kind": {
                f"{kind}, {'bad' if is_bad else 'good'}": dict(
                    Counter(one.end for one in told if (one.truth.kind, one.truth.bad) == (kind, is_bad))
                )
                for kind, is_bad in dict.fromkeys((one.truth.kind, one.truth.bad) for one in told)
            },
            "median intervals by kind": _medians(caught, lambda one: one.truth.kind),
            "median intervals by onset": _medians(
                caught, lambda one: "first request" if one.truth.began == 0 else "later"
            ),
            "missed": [repr(one.truth) for one in bad if one not in caught],
            "false alarms": [f"{one.truth!r}: {one.reasons}" for one in alarms],
        },
    )


def _medians(caught: Sequence[_Told], kind: Callable[[_Told], str]) -> dict[str, float]:
    names = dict.fromkeys(kind(one) for one in caught)
    return {name: percentile([one.intervals for one in caught if kind(one) == name], 0.5) for name in names}


def _canaries(chance: random.Random) -> list[_Truth]:
    """All two hundred, of each kind as many as its name says."""
    kinds: tuple[tuple[int, Callable[[random.Random], _Truth]], ...] = (
        (60, _healthy),
        (30, _slow),
        (30, _erroring),
        (20, _flapping),
        (20, _no_traffic),
        (20, _bad_before),
        (10, _vendor_down),
        (10, _vendor_down_and_erroring),
    )
    return [make(chance) for count, make in kinds for _ in range(count)]


def _onset(chance: random.Random) -> float:
    """Most releases that are broken are so from their first request; some only when something else happens."""
    return 0.0 if chance.random() < 0.6 else chance.uniform(0, _BAKE / 2)


def _plain(chance: random.Random, kind: str, **what: object) -> _Truth:
    errors = chance.uniform(0, 0.01)
    facts: dict[str, object] = {
        "bad": False,
        "rate": chance.uniform(2, 20),
        "errors": errors,
        "before": errors,
        "median": chance.uniform(20, 200),
    }
    return _Truth(kind=kind, **(facts | what))  # type: ignore[arg-type]  # any of its fields


def _healthy(chance: random.Random) -> _Truth:
    return _plain(chance, "healthy")


def _slow(chance: random.Random) -> _Truth:
    faults = ((_onset(chance), _BAKE),)
    return _plain(chance, "slow", bad=True, faults=faults, slower=chance.uniform(2, 4), median=chance.uniform(60, 200))


def _erroring(chance: random.Random) -> _Truth:
    return _plain(chance, "erroring", bad=True, faults=((_onset(chance), _BAKE),), fault_errors=0.08)


def _flapping(chance: random.Random) -> _Truth:
    """It fails for a while, is well for a while, and so on."""
    at, faults = _onset(chance), []
    while at < _BAKE:
        end = at + chance.uniform(20, 60)
        faults.append((at, end))
        at = end + chance.uniform(20, 60)
    return _plain(chance, "flapping", bad=True, faults=tuple(faults), fault_errors=chance.uniform(0.1, 0.4))


def _no_traffic(chance: random.Random) -> _Truth:
    """None at all, or a request now and then."""
    return _plain(chance, "no traffic", rate=0.0 if chance.random() < 0.5 else chance.uniform(0.01, 0.3))


def _bad_before(chance: random.Random) -> _Truth:
    share = chance.uniform(0.05, 0.15)
    return _plain(chance, "already bad before", errors=share, before=share)


def _outage(chance: random.Random) -> tuple[float, float]:
    began = chance.uniform(20, 120)
    return began, began + chance.uniform(90, 300)


def _vendor_down(chance: random.Random) -> _Truth:
    return _plain(chance, "vendor down", silent=_outage(chance))


def _vendor_down_and_erroring(chance: random.Random) -> _Truth:
    faults = ((_onset(chance), _BAKE),)
    return _plain(chance, "vendor down", bad=True, silent=_outage(chance), faults=faults, fault_errors=0.08)


def _judge(truth: _Truth, chance: random.Random) -> _Told:
    """Look at a canary at every interval, as the engine would, until something is decided."""
    told = _Told(truth)
    watches = [Watch(check=check) for check in _CHECKS]
    earlier = _stable(truth, chance, _BEFORE)
    before = {check.name: _reading(check, earlier, _NOON) for check in _CHECKS}
    position = after(start(_NOON), SetWeight(step=0, percent=_WEIGHT), _NOON)
    for look in range(1, int(2 * _BAKE / _INTERVAL) + 2):
        seconds = look * _INTERVAL
        at = _NOON + timedelta(seconds=seconds)
        canary, stable = _canary(truth, chance, seconds), _stable(truth, chance, _INTERVAL)
        if truth.silent[0] <= seconds < truth.silent[1]:
            canary = stable = None
        watches = [
            watch.seen(
                judge_once(
                    watch.check,
                    _reading(watch.check, canary, at),
                    _reading(watch.check, stable, at),
                    before[watch.check.name],
                    at=at,
                )
            )
            for watch in watches
        ]
        decision = next_move(_STRATEGY, position, standing=standing_of(watches, at), at=at)
        position, told.after = decision.position, seconds
        match decision.move:
            case Abort(cause=Cause.CHECKS, why=why):
                told.end = "rolled back"
                told.reasons.append(why)
                return told
            case SetWeight():
                told.end = "promoted"
                return told
            case AskApproval():
                told.end = "asked"
                return told
    raise RuntimeError(f"nothing was ever decided about {truth}")


def _canary(truth: _Truth, chance: random.Random, until: float) -> _Traffic | None:
    """The canary's requests in the window that ends then."""
    failed, taken = 0, []
    for _ in range(_requests(truth.rate * _INTERVAL, chance)):
        when = until - chance.random() * _INTERVAL
        faulty = any(began <= when < ended for began, ended in truth.faults)
        failed += chance.random() < (max(truth.errors, truth.fault_errors) if faulty else truth.errors)
        taken.append(_latency(truth, chance) * (truth.slower if faulty else 1))
    return _Traffic(failed=failed, taken=taken)


def _stable(truth: _Truth, chance: random.Random, window: float) -> _Traffic | None:
    """Those of the stable track, which has the rest of the traffic and no fault."""
    rate = max(truth.rate, 2) * (100 - _WEIGHT) / _WEIGHT
    number = min(_requests(rate * window, chance), 1_000)  # more of them would tell the same, only slower
    failed = sum(chance.random() < truth.before for _ in range(number))
    return _Traffic(failed=failed, taken=[_latency(truth, chance) for _ in range(number)])


def _reading(check: Check, traffic: _Traffic | None, at: datetime) -> Reading:
    """What the source tells of them; None when it tells nothing."""
    if traffic is None:
        return Reading(value=None, at=at, why="the source did not answer in 5 s")
    taken = traffic.taken
    if not taken:
        # What a division of nothing by nothing gives, and the quantile of an empty histogram.
        return Reading(value=float("nan"), samples=0, at=at)
    value = traffic.failed / len(taken) if check.kind is Kind.SHARE else percentile(taken, 0.95)
    return Reading(value=value, samples=len(taken), at=at)


def _latency(truth: _Truth, chance: random.Random) -> float:
    return truth.median * chance.lognormvariate(0, 0.5)


def _requests(expected: float, chance: random.Random) -> int:
    """How many come when so many are expected; close enough to what independent people do."""
    if expected > 30:
        return max(0, round(chance.gauss(expected, expected**0.5)))
    number, left = 0, chance.expovariate(1)
    while left < expected:
        number, left = number + 1, left + chance.expovariate(1)
    return number
