"""Reads a scenario script into typed lines, or refuses it with every bad line named.

It never plays anything, and it never gives back half a script: one bad line refuses the whole.

    @who [#channel] /deploy …          @who mention "…" [in thread]      @who click "Label" [in PLACE] [cancel]
    @who remembers "Label" [in PLACE]  @who click old "Label"            @who @other click "Label" [in PLACE]
    @who submit {"field": "value"}     @who dm "…"      @who opens home  wait STATE [within 30s]
    expect "text" [in PLACE] [for @who|anyone]                           expect no "text"
    PLACE is one of channel|thread|dm|ephemeral|home|modal
    kill bot     start bot     sleep 2s     fault slack 429 for 5s       fault slack down for 10s
    fault socket drop          fault duplicate deliveries for 10s        fault metrics down for 10s
    # a comment
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.sandbox.script.lines import (
    ANYONE,
    DEFAULT_CHANNEL,
    PLACES,
    STATES,
    AnyLine,
    Click,
    Command,
    Direct,
    Expect,
    Fault,
    FaultName,
    KillBot,
    Mention,
    OpenHome,
    Place,
    Remember,
    Script,
    Sleep,
    StartBot,
    Submit,
    Wait,
)
from bot.sandbox.script.problems import LineRefused, Problem, ScriptError, listed, nearest, shown
from bot.sandbox.script.words import Words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bot.sandbox.script.words import Word

COMMANDS = ("/deploy",)
_NEWLINE = re.compile(r"\r\n|\n|\r")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def parse(text: str, *, name: str, people: Sequence[str]) -> Script:
    """The script in `text`. `name` is its file for messages, `people` the names that may stand after an @.

    Raises ScriptError with every bad line.
    """
    known = tuple(f"@{person.removeprefix('@')}" for person in people)
    lines: list[AnyLine] = []
    problems: list[Problem] = []
    somebody = False
    for number, source in enumerate(_NEWLINE.split(text.removeprefix("\ufeff")), start=1):
        words = Words(source)
        try:
            line = _line(words, source, number, known)
            if isinstance(line, Wait | Expect) and not somebody:
                raise LineRefused(
                    line.column, "nobody has done anything yet: a line such as @ada /deploy … comes first"
                )
        except LineRefused as refused:
            problems.append(Problem(name, number, refused.column, refused.message, refused.meant))
        else:
            lines += [line] if line else []
        somebody = somebody or source.lstrip().startswith("@")
    if not lines and not problems:
        problems.append(Problem(name, 1, 1, "the script is empty, there is nothing to play"))
    if problems:
        raise ScriptError(problems)
    return Script(name, tuple(lines))


def _line(words: Words, source: str, number: int, people: tuple[str, ...]) -> AnyLine | None:
    broken = _SURROGATE.search(source)
    if broken:
        raise LineRefused(broken.start() + 1, "half a surrogate pair is no character: save the script as UTF-8")
    first, column = words.peek(), words.column
    if first is None:
        return None
    if first.text.startswith("@"):
        line = _person_line(words, number, people)
    elif first.text == "expect":
        words.take()
        line = _expect(words, number, column, people)
    elif first.text in _LINES:
        words.take()
        line = _LINES[first.text](words, number, column)
    else:
        raise _no_line(first, people)
    return line


def _no_line(word: Word, people: tuple[str, ...]) -> LineRefused:
    if word.text.startswith("/"):
        example = people[0] if people else "@who"
        return LineRefused(word.column, f"a person comes before a command, as in {example} {COMMANDS[0]} …")
    message = f"{shown(word.text)!r} begins no line (a line begins with @who, {listed(_BEGINNINGS)})"
    return LineRefused(word.column, message, nearest(word.text, [*_BEGINNINGS, *people]))


def _person_line(words: Words, number: int, people: tuple[str, ...]) -> AnyLine:
    column = words.column
    who = words.choose(people, "a person is missing", f"is nobody here (there is {listed(people)})")
    if (following := words.peek()) is not None and following.text.startswith("@"):
        return _together(words, number, column, people, who)
    channel_column, channel = words.column, words.channel()
    deed = words.choose(
        (*COMMANDS, *_DEEDS),
        f"what {who} does is missing: {listed((*COMMANDS, *_DEEDS))}",
        f"is nothing that a person does here ({listed((*COMMANDS, *_DEEDS))})",
    )
    who = who.removeprefix("@")
    if deed in COMMANDS:
        text = words.rest()
        return Command(number, column, words.source, who, deed, text, channel or DEFAULT_CHANNEL)
    if channel is not None:
        raise LineRefused(channel_column, f"only a command takes a channel, {deed} takes none")
    return _DEEDS[deed](words, number, column, who)


def _together(words: Words, number: int, column: int, people: tuple[str, ...], who: str) -> Click:
    everybody = [who]
    while (following := words.peek()) is not None and following.text.startswith("@"):
        other_column = words.column
        other = words.choose(people, "", f"is nobody here (there is {listed(people)})")
        if other in everybody:
            raise LineRefused(other_column, f"{other} has two hands, and presses a button once")
        everybody.append(other)
    words.choose(("click",), "click is missing: together, people only click", "is nothing that people do together")
    click = _click(words, number, column, who.removeprefix("@"))
    if click.cancel or click.old:
        raise LineRefused(column, "people who click together neither cancel nor press an old button")
    return replace(click, others=tuple(one.removeprefix("@") for one in everybody[1:]))


def _mention(words: Words, number: int, column: int, who: str) -> Mention:
    text = words.quotation("what is said")
    in_thread = False
    if not words.ended:
        words.choose(("in",), "", "cannot stand here (only `in thread` or the end of the line)")
        words.choose(("thread",), "thread is missing after in", "cannot stand after in (only thread)")
        in_thread = True
    words.finish()
    return Mention(number, column, words.source, who, text, in_thread)


def _click(words: Words, number: int, column: int, who: str) -> Click:
    old = not words.quoted_next and (word := words.peek()) is not None and word.text == "old"
    if old:
        words.take()
        label = words.quotation("the button's label")
        words.finish()
        return Click(number, column, words.source, who, label, cancel=False, old=True)
    label = words.quotation("the button's label")
    place: Place | None = None
    cancel = False
    if not words.ended:
        what = words.choose(("in", "cancel"), "", "cannot stand here (only `in PLACE`, cancel or the end of the line)")
        if what == "in":
            place = _place(words)
        cancel = what == "cancel"
    if place and not words.ended:
        words.choose(("cancel",), "", "cannot stand here (only cancel or the end of the line)")
        cancel = True
    words.finish()
    return Click(number, column, words.source, who, label, cancel, place)


def _remembers(words: Words, number: int, column: int, who: str) -> Remember:
    label = words.quotation("the button's label")
    place: Place | None = None
    if not words.ended:
        words.choose(("in",), "", "cannot stand here (only `in PLACE` or the end of the line)")
        place = _place(words)
    words.finish()
    return Remember(number, column, words.source, who, label, place)


def _place(words: Words) -> Place:
    where = words.choose(PLACES, f"the place is missing: {listed(PLACES)}", f"is no place ({listed(PLACES)})")
    return next(known for known in PLACES if known == where)


def _direct(words: Words, number: int, column: int, who: str) -> Direct:
    text = words.quotation("what is said")
    words.finish()
    return Direct(number, column, words.source, who, text)


def _submit(words: Words, number: int, column: int, who: str) -> Submit:
    values = words.fields()
    words.finish()
    return Submit(number, column, words.source, who, values)


def _opens(words: Words, number: int, column: int, who: str) -> OpenHome:
    words.choose(("home",), "home is missing after opens", "cannot be opened (only home)")
    words.finish()
    return OpenHome(number, column, words.source, who)


def _wait(words: Words, number: int, column: int) -> Wait:
    state = words.choose(STATES, "the state to wait for is missing", "is no state")
    within = None
    if not words.ended:
        words.choose(("within",), "", "cannot stand here (only `within 30s` or the end of the line)")
        within = words.duration("how long to wait")
    words.finish()
    return Wait(number, column, words.source, state, within)


def _expect(words: Words, number: int, column: int, people: tuple[str, ...]) -> Expect:
    absent = not words.quoted_next
    if absent:
        words.choose(
            ("no",),
            'the expected text is missing, as in expect "…"',
            'cannot stand here (a text in double quotes, or no "…")',
        )
    text = words.quotation("the text")
    place: Place | None = None
    who: str | None = None
    if absent and not words.ended:
        words.refuse('expect no "…" looks everywhere: the line ends after the text')
    openers: tuple[str, ...] = ("in", "for")
    while openers and not words.ended:
        left = ", ".join({"in": f"`in {'|'.join(PLACES)}`", "for": "`for @who|anyone`"}[opener] for opener in openers)
        if words.choose(openers, "", f"cannot stand here (only {left} or the end of the line)") == "in":
            place, openers = _place(words), ("for",)
        else:
            somebody = (*people, ANYONE)
            who = words.choose(somebody, "a person is missing", f"is nobody here (there is {listed(somebody)})")
            openers = ()
    words.finish()
    return Expect(number, column, words.source, text, place, absent, who.removeprefix("@") if who else None)


def _kill(words: Words, number: int, column: int) -> KillBot:
    _bot(words, "kill")
    return KillBot(number, column, words.source)


def _start(words: Words, number: int, column: int) -> StartBot:
    _bot(words, "start")
    return StartBot(number, column, words.source)


def _bot(words: Words, verb: str) -> None:
    words.choose(("bot",), f"bot is missing after {verb}", f"cannot stand after {verb} (only bot)")
    words.finish()


def _fault(words: Words, number: int, column: int) -> Fault:
    kinds = ("slack", "socket", "duplicate", "metrics")
    kind = words.choose(kinds, f"the fault is missing: {listed(kinds)}", f"is no fault ({listed(kinds)})")
    name: FaultName
    if kind == "slack":
        how = words.choose(
            ("429", "down"), "429 or down is missing after slack", "cannot stand here (only 429 or down)"
        )
        name = "429" if how == "429" else "down"
    elif kind == "socket":
        words.choose(("drop",), "drop is missing after socket", "cannot stand after socket (only drop)")
        name = "socket drop"
    elif kind == "metrics":
        words.choose(("down",), "down is missing after metrics", "cannot stand after metrics (only down)")
        name = "metrics down"
    else:
        words.choose(("deliveries",), "deliveries is missing after duplicate", "cannot stand here (only deliveries)")
        name = "duplicate deliveries"
    seconds = None
    if name != "socket drop":
        words.choose(("for",), "how long is missing, as in for 5s", "cannot stand here (only for and a duration)")
        seconds = words.duration("how long")
    words.finish()
    return Fault(number, column, words.source, name, seconds)


def _sleep(words: Words, number: int, column: int) -> Sleep:
    seconds = words.duration("how long to sleep")
    words.finish()
    return Sleep(number, column, words.source, seconds)


_DEEDS: dict[str, Callable[[Words, int, int, str], AnyLine]] = {
    "mention": _mention,
    "dm": _direct,
    "click": _click,
    "remembers": _remembers,
    "submit": _submit,
    "opens": _opens,
}
_LINES: dict[str, Callable[[Words, int, int], AnyLine]] = {
    "wait": _wait,
    "kill": _kill,
    "start": _start,
    "fault": _fault,
    "sleep": _sleep,
}
_BEGINNINGS = ("wait", "expect", *(name for name in _LINES if name != "wait"))
