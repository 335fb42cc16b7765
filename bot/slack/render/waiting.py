"""The replies about what comes before a change: approval, holds, times, exceptions. Each is posted once.

A pure function of the view. Notes with buttons are edited once what they ask is settled, so that no door stays open.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from bot.domain.actor import ActorKind
from bot.domain.lifecycle import Phase
from bot.domain.policy.override import OverrideKind
from bot.slack.render import blocks as b
from bot.slack.render import controls
from bot.slack.render.buttons import abort, start, votes
from bot.slack.render.deployment import metadata, release_words
from bot.slack.render.gates import approvers, hold_parts, missing, override_line, void_words
from bot.slack.render.message import compose
from bot.slack.render.note import Note
from bot.slack.render.text import clause, escape, group, group_name, instant, listed, name, person, person_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bot.domain.deployment import Moment
    from bot.domain.policy.override import Override
    from bot.domain.view import ApprovalView, DeploymentView

_GOES_ON = frozenset({Phase.QUEUED, Phase.SCHEDULED, Phase.HELD, Phase.AWAITING_APPROVAL, Phase.DEPLOYING})


def waiting_notes(view: DeploymentView) -> Iterator[Note]:
    """The replies that must be there by now, oldest first."""
    for override in view.overrides:
        yield _override(view, override)
    timeline = view.deployment.timeline
    times: dict[Phase, int] = {}
    for index, moment in enumerate(timeline):
        phase = moment.phase
        times[phase] = times.get(phase, 0) + 1
        after = timeline[index + 1] if index + 1 < len(timeline) else None
        last = not any(later.phase is phase for later in timeline[index + 1 :])
        match phase:
            case Phase.AWAITING_APPROVAL:
                yield from _approval(view, times[phase], after, last=last)
            case Phase.HELD:
                yield from _held(view, times[phase], moment, after)
            case Phase.QUEUED if view.deployment.is_rollback and moment.note:
                yield _note(view, "exempt", f"! *Goes on all the same*: {_what(view)}. {escape(moment.note, 900)}")
            case Phase.SCHEDULED:
                yield from _scheduled(view, times[phase], after)
    if view.deployment.hurried and view.deployment.phase is Phase.QUEUED:
        note = view.deployment.note
        # What it came into the queue with says nothing about this.
        why = clause(note) if note and note != timeline[-1].note else "It goes before the others in the queue"
        yield _note(view, "hurried", f"● *Goes next*: {_what(view)}. {why[:1].upper()}{why[1:]}.")


def _approval(view: DeploymentView, times: int, after: Moment | None, *, last: bool) -> Iterator[Note]:
    key = f"approval.{times}"
    if after is not None:
        by = (approvers(view) if last else "") or (name(after.actor) if after.actor.kind is ActorKind.PERSON else "")
        line = f"○ *Approval was asked*: {_what(view)} – {_decided(after, by)}."
        yield _note(view, key, line, live=True, settled=True)
        if after.phase in _GOES_ON and by:
            told = "" if after.actor.same_as(view.deployment.requester) else f" {_requester(view)}, for your notice."
            yield _note(view, f"approved.{times}", f"✓ *Approved* by {by}: {_what(view)} goes on.{told}")
        return
    approval = view.approval
    if approval is None:
        yield _note(view, key, f"○ *Approval asked*: {_what(view)}.", live=True)
        return
    expires = f"expires {instant(approval.expires_at)}"
    asked = _asked(approval)
    reason = f" Why: {clause(view.deployment.reason)}." if view.deployment.reason else ""
    lines = [f"○ *Approval asked*: {_what(view)}, requested by {name(view.deployment.requester)}.{reason}"]
    lines += [f"{asked}, please decide."] if asked else []
    lines.append(f"Approval – {missing(approval)} · {expires}")
    yield _note(view, key, "\n".join(lines), live=True, row=votes(view))
    if approval.void:
        digest = hashlib.sha256(approval.void.encode("utf-8", "replace")).hexdigest()[:8]
        line = f"! *Void*: {void_words(approval)}. {_what(view)} must be approved as it is now."
        yield _note(view, f"void.{times}.{digest}", line)
    if approval.nudged:
        still = f"! *Still waits for approval*: {_what(view)} – {missing(approval)} · {expires}"
        yield _note(view, f"nudge.{times}", f"{still}{' · ' + asked if asked else ''}")
    if approval.escalated and approval.rule.fallback:
        who = group(approval.rule.fallback)
        line = f"! *Nobody has decided yet*: {_what(view)}. {who} may approve it too now · {expires}"
        yield _note(view, f"escalated.{times}", line)


def _decided(after: Moment, by: str) -> str:
    """How a round of asking ended, for the middle of a line; what came of it is a note of its own."""
    whom = f" by {by}" if by else ""
    if after.phase is Phase.EXPIRED:
        return "nobody decided in time"
    if after.phase in _GOES_ON:
        return f"approved{whom}" if by else "it went on"
    return f"{after.phase.words}{whom}"


def _asked(approval: ApprovalView) -> str:
    """Those whom the question is put to, mentioned: their group where its id is known, else the people one by one."""
    if approval.never:
        return ""
    if approval.rule.group and (found := group(approval.rule.group)).startswith("<"):
        return found
    if approval.asked:
        return listed([person_of(user) for user in approval.asked])
    return group_name(approval.rule.group) if approval.rule.group else ""


def _held(view: DeploymentView, times: int, moment: Moment, after: Moment | None) -> Iterator[Note]:
    deployment, key = view.deployment, f"held.{times}"
    if after is None:
        why = " · ".join(hold_parts(deployment.hold, view.blocking)) if deployment.hold else clause(moment.note)
        ends = deployment.hold.expires if deployment.hold else None
        expires = f" It expires {instant(ends)}." if ends else ""
        row = [*start(view), *abort(view)]
        line = f"‖ *Held*: {_what(view)}. {why}.\nNothing was changed.{expires} {_requester(view)}, for your notice."
        row += (
            controls.of_lock(view.blocking[0], None, about=f"#{deployment.number}") if len(view.blocking) == 1 else []
        )
        more = controls.of_locks(view.blocking, None, about=f"#{deployment.number}") if len(view.blocking) > 1 else []
        yield _note(view, key, line, live=True, row=row, more=more)
        return
    on = after.phase in _GOES_ON
    by = f" by {name(after.actor)}" if after.actor.kind is ActorKind.PERSON else ""
    why = f" ({clause(moment.note)})" if moment.note else ""
    how = (f"started{by}" if by else "it went on") if on else f"it is {after.phase.words}{by}"
    yield _note(view, key, f"‖ *Was held*{why}: {_what(view)} – {how}.", live=True, settled=True)
    if on:
        started = "Started" if by else "Goes on"
        yield _note(view, f"resumed.{times}", f"● *{started}*{by}: {_what(view)}. {_requester(view)}, for your notice.")


def _scheduled(view: DeploymentView, times: int, after: Moment | None) -> Iterator[Note]:
    schedule = view.schedule
    if after is None and schedule is not None:
        moved = schedule.version > 1
        yield _note(
            view,
            f"scheduled.{schedule.version}",
            f"○ *{'Moved' if moved else 'Scheduled'}* by {name(schedule.by)}: {_what(view)} begins "
            f"{instant(schedule.at)}. Every gate is asked again then; it expires {instant(schedule.expires)}.",
        )
    elif after is not None and after.phase in {Phase.QUEUED, Phase.DEPLOYING}:
        line = f"● *Its time has come*: {_what(view)} goes on. {_requester(view)}, for your notice."
        yield _note(view, f"started.{times}", line)


def _override(view: DeploymentView, override: Override) -> Note:
    glass = override.kind is OverrideKind.BREAK_GLASS
    line = f"{override_line(override)}\n{_what(view)} passes "
    line += "approval, freezes, windows and locks." if glass else "freezes and closed windows, once."
    key = f"{'glass' if glass else 'override'}.{escape(override.id, 64)}"
    due = glass and override.reviewed_by is None
    row = [controls.of_override(override)] if due else []
    return _note(view, key, line, live=True, row=row, broadcast=glass)


def _note(
    view: DeploymentView,
    key: str,
    line: str,
    *,
    live: bool = False,
    settled: bool = False,
    broadcast: bool = False,
    row: Sequence[dict[str, Any]] = (),
    more: Sequence[b.Block] = (),
) -> Note:
    content = [b.section(line), *more]
    if row:
        content.append(b.actions(row))
    message = compose(line.replace("*", "").replace("\n", " "), content, metadata(view, key))
    return Note(key, message, broadcast=broadcast, live=live, settled=settled)


def _what(view: DeploymentView) -> str:
    deployment = view.deployment
    return (
        f"#{deployment.number} {escape(deployment.service, 80)} {release_words(deployment)} "
        f"to {escape(deployment.environment, 80)}"
    )


def _requester(view: DeploymentView) -> str:
    return person(view.deployment.requester)
