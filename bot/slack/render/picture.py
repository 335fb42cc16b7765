"""The picture of a check over time: what runs on trial, what was there before, the limit, and the steps shaded.

Pure: it says what is to be drawn, and draws nothing.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from bot.charts import Chart, Limit, Series, Span
from bot.domain.analysis.check import Good, Kind
from bot.domain.analysis.judgement import Verdict
from bot.domain.metric import Track
from bot.slack.render.text import listed, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from bot.domain.analysis.check import Check
    from bot.domain.metric import Point
    from bot.domain.progression import Looks
    from bot.domain.view import DeploymentView

_MOST_POINTS = 400
_MOST_STEPS = 6
"""Steps that are shaded, the last ones: more cannot be told apart."""


def picture(view: DeploymentView) -> Chart | None:
    """The check that says most just now, as it has gone so far; None without readings."""
    progression = view.deployment.progression
    if progression is None:
        return None
    looks = {one.check: one for one in progression.looks}
    told = [
        check
        for check in view.checks
        if any(point.value is not None for points in view.readings.get(check.name, {}).values() for point in points)
    ]
    if not told:
        return None
    check = min(told, key=lambda one: _rank(looks.get(one.name)))
    tracks = view.readings[check.name]
    release, previous = view.deployment.release, view.deployment.previous
    labels = {
        Track.CANARY: plain(release.version, 30),
        Track.STABLE: f"{plain(previous.release.version, 24)} (stable)" if previous else "stable",
    }
    series = [
        Series(label=label, points=tuple((one.at, _scaled(check, one.value)) for one in points[-_MOST_POINTS:]))
        for track, label in labels.items()
        if (points := tracks.get(track, ()))
    ]
    limits = []
    if check.limit is not None:
        bound = "at least" if check.good is Good.AT_LEAST else "limit"
        limits.append(Limit(label=f"{bound} {check.show(check.limit)}", value=_scaled(check, check.limit) or 0.0))
    spans = _spans(view, series)
    before = progression.before.get(check.name)
    if before is not None and (was := _scaled(check, before.number)) is not None:
        # A line of its own colour and marks: only what must be kept is dashed.
        times = [at for one in series for at, _ in one.points]
        label = f"before: {check.show(before.number or 0.0)}"
        series.append(Series(label=label, points=((min(times), was), (max(times), was))))
    return Chart(
        title=f"{check.name} of {view.deployment.service} in {view.deployment.environment}",
        alt=_alt(view, check, tracks, looks.get(check.name)),
        unit="%" if check.kind is Kind.SHARE else check.unit,
        series=tuple(series),
        limits=tuple(limits),
        spans=spans,
    )


def _rank(looks: Looks | None) -> int:
    if looks is None or looks.last is None:
        return 3
    return 0 if looks.tripped else {Verdict.FAIL: 0, Verdict.INCONCLUSIVE: 1, Verdict.PASS: 2}[looks.last.verdict]


def _scaled(check: Check, value: float | None) -> float | None:
    return value * 100 if value is not None and check.kind is Kind.SHARE else value


def _spans(view: DeploymentView, series: Sequence[Series]) -> tuple[Span, ...]:
    """Every step so far, as far as there are readings of it."""
    progression = view.deployment.progression
    times = [at for one in series for at, _ in one.points]
    if progression is None or not times:
        return ()
    first, last = min(times), max(times)
    ended = view.deployment.finished_at
    found = []
    for one in progression.steps:
        begin: datetime = max(first, one.at)
        end: datetime = min(last, one.left or ended or last)
        if begin < end:
            found.append(Span(label=f"{one.weight} % of traffic", begin=begin, end=end))
    return tuple(found[-_MOST_STEPS:])


def _alt(view: DeploymentView, check: Check, tracks: Mapping[Track, Sequence[Point]], looks: Looks | None) -> str:
    """The picture in words, with its numbers."""
    deployment, progression = view.deployment, view.deployment.progression
    name, service, environment = (plain(text, 60) for text in (check.name, deployment.service, deployment.environment))
    parts = []
    for track in (Track.CANARY, Track.STABLE):
        values = [one.value for one in tracks.get(track, ()) if one.value is not None]
        if values:
            shown = check.show(values[-1])
            between = f"between {check.show(min(values))} and {check.show(max(values))}, " if len(values) > 1 else ""
            parts.append(f"the {track} {between}last {shown}")
    if check.limit is not None:
        parts.append(f"{'at least' if check.good is Good.AT_LEAST else 'limit'} {check.show(check.limit)}")
    steps = (
        [f"{one.weight} % from {one.at.astimezone(UTC):%H:%M:%S} UTC" for one in progression.steps]
        if progression
        else []
    )
    said = [f"{name} of {service} in {environment} over time: {'; '.join(parts)}."]
    if steps:
        said.append(f"Steps: {listed(steps[-_MOST_STEPS:], most=_MOST_STEPS)}.")
    said.append(plain(looks.last.sentence, 400) if looks and looks.last else f"{name} has not been judged yet.")
    return plain(" ".join(said), 1_000)
