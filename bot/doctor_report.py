"""What `deployment-architect doctor` prints: a table for people, one JSON object for programs. Looks at nothing."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence

    from bot.doctor import Doctor, Looked

_GOOD, _BAD = "✓ ok   ", "✗ wrong"
_EACH = 2
"""Things that are right are told each, up to so many about one thing; a program gets them all."""
_QUIET = 1.0
"""Seconds for which nobody wonders what takes so long."""
_AGAIN = 2.0


def as_text(looked: Sequence[Looked]) -> Iterator[str]:
    """The lines of the table, what to do under what is wrong, and the sum. What is right is told in few words."""
    width = max((len(one.about) for one in looked), default=0)
    for one in looked:
        good = [finding for finding in one.findings if finding.ok]
        for finding in one.findings:
            if not finding.ok:
                yield f"{_BAD}  {one.about:<{width}}  {_safe(finding.what)}"
                yield from (f"{'':<{len(_BAD) + 4 + width}}{_safe(line)}" for line in finding.fix.splitlines())
        if len(good) > _EACH:
            few = f"{'all' if one.ok else 'the other'} {len(good)} things that it needs are there"
            yield f"{_GOOD}  {one.about:<{width}}  {few}"
        else:
            yield from (f"{_GOOD}  {one.about:<{width}}  {_safe(finding.what)}" for finding in good)
    every = [finding for one in looked for finding in one.findings]
    wrong = sum(not finding.ok for finding in every)
    yield ""
    if wrong:
        yield f"✗ {wrong} of {len(every)} {'is' if wrong == 1 else 'are'} not as it must be. Nothing was changed."
    else:
        yield f"✓ All {len(every)} are as they must be. Nothing was changed."


def as_json(looked: Sequence[Looked]) -> str:
    """One object: ``ok``, and each finding with what it is about."""
    findings = [
        {"about": one.about, "ok": finding.ok, "what": finding.what, "fix": finding.fix}
        for one in looked
        for finding in one.findings
    ]
    return json.dumps({"ok": all(one.ok for one in looked), "findings": findings}, indent=2)


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
