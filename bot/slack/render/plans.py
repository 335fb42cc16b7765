"""What a deployment would change and what is known beforehand: for its card, and as the answer to a dry run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.slack.render import blocks as b
from bot.slack.render.gates import gate_lines
from bot.slack.render.message import Message, compose
from bot.slack.render.text import count, duration, escape, plain

if TYPE_CHECKING:
    from bot.domain.release import Release
    from bot.domain.rollout import Plan
    from bot.domain.view import Forecast

    Block = b.Block

_CHANGES = 5
_WARNINGS = 3
_ENOUGH = 3
"""Deployments from which a share of failures means anything."""


def versions(current: Release | None, target: Release) -> str:
    """``v1.1 → v1.2`` for mrkdwn."""
    version = escape(target.version, 80)
    if current is None or current.same_as(target):
        return version
    return f"{escape(current.version, 80)} → {version}"


def digests(current: Release | None, target: Release) -> str:
    """``76312e317631 → 76312e327631``: what exactly is replaced by what."""
    digest = escape(target.short_digest, 20)
    if current is None or current.same_as(target):
        return digest
    return f"{escape(current.short_digest, 20)} → {digest}"


def downgrade_line(current: Release | None, target: Release) -> str:
    """That something older would replace something newer."""
    what = f"than {escape(current.version, 80)}, which runs now" if current else "than what runs now"
    return f"! *Downgrade*: {escape(target.version, 80)} is older {what}."


def change_lines(plan: Plan, *, most: int = _CHANGES) -> list[str]:
    """One line for each thing that would change, and for each warning."""
    lines = [f"• {escape(change, 200)}" for change in plan.changes[:most]]
    if len(plan.changes) > most:
        lines.append(f"• … and {len(plan.changes) - most} more")
    lines += [f"! *Warning*: {escape(warning, 200)}" for warning in plan.warnings[:_WARNINGS]]
    if len(plan.warnings) > _WARNINGS:
        lines.append(f"! … and {count(len(plan.warnings) - _WARNINGS, 'more warning')}")
    return lines


def experience(forecast: Forecast) -> str:
    """``Usually takes 4 m 12 s · 2 of the last 20 failed``: how the last deployments of it went there."""
    parts = []
    if forecast.usual is not None:
        parts.append(f"Usually takes {duration(forecast.usual)}")
    if forecast.counted >= _ENOUGH and forecast.failure_rate is not None:
        failed = min(max(round(forecast.failure_rate * forecast.counted), 0), forecast.counted)
        how_many = "none" if failed == 0 else "all" if failed == forecast.counted else str(failed)
        parts.append(f"{how_many} of the last {forecast.counted} failed")
    said = " · ".join(parts) or "How long it takes is not known: nothing of it has succeeded here yet"
    return said[:1].upper() + said[1:]


def dry_run(service: str, environment: str, release: Release, plan: Plan, forecast: Forecast | None = None) -> Message:
    """What a deployment would do. Nothing was changed and no lock was taken to find out."""
    known = forecast.current if forecast else None
    current = plan.current.release if plan.current else known
    healthy = f"\n{plan.current.healthy} of {plan.current.instances} healthy" if plan.current else ""
    now = f"{_exactly(current)}{healthy}" if current else "nothing"
    content: list[Block] = [
        b.header(f"Dry run: {plain(service, 60)} to {plain(environment, 60)}"),
        b.fields([("Runs now", now), ("Would run", _exactly(release))]),
    ]
    lines = [downgrade_line(current, release)] if forecast and forecast.downgrade else []
    if plan.no_change:
        lines.append("– *No change*: exactly this runs already and is healthy.")
    else:
        lines += ["*What would change*", *(change_lines(plan, most=20) or ["The target names no change."])]
    content.append(b.section("\n".join(lines)))
    stops = 0
    if forecast:
        stops = sum(result.verdict.stops for result in forecast.gates)
        if gates := gate_lines(forecast.gates):
            content.append(b.section("*Before it could begin*\n" + "\n".join(gates)))
        content.append(b.context(experience(forecast)))
    content.append(b.context("Nothing was changed, no lock was taken."))
    changes = "no change" if plan.no_change else count(len(plan.changes), "change")
    held = f", {count(stops, 'gate')} would stop it" if stops else ""
    place = f"{escape(service, 80)} in {escape(environment, 80)}"
    text = f"Dry run of {_exactly(release)} for {place}: {changes}{held}. Nothing was changed, no lock was taken."
    return compose(text, content)


def _exactly(release: Release) -> str:
    digest = f" ({escape(release.short_digest, 20)})" if release.is_named else ""
    return f"{escape(release.version, 80)}{digest}"
