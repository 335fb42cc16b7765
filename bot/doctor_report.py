"""What `deployment-architect doctor` prints: a table for people, one JSON object for programs. Looks at nothing."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence

    from bot.doctor import Doctor, Looked
    from bot.domain.finding import Finding

_OK, _LESS, _WRONG = "✓ ok   ", "! less ", "✗ wrong"
_VERBS = re.compile(r"verbs: \[([^\]{}]*)\]")
_LACKS = re.compile(r"may not ([a-z]+) (.+)", re.DOTALL)
_EACH = 2
"""Things that are right are told each, up to so many about one thing; a program gets them all."""
_QUIET = 1.0
"""Seconds for which nobody wonders what takes so long."""
_AGAIN = 2.0


def as_text(looked: Sequence[Looked]) -> Iterator[str]:
    """The lines by what they belong to, what to do under what is not there, the sum, and what comes next.

    What is right is told in few words.
    """
    groups: dict[str, list[Looked]] = {}
    for one in looked:
        groups.setdefault(one.group, []).append(one)
    for group, parts in groups.items():
        yield _safe(group)
        width = max(len(_part(one)) for one in parts)
        for one in parts:
            yield from _told(one, width)
        yield ""
    yield from _sum([finding for one in looked for finding in one.findings])


def _told(one: Looked, width: int) -> Iterator[str]:
    """The lines about one thing: what is wrong first, then what to do about all of it, then what is right."""
    good = [finding for finding in one.findings if finding.ok]
    bad = [finding for finding in one.findings if not finding.ok]
    begin = f"  {{}}  {_part(one):<{width}}  "
    for less in (False, True):
        for what in _folded([finding.what for finding in bad if finding.less == less]):
            yield begin.format(_LESS if less else _WRONG) + _safe(what)
    for fix in _fixes([finding.fix for finding in bad if finding.fix]):
        for number, line in enumerate(fix):
            yield f"{'':<{len(_OK) + 4 + width}}{'  ' if number else '→ '}{_safe(line)}"
    if len(good) > _EACH:
        few = "the other" if bad else "all"
        yield begin.format(_OK) + f"{few} {len(good)} things that it needs are there"
    else:
        yield from (begin.format(_OK) + _safe(finding.what) for finding in good)


def _folded(said: Sequence[str]) -> Iterator[str]:
    """The same with one line for all verbs that are missing of one thing."""
    lines: dict[str, list[str]] = {}
    for what in said:
        lacks = _LACKS.fullmatch(what)
        lines.setdefault(f"may not {{}} {lacks[2]}" if lacks else what, []).extend([lacks[1]] if lacks else [])
    for line, verbs in lines.items():
        yield line.replace("{}", ", ".join(verbs), 1) if verbs else line


def _fixes(fixes: Sequence[str]) -> Iterator[list[str]]:
    """The lines of each thing to do: rules that stand in one place under one heading, with all their verbs."""
    places: dict[str, dict[str, list[str]]] = {}
    for fix in dict.fromkeys(fixes):
        first, *rest = fix.splitlines()
        if not rest or not all(_VERBS.search(line) for line in rest):
            yield [first, *rest]
            continue
        rules = places.setdefault(first, {})
        for line in rest:
            rules.setdefault(_VERBS.sub("verbs: [{}]", line), []).extend(_VERBS.findall(line))
    for first, rules in places.items():
        yield [first, *(rule.replace("{}", ", ".join(dict.fromkeys(verbs))) for rule, verbs in rules.items())]


def _sum(every: Sequence[Finding]) -> Iterator[str]:
    wrong, less = sum(finding.wrong for finding in every), sum(finding.less for finding in every)
    counts = f"{wrong} wrong, {less} less, {len(every) - wrong - less} ok"
    if wrong:
        yield f"✗ {counts}: something could not be deployed. Nothing was changed."
    elif less:
        yield f"✓ {counts}: everything can be deployed, and less be told of it. Nothing was changed."
    else:
        yield f"✓ {counts}: all are as they must be. Nothing was changed."
    if wrong or less:
        yield "Next: mend it from the top down (→ says how), then run `deployment-architect doctor` again."


def _part(one: Looked) -> str:
    return one.part or one.about


def as_json(looked: Sequence[Looked]) -> str:
    """One object: ``ok``, how many are ``wrong`` and how many tell ``less``, and each finding with what it is about."""
    findings = [
        {
            "about": one.about,
            "outcome": "less" if finding.less else "wrong" if finding.wrong else "ok",
            "ok": finding.ok,
            "what": finding.what,
            "fix": finding.fix,
        }
        for one in looked
        for finding in one.findings
    ]
    counts = {outcome: sum(each["outcome"] == outcome for each in findings) for outcome in ("wrong", "less")}
    return json.dumps({"ok": all(one.ok for one in looked), **counts, "findings": findings}, indent=2)


def _safe(text: str) -> str:
    """One line, whatever a cluster said: what a terminal would obey is written as its escape."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


async def watched(
    doctor: Doctor,
    work: Coroutine[object, object, list[Looked]],
    say: Callable[[str], None],
    *,
    quiet: float = _QUIET,
    again: float = _AGAIN,
) -> list[Looked]:
    """The result of ``work``; when it takes longer than a moment, ``say`` is told how far it is."""
    looking = asyncio.ensure_future(work)
    try:
        pause = quiet
        while not (await asyncio.wait({looking}, timeout=pause))[0]:
            names = ", ".join(doctor.waiting[:3]) + (" …" if len(doctor.waiting) > 3 else "")
            say(f"… {doctor.done} of {doctor.total or '?'} looked at{f', now {names}' if names else ''}")
            pause = again
        return looking.result()
    finally:
        looking.cancel()
