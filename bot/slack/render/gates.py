"""What stands between a request and its beginning, in lines: gates, approval, a hold, a time, exceptions.

Each line is mrkdwn with a symbol, a word and the reason. Pure, without a clock: instants are shown on the reader's.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from bot.domain.actor import ActorKind
from bot.domain.lifecycle import WAITING, Phase
from bot.domain.policy.approval import TallyState
from bot.domain.policy.gates import Verdict
from bot.domain.policy.lock import ChangeType, LockLevel
from bot.domain.policy.override import OverrideKind
from bot.slack.render.text import clause, escape, group_name, inner, instant, listed, name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from bot.domain.deployment import Hold
    from bot.domain.policy.freeze import Freeze
    from bot.domain.policy.gates import GateResult
    from bot.domain.policy.lock import StickyLock
    from bot.domain.policy.override import Override
    from bot.domain.policy.scope import Scope
    from bot.domain.policy.window import WindowDecision
    from bot.domain.view import ApprovalView, DeploymentView

_TITLES = {
    "access": "Right to deploy",
    "order": "Promotion order",
    "artifact": "Artifact",
    "lock": "Lock",
    "freeze": "Freeze",
    "window": "Window",
    "approval": "Approval",
}
_VERDICTS = {
    Verdict.PASS: ("✓", "Passed"),
    Verdict.WARN: ("!", "Warning"),
    Verdict.BLOCK: ("✗", "Stops it"),
    Verdict.UNKNOWN: ("?", "Unknown"),
}
_ALWAYS_TOLD = frozenset({"order"})
"""Gates that people want to read of although they let it through."""
_ENDED_BY_PEOPLE = frozenset({"lock", "freeze"})
_LOCKS = 3
_WAY_OUT = "let somebody else ask for it, or give one more person the right"
_NOTHING_BEFORE = "Nothing has to come before"


def gate_title(gate: str) -> str:
    """The gate as people call it; other systems bring gates of their own."""
    return _TITLES.get(gate) or escape(gate, 60).capitalize()


def gate_line(result: GateResult) -> str:
    """``✗ *Window* – Stops it: … · opens tomorrow 9:00``."""
    symbol, word = _VERDICTS[result.verdict]
    if result.name == "approval" and result.verdict is Verdict.BLOCK:
        symbol, word = "○", "Needed"  # a question to somebody, no refusal
    line = f"{symbol} *{gate_title(result.name)}* – {word}: {clause(result.sentence)}"
    ended = result.until or (result.name in _ENDED_BY_PEOPLE and result.verdict is Verdict.BLOCK)
    return line + (f" · {ends(result.name, result.until)}" if ended and result.verdict.stops else "")


def gate_lines(results: Iterable[GateResult], *, approval: bool = True) -> list[str]:
    """A line for each gate that warns or stops, and for the promotion order in any case."""
    return [gate_line(result) for result in results if _told(result) and (approval or result.name != "approval")]


def ends(gate: str, until: datetime | None) -> str:
    """``until …`` or, for a window, ``opens …``; what ends by a person's hand says so."""
    if until is None:
        return "until somebody ends it"
    return f"{'opens' if gate == 'window' else 'until'} {instant(until)}"


def lock_line(lock: StickyLock) -> str:
    """A lock with its symbol; where it is stands first."""
    symbol = "✗" if lock.level is LockLevel.BLOCK else "!"
    return f"{symbol} *{_scope(lock.scope)}* – {lock_words(lock, where=False)}"


def lock_words(lock: StickyLock, *, where: bool = True) -> str:
    """Who locked what, why, since when and until when."""
    verb = "locked" if lock.level is LockLevel.BLOCK else "marked"
    who = ("after a rollback by " if lock.automatic else "by ") + name(lock.owner)
    what = "" if lock.change_type is ChangeType.ANY else f" against {lock.change_type.value} changes"
    said = f"{_scope(lock.scope)} {verb}" if where else verb.capitalize()
    parts = [
        f"{said}{what} {who}: {clause(lock.reason) or 'no reason given'}",
        f"since {instant(lock.at)}",
        ends("lock", lock.until),
    ]
    if lock.hard and not lock.automatic:
        parts.append("holds its owner too")
    if lock.pause:
        parts.append("pauses what is rolled out already, before its next step")
    if lock.incident:
        parts.append(f"incident {escape(lock.incident, 80)}")
    return " · ".join(parts)


def freeze_line(freeze: Freeze) -> str:
    """Who froze what, why, since when and until when."""
    return (
        f"✗ *{_scope(freeze.scope)}* – Frozen by {name(freeze.by)}: {clause(freeze.reason) or 'no reason given'} · "
        f"since {instant(freeze.at)} · {ends('freeze', freeze.until)}"
    )


def missing(approval: ApprovalView) -> str:
    """``0 of 1: one of @release-managers must approve it``."""
    tally = approval.tally
    if approval.never:
        return f"{tally.have} of {tally.need}: it cannot be approved, for {clause(approval.never)}; {_WAY_OUT}"
    said = clause(tally.sentence)
    for named in (approval.rule.group, approval.rule.fallback):
        if named:
            said = said.replace(f"@{escape(named.removeprefix('@'), 80)}", group_name(named))
    if tally.have == 0:
        said = said.replace("One more person of ", "One of ").replace("One more person", "One person")
        said = said.replace(" more people", " people")
    return f"{tally.have} of {tally.need}: {inner(said)}"


def approvers(view: DeploymentView) -> str:
    """Who approved it, for mrkdwn; empty when nobody did.

    Once it has begun its timeline tells it too: a configuration that changed since takes nothing back.
    """
    approval, timeline = view.approval, view.deployment.timeline
    if approval and approval.tally.approved:
        return listed([name(actor) for actor in approval.tally.by])
    if view.deployment.phase in WAITING:
        return ""
    went_on = [after for before, after in pairwise(timeline) if before.phase is Phase.AWAITING_APPROVAL]
    if went_on and went_on[-1].phase in WAITING and went_on[-1].actor.kind is ActorKind.PERSON:
        return name(went_on[-1].actor)
    return ""


def approval_line(view: DeploymentView) -> str:
    """How far the approval has come; empty where nobody is asked."""
    approval = view.approval
    if approval is None:
        return ""
    tally = approval.tally
    if tally.state is TallyState.APPROVED:
        return f"✓ *Approval* – approved by {approvers(view)}"
    if tally.state is TallyState.REJECTED:
        return f"✗ *Approval* – {clause(tally.sentence, 500)}"
    if view.deployment.phase not in WAITING:
        return ""
    return f"○ *Approval* – {missing(approval)} · expires {instant(approval.expires_at)}"


def void_line(view: DeploymentView) -> str:
    """That what somebody said does not count any more; it must not vanish without a word."""
    approval = view.approval
    if approval is None or not approval.void or view.deployment.phase not in WAITING or approval.tally.approved:
        return ""
    return f"! *Void* – {void_words(approval)}. It must be approved as it is now."


def void_words(approval: ApprovalView) -> str:
    """Why what was said before does not count, without what is missing now: that is told beside it."""
    if approval.void == approval.tally.sentence:
        return "what was said before was about something else"
    return clause(approval.void)


def hold_parts(hold: Hold, locks: Sequence[StickyLock] = ()) -> list[str]:
    """Why it is held, until when, and what makes it go on. Of one lock it also tells since when."""
    if len(locks) == 1:
        parts = [lock_words(locks[0])]
    else:
        parts = [f"{gate_title(hold.gate)}: {clause(hold.sentence, 500)}"]
        if hold.until:
            parts.append(ends(hold.gate, hold.until))
    parts.append("goes on by itself" if hold.resumes else "somebody must press *Start*")
    return parts


def schedule_parts(view: DeploymentView) -> list[str]:
    """When it begins and when it is too late, as its schedule says; as it was asked for before there is one."""
    if view.schedule:
        at, expires = view.schedule.at, view.schedule.expires
    elif view.deployment.wish:
        at, expires = view.deployment.wish.at, view.deployment.wish.expires
    else:
        return []
    return [f"begins {instant(at)}", f"expires {instant(expires)} if it has not begun"]


def override_line(override: Override) -> str:
    """An exception, marked so that nobody overlooks it: who, with whom, why, and whether somebody looked at it."""
    by, reason = name(override.by), clause(override.reason) or "no reason given"
    if override.kind is OverrideKind.BREAK_GLASS:
        review = f"reviewed by {name(override.reviewed_by)}" if override.reviewed_by else "review is due"
        return f"! *Glass broken* by {by}: {reason} · {review}"
    if override.seconded_by is None:
        return f"! *Exception asked for* by {by}: {reason} · a second person must agree"
    return f"! *Exception* by {by}, agreed by {name(override.seconded_by)}: {reason}"


def standing(view: DeploymentView) -> list[str]:
    """What stands before its beginning and what it passed by, the most important first; once it began, only that."""
    lines = [override_line(override) for override in view.overrides]
    if view.deployment.phase in WAITING:
        lines.append(void_line(view))
        if view.deployment.phase is not Phase.AWAITING_APPROVAL:  # then the status line tells it
            lines.append(approval_line(view))
        if len(view.blocking) > 1:  # of a single one the status line tells it all
            lines += [lock_line(lock) for lock in view.blocking[:_LOCKS]]
        if view.forecast:
            hold = view.deployment.hold  # told by the status line already
            held = hold.gate if hold and view.deployment.phase is Phase.HELD else None
            asked = [result for result in view.forecast.gates if result.name != held]
            lines += gate_lines(asked, approval=view.approval is None)
    return [line for line in lines if line]


def window_line(environment: str, decision: WindowDecision) -> str:
    """Whether an environment takes deployments now, and when that changes."""
    place = escape(environment, 80)
    if decision.open:
        until = f" until {instant(decision.closes_at)}" if decision.closes_at else ""
        return f"✓ *{place}* – Open{until}: {inner(clause(decision.reason))}"
    opens = f"opens {instant(decision.opens_at)}" if decision.opens_at else "does not open within two years"
    return f"‖ *{place}* – Closed, {opens}: {inner(clause(decision.reason))}"


def _scope(scope: Scope) -> str:
    return escape(scope.subject, 120)


def _told(result: GateResult) -> bool:
    if result.verdict is not Verdict.PASS:
        return True
    return result.name in _ALWAYS_TOLD and not result.sentence.startswith(_NOTHING_BEFORE)
