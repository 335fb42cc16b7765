"""Cuts a cleaned text into words and ``key=value`` pairs. Knows quotation marks; knows no name and no option."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from bot.domain.errors import BadCommand
from bot.domain.grammar.normalise import fold
from bot.domain.grammar.refusals import clip, show

MAX_WORDS = 40

_STRAIGHT = {'"': '"', "'": "'"}
_CURLY = {"“": '"', "”": '"', "„": '"', "‟": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "‚": "'", "‛": "'"}
_MARKS = _STRAIGHT | _CURLY | {"＂": '"', "＇": "'"}
_KEY = re.compile(r"-{0,2}[A-Za-z][A-Za-z0-9_-]*")
_ESCAPED = re.compile(r"\\([\"\\])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A word, or a ``key`` with its value."""

    value: str
    """The word or the value, without quotation marks."""
    key: str | None = None
    """As typed, without the dashes before it; None for a word."""
    quoted: bool = False
    """Whether quotation marks stood around the value."""
    start: int
    """Where it begins in the cleaned text."""
    end: int
    """Where the next character is."""

    @property
    def text(self) -> str:
        """It as a person would recognise it."""
        return self.value if self.key is None else f"{self.key}={self.value}"


def tokenise(text: str) -> list[Token]:
    """The tokens of a text that `clean` gave; raises `BadCommand` for a quotation mark that is never closed."""
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        if text[at] == " ":
            at += 1
            continue
        token = _next(text, at)
        tokens.append(token)
        at = token.end
        if len(tokens) > MAX_WORDS:
            raise BadCommand(
                f"The command has more than {MAX_WORDS} words.",
                hint='A command is a few words; a sentence belongs into quotation marks: reason="…".',
            )
    return _join_lists(tokens)


def quote(text: str) -> str:
    """``text`` as a value that `tokenise` reads back."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _next(text: str, start: int) -> Token:
    if text[start] in _MARKS:
        value, end = _quoted(text, start)
        rest = _bare_end(text, end)
        return Token(value=value + fold(text[end:rest]), quoted=True, start=start, end=rest)
    end = _bare_end(text, start)
    word = fold(text[start:end])
    name, equals, value = word.partition("=")
    if not equals or not _KEY.fullmatch(name):
        return Token(value=word.strip("*`") or word, start=start, end=end)
    key = name.lstrip("-")
    # Folding may have changed the length, so the value is found again in the text itself.
    opening = next(i for i in range(start, end) if fold(text[i]) == "=") + 1
    if opening < len(text) and text[opening] in _MARKS:
        value, end = _quoted(text, opening)
        rest = _bare_end(text, end)
        return Token(key=key, value=value + fold(text[end:rest]), quoted=True, start=start, end=rest)
    return Token(key=key, value=value.rstrip("*`"), start=start, end=end)


def _bare_end(text: str, start: int) -> int:
    end = text.find(" ", start)
    return len(text) if end < 0 else end


def _quoted(text: str, start: int) -> tuple[str, int]:
    """The content of the quotation that opens at ``start``, one blank for many, and where the text goes on."""
    opening = text[start]
    kind = _MARKS[opening]
    straight = opening in _STRAIGHT
    # A straight mark is closed by a straight one, so that prose inside keeps its typographic ones; the other sort
    # closes it only where a phone has "corrected" one end of the pair.
    close = _closing(text, start + 1, kind, straight=straight)
    if close < 0:
        close = _closing(text, start + 1, kind, straight=not straight)
    if close < 0:
        raise BadCommand(
            f"The quotation mark in {show(text[start:])} is never closed.",
            token=clip(text[start:]),
            hint='Close it: reason="fixes the login".',
        )
    content = text[start + 1 : close]
    if kind == '"':
        content = _ESCAPED.sub(r"\1", content)
    return " ".join(content.split()), close + 1


def _closing(text: str, start: int, kind: str, *, straight: bool) -> int:
    at = start
    while at < len(text):
        character = text[at]
        if kind == '"' and character == "\\" and text[at + 1 : at + 2] in ('"', "\\"):
            at += 2
            continue
        # An apostrophe inside a word closes nothing.
        ends_word = kind == '"' or at + 1 == len(text) or text[at + 1] == " "
        if _MARKS.get(character) == kind and (character in _STRAIGHT) == straight and ends_word:
            return at
        at += 1
    return -1


def _join_lists(tokens: list[Token]) -> list[Token]:
    """``api , web`` is the list ``api,web``."""
    joined: list[Token] = []
    for token in tokens:
        before = joined[-1] if joined else None
        if (
            before is not None
            and before.key is None
            and token.key is None
            and not (before.quoted or token.quoted)
            and (before.value.endswith(",") or token.value.startswith(","))
        ):
            joined[-1] = replace(before, value=before.value + token.value, end=token.end)
        else:
            joined.append(token)
    return joined
