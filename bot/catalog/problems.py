"""What is wrong with a catalog file: each problem with its place, all of them at once. Knows nothing of YAML."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: A message that lists more than this is not read to its end; `CatalogError.problems` has them all.
_LISTED = 100
#: Of a long list of allowed values a reader wants the nearest one and an idea of the rest.
_ALLOWED = 14
_QUOTED = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong, where, and what would be right. Prints as one line."""

    file: str
    line: int | None = None
    """From 1; None when the file itself is the problem."""
    column: int | None = None
    """From 1, in characters."""
    path: str = ""
    """Where in the document: ``services.checkout.target.type``. Empty for the document as a whole."""
    message: str
    """What is wrong, with the bad value in it; no full stop."""
    allowed: tuple[str, ...] = ()
    """What could stand there instead, when that is a list."""
    nearest: str | None = None
    """The allowed value that was probably meant."""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line is not None else self.file
        where = f"{self.path}: " if self.path else ""
        text = f"{place}: {where}{self.message}."
        if self.nearest is not None:
            text += f" Did you mean {quoted(self.nearest)}?"
        if self.allowed:
            more = len(self.allowed) - _ALLOWED
            names = ", ".join(self.allowed[:_ALLOWED])
            text += f" Allowed: {names}{f' and {more} more' if more > 0 else ''}."
        # One line whatever is in the file: what a terminal would obey or hide is written as its escape.
        return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class CatalogError(ConfigurationError):
    """The catalog file cannot be used. ``str()`` has one line for each problem, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.line or 0, p.column or 0)))
        lines = [str(problem) for problem in self.problems[:_LISTED]]
        if len(self.problems) > _LISTED:
            lines.append(f"{self.problems[0].file}: … and {len(self.problems) - _LISTED} more problems.")
        super().__init__("\n".join(lines))


class BadValue(ValueError):
    """A value that its own rules refuse; carries what would be right to where the place of the value is known."""

    def __init__(self, message: str, *, allowed: Sequence[str] = (), nearest: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.allowed = tuple(allowed)
        self.nearest = nearest


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that somebody who typed ``word`` most likely meant, if any is near enough."""
    by_folded = {candidate.casefold(): candidate for candidate in candidates}
    folded = word.casefold()[:200]
    matches = difflib.get_close_matches(folded, by_folded, n=1, cutoff=0.6)
    if not matches and len(folded) > 1:  # an abbreviation: prod
        matches = [candidate for candidate in by_folded if candidate.startswith(folded)]
    return by_folded[matches[0]] if len(matches) == 1 else None


def quoted(text: str) -> str:
    """``text`` as it may be shown to anybody: one line, no control characters, not endless."""
    return repr(text if len(text) <= _QUOTED else text[: _QUOTED - 1] + "…")


def described(value: object) -> str:
    """A value of the file in words."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, int | float):
        return f"the number {value}"
    return "a list" if isinstance(value, list) else "a mapping"


def counted(number: int, noun: str) -> str:
    """``1 problem``, ``2 problems``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
