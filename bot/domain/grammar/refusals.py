"""Words for refusals: quotes what was typed shortly and harmlessly, and finds the names that were perhaps meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

QUOTED = 40
"""Characters of a person's text that one message repeats at most."""

SUGGESTIONS = 3

_HARMLESS = str.maketrans({"<": "‹", ">": "›", "`": "'", "\n": " ", "\r": " ", "\t": " "})
_COMPARABLE = 64


def show(text: str, *, limit: int = QUOTED) -> str:
    """``text`` in quotation marks, cut to ``limit`` characters, unable to become markup wherever it is shown."""
    return f"“{clip(text, limit=limit)}”"


def show_both(one: str, other: str) -> str:
    """Two texts, together no longer than one may be."""
    return f"{show(one, limit=QUOTED // 2)} and {show(other, limit=QUOTED // 2)}"


def clip(text: str, *, limit: int = QUOTED) -> str:
    """At most ``limit`` characters of ``text``, without the quotation marks of `show`."""
    line = text.translate(_HARMLESS)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def nearest(word: str, names: Iterable[str], *, limit: int = SUGGESTIONS) -> tuple[str, ...]:
    """The ``names`` that ``word`` perhaps means, nearest first: for typing errors and beginnings of three letters."""
    typed = word.casefold().strip(".,;:!?")
    allowed = 0 if len(typed) < 3 else 1 if len(typed) < 6 else 2
    if not allowed or len(typed) > _COMPARABLE:
        return ()
    found: dict[str, int] = {}
    for name in names:
        known = name.casefold()
        if known.startswith(typed):
            found.setdefault(name, 1)
        # Sets first: names that share too few letters are not worth the slow comparison.
        elif abs(len(known) - len(typed)) <= allowed and len(set(known) ^ set(typed)) <= 2 * allowed:
            distance = _distance(typed, known)
            if distance <= allowed:
                found.setdefault(name, distance)
    return tuple(sorted(found, key=lambda name: found[name])[:limit])


def listing(names: Sequence[str], *, conjunction: str = "or", limit: int = 5) -> str:
    """``a, b or c``; a long list is cut and says how many more there are."""
    if len(names) > limit:
        return f"{', '.join(names[:limit])} and {len(names) - limit} more"
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {conjunction} {names[-1]}"


def _distance(one: str, other: str) -> int:
    """Letters to insert, drop, replace or swap with their neighbour to turn one word into the other."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        two_before, before, row = before, row, [i]
        for j, b in enumerate(other, start=1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, two_before[j - 2] + 1)
            row.append(cost)
    return row[-1]
