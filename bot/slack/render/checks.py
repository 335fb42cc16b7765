"""What every check of a rollout says, in lines: the number beside its limit and its baseline, of how much, how old.

Pure, without a clock: an age is that at the time of the look, which is told.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bot.domain.analysis.check import Good
from bot.domain.analysis.judgement import Verdict
from bot.domain.metric import Track
from bot.slack.render.text import clause, count, duration, escape, inner, moment, name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bot.domain.analysis.check import Check
    from bot.domain.analysis.judgement import Judgement
    from bot.domain.progression import Progression
    from bot.domain.strategy.position import Waiver
    from bot.domain.view import DeploymentView

_VERDICTS = {
    Verdict.PASS: ("✓", "Pass"),
    Verdict.FAIL: ("✗", "Fail"),
    Verdict.INCONCLUSIVE: ("?", "Cannot tell"),
}
_MOST = 8
"""Checks that are shown; of the rest it is told how many there are."""
_NAMED = 4


def check_lines(view: DeploymentView) -> list[str]:
    """Every check with what it says now, those that stop it first."""
    progression = view.deployment.progression
    lasts = {one.check: one.last for one in progression.looks} if progression else {}
    tripped = {one.check for one in progression.looks if one.tripped} if progression else set()
    ordered = sorted(view.checks, key=lambda check: _rank(lasts.get(check.name), check.name in tripped))
    lines = [_line(view, progression, check) for check in ordered[:_MOST]]
    if len(ordered) > _MOST:
        lines.append(f"… and {count(len(ordered) - _MOST, 'more check')}")
    return lines


def standing_in_the_way(view: DeploymentView) -> str:
    """``errors fails, latency cannot tell``: what keeps it from being promoted; empty where nothing does."""
    progression = view.deployment.progression
    if progression is None:
        return ""
    found = []
    for check in view.checks:
        if _waiver(progression, check.name) or _waits_for_traffic(progression, check):
            continue
        looks = next((one for one in progression.looks if one.check == check.name), None)
        last, title = looks.last if looks else None, escape(check.name, 60)
        if looks is not None and looks.tripped:
            found.append(f"{title} fails")
        elif last is not None and last.verdict is Verdict.FAIL:
            found.append(f"{title} is about to fail")
        elif check.required and (last is None or last.verdict is Verdict.INCONCLUSIVE):
            found.append(f"{title} cannot tell")
    more = [f"{len(found) - _NAMED} more"] if len(found) > _NAMED else []
    return ", ".join([*found[:_NAMED], *more])


def short(checks: Sequence[Check], judgements: Iterable[Judgement]) -> str:
    """``errors 0.9 % (limit 2 %), latency 120 ms (limit 250 ms)``: what was seen, for the middle of a line."""
    known = {check.name: check for check in checks}
    parts = []
    for one in judgements:
        check = known.get(one.check)
        if check is None or one.value is None:
            continue
        bound = f" ({_bound(check)})" if check.limit is not None else ""
        parts.append(f"{escape(one.check, 60)} {_shown(check, one.value)}{bound}")
    more = [f"{len(parts) - _NAMED} more"] if len(parts) > _NAMED else []
    return ", ".join([*parts[:_NAMED], *more])


def _rank(last: Judgement | None, tripped: bool) -> int:
    if tripped:
        return 0
    if last is None:
        return 3
    return {Verdict.FAIL: 1, Verdict.INCONCLUSIVE: 2, Verdict.PASS: 4}[last.verdict]


def _line(view: DeploymentView, progression: Progression | None, check: Check) -> str:
    title = f"*{escape(check.name, 60)}*"
    looks = next((one for one in progression.looks if one.check == check.name), None) if progression else None
    if progression is not None and _waits_for_traffic(progression, check):
        return f"○ {title} – looked at as soon as it gets traffic"
    if progression is None or looks is None or looks.last is None:
        return f"○ {title} – not looked at yet"
    last = looks.last
    symbol, word = ("✗", "Tripped") if looks.tripped else _VERDICTS[last.verdict]
    if last.verdict is Verdict.INCONCLUSIVE and not looks.tripped and not check.required:
        word = "Cannot tell, and need not"
    if last.pre_existing:
        symbol, word = "–", "Ignored (pre-existing)"
    if (looks.tripped or last.verdict is not Verdict.PASS) and (waiver := _waiver(progression, check.name)):
        symbol, word = "!", f"Waived by {name(waiver.by)} ({clause(waiver.reason, 200) or 'no reason given'})"
    parts, said = [], ""
    if last.verdict is Verdict.INCONCLUSIVE:
        said = inner(clause(last.sentence.removeprefix(f"{check.name}: "), 400))
        parts.append(f"by now {said}" if looks.tripped else said)
    elif last.value is not None:
        parts.append(_shown(check, last.value))
    parts += _yardsticks(view, check, last, told=said)
    if last.samples is not None and last.verdict is not Verdict.INCONCLUSIVE:
        parts.append(count(round(last.samples), "sample"))
    watch = progression.watches([check])[0]
    if why := watch.sentence(last.at).removeprefix(last.sentence).strip():
        parts.append(clause(why))
    parts.append(f"{duration(last.age)} old at {moment(last.at)}" if last.age else f"looked at {moment(last.at)}")
    return f"{symbol} {title} – {word}: {' · '.join(parts)}"


def _yardsticks(view: DeploymentView, check: Check, last: Judgement, *, told: str) -> list[str]:
    """What the number is held to, unless ``told`` says it already."""
    found = [_bound(check)] if check.limit is not None and not _tells(told, _shown(check, check.limit)) else []
    if last.baseline is None or _tells(told, _shown(check, last.baseline)):
        return found
    beside = f"{_whose(view, check, last.baseline)} {_shown(check, last.baseline)}"
    if last.limit is not None and last.limit != check.limit:
        word = "at least" if check.good is Good.AT_LEAST else "at most"
        beside += f", so {word} {_shown(check, last.limit)}"
    return [*found, beside]


def _tells(told: str, number: str) -> bool:
    """Whether that number is in it, and not as the end of a longer one."""
    return bool(re.search(rf"(?<![\d.]){re.escape(number)}", told))


def _bound(check: Check) -> str:
    assert check.limit is not None
    return f"{'at least' if check.good is Good.AT_LEAST else 'limit'} {_shown(check, check.limit)}"


def _whose(view: DeploymentView, check: Check, baseline: float) -> str:
    """Where the number came from that it is compared with."""
    stable = [one.value for one in view.readings.get(check.name, {}).get(Track.STABLE, ())]
    progression = view.deployment.progression
    kept = progression is not None and progression.position.weight == 100  # and gets no traffic any more
    if check.against_stable is not None and baseline in stable and not kept:
        return "stable"
    before = progression.before.get(check.name) if progression else None
    return "before" if before is not None and before.number == baseline else "stable"


def _waits_for_traffic(progression: Progression, check: Check) -> bool:
    """Whether the check can say nothing yet, because the release gets no traffic."""
    return check.needs_traffic and progression.position.begun and progression.position.weight == 0


def _waiver(progression: Progression, check: str) -> Waiver | None:
    return next((one for one in reversed(progression.position.waived) if one.check == check), None)


def _shown(check: Check, value: float) -> str:
    return escape(check.show(value), 60)
