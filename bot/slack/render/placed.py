"""Answers about what runs where: placements, drift, differences, and how well deploying goes there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.insight import DriftKind, Relation
from bot.slack.render import blocks as b
from bot.slack.render.message import Message, compose
from bot.slack.render.text import clause, count, doer, duration, escape, instant, plain, sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bot.domain.dora import Figures
    from bot.domain.history import Placement
    from bot.domain.ids import EnvironmentName, ServiceName
    from bot.domain.insight import Difference, Drift, Stats

    Block = b.Block

_SHOWN = 20
_ENVIRONMENTS = 20
_ODD = frozenset({DriftKind.CHANGED, DriftKind.UNREADABLE})
_ODD_SHOWN = 5
_RELATIONS = {
    Relation.SAME: ("✓", "Same"),
    Relation.RENAMED: ("✓", "Same artifact"),
    Relation.REBUILT: ("≠", "Built twice"),
    Relation.ONE_AHEAD: ("≠", "Ahead"),
    Relation.OTHER_AHEAD: ("≠", "Behind"),
    Relation.MISSING_IN_ONE: ("≠", "Missing"),
    Relation.MISSING_IN_OTHER: ("≠", "Missing"),
    Relation.MISSING_IN_BOTH: ("–", "Nowhere"),
}


def placed(placement: Placement, *, full: bool = False) -> str:
    """What runs in one place, in a line; with the environment if ``full``."""
    place = f" in {escape(placement.environment, 60)}" if full else ""
    release = placement.release
    digest = f" ({escape(release.short_digest, 20)})" if release.is_named else ""
    return (
        f"{escape(placement.service, 60)}{place}: *{escape(release.version, 60)}*{digest} "
        f"since {instant(placement.since)}, {doer(placement.by)}"
    )


def where(placements: Sequence[Placement], drifts: Iterable[Drift] = ()) -> Message:
    """What runs where, grouped by environment; with what was changed outside the bot, or could not be read."""
    odd = {
        (one.service, one.environment): one for one in drifts if one.kind in {DriftKind.CHANGED, DriftKind.UNREADABLE}
    }
    content: list[Block] = [b.header("What runs where")]
    environments = list(dict.fromkeys([*(p.environment for p in placements), *(place for _, place in odd)]))
    shown = 0
    for environment in environments[:_ENVIRONMENTS]:
        here = [placement for placement in placements if placement.environment == environment]
        lines = []
        for placement in here[:_SHOWN]:
            lines.append(placed(placement))
            if drift := odd.get((placement.service, environment)):
                lines.append(_drifted(drift))
        known = {placement.service for placement in here}
        lines += [
            f"{escape(one.service, 60)}: {_drifted(one)}"
            for one in odd.values()
            if one.environment == environment and one.service not in known
        ][:_SHOWN]
        shown += len(here[:_SHOWN])
        content.append(b.section(f"*{escape(environment, 80)}*\n" + "\n".join(lines)))
    if not environments:
        content.append(b.section("Nothing that the bot knows of."))
    if shown < len(placements):
        content.append(b.context(f"… and {len(placements) - shown} more."))
    spoken = "; ".join(
        f"{escape(p.service, 60)} {escape(p.release.version, 60)} in {escape(p.environment, 60)}"
        for p in placements[:10]
    )
    outside = [one for one in odd.values() if one.kind is DriftKind.CHANGED]
    text = f"What runs where: {spoken or 'nothing that the bot knows of'}."
    if outside:
        text += f" {count(len(outside), 'place')} changed outside the bot: {_places(outside)}."
    return compose(text, content)


def diff(
    differences: Sequence[Difference], one: EnvironmentName, other: EnvironmentName, drifts: Iterable[Drift] = ()
) -> Message:
    """In what two environments differ, those that do first; and where what is compared is not what runs."""
    differing = [found for found in differences if found.differs]
    alike = [found for found in differences if not found.differs]
    title = f"{plain(one, 60)} and {plain(other, 60)}"
    content: list[Block] = [b.header(f"Differences of {title}")]
    lines = [_differs(found, one, other) for found in [*differing, *alike]]
    shown = lines[:_SHOWN]
    content += [b.section("\n".join(shown[start : start + 5])) for start in range(0, len(shown), 5)]
    if len(lines) > len(shown):
        content.append(b.context(f"… and {len(lines) - len(shown)} more."))
    if not lines:
        content.append(b.section("– No service runs in both."))
    odd = [drift for drift in drifts if drift.kind in _ODD and drift.environment in {one, other}]
    for drift in odd[:_ODD_SHOWN]:
        content.append(b.section(f"{escape(drift.service, 60)} in {escape(drift.environment, 60)}: {_drifted(drift)}"))
    said = f"{count(len(differing), 'service')} of {len(differences)} differ between {escape(one, 80)} and "
    content.append(b.context("What counts is the artifact, not the name of the version."))
    spoken = " ".join(sentence(escape(found.sentence, 200)) for found in differing[:5])
    if odd:
        spoken += f" Not as it was recorded: {_places(odd)}."
    return compose(f"{said}{escape(other, 80)}. {spoken}".strip(), content)


def stats(found: Stats) -> Message:
    """How well deploying goes in a place, each figure with what it means. The chart follows as an image."""
    figures = found.figures
    where = _where(figures.service, figures.environment)
    values = _figures(figures)
    content: list[Block] = [
        b.header(f"Delivery of {plain(where, 110)}"),
        b.context(f"From {instant(figures.since)} to {instant(figures.until)}"),
        b.fields([(label.capitalize(), value) for label, value in values.items()]),
    ]
    meaning = [f"*{escape(label, 60).capitalize()}*: {escape(text, 700)}" for label, text in found.definitions.items()]
    content += [b.context(line) for line in meaning[:8]]
    said = "; ".join(f"{label} {value.partition(chr(10))[0]}" for label, value in values.items())
    return compose(f"Delivery of {escape(where, 120)}: {said}.", content)


def _figures(figures: Figures) -> dict[str, str]:
    rate = figures.failure_rate
    failed = (
        f"{rate:.0%}\n{figures.failures} of {count(figures.changes, 'change')}" if rate is not None else "none known"
    )
    restore = duration(figures.time_to_restore) if figures.time_to_restore is not None else "nothing to restore"
    if figures.unrestored:
        restore += f"\n{count(figures.unrestored, 'failure')} not over yet"
    return {
        "deployment frequency": f"{_often(figures.per_day)}\n{figures.succeeded} succeeded",
        "lead time": duration(figures.lead_time) if figures.lead_time is not None else "none succeeded",
        "change failure rate": failed,
        "time to restore": restore,
    }


def _often(per_day: float) -> str:
    """``3.2 a day``, ``2 a week``, ``1 in 30 days``: in a unit in which it is at least one where possible."""
    if per_day >= 1:
        return f"{per_day:.2g} a day"
    return f"{per_day * 7:.2g} a week" if per_day * 7 >= 1 else f"{per_day * 30:.2g} in 30 days"


def _where(service: ServiceName | None, environment: EnvironmentName | None) -> str:
    if service and environment:
        return f"{service} in {environment}"
    return service or environment or "everything"


def _drifted(drift: Drift) -> str:
    symbol = "!" if drift.kind is DriftKind.CHANGED else "?"
    word = "Changed outside the bot" if drift.kind is DriftKind.CHANGED else "Cannot be read"
    return f"{symbol} *{word}* – {clause(drift.sentence)} · seen {instant(drift.at)}"


def _places(drifts: Sequence[Drift]) -> str:
    return ", ".join(f"{escape(one.service, 60)} in {escape(one.environment, 60)}" for one in drifts[:5])


def _differs(found: Difference, one: EnvironmentName, other: EnvironmentName) -> str:
    symbol, word = _RELATIONS[found.relation]
    if found.relation in {Relation.MISSING_IN_ONE, Relation.MISSING_IN_OTHER}:
        word += f" in {escape(one if found.relation is Relation.MISSING_IN_ONE else other, 60)}"
    elif found.relation in {Relation.ONE_AHEAD, Relation.OTHER_AHEAD} and found.one and found.other:
        here, there = (escape(placement.release.version, 60) for placement in (found.one, found.other))
        runs = f"{here} in {escape(one, 60)}, {there} in {escape(other, 60)}"
        return f"{symbol} *{escape(found.service, 60)}* – {clause(found.sentence)} · {runs}"
    return f"{symbol} *{escape(found.service, 60)}* – {word}: {clause(found.sentence)}"
