"""Alerts that began after a deployment, as its thread tells of them: once, with the way back beside it.

Pure. The note is edited when another alert comes, when one is over and when nothing is asked any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.actor import BOT
from bot.domain.lifecycle import Phase
from bot.slack.names import ActionId
from bot.slack.render import blocks as b
from bot.slack.render.buttons import buttons
from bot.slack.render.deployment import metadata
from bot.slack.render.message import compose
from bot.slack.render.note import Note
from bot.slack.render.text import count, escape, instant, person

if TYPE_CHECKING:
    from bot.domain.alert import Alert
    from bot.domain.view import DeploymentView

KEY = "alert"
_SHOWN = 5
_WAYS_BACK = frozenset({ActionId.ABORT, ActionId.ROLL_BACK, ActionId.PUT_BACK})


def alert_notes(view: DeploymentView) -> list[Note]:
    """The question that alerts raise; nothing where none began after the deployment."""
    if not view.alerts:
        return []
    lines = [_line(alert) for alert in view.alerts[:_SHOWN]]
    if len(view.alerts) > _SHOWN:
        lines.append(f"… and {count(len(view.alerts) - _SHOWN, 'more alert')}.")
    number, one = view.deployment.number, len(view.alerts) == 1
    began = f"{'It' if one else 'They'} began after #{number} was deployed."
    if view.deployment.phase is not Phase.SUCCEEDED and not view.deployment.phase.final:
        began = f"{'It' if one else 'They'} began after #{number} had begun."
    asked = _question(view)
    lines.append(" ".join(filter(None, [began, _held(view), asked])))
    row = [one for one in buttons(view) if one.get("action_id") in _WAYS_BACK] if asked.endswith("?") else []
    if asked:
        lines[-1] += f" {person(view.deployment.requester)}, for your notice."
    content = [b.section("\n".join(lines)), *([b.actions(row)] if row else [])]
    message = compose(" ".join(lines).replace("*", ""), content, metadata(view, KEY))
    return [Note(KEY, message, broadcast=view.protected, live=True)]


def _line(alert: Alert) -> str:
    mark = escape(alert.fingerprint[:12], 40) + ("…" if len(alert.fingerprint) > 12 else "")
    line = f"! *Alert* since {instant(alert.starts_at)}: {escape(alert.name, 200)} ({alert.source.value} {mark})."
    if alert.ended_at is not None:
        line += f" It is over since {instant(alert.ended_at)}; nothing goes on by itself because of that."
    return line


def _held(view: DeploymentView) -> str:
    progression, phase = view.deployment.progression, view.deployment.phase
    held = progression.position.held if progression and phase in {Phase.DEPLOYING, Phase.PAUSED} else None
    if held is None or held.by is None or not held.by.same_as(BOT):
        return ""
    return "It is held until somebody says something else."


def _question(view: DeploymentView) -> str:
    """What people are asked, ending in ?; what becomes of it otherwise; nothing when it is over."""
    deployment = view.deployment
    if deployment.request is not None or deployment.phase is Phase.ROLLING_BACK:
        return "It is being seen to."
    if view.can_roll_back and view.rollback_to is not None:
        return f"Roll back to {escape(view.rollback_to.release.version, 80)}?"
    if deployment.phase is Phase.NEEDS_ATTENTION:
        return "Roll it back?" if deployment.previous is not None else "Abort it?"
    if view.can_abort:
        return "Abort it?"
    if deployment.phase is Phase.SUCCEEDED and view.current:
        return "There is no earlier release to roll back to."
    return ""


__all__ = ["KEY", "alert_notes"]
