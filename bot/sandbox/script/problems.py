"""What is wrong with a script, and the nearest right word.

Only wording. Nothing here decides what is right.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SHOWN = 40  # characters of a bad word that are repeated in a message


@dataclass(frozen=True, slots=True)
class Problem:
    """One bad line. `line` and `column` count from 1, columns in characters; `meant` is the nearest right word."""

    file: str
    line: int
    column: int
    message: str
    meant: str | None = None

    def __str__(self) -> str:
        hint = f"; did you mean {self.meant}?" if self.meant else ""
        return f"{self.file}:{self.line}:{self.column}: {self.message}{hint}"


class ScriptError(Exception):
    """The script was refused and nothing of it was played; `problems` holds every bad line, top to bottom."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class LineRefused(Exception):
    """One line cannot be understood; `column` counts from 1. Caught by the grammar, never seen outside."""

    def __init__(self, column: int, message: str, meant: str | None = None) -> None:
        self.column = column
        self.message = message
        self.meant = meant
        super().__init__(message)


def nearest(word: str, allowed: Iterable[str]) -> str | None:
    """The allowed word most like `word`, or None when nothing is like it."""
    known = {candidate.casefold(): candidate for candidate in allowed}
    found = difflib.get_close_matches(word.casefold()[:200], known, n=1, cutoff=0.5)
    return known[found[0]] if found else None


def shown(text: str) -> str:
    """`text` fit for a message: on one line, printable, cut to a readable length."""
    cut = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in cut)


def listed(words: Sequence[str]) -> str:
    """`a, b or c`; `none` when there are none."""
    if len(words) < 2:
        return words[0] if words else "none"
    return f"{', '.join(words[:-1])} or {words[-1]}"
