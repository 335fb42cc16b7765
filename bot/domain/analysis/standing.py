"""What all checks of a release come to at one moment. Looks at nothing itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bot.domain.analysis.judgement import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from bot.domain.analysis.judgement import Judgement
    from bot.domain.analysis.watch import Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """What one check says at one moment."""

    check: str
    verdict: Verdict
    required: bool = True
    sentence: str
    last: Judgement | None = None
    """The last look; its own verdict is that of one look, and one failing look trips nothing."""
    waived: bool = False
    """A person has decided that it does not count."""

    @property
    def fails(self) -> bool:
        """Whether it stops the release."""
        return self.verdict is Verdict.FAIL and not self.waived

    @property
    def doubts(self) -> bool:
        """Whether it keeps the release where it is."""
        return self.required and self.verdict is Verdict.INCONCLUSIVE and not self.waived


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What all checks say at one moment. Without any check it is a pass: nothing was asked for."""

    stands: tuple[Stand, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """One that trips fails all; one that is required and cannot tell leaves all open."""
        if any(stand.fails for stand in self.stands):
            return Verdict.FAIL
        if any(stand.doubts for stand in self.stands):
            return Verdict.INCONCLUSIVE
        return Verdict.PASS

    @property
    def sentence(self) -> str:
        """The most important of it."""
        ordered = [stand for stand in self.stands if stand.fails] or [stand for stand in self.stands if stand.doubts]
        if ordered:
            more = len(ordered) - 1
            return ordered[0].sentence + (f" {more} more {'does' if more == 1 else 'do'} not pass." if more else "")
        if not self.stands:
            return "There are no checks."
        waived = sum(stand.waived for stand in self.stands)
        return f"Every check passes{f', {waived} of them waived' if waived else ''}."

    def since(self, at: datetime) -> Standing:
        """The same with passes that are older than ``at`` taken back: they say nothing about what changed then."""
        return Standing(stands=tuple(_since(stand, at) for stand in self.stands))

    def waiving(self, waived: Iterable[tuple[str, Verdict]]) -> Standing:
        """The same without what people have waived: each a check with the verdict that they knew of.

        Who waived a check that could not tell did not waive that it fails.
        """
        known: dict[str, set[Verdict]] = {}
        for check, verdict in waived:
            known.setdefault(check, set()).add(verdict)
        return Standing(
            stands=tuple(replace(stand, waived=_covers(known.get(stand.check), stand)) for stand in self.stands)
        )

    def left(self) -> tuple[Stand, ...]:
        """The checks that do not let the release go on."""
        return tuple(stand for stand in self.stands if stand.fails or stand.doubts)


def standing_of(watches: Iterable[Watch], at: datetime, *, weight: int = 100) -> Standing:
    """What all checks come to at ``at``; at a ``weight`` of 0, only those that need no traffic."""
    return Standing(
        stands=tuple(
            Stand(
                check=watch.check.name,
                verdict=watch.verdict(at),
                required=watch.check.required,
                sentence=watch.sentence(at),
                last=watch.last,
            )
            for watch in watches
            if weight > 0 or not watch.check.needs_traffic
        )
    )


def _since(stand: Stand, at: datetime) -> Stand:
    if stand.verdict is Verdict.PASS and (stand.last is None or stand.last.at < at):
        return replace(
            stand, verdict=Verdict.INCONCLUSIVE, sentence=f"{stand.check}: not looked at since the last change."
        )
    return stand


def _covers(known: set[Verdict] | None, stand: Stand) -> bool:
    if not known:
        return False
    return Verdict.FAIL in known or stand.verdict in known
