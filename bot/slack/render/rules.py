"""Answers about locks, freezes, exceptions and rights: what was put or lifted, what there is, and who may what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.domain.policy.override import OverrideKind
from bot.slack.names import COMMAND
from bot.slack.render import blocks as b
from bot.slack.render import controls, limits
from bot.slack.render.buttons import start_one
from bot.slack.render.gates import freeze_line, lock_line, override_line
from bot.slack.render.message import Message, compose
from bot.slack.render.plans import versions
from bot.slack.render.text import clause, count, escape, instant, name, sentence

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bot.domain.deployment import Deployment
    from bot.domain.insight import Explanation
    from bot.domain.policy.freeze import Freeze
    from bot.domain.policy.lock import StickyLock
    from bot.domain.policy.override import Override

    Block = b.Block

_LISTED = 10
_SHOWN = limits.WITH_BUTTON


def locked(lock: StickyLock) -> Message:
    """A lock was put."""
    line = "✓ *Locked*. Its owner is asked in time whether it is still needed."
    return _answer([line, lock_line(lock)], row=[controls.unlock(lock.id, lock.scope.words)])


def unlocked(locks: Sequence[StickyLock]) -> Message:
    """Locks were taken away."""
    lines = [f"• {escape(lock.scope.words, 120)}: {clause(lock.reason)} ({name(lock.owner)})" for lock in locks]
    return _answer([f"✓ *Unlocked*: {count(len(locks), 'lock')} ended.", *_some(lines)])


def kept(lock: StickyLock) -> Message:
    """The owner of a lock said that it is still needed."""
    until = f" You are asked again {instant(lock.kept_until)}." if lock.kept_until else ""
    return _answer([f"✓ *Kept*.{until}", lock_line(lock)])


def taken_over(lock: StickyLock) -> Message:
    """A lock has another owner."""
    return _answer(["✓ *Taken over*: the lock is yours, and its owner before is told so.", lock_line(lock)])


def owner_asked(lock: StickyLock) -> Message:
    """The owner of a lock was asked about it."""
    return _answer([f"✓ *Asked*: {name(lock.owner)} is told that somebody waits.", lock_line(lock)])


def locks(locks: Sequence[StickyLock], freezes: Sequence[Freeze], *, at: datetime) -> Message:
    """What is locked and frozen at ``at``, each with the button that ends it."""
    held = [freeze for freeze in freezes if freeze.active(at)]
    kept_locks = [lock for lock in locks if lock.active(at)]
    content: list[Block] = [b.header("Locks and freezes")]
    lines = [b.section(freeze_line(freeze), controls.of_freeze(freeze)) for freeze in held]
    lines += [
        b.section(lock_line(lock), controls.unlock(lock.id, lock.scope.words, owner=lock.owner)) for lock in kept_locks
    ]
    content += lines[:_SHOWN]
    if hidden := len(lines) - len(lines[:_SHOWN]):
        content.append(b.context(f"… and {hidden} more. {COMMAND} locks with a service or an environment shows fewer."))
    if not held and not kept_locks:
        content.append(b.section("○ *Free*: nothing is locked and nothing is frozen."))
    content.append(b.context(f"As of {instant(at)}"))
    text = f"{count(len(kept_locks), 'lock')} and {count(len(held), 'freeze')} now."
    first = [*(freeze.sentence for freeze in held), *(lock.sentence for lock in kept_locks)]
    return compose(f"{text} {' '.join(clause(one) + '.' for one in first[:3])}".strip(), content)


def frozen(freeze: Freeze, writing: Sequence[Deployment], under_way: Sequence[Deployment]) -> Message:
    """A freeze was put: no new change begins. ``writing`` are those whose change could not be waited for."""
    lines = ["✓ *Frozen*: from now on nothing goes forward there. Rollbacks still may.", freeze_line(freeze)]
    if writing:
        lines.append(f"! *Still changing something*: {_numbers(writing)}. What was begun before is not interrupted.")
    going = [one for one in under_way if one.id not in {other.id for other in writing}]
    if going:
        lines.append(f"● *Under way*: {_numbers(going)}. Their environment says whether they go on, pause or end.")
    return _answer(lines, row=[controls.of_freeze(freeze)])


def unfrozen(freezes: Sequence[Freeze], held: Sequence[Deployment], *, protected: bool = True) -> Message:
    """Freezes were lifted. What they held is started by people, one by one, so that not all begin at once."""
    lines = [f"• {escape(freeze.scope.words, 120)}: {clause(freeze.reason)} ({name(freeze.by)})" for freeze in freezes]
    content: list[Block] = [
        b.section("\n".join([f"✓ *Lifted*: {count(len(freezes), 'freeze')} ended.", *_some(lines)]))
    ]
    if held:
        content.append(b.section(f"‖ *Held meanwhile*: {count(len(held), 'deployment')}. Start what is still wanted."))
    for deployment in held[:_SHOWN]:
        line = f"#{deployment.number} {_what(deployment)} by {name(deployment.requester)}"
        resumes = deployment.hold is not None and deployment.hold.resumes
        beside = None if resumes else start_one(deployment, protected=protected)
        content.append(b.section(line + (" · goes on by itself" if resumes else ""), beside))
    if len(held) > _SHOWN:
        content.append(b.context(f"… and {len(held) - _SHOWN} more. {COMMAND} status shows them."))
    text = f"{count(len(freezes), 'freeze')} lifted; {count(len(held), 'deployment')} held meanwhile."
    return compose(f"{text} {_numbers(held)}".strip(), content)


def may(explanations: Sequence[Explanation]) -> Message:
    """Whether somebody may do something, where, and the row that says so."""
    lines = [_explained(one) for one in explanations]
    content: list[Block] = [b.header("Who may what")]
    content += [b.section("\n".join(lines[start : start + 5])) for start in range(0, min(len(lines), 20), 5)]
    if len(lines) > 20:
        content.append(b.context(f"… and {len(lines) - 20} more. Name a service and an environment to see fewer."))
    if not lines:
        content.append(b.section("– There is no place that this speaks about."))
    content.append(b.context("Without a row that allows it, the answer is no; a row that denies beats every other."))
    spoken = " ".join(line.partition("\n")[0].replace("*", "") for line in lines[:5])
    return compose(spoken or "There is no place that this speaks about.", content)


def overridden(override: Override) -> Message:
    """How an exception stands, for whoever asked for it, agreed to it or reviewed it."""
    place = f"{escape(override.service, 80)} in {escape(override.environment, 80)}"
    if override.kind is OverrideKind.BREAK_GLASS:
        lead = "✓ *Reviewed*" if override.reviewed_by else "✓ *Glass broken*: it is told in the security channel"
        lines = [f"{lead}.", override_line(override)]
    else:
        until = instant(override.until)
        passes = "may pass freezes and closed windows"
        asked = f"✓ *Asked*: a second person must agree that it {passes} on its way to {place}; void after {until}."
        agreed = f"✓ *Agreed*: one deployment of exactly this to {place} {passes}, until {until}."
        lines = [agreed if override.seconded_by else asked, override_line(override)]
    return _answer(lines)


def _answer(lines: Sequence[str], *, row: Sequence[dict[str, Any]] = ()) -> Message:
    content: list[Block] = [b.section("\n".join(lines))]
    if row:
        content.append(b.actions(row))
    return compose(" ".join(lines).replace("*", ""), content)


def _some(lines: Sequence[str]) -> list[str]:
    shown = list(lines[:_LISTED])
    return [*shown, f"… and {len(lines) - _LISTED} more."] if len(lines) > _LISTED else shown


def _numbers(deployments: Sequence[Deployment]) -> str:
    shown = ", ".join(f"#{one.number} {escape(one.service, 60)}" for one in deployments[:_LISTED])
    return shown + (f" and {len(deployments) - _LISTED} more" if len(deployments) > _LISTED else "")


def _what(deployment: Deployment) -> str:
    current = deployment.plan.current.release if deployment.plan and deployment.plan.current else None
    words = versions(current, deployment.release)
    return f"{escape(deployment.service, 80)} {words} to {escape(deployment.environment, 80)}"


def _explained(one: Explanation) -> str:
    symbol = {True: "✓ *Yes*", False: "✗ *No*", None: "– *More*"}[one.allowed]
    row = f"\n→ {clause(one.row, 400)}" if one.row else ""
    return f"{symbol} – {sentence(escape(one.reason, 600))}{row}"
