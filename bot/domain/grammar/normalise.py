"""Takes out of a text what its sender never typed or cannot see: Slack's markup, invisible characters, typography.

Changes no word's meaning: versions keep their letters and case, and quoted prose keeps its dashes and quotation marks.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from bot.domain.errors import BadCommand

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_LENGTH = 2_000
"""Characters that a command may have, as it arrives."""

# Characters that print as nothing or as a blank although Unicode calls them letters, marks or symbols.
_INVISIBLE = frozenset(
    [0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]
)
_REMOVED = frozenset({"Cc", "Cf", "Cs"})

_MARKUP = re.compile(r"<([@#!])([^<>|]*)(?:\|([^<>]*))?>|<([A-Za-z][A-Za-z0-9+.-]*:[^<>|]*)(?:\|([^<>]*))?>")
_USER = re.compile(r"[UW][A-Z0-9]{1,20}")
_ENTITY = re.compile(r"&(amp|lt|gt);")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">"}

_DASHES = "‐‑‒–—―−﹘﹣－"
_LEADING_DASHES = re.compile(f"^(?=-*[{_DASHES}])[-{_DASHES}]+(?=[A-Za-z])")
_FOLD = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_FOLD.update({ord(dash): "-" for dash in _DASHES})
_FOLD.update({ord(mark): '"' for mark in "“”„‟«»"})
_FOLD.update({ord(mark): "'" for mark in "‘’‚‛"})


def clean(text: str) -> str:
    """``text`` as its sender sees it: one line, no markup, no invisible character.

    Mentions become ``@name`` and channels ``#name``; a link becomes what it shows. Raises `BadCommand` when it is
    longer than `MAX_LENGTH`.
    """
    if len(text) > MAX_LENGTH:
        raise BadCommand(
            f"The command has {len(text):,} characters; at most {MAX_LENGTH:,} can be read.",
            hint="Keep the command short and put the long story into the thread.",
        )
    # Invisible characters go first, so that none can hide markup or an entity from what follows.
    visible = "".join(map(_visible, text))
    plain = _ENTITY.sub(lambda match: _ENTITIES[match[1]], _MARKUP.sub(_unlink, visible))
    return unicodedata.normalize("NFC", plain)


def people(text: str) -> Mapping[str, frozenset[str]]:
    """The users that are mentioned in ``text``: for each word that `clean` leaves, the ids that it stands for."""
    found: dict[str, frozenset[str]] = {}
    for match in _MARKUP.finditer("".join(map(_visible, text[:MAX_LENGTH]))):
        sigil, target, label = match[1], match[2], match[3]
        if sigil == "@" and _USER.fullmatch(target):
            word = _name(sigil, label or target, target)
            found[word] = found.get(word, frozenset()) | {target}
    return found


def fold(word: str) -> str:
    """A bare word with ASCII in place of typography: ``—dry–run`` is ``--dry-run``, full-width letters are narrow.

    Nothing else of Unicode's compatibility forms is folded: a superscript is not the digit that it looks like.
    """
    return _LEADING_DASHES.sub("--", word).translate(_FOLD)


def protect(text: str) -> str:
    """``text`` so that `clean` gives it back unchanged."""
    escaped = _ENTITY.sub(lambda match: "&amp;" + match[0][1:], text)
    return _MARKUP.sub(lambda match: "&lt;" + match[0][1:], escaped)


def _visible(character: str) -> str:
    if character.isspace():
        return " "
    if ord(character) in _INVISIBLE or unicodedata.category(character) in _REMOVED:
        return ""
    return character


def _unlink(match: re.Match[str]) -> str:
    sigil, target, label, link, link_label = match.groups()
    if link is not None:
        return link_label or link.removeprefix("mailto:").removeprefix("tel:")
    if sigil == "!" and not target.startswith("subteam^"):
        # <!here>, <!channel>, and <!date^…|what people without dates see>.
        return label if label and target.startswith("date^") else _name("@", label or target, target)
    if sigil == "!":
        return _name("@", label or target.removeprefix("subteam^"), target)
    return _name(sigil, label or target, target)


def _name(sigil: str, shown: str, identity: str) -> str:
    name = re.sub(r"[\s\"'=,]+", "_", shown.strip().lstrip("@#"))
    if sigil == "#" and name.isdecimal():
        # A channel that is called like a deployment's number must not become one.
        name = f"{identity}/{name}"
    return sigil + name
