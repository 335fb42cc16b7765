"""Which of two versions is the newer one, and which one was meant. By their names alone: registries know no dates."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_SEMVER = re.compile(r"[vV]?([0-9]{1,18})\.([0-9]{1,18})(?:\.([0-9]{1,18}))?(?:-([0-9A-Za-z.-]+))?")
_PARTS = re.compile(r"[0-9]+|[^0-9]+")

Key = tuple[object, ...]


def newest_first(versions: Iterable[str]) -> list[str]:
    """Semantic versions by their precedence, and then all others by name, numbers in it by size."""
    return sorted(versions, key=_key, reverse=True)


def nearest(version: str, known: Iterable[str], *, limit: int = 3) -> list[str]:
    """At most ``limit`` versions that ``version`` may have been meant to be, best first."""
    names: dict[str, str] = {}
    for name in newest_first(known):
        names.setdefault(name.lower(), name)
    typed = version.lower()
    # A forgotten or superfluous "v" is the commonest slip, and what was only begun is far away by any measure.
    twin = typed.removeprefix("v") if typed.startswith("v") else f"v{typed}"
    found = [name for name in (typed, twin) if name in names]
    if typed:
        found += [name for name in names if name.startswith(typed) and name not in found]
    if len(found) < limit:
        found += [n for n in difflib.get_close_matches(typed, names, n=2 * limit, cutoff=0.6) if n not in found]
    return [names[name] for name in found[:limit]]


def _key(version: str) -> Key:
    match = _SEMVER.fullmatch(version)
    if match is None:
        return (0, _natural(version), version)
    core = tuple(int(part or 0) for part in match.groups()[:3])
    before = match[4]
    return (1, core, before is None, tuple(map(_identifier, (before or "").split("."))), version)


def _identifier(part: str) -> Key:
    # A number is before any word, as semantic versioning has it.
    return (0, int(part), "") if part.isdigit() else (1, 0, part)


def _natural(text: str) -> Key:
    return tuple(
        (0, int(part), "") if part.isascii() and part.isdigit() else (1, 0, part.lower())
        for part in _PARTS.findall(text)
    )
