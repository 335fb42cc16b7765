"""Judges one look at one check. What cannot be told is inconclusive: no data is never a pass, and never a fail.

Shares with sample counts fail only when chance can hardly have done it (`interval`): a test errs in one to three of a
hundred looks if the truth lies exactly on the bound, and hardly ever if it is better. Many looks do not add these
errors up to an alarm, because one failing look trips nothing: see `watch`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING

from bot.domain.analysis.check import Comparison, Good, Kind
from bot.domain.analysis.interval import at_least_more, wilson
from bot.domain.analysis.judgement import Judgement, Verdict

if TYPE_CHECKING:
    from datetime import datetime

    from bot.domain.analysis.check import Check
    from bot.domain.metric import Reading

NOT_WORSE = Comparison(ratio=1.2)
"""What counts as no worse than before the deployment, for a check that does not say it itself."""
_PROOF = 1.5
"""Bad events, extrapolated ones too, up to which there may have been a single one: that proves nothing."""


class _Side(Enum):
    """Where a number lies."""

    WITHIN = auto()
    BEYOND = auto()
    #: On the bad side, but that may be chance.
    UNSURE = auto()


@dataclass(frozen=True, slots=True)
class _Found:
    """What one yardstick says."""

    side: _Side
    bound: float
    words: str


def judge_once(
    check: Check, canary: Reading, stable: Reading | None, before: Reading | None, *, at: datetime
) -> Judgement:
    """Judge what was read at ``at``.

    ``stable`` and ``before`` are None where there is nothing to compare with, such as a stable track without traffic
    or a first deployment; the comparison is then left out and said. Give a reading without value for a source that did
    not answer: that is not the same. ``before`` also tells what failed already before the deployment, if it is given
    for a check that is not compared with it.
    """
    age = max(0.0, (at - canary.at).total_seconds())
    value, samples = canary.number, _count(canary)

    def judged(verdict: Verdict, sentence: str, found: list[_Found], *, pre_existing: bool = False) -> Judgement:
        strictest = max if check.good is Good.AT_LEAST else min
        bounds = [one.bound for one in found]
        compared = next((one.number for one in (_asked(check, stable, before))), None)
        return Judgement(
            check=check.name,
            verdict=verdict,
            at=at,
            value=value,
            limit=strictest(bounds) if bounds else check.limit,
            baseline=compared,
            samples=samples,
            age=age,
            pre_existing=pre_existing,
            sentence=f"{check.name}: {sentence}",
        )

    if why := _unusable(check, canary) or _out_of_date(check, canary, at):
        return judged(Verdict.INCONCLUSIVE, why, [])
    assert value is not None
    found: list[_Found] = []
    doubts: list[str] = []
    fixed = None
    if check.limit is not None:
        fixed = _Found(_beside_limit(check, value, samples), check.limit, f"its limit of {check.show(check.limit)}")
        found.append(fixed)
    # Where nothing is beside it any more, what was before stands in, for who has no other yardstick.
    instead = stable is None and check.limit is None and check.against_before is None
    for comparison, other, name in (
        (check.against_stable, stable, "stable"),
        (check.against_stable if instead else check.against_before, before, "before the deployment"),
    ):
        if comparison is None or other is None:
            continue
        # What was before is old by nature; the stable track's number must be as fresh as the canary's.
        if why := _unusable(check, other) or (_out_of_date(check, other, at) if other is stable else ""):
            doubts.append(f"{name} cannot be compared with: {why}")
        else:
            found.append(_beside(check, comparison, canary, other, name))
    shown = f"{check.show(value)}{_of_samples(samples)}"
    beyond = [one for one in found if one.side is _Side.BEYOND]
    bad = "above" if check.good is Good.AT_MOST else "below"
    if beyond:
        if beyond == [fixed] and before is not None and not _unusable(check, before):
            excuse = _as_before(check, canary, before)
            if excuse is not None:
                verdict, words = excuse
                return judged(verdict, f"{shown} {words}", found, pre_existing=verdict is Verdict.PASS)
        return judged(Verdict.FAIL, f"{shown} is {bad} {_listed(beyond)}.", found)
    unsure = [one for one in found if one.side is _Side.UNSURE]
    if unsure:
        return judged(Verdict.INCONCLUSIVE, f"{shown} is {bad} {_listed(unsure)}, but that may be chance.", found)
    if doubts:
        return judged(Verdict.INCONCLUSIVE, f"{shown}; {'; '.join(doubts)}", found)
    if not found:
        return judged(Verdict.INCONCLUSIVE, f"{shown}, and there is nothing to compare it with.", found)
    return judged(Verdict.PASS, f"{shown} keeps {_listed(found)}.", found)


def _asked(check: Check, stable: Reading | None, before: Reading | None) -> list[Reading]:
    """What the number is compared with and shown beside, the most telling first."""
    return [
        one
        for one, wanted in ((stable, check.against_stable), (before, check.against_before), (before, check.limit))
        if one is not None and wanted is not None and one.number is not None
    ]


def _count(reading: Reading) -> float | None:
    """How many samples there were; None for a count that is none."""
    samples = reading.samples
    return samples if samples is not None and math.isfinite(samples) and samples >= 0 else None


def _unusable(check: Check, reading: Reading) -> str:
    """Why a number says nothing; empty if it does."""
    value, samples = reading.number, _count(reading)
    if value is None:
        why = reading.why.strip().rstrip(".")
        if reading.value is not None:
            return f"the source answered {reading.value}, which is no number{f' ({why})' if why else ''}."
        return f"no data{f': {why}' if why else ''}."
    if check.kind is Kind.SHARE and not 0 <= value <= 1:
        return f"the source answered {value:g}, which is no share from 0 to 1."
    if samples is None and reading.samples is not None:
        return f"the source counts {reading.samples:g} samples, which is no count."
    if samples == 0:
        return "no samples."
    if check.min_samples and samples is None:
        return f"the source does not tell how many samples it has, and {check.min_samples:g} are asked for."
    if samples is not None and samples < check.min_samples:
        return f"only {_whole(samples)} of the {check.min_samples:g} samples that it takes."
    return ""


def _out_of_date(check: Check, reading: Reading, at: datetime) -> str:
    if reading.at < at - timedelta(seconds=check.oldest):
        return f"the newest number is {(at - reading.at).total_seconds():.0f} s old."
    if reading.at > at + timedelta(seconds=check.oldest):
        return "the newest number is from the future; somebody's clock is wrong."
    return ""


def _beside_limit(check: Check, value: float, samples: float | None) -> _Side:
    assert check.limit is not None
    limit = check.limit
    if value <= limit if check.good is Good.AT_MOST else value >= limit:
        return _Side.WITHIN
    if check.kind is Kind.SHARE and samples is not None:
        low, high = wilson(value, samples)
        bad = (value if check.good is Good.AT_MOST else 1 - value) * samples
        certain = bad > _PROOF and (low > limit if check.good is Good.AT_MOST else high < limit)
        return _Side.BEYOND if certain else _Side.UNSURE
    return _Side.BEYOND


def _beside(check: Check, comparison: Comparison, reading: Reading, other: Reading, name: str) -> _Found:
    """A number beside another one."""
    value, base = reading.number, other.number
    assert value is not None
    assert base is not None
    share = check.kind is Kind.SHARE
    flipped = share and check.good is Good.AT_LEAST
    less_is_worse = check.good is Good.AT_LEAST and not share
    shown = check.show(base)
    if flipped:  # twice as many failures, not half as many successes
        value, base = 1 - value, 1 - base
    margin = max(
        abs(base) * (1 - 1 / comparison.ratio if less_is_worse else comparison.ratio - 1), comparison.tolerance
    )
    worse, bound = (base - value, base - margin) if less_is_worse else (value - base, base + margin)
    bound = 1 - bound if flipped else bound
    side = _Side.WITHIN
    if worse > margin:
        side = _Side.BEYOND
        samples, others = _count(reading), _count(other)
        if share and samples is not None and others is not None:
            certain = value * samples > _PROOF and at_least_more(value, samples, base, others) > margin
            side = _Side.BEYOND if certain else _Side.UNSURE
    beside = f"stable's {shown}" if name == "stable" else f"the {shown} {name}"
    return _Found(side, bound, f"the {check.show(bound)} allowed beside {beside}")


def _as_before(check: Check, canary: Reading, before: Reading) -> tuple[Verdict, str] | None:
    """What to make of a number beyond its limit, given the one from before; None: the release has to answer for it.

    It must have been certain before too: one unlucky request earlier excuses nothing.
    """
    was = before.number
    assert was is not None
    if _beside_limit(check, was, _count(before)) is not _Side.BEYOND:
        return None
    side = _beside(check, check.against_before or NOT_WORSE, canary, before, "before the deployment").side
    if side is _Side.WITHIN:
        return Verdict.PASS, f"is ignored (pre-existing): it was {check.show(was)} before the deployment."
    if side is _Side.UNSURE:
        words = f"looks worse than the {check.show(was)} of before the deployment, which failed too; may be chance."
        return Verdict.INCONCLUSIVE, words
    return None


def _listed(found: list[_Found]) -> str:
    return " and ".join(one.words for one in found)


def _of_samples(samples: float | None) -> str:
    return "" if samples is None else f" of {_whole(samples)} samples"


def _whole(samples: float) -> str:
    return f"{samples:.0f}" if samples >= 10 else f"{samples:.2g}"
