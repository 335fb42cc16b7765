"""A check over time: how many failing looks trip it, and how many good ones let it go again.

Looks are counted once and only when they share no data, so neither a look that is repeated after a crash nor windows
that overlap make two failures of one. With two of three, the defaults, looks that err in one to three of a hundred come
to one alarm in four thousand to three hundred looks for a share whose truth lies exactly on its limit, and to next to
none for one that is better: that is what makes it fair to look again and again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice
from math import ceil
from typing import TYPE_CHECKING

from bot.domain.analysis.judgement import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from bot.domain.analysis.check import Check
    from bot.domain.analysis.judgement import Judgement

_EARLY = 0.9
"""Part of an interval after which a look counts as the next one: clocks and timers are not exact."""
_MEMORY = 4
"""How many times further back than `Check.of` a check is seen to fail on and off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """When was looked, and what came of it."""

    at: datetime
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A check with the looks at it so far."""

    check: Check
    looks: tuple[Look, ...] = ()
    """As far back as is needed, the oldest first."""
    last: Judgement | None = None
    tripped: datetime | None = None
    """Since when it counts as failing; None when it does not."""
    why: str = ""
    """Why it tripped."""

    def next_look(self, since: datetime) -> datetime:
        """When to look next, if traffic has gone where it goes ``since`` then: never at data from before that."""
        first = since + timedelta(seconds=self.check.window)
        return first if self.last is None else max(first, self.last.at + timedelta(seconds=self.check.interval))

    def seen(self, judgement: Judgement) -> Watch:
        """The watch after a look. One that comes again or before its time changes nothing.

        Only in place of one that could not tell may the next come sooner: a source that did not answer is asked again.
        """
        looks = self.looks
        if self.last is not None and judgement.at < self.last.at + timedelta(seconds=self.check.interval * _EARLY):
            if self.last.verdict is not Verdict.INCONCLUSIVE or judgement.at <= self.last.at:
                return self
            looks = looks[:-1]
        looks = (*looks, Look(at=judgement.at, verdict=judgement.verdict))[-_kept(self.check) :]
        after = replace(self, looks=looks, last=judgement)
        if judgement.verdict is Verdict.FAIL and not self.tripped and (why := _trips(after)):
            return replace(after, tripped=judgement.at, why=why)
        if self.tripped and _recovered(after):
            return replace(after, tripped=None, why="")
        return after

    def verdict(self, at: datetime) -> Verdict:
        """What the check says at ``at``. A pass is one only while it is fresh."""
        if self.tripped:
            return Verdict.FAIL
        if self.last is None or self.last.verdict is not Verdict.PASS or self._old(at):
            return Verdict.INCONCLUSIVE
        return Verdict.PASS

    def sentence(self, at: datetime) -> str:
        """Why it says so."""
        if self.last is None:
            return f"{self.check.name}: not looked at yet."
        if self.tripped:
            return f"{self.last.sentence} {self.why}"
        if self._old(at):
            return f"{self.last.sentence} That was {(at - self.last.at).total_seconds():.0f} s ago."
        if self.last.verdict is Verdict.FAIL:
            failing = _failing(self, self.check.of)
            looks = "1 failing look" if failing == 1 else f"{failing} failing looks"
            return f"{self.last.sentence} {looks}, {self.check.failures} trip it."
        return self.last.sentence

    def _old(self, at: datetime) -> bool:
        return self.last is not None and at > self.last.at + timedelta(seconds=self.check.oldest)


def _kept(check: Check) -> int:
    """How many looks must be remembered."""
    return check.of * _MEMORY * ceil(check.apart / check.interval) + 1


def _apart(watch: Watch) -> Iterator[Look]:
    """The looks that share no data, the newest first."""
    span = timedelta(seconds=watch.check.apart * _EARLY)
    newest: Look | None = None
    for look in reversed(watch.looks):
        if newest is None or look.at <= newest.at - span:
            newest = look
            yield look


def _failing(watch: Watch, looks: int) -> int:
    return sum(look.verdict is Verdict.FAIL for look in islice(_apart(watch), looks))


def _trips(watch: Watch) -> str:
    """Why a failing look trips it; empty if it does not."""
    check = watch.check
    if (failing := _failing(watch, check.of)) >= check.failures:
        return f"{failing} of the last {check.of} looks failed." if check.of > 1 else "It takes one failing look."
    far = check.of * _MEMORY
    if (failing := _failing(watch, far)) > check.failures:
        return f"It fails on and off: {failing} of the last {far} looks failed."
    return ""


def _recovered(watch: Watch) -> bool:
    """Whether as many looks in a row were good as it took bad ones. No data is no recovery."""
    newest = [look.verdict for look in islice(_apart(watch), watch.check.failures)]
    return len(newest) == watch.check.failures and all(verdict is Verdict.PASS for verdict in newest)
