"""Reads one line of a script word by word, and knows where comments begin and quotations end.

It knows the spelling (white space, quotes, durations, JSON), not the meaning of any word.

Where a comment begins: at a `#` outside quotes that is the first character of the line other than white space, or
that has white space before it. The one exception is the channel after `@who`, which the grammar asks for by
`channel()`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import NoReturn

from bot.sandbox.script.problems import LineRefused, nearest, shown

_SMART = "“”„‟«»＂"
_QUOTES = '"' + _SMART
_STRAIGHTEN = str.maketrans(dict.fromkeys(_SMART, '"'))
_ESCAPES = {'"': '"', "\\": "\\", "n": "\n"}
_CHANNEL = re.compile(r"#([^\W_][\w-]*)(?=\s|$)")
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m)")
_LOOSE_DURATION = re.compile(r"([0-9]{1,9}(?:[.,][0-9]{1,9})?)([^\W\d_]*)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}
_LONGEST = 3600.0
_UNITS = {
    "": "s",
    **dict.fromkeys(("sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("msec", "msecs", "millis", "milliseconds"), "ms"),
}


@dataclass(frozen=True, slots=True)
class Word:
    """A word and its column, counted from 1."""

    text: str
    column: int


class Words:
    """A cursor over one line. Every method raises LineRefused with the column of what is wrong."""

    def __init__(self, line: str) -> None:
        self._line = line
        self._at = 0
        self._skip_space()

    @property
    def column(self) -> int:
        """Column of the next word (from 1); one past the last character at the end."""
        return self._at + 1

    @property
    def ended(self) -> bool:
        """Whether only white space or a comment is left."""
        # The cursor stands where a word may begin, so what is before it is white space or the line's begin.
        return self._at >= len(self._line) or self._line[self._at] == "#"

    @property
    def quoted_next(self) -> bool:
        """Whether the next word opens a quotation."""
        return not self.ended and self._line[self._at] in _QUOTES

    @property
    def source(self) -> str:
        """What was read so far."""
        return self._line[: self._at].strip()

    def refuse(self, message: str, meant: str | None = None) -> NoReturn:
        raise LineRefused(self.column, message, meant)

    def peek(self) -> Word | None:
        """The next bare word without taking it; None at the end."""
        if self.ended:
            return None
        end = self._at
        while end < len(self._line) and not self._line[end].isspace():
            end += 1
        return Word(self._line[self._at : end], self.column)

    def take(self) -> Word | None:
        """The next bare word; None at the end."""
        word = self.peek()
        if word is not None:
            self._move(self._at + len(word.text))
        return word

    def choose(self, allowed: tuple[str, ...], missing: str, wrong: str) -> str:
        """One of the allowed words; `missing` is said at the end of the line, `wrong` about another word."""
        word = self.peek()
        if word is None:
            self.refuse(missing)
        if word.text not in allowed:
            self.refuse(f"{shown(word.text)!r} {wrong}", nearest(word.text, allowed))
        self.take()
        return word.text

    def finish(self) -> None:
        """Nothing but a comment may be left."""
        word = self.peek()
        if word is not None:
            self.refuse(f"the line should end before {shown(word.text)!r}")

    def channel(self) -> str | None:
        """The channel's name if a channel stands here, else None. This is the one `#` that is no comment."""
        match = _CHANNEL.match(self._line, self._at)
        if match is None:
            return None
        self._move(match.end())
        return match[1]

    def rest(self) -> str:
        """The rest of the line as it stands, without a comment and outer white space.

        ``#`` before a digit is no comment here: ``/deploy abort #42`` names a deployment.
        """
        begin, at, line = self._at, self._at, self._line
        while at < len(line):
            if line[at] in _QUOTES:
                at = self._closing(at, escapes=False) or at
            elif line[at] == "#" and (at == 0 or line[at - 1].isspace()) and not line[at + 1 : at + 2].isdigit():
                break
            at += 1
        self._move(at)
        return line[begin:at].strip()

    def quotation(self, what: str) -> str:
        """A quoted text; inside it `\\"` is a quote, `\\\\` a backslash and `\\n` a new line."""
        if not self.quoted_next:
            found = self.peek()
            got = f", found {shown(found.text)!r}" if found else ""
            self.refuse(f'{what} in double quotes is expected here{got}, as in "…"')
        end = self._closing(self._at, escapes=True)
        if end is None:
            self.refuse("the quotation is never closed")
        text = re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[0]), self._line[self._at + 1 : end], flags=re.DOTALL)
        if not text.strip():
            self.refuse(f"{what} is empty")
        self._apart(end + 1, "the quotation")
        return text

    def duration(self, what: str) -> float:
        """A duration in seconds, more than 0 and at most an hour: `200ms`, `2s`, `1.5m`."""
        word = self.peek()
        if word is None:
            self.refuse(f"{what} is missing, as in 2s (ms, s or m)")
        match = _DURATION.fullmatch(word.text)
        if match is None:
            self.refuse(f"{shown(word.text)!r} is no duration (a number and ms, s or m)", _meant(word.text))
        seconds = float(match[1]) * _SECONDS[match[2]]
        if not 0 < seconds <= _LONGEST:
            self.refuse(f"{shown(word.text)!r} is not allowed: more than 0 and at most 60m")
        self.take()
        return seconds

    def fields(self) -> dict[str, str]:
        """A JSON object of texts and numbers, in which smart quotes count as quotes where it needs them."""
        if self.ended or self._line[self._at] != "{":
            self.refuse('a JSON object is expected here, as in {"field": "value"}')
        try:
            found, end = self._json(self._line)
        except LineRefused:
            if not any(quote in self._line for quote in _SMART):
                raise
            found, end = self._json(self._line.translate(_STRAIGHTEN))
        values: dict[str, str] = {}
        for key, value in found:
            if not isinstance(value, str) or key in values:
                why = "given twice" if key in values else "neither a text nor a number"
                self.refuse(f"the field {shown(key)!r} is {why}")
            if any(0xD800 <= ord(c) <= 0xDFFF for c in key + value):
                self.refuse("half a surrogate pair is no character")
            values[key] = value
        self._apart(end, "the JSON object")
        return values

    def _json(self, line: str) -> tuple[list[tuple[str, object]], int]:
        # Objects come as lists of pairs, so that a field given twice is seen; numbers keep their spelling.
        decoder = json.JSONDecoder(
            object_pairs_hook=lambda pairs: pairs, parse_int=str, parse_float=str, parse_constant=lambda _: None
        )
        try:
            found, end = decoder.raw_decode(line, self._at)
        except json.JSONDecodeError as error:
            raise LineRefused(min(error.pos, len(line)) + 1, f"bad JSON: {error.msg}") from None
        except RecursionError:
            self.refuse("bad JSON: too deeply nested")
        assert isinstance(found, list)
        return found, end

    def _closing(self, begin: int, *, escapes: bool) -> int | None:
        """Index of the quote that closes the one at `begin`.

        A straight quote is closed by a straight one if there is any, so that “ ” may stand inside; otherwise, as
        after a smart quote, the next quote of any kind closes. With `escapes`, one after a backslash does not count.
        """
        line = self._line
        quotes = '"' if line[begin] == '"' else _QUOTES
        for allowed in (quotes, _QUOTES):
            at = begin + 1
            while at < len(line):
                if escapes and line[at] == "\\":
                    at += 1
                elif line[at] in allowed:
                    return at
                at += 1
        return None

    def _apart(self, end: int, what: str) -> None:
        if end < len(self._line) and not self._line[end].isspace():
            raise LineRefused(end + 1, f"white space is missing after {what}")
        self._move(end)

    def _move(self, to: int) -> None:
        self._at = to
        self._skip_space()

    def _skip_space(self) -> None:
        while self._at < len(self._line) and self._line[self._at].isspace():
            self._at += 1


def _meant(word: str) -> str | None:
    """The duration that a person may have meant by `word`: 30 -> 30s, 5sec -> 5s, 1,5m -> 1.5m."""
    match = _LOOSE_DURATION.fullmatch(word.lower())
    if match is None:
        return None
    unit = match[2] if match[2] in _SECONDS else _UNITS.get(match[2])
    if unit is None:
        close = nearest(match[2], [*_SECONDS, *filter(None, _UNITS)])
        unit = _UNITS.get(close, close) if close else "s"
    return match[1].replace(",", ".") + unit
