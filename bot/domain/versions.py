"""Which of two versions is the later one, as far as their names tell. Guesses nothing: often they do not tell."""

from __future__ import annotations

import re
from itertools import zip_longest

_VERSION = re.compile(
    r"(?P<prefix>(?:[a-z][a-z_-]*?[-_/])?)v?(?P<numbers>[0-9]{1,18}(?:\.[0-9]{1,18})*)(?P<rest>(?:[-_.+a-z].*)?)",
    re.ASCII,
)
_STAGE = re.compile(r"[-_.]?(?P<word>[a-z]+)[-_.]?(?P<number>[0-9]{0,18})", re.ASCII)
_COMMIT = re.compile(r"(?=.*[a-f])[0-9a-f]{7,40}", re.ASCII)
_DATE = re.compile(r"(?<![0-9.])((?:19|20)[0-9]{2})-([0-9]{2})-([0-9]{2})(?![0-9])", re.ASCII)
# Before the release itself, which is 0, or after it.
_STAGES = {
    **dict.fromkeys(("dev", "snapshot", "nightly"), -4),
    **dict.fromkeys(("a", "alpha"), -3),
    **dict.fromkeys(("b", "beta"), -2),
    **dict.fromkeys(("c", "rc", "pre", "preview"), -1),
    **dict.fromkeys(("post", "rev", "r", "p", "patch", "hotfix"), 1),
}


def compare(one: str, other: str) -> int | None:
    """Negative when ``one`` is the earlier version, positive when it is the later one, 0 when both are the same.

    Reads numbers with dots (``v1.10`` is later than ``v1.9``, ``1.2`` is ``1.2.0``), with the same name before them
    (``release-7``), dates, and what comes before or after a release (``1.0-rc.2``, ``1.0.post1``); what follows a ``+``
    does not count. None where it cannot be told: branches, commits, digests, names of different kinds, and suffixes
    that mean nothing to us, such as ``-alpine``, when they alone differ.
    """
    first, second = _read(one), _read(other)
    if first is None or second is None or first[0] != second[0]:
        return None
    for mine, theirs in zip_longest(first[1], second[1], fillvalue=0):
        if mine != theirs:
            return 1 if mine > theirs else -1
    stage, their_stage = _stage(first[2]), _stage(second[2])
    if stage is None or their_stage is None:
        return 0 if first[2] == second[2] else None
    return (stage > their_stage) - (stage < their_stage)


def _read(version: str) -> tuple[str, tuple[int, ...], str] | None:
    """The name before the numbers, the numbers, and what comes after them."""
    text = _DATE.sub(r"\1.\2.\3", version.strip().casefold(), count=1)
    match = None if _COMMIT.fullmatch(text) else _VERSION.fullmatch(text)
    if match is None:
        return None
    return (
        match["prefix"],
        tuple(int(number) for number in match["numbers"].split(".")),
        match["rest"].partition("+")[0],
    )


def _stage(rest: str) -> tuple[int, int] | None:
    """How far before or after the release; None for a suffix that has no such meaning."""
    if not rest:
        return 0, 0
    match = _STAGE.fullmatch(rest)
    if match is None or match["word"] not in _STAGES:
        return None
    return _STAGES[match["word"]], int(match["number"] or 0)
