"""Everything that must say yes before a deployment goes on, asked in one order and all anew every time.

What cannot be told stops it. Pure: facts in, results out; the same facts give the same results.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.domain.policy import freeze, lock
from bot.domain.policy.access import Action, Decision, Rule, may
from bot.domain.policy.order import promoted
from bot.domain.policy.override import Override, OverrideKind
from bot.domain.policy.window import Window, is_open

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from datetime import datetime

    from bot.domain.actor import Actor, Membership
    from bot.domain.history import ProvenRelease
    from bot.domain.ids import DeploymentId, EnvironmentName, ServiceName
    from bot.domain.policy.approval import Tally
    from bot.domain.policy.freeze import Freeze
    from bot.domain.policy.lock import ChangeType, StickyLock
    from bot.domain.release import Release


class Verdict(StrEnum):
    """What a gate says."""

    PASS = "pass"  # noqa: S105  # a verdict, no secret
    #: Goes on, and people should know something.
    WARN = "warn"
    BLOCK = "block"
    #: It could not be asked.
    UNKNOWN = "unknown"

    @property
    def stops(self) -> bool:
        """Whether a deployment stays where it is. Not to know stops it as well."""
        return self in {Verdict.BLOCK, Verdict.UNKNOWN}


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """What one gate says."""

    name: str
    verdict: Verdict
    sentence: str
    """Why, without times: these are shown on the reader's own clock."""
    until: datetime | None = None
    """Where it stops: when it would not any more by itself; None when a person must do something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the gates need to know. None where something could not be found out; empty where there is nothing."""

    at: datetime
    requester: Actor
    member: Membership | None
    """The requester with their groups now."""
    rules: Sequence[Rule]
    service: ServiceName
    environment: EnvironmentName
    release: Release
    rollback: bool = False
    begun: bool = False
    """Whether some of the traffic has gone to it already, and what is asked about is its next step."""
    deployment: DeploymentId | None = None
    """None before there is one."""
    after: EnvironmentName | None = None
    """The environment in which the release must have succeeded."""
    proven: Collection[ProvenRelease] | None = ()
    artifact_there: bool | None = True
    """Whether its artifact can still be had."""
    checks: Sequence[GateResult] = ()
    """What other systems say, such as the checks of the change."""
    locks: Collection[StickyLock] | None = ()
    changes: Collection[ChangeType] | None = None
    """The kinds of change in it."""
    freezes: Collection[Freeze] | None = ()
    windows: Sequence[Window] = ()
    """Those of the environment."""
    needs_approval: bool = False
    tally: Tally | None = None
    overrides: Iterable[Override] = ()


def check_gates(facts: Facts) -> tuple[GateResult, ...]:
    """Ask every gate, in this order: access, order, artifact, the other checks, lock, freeze, window, approval."""
    return (
        *(gate(facts) for gate in _BEFORE),
        *facts.checks,
        *(gate(facts) for gate in _AFTER),
    )


def stopping(results: Iterable[GateResult]) -> tuple[GateResult, ...]:
    """The gates that stop it, in order."""
    return tuple(result for result in results if result.verdict.stops)


def opens_at(results: Iterable[GateResult]) -> datetime | None:
    """When all gates that stop it would let it through by themselves; None when one never will, or none stops it."""
    ends = [result.until for result in stopping(results)]
    known = [end for end in ends if end is not None]
    return max(known) if known and len(known) == len(ends) else None


def _access(facts: Facts) -> GateResult:
    if facts.member is None or not facts.member.actor.same_as(facts.requester):
        return _unknown("access", f"The groups of {facts.requester.name} cannot be told right now.")
    action = Action.ROLLBACK if facts.rollback else Action.DEPLOY
    answer = may(facts.rules, facts.member, action, service=facts.service, environment=facts.environment)
    return _decided("access", answer)


def _order(facts: Facts) -> GateResult:
    if facts.proven is None and facts.after is not None and not facts.rollback:
        return _unknown("order", f"Whether it has succeeded in {facts.after} cannot be told right now.")
    answer = promoted(
        facts.release, facts.environment, after=facts.after, proven=facts.proven or (), rollback=facts.rollback
    )
    return _decided("order", answer)


def _artifact(facts: Facts) -> GateResult:
    if facts.artifact_there is None:
        return _unknown("artifact", f"Whether {facts.release.version} can still be had cannot be told right now.")
    if not facts.artifact_there:
        reason = f"The artifact of {facts.release.version} ({facts.release.short_digest}) is gone."
        return GateResult(name="artifact", verdict=Verdict.BLOCK, sentence=reason)
    return _passed("artifact", "Its artifact is there.")


def _lock(facts: Facts) -> GateResult:
    glass = _override(facts, OverrideKind.BREAK_GLASS)
    if facts.locks is None:
        if glass:
            return _warned("lock", f"What is locked cannot be told right now. {glass.sentence}")
        return _unknown("lock", "What is locked cannot be told right now.")
    found = lock.covering(facts.locks, facts.service, facts.environment, facts.at, facts.changes, begun=facts.begun)
    answer = lock.decide(found, facts.requester, rollback=facts.rollback, break_glass=glass is not None)
    if not answer.allowed:
        return GateResult(name="lock", verdict=Verdict.BLOCK, sentence=answer.sentence, until=answer.until)
    # Whoever passes a block must be seen to: others count on it.
    passed_a_block = any(one.level is lock.LockLevel.BLOCK for one, _ in answer.passed)
    return (_warned if answer.warning or passed_a_block else _passed)("lock", answer.sentence)


def _freeze(facts: Facts) -> GateResult:
    if facts.freezes is None:
        if facts.rollback:
            return _passed("freeze", "A rollback is exempt from freezes.")
        return _overridden(facts, "freeze", "What is frozen cannot be told right now.") or _unknown(
            "freeze", "What is frozen cannot be told right now."
        )
    found = freeze.covering(facts.freezes, facts.service, facts.environment, facts.at)
    if not found:
        return _passed("freeze", "Nothing is frozen.")
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    sentence = found[0].sentence + more
    if facts.rollback:
        return _warned("freeze", _both(sentence, "A rollback is exempt from freezes."))
    blocked = GateResult(name="freeze", verdict=Verdict.BLOCK, sentence=sentence, until=freeze.ends_at(found))
    return _overridden(facts, "freeze", sentence) or blocked


def _window(facts: Facts) -> GateResult:
    here = [window for window in facts.windows if window.covers(facts.service)]
    answer = is_open(here, facts.at)
    if answer.open:
        return _passed("window", answer.reason)
    if facts.rollback:
        return _warned("window", _both(answer.reason, "A rollback is exempt from windows."))
    blocked = GateResult(name="window", verdict=Verdict.BLOCK, sentence=answer.reason, until=answer.opens_at)
    return _overridden(facts, "window", answer.reason) or blocked


def _approval(facts: Facts) -> GateResult:
    if not facts.needs_approval:
        return _passed("approval", f"{facts.environment} asks for no approval.")
    if facts.rollback:
        return _passed("approval", "Who may roll back needs no approval for it.")
    if glass := _override(facts, OverrideKind.BREAK_GLASS):
        return _warned("approval", f"It was not approved. {glass.sentence}")
    if facts.tally is None:
        return _unknown("approval", "Who has approved it cannot be told right now.")
    verdict = Verdict.PASS if facts.tally.approved else Verdict.BLOCK
    return GateResult(name="approval", verdict=verdict, sentence=facts.tally.sentence)


_BEFORE: tuple[Callable[[Facts], GateResult], ...] = (_access, _order, _artifact)
_AFTER: tuple[Callable[[Facts], GateResult], ...] = (_lock, _freeze, _window, _approval)


def _override(facts: Facts, *kinds: OverrideKind) -> Override | None:
    return next(
        (
            one
            for one in facts.overrides
            if one.kind in kinds
            and one.covers(
                service=facts.service,
                environment=facts.environment,
                digest=facts.release.artifact.digest,
                deployment=facts.deployment,
                requester=facts.requester,
                at=facts.at,
            )
        ),
        None,
    )


def _overridden(facts: Facts, name: str, sentence: str) -> GateResult | None:
    found = _override(facts, OverrideKind.FREEZE, OverrideKind.BREAK_GLASS)
    return _warned(name, _both(sentence, found.sentence)) if found else None


def _both(one: str, other: str) -> str:
    """Two sentences; what people wrote may end without a full stop."""
    return f"{one}{'' if one.endswith(('.', '!', '?', '…')) else '.'} {other}"


def _decided(name: str, answer: Decision) -> GateResult:
    return GateResult(name=name, verdict=Verdict.PASS if answer.allowed else Verdict.BLOCK, sentence=answer.reason)


def _passed(name: str, sentence: str) -> GateResult:
    return GateResult(name=name, verdict=Verdict.PASS, sentence=sentence)


def _warned(name: str, sentence: str) -> GateResult:
    return GateResult(name=name, verdict=Verdict.WARN, sentence=sentence)


def _unknown(name: str, sentence: str) -> GateResult:
    return GateResult(name=name, verdict=Verdict.UNKNOWN, sentence=f"{sentence} Not to know is a no.")
