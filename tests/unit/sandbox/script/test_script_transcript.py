"""What a play prints: the conversation for people, one JSON object a line for programs."""

from __future__ import annotations

import io
import json
from itertools import count

import pytest

from bot.sandbox.script.grammar import parse
from bot.sandbox.script.lines import PersonLine, Script
from bot.sandbox.script.problems import ScriptError
from bot.sandbox.script.transcript import Transcript, refuse
from bot.sandbox.script.witness import Heard


class Terminal(io.StringIO):
    """Memory that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def script(text: str) -> Script:
    return parse(text, name="a.script", people=("ada",))


def transcript(out: io.StringIO | io.TextIOWrapper, *, as_json: bool = False) -> Transcript:
    ticks = count()
    return Transcript(out, as_json=as_json, elapsed=lambda: next(ticks) / 4)


def heard(text: str, *, kind: str = "new", where: str = "channel", before: str = "", to: str | None = None) -> Heard:
    return Heard(kind, where, "Deployment Architect", "deployments", to, text, before)  # type: ignore[arg-type]  # kind


def tell_a_story(told: Transcript) -> None:
    played = script('@ada #general /deploy checkout v1.2\nkill bot\nwait succeeded\nexpect "v1.2"')
    person, bot, wait, expect = played.lines
    assert isinstance(person, PersonLine)
    told.began(played)
    told.typed(person)
    told.heard(heard("checkout v1.2\n\n○ deploying"))
    told.heard(heard("checkout v1.2\n● deploying", kind="edited", before="checkout v1.2\n\n○ deploying"))
    told.heard(heard("approval needed", where="thread"))
    told.heard(heard("no such service", where="ephemeral", to="ada"))
    told.heard(heard("", kind="gone", where="modal", to="ada"))
    told.played(bot, "it was not running")
    told.told("Slack: it did not respond")
    told.held(wait, 2.04, "D1")
    told.missed(expect, 10, "no such text within 10 s", ["@ada saw: checkout\n\x1b[2Jv1.1"])
    told.ended(held=1, missed=1, unplayed=2)


def test_the_conversation() -> None:
    out = io.StringIO()
    tell_a_story(transcript(out))
    assert (
        out.getvalue()
        == """\
   0.00s  @ada  #general /deploy checkout v1.2
   0.25s    Deployment Architect in #deployments
               checkout v1.2
               ○ deploying
   0.50s    Deployment Architect in #deployments (edited)
               - ○ deploying
               + ● deploying
   0.75s      ↳ Deployment Architect in the thread
                 approval needed
   1.00s    Deployment Architect to @ada (only you)
               no such service
   1.25s    Deployment Architect in a modal of @ada (gone)
   1.50s  · kill bot  (it was not running)
             Slack: it did not respond
   1.75s  ✓ wait succeeded  (held after 2.0 s, D1)
   2.00s  ✗ expect "v1.2"  (line 4)
             missed after 10.0 s: no such text within 10 s
               @ada saw: checkout
               \ufffd[2Jv1.1

✗ failed: 1 held, 1 missed, 2 lines not played, 2.2 s
"""
    )


def test_a_passing_summary() -> None:
    out = io.StringIO()
    transcript(out).ended(held=3, missed=0, unplayed=0)
    assert out.getvalue().strip() == "✓ passed: 3 held, 0 missed, 0.0 s"


def test_one_json_object_a_line() -> None:
    out = io.StringIO()
    tell_a_story(transcript(out, as_json=True))
    facts = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [fact["type"] for fact in facts] == [
        *("began", "typed", "new", "edited", "new", "new", "gone", "played", "note", "held", "missed", "ended"),
    ]
    assert facts[1] == {
        "at": 0.25,
        "type": "typed",
        "line": 1,
        "who": "ada",
        "text": "@ada #general /deploy checkout v1.2",
        "channel": "general",
    }
    assert facts[3]["text"] == "checkout v1.2\n● deploying"
    assert facts[5]["only_for"] == "ada"
    assert facts[9]["seconds"] == 2.04
    assert facts[10]["details"] == ["@ada saw: checkout\n\x1b[2Jv1.1"]
    assert facts[11] == {"at": 2.75, "type": "ended", "passed": False, "held": 1, "missed": 1, "unplayed": 2}


def test_colours_only_on_a_terminal_that_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def colourful(out: io.StringIO, *, as_json: bool = False) -> bool:
        tell_a_story(transcript(out, as_json=as_json))
        return "\x1b[" in out.getvalue()

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert colourful(Terminal())
    assert not colourful(Terminal(), as_json=True)
    assert not colourful(io.StringIO())
    monkeypatch.setenv("TERM", "dumb")
    assert not colourful(Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not colourful(Terminal())


def test_a_terminal_without_unicode_is_no_reason_to_break() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii", newline="\n")
    tell_a_story(transcript(out))
    assert b"? wait succeeded" in raw.getvalue()


def test_a_refused_script() -> None:
    with pytest.raises(ScriptError) as caught:
        script("@ada opens hom\nwait sucseeded")
    out = io.StringIO()
    assert refuse(caught.value, out, as_json=False) == 2
    assert out.getvalue().splitlines() == [
        "a.script:1:12: 'hom' cannot be opened (only home); did you mean home?",
        "a.script:2:6: 'sucseeded' is no state; did you mean succeeded?",
    ]
    out = io.StringIO()
    assert refuse(caught.value, out, as_json=True) == 2
    assert json.loads(out.getvalue().splitlines()[1]) == {
        "type": "refused",
        "file": "a.script",
        "line": 2,
        "column": 6,
        "message": "'sucseeded' is no state",
        "meant": "succeeded",
    }
