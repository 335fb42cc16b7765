"""How much of a share may be chance: intervals for proportions, in a few lines. Knows nothing of checks.

Both are score intervals with continuity correction, which keep what they promise for the small counts that a canary
gives; the plain Wilson interval would call one error in ten requests more than one per cent.
"""

from __future__ import annotations

from math import hypot, sqrt

ONE_IN_A_HUNDRED = 2.326
"""The quantile of the normal distribution that chance passes on one side once in a hundred times."""


def wilson(share: float, samples: float, z: float = ONE_IN_A_HUNDRED) -> tuple[float, float]:
    """Wilson's score interval with continuity correction for a share of ``samples`` events, as (low, high).

    Method 4 in R. G. Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17
    (1998). ``samples`` need not be whole, since rates are extrapolated; without samples nothing is known.
    """
    if samples <= 0:
        return 0.0, 1.0
    square, rest = z * z, 1 - share
    middle, width = 2 * samples * share + square, 2 * (samples + square)
    # With a part of an event, as sources extrapolate them, what is under a root can come out below nothing.
    below = max(0.0, square - 2 - 1 / samples + 4 * share * (samples * rest + 1))
    above = max(0.0, square + 2 - 1 / samples + 4 * share * (samples * rest - 1))
    low = 0.0 if share <= 0 else (middle - 1 - z * sqrt(below)) / width
    high = 1.0 if share >= 1 else (middle + 1 + z * sqrt(above)) / width
    return min(max(0.0, low), share), max(min(1.0, high), share)


def at_least_more(share: float, samples: float, than: float, than_samples: float, z: float = ONE_IN_A_HUNDRED) -> float:
    """By how much ``share`` is above ``than`` at the very least: the low end of the interval of the difference.

    Newcombe's hybrid score interval with continuity correction, method 11 in R. G. Newcombe, "Interval estimation for
    the difference between independent proportions", Statistics in Medicine 17 (1998).
    """
    low, _ = wilson(share, samples, z)
    _, high = wilson(than, than_samples, z)
    return share - than - hypot(share - low, high - than)
