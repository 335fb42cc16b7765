"""Prints a play as it goes: what people typed, what the bot answered, what held and what did not.

Two forms of the same facts: a conversation for people and one JSON object a line for programs. It decides nothing
about the play, and it lets no control character out of a message reach a terminal.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from typing import TYPE_CHECKING, Any, TextIO

from bot.sandbox.script.lines import Command, PersonLine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bot.sandbox.script.lines import Line, Script
    from bot.sandbox.script.problems import ScriptError
    from bot.sandbox.script.witness import Heard

REFUSED = 2  # exit code of a script that was not understood

_BOLD, _DIM, _RED, _GREEN, _CYAN = "1", "2", "31", "32", "36"
# Control characters could rewrite what was printed before; the bidirectional ones could reorder a line.
_HARMFUL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_GUTTER = " " * 11


class Transcript:
    """The output of one play. `elapsed` gives the seconds since it began."""

    def __init__(self, out: TextIO, *, as_json: bool, elapsed: Callable[[], float]) -> None:
        self._out = out
        self._as_json = as_json
        self._elapsed = elapsed
        self._colours = not as_json and _wants_colours(out)

    def began(self, script: Script) -> None:
        if self._as_json:
            self._object("began", script=script.name, lines=len(script.lines))

    def typed(self, line: PersonLine) -> None:
        """A person's line, before it is done."""
        if self._as_json:
            channel = {"channel": line.channel} if isinstance(line, Command) else {}
            self._object("typed", line=line.number, who=line.who, text=line.source, **channel)
            return
        what = line.source.removeprefix(f"@{line.who}").strip()
        self._stamped(self._paint(f"@{line.who}", _BOLD) + f"  {_clean(what)}")

    def played(self, line: Line, note: str = "") -> None:
        """A line that neither asks nor says anything: kill, start, fault, sleep."""
        if self._as_json:
            self._object("played", line=line.number, text=line.source, note=note)
            return
        self._stamped(self._paint("·", _DIM) + f" {line.source}" + (self._paint(f"  ({note})", _DIM) if note else ""))

    def heard(self, heard: Heard) -> None:
        """Something that came, changed or went before somebody's eyes."""
        if self._as_json:
            self._object(
                heard.kind,
                where=heard.where,
                author=heard.author,
                channel=heard.channel,
                only_for=heard.to,
                text=heard.text,
            )
            return
        indent = "    " if heard.where == "thread" else "  "
        mark = "↳ " if heard.where == "thread" else ""
        self._stamped(
            indent + mark + self._paint(heard.author or "workspace", _CYAN) + self._paint(_place(heard), _DIM)
        )
        for shown in _body(heard):
            self._write(f"{_GUTTER}{indent}  {_clean(shown)}")

    def told(self, text: str) -> None:
        """A remark on the line before: a confirm dialog, what Slack said instead of the bot."""
        if self._as_json:
            self._object("note", text=text)
            return
        for shown in text.splitlines():
            self._write(f"{_GUTTER}  {self._paint(_clean(shown), _DIM)}")

    def held(self, line: Line, seconds: float, note: str = "") -> None:
        """A wait, expect, click or submit that held, after so many seconds.

        People need no second line for what somebody did: its answer stands there already.
        """
        if self._as_json:
            self._object("held", line=line.number, text=line.source, seconds=round(seconds, 3), note=note)
            return
        if isinstance(line, PersonLine):
            return
        after = f"held after {seconds:.1f} s" + (f", {note}" if note else "")
        self._stamped(f"{self._paint('✓', _GREEN)} {_clean(line.source)}  {self._paint(f'({after})', _DIM)}")

    def missed(self, line: Line, seconds: float, why: str, details: Sequence[str] = ()) -> None:
        """A line that did not hold, why, and what there was instead."""
        if self._as_json:
            self._object(
                "missed", line=line.number, text=line.source, seconds=round(seconds, 3), why=why, details=list(details)
            )
            return
        self._stamped(f"{self._paint('✗', _RED)} {_clean(line.source)}  {self._paint(f'(line {line.number})', _DIM)}")
        self._write(f"{_GUTTER}  {self._paint('missed', _RED)} after {seconds:.1f} s: {_clean(why)}")
        for detail in details:
            for shown in detail.splitlines():
                self._write(f"{_GUTTER}    {_clean(shown)}")

    def ended(self, *, held: int, missed: int, unplayed: int) -> None:
        """The closing summary."""
        if self._as_json:
            self._object("ended", passed=not missed, held=held, missed=missed, unplayed=unplayed)
            return
        word = self._paint("✗ failed", _RED) if missed else self._paint("✓ passed", _GREEN)
        counts = f"{held} held, {missed} missed" + (_unplayed(unplayed))
        self._write("")
        self._write(f"{word}: {counts}, {self._elapsed():.1f} s")

    def _stamped(self, text: str) -> None:
        self._write(f"{self._paint(f'{self._elapsed():7.2f}s', _DIM)}  {text}")

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colours and text else text

    def _object(self, kind: str, **facts: Any) -> None:
        # Escapes keep it one line and pure ASCII, whatever the messages hold and the terminal can show.
        self._write(json.dumps({"at": round(self._elapsed(), 3), "type": kind, **facts}))

    def _write(self, text: str) -> None:
        encoding = self._out.encoding or "utf-8"
        self._out.write(text.rstrip().encode(encoding, "replace").decode(encoding) + "\n")
        self._out.flush()


def refuse(error: ScriptError, out: TextIO, *, as_json: bool) -> int:
    """Print why a script was not played and return the exit code for it."""
    for problem in error.problems:
        if as_json:
            facts = {"file": problem.file, "line": problem.line, "column": problem.column}
            said = {"type": "refused", **facts, "message": problem.message, "meant": problem.meant}
            out.write(json.dumps(said) + "\n")
        else:
            encoding = out.encoding or "utf-8"
            out.write(str(problem).encode(encoding, "replace").decode(encoding) + "\n")
    out.flush()
    return REFUSED


def _place(heard: Heard) -> str:
    channel = f"#{heard.channel.removeprefix('#')}" if heard.channel else ""
    where = {
        "channel": f" in {channel or 'a channel'}",
        "thread": " in the thread",
        "dm": f" to @{heard.to} directly",
        "ephemeral": f" to @{heard.to} (only you)",
        "home": f" on @{heard.to}'s Home tab",
        "modal": f" in a modal of @{heard.to}",
    }[heard.where]
    return where + {"new": "", "edited": " (edited)", "gone": " (gone)"}[heard.kind]


def _body(heard: Heard) -> list[str]:
    """The text; of an edit only the lines that changed; nothing of what is gone."""
    if heard.kind == "gone":
        return []
    new = [line for line in heard.text.splitlines() if line.strip()]
    if heard.kind == "new":
        return new
    old = [line for line in heard.before.splitlines() if line.strip()]
    changes = difflib.ndiff(old, new)
    return [change.rstrip() for change in changes if change[:1] in "+-" and change[2:].strip()]


def _unplayed(lines: int) -> str:
    return f", {lines} line{'s' if lines > 1 else ''} not played" if lines else ""


def _clean(text: str) -> str:
    return _HARMFUL.sub("\ufffd", text)


def _wants_colours(out: TextIO) -> bool:
    return out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
