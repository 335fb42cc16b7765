"""Writes an intent as the command that asks for it; `parse` reads exactly that intent back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, assert_never

from bot.domain.actor import ACCOUNT_PREFIX
from bot.domain.grammar.intents import (
    DEFAULT_DAYS,
    DEFAULT_LIMIT,
    AbortIntent,
    ApproveIntent,
    BreakGlassIntent,
    ClosePreviewIntent,
    DeployIntent,
    DiffIntent,
    FreezeIntent,
    HelpIntent,
    HistoryIntent,
    HoldIntent,
    LockIntent,
    LocksIntent,
    MayIntent,
    OpenFormIntent,
    PreviewIntent,
    PreviewsIntent,
    PromoteIntent,
    QueueIntent,
    RejectIntent,
    ResumeIntent,
    RollbackIntent,
    RunNextIntent,
    ScheduleIntent,
    StartIntent,
    StatsIntent,
    StatusIntent,
    UnfreezeIntent,
    UnlockIntent,
    WhereIntent,
)
from bot.domain.grammar.normalise import protect
from bot.domain.grammar.options import EVERYTHING_WORDS
from bot.domain.grammar.rights import word_of
from bot.domain.grammar.times import is_clock
from bot.domain.grammar.tokens import quote
from bot.domain.grammar.verbs import Verb
from bot.domain.grammar.versions import is_deployment_id, is_unmistakable
from bot.domain.grammar.vocabulary import Kind
from bot.domain.policy.lock import ChangeType, LockLevel
from bot.domain.policy.scope import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bot.domain.grammar.intents import DeploymentRef, Intent
    from bot.domain.grammar.vocabulary import Vocabulary
    from bot.domain.policy.access import Action

_BARE = re.compile(r"[A-Za-z0-9][A-Za-z0-9:+/._-]*", re.ASCII)
_DECISIONS = {
    AbortIntent: Verb.ABORT,
    ApproveIntent: Verb.APPROVE,
    RejectIntent: Verb.REJECT,
    RunNextIntent: Verb.RUN_NEXT,
    HoldIntent: Verb.HOLD,
}
_SCOPED = {
    LockIntent: Verb.LOCK,
    FreezeIntent: Verb.FREEZE,
    UnlockIntent: Verb.UNLOCK,
    UnfreezeIntent: Verb.UNFREEZE,
}


def render(intent: Intent, *, vocabulary: Vocabulary | None = None) -> str:
    """The shortest usual spelling of ``intent``, without the slash command.

    With a ``vocabulary``, a name that is in two of its sets is written so that it can be read in one way only.
    """
    return " ".join(_Writer(vocabulary).words(intent))


class _Writer:
    def __init__(self, vocabulary: Vocabulary | None) -> None:
        self._vocabulary = vocabulary

    def words(self, intent: Intent) -> Iterator[str]:
        match intent:
            case DeployIntent() | OpenFormIntent():
                yield from self._deploy(intent)
            case RollbackIntent():
                yield self._verb(Verb.ROLLBACK)
                yield from _deployment(intent.deployment)
                yield from self._place(intent.service, intent.environment)
                if intent.to is not None:
                    yield f"to={intent.to}"
                yield from _value("reason", intent.reason)
            case AbortIntent() | ApproveIntent() | RejectIntent() | RunNextIntent() | HoldIntent():
                yield self._verb(_DECISIONS[type(intent)])
                yield from _deployment(intent.deployment)
                yield from self._place(intent.service, intent.environment)
                yield from _value("reason", intent.reason)
            case StatusIntent():
                yield self._verb(Verb.STATUS)
                yield from _deployment(intent.deployment)
                yield from self._place(intent.service, intent.environment)
            case HistoryIntent():
                yield self._verb(Verb.HISTORY)
                yield from self._place(intent.service, intent.environment)
                if intent.limit != DEFAULT_LIMIT:
                    yield f"limit={intent.limit}"
            case QueueIntent():
                yield self._verb(Verb.QUEUE)
                yield from self._place(intent.service, intent.environment)
            case WhereIntent():
                yield self._verb(Verb.WHERE)
                yield from self._place(intent.service, None)
            case StartIntent():
                yield self._verb(Verb.START)
                yield from _deployment(intent.deployment)
            case PromoteIntent():
                yield self._verb(Verb.PROMOTE)
                yield from _deployment(intent.deployment)
                yield from self._place(intent.service, intent.environment)
                if intent.to is not None:
                    yield f"to={intent.to}"
                if intent.skip:
                    yield "--skip"
                if intent.force:
                    yield "--force"
                yield from _value("reason", intent.reason)
            case ResumeIntent():
                yield self._verb(Verb.RESUME)
                yield from _deployment(intent.deployment)
                yield from self._place(intent.service, intent.environment)
            case ScheduleIntent():
                yield self._verb(Verb.SCHEDULE)
                yield from _deployment(intent.deployment)
                yield from self._place(intent.service, intent.environment)
                yield from _value("at", intent.at)
                yield from _value("expires", intent.expires)
            case LockIntent() | FreezeIntent() | UnlockIntent() | UnfreezeIntent():
                yield from self._scoped(intent)
            case LocksIntent():
                yield self._verb(Verb.LOCKS)
                yield from self._place(intent.service, intent.environment)
            case MayIntent():
                yield self._verb(Verb.MAY)
                if intent.person is not None:
                    yield f"<@{intent.person}>"
                if intent.account is not None:
                    yield f"{ACCOUNT_PREFIX}{intent.account}"
                yield self._right(intent.action)
                yield from self._place(intent.service, intent.environment)
            case DiffIntent():
                yield self._verb(Verb.DIFF)
                yield from self._place(None, intent.one)
                yield from self._place(None, intent.other)
                yield from self._place(intent.service, None)
            case StatsIntent():
                yield self._verb(Verb.STATS)
                yield from self._place(intent.service, intent.environment)
                if intent.days != DEFAULT_DAYS:
                    yield f"days={intent.days}"
            case PreviewIntent() | ClosePreviewIntent():
                yield self._verb(Verb.PREVIEW)
                if isinstance(intent, ClosePreviewIntent):
                    yield "--close"
                yield from self._place(intent.service, None)
                if isinstance(intent, PreviewIntent):
                    yield self._version(intent.version)
                yield f"pr={intent.number}"
                if isinstance(intent, PreviewIntent):
                    yield from _value("for", intent.keep)
            case PreviewsIntent():
                yield self._verb(Verb.PREVIEWS)
            case BreakGlassIntent():
                yield self._verb(Verb.BREAK_GLASS)
                yield from self._place(intent.service, None)
                yield self._version(intent.version)
                yield from self._place(None, intent.environment)
                if intent.force:
                    yield "--force"
                yield from _value("confirm", intent.confirm)
                yield from _value("reason", intent.reason)
            case HelpIntent():
                yield self._verb(Verb.HELP)
                if intent.topic is not None:
                    yield self._verb(intent.topic)
            case _:
                assert_never(intent)

    def _deploy(self, intent: DeployIntent | OpenFormIntent) -> Iterator[str]:
        yield self._verb(Verb.DEPLOY)
        yield from self._services(intent.services)
        if intent.version is not None:
            yield self._version(intent.version)
        yield from self._place(None, intent.environment)
        if intent.strategy is not None:
            yield f"strategy={intent.strategy}"
        if intent.dry_run:
            yield "--dry-run"
        if intent.force:
            yield "--force"
        yield from _value("at", intent.at)
        yield from _value("expires", intent.expires)
        yield from _value("reason", intent.reason)

    def _scoped(self, intent: LockIntent | FreezeIntent | UnlockIntent | UnfreezeIntent) -> Iterator[str]:
        yield self._verb(_SCOPED[type(intent)])
        if intent.scope == EVERYTHING:
            taken = self._vocabulary is not None and self._vocabulary.readings("all")
            yield "scope=all" if taken else "all"
        for kind, name in ((Kind.SERVICE, intent.scope.service), (Kind.ENVIRONMENT, intent.scope.environment)):
            if name is not None:
                yield f"{kind}={name}" if name.casefold() in EVERYTHING_WORDS else self._spell(kind, name)
        if isinstance(intent, LockIntent):
            if intent.level is not LockLevel.BLOCK:
                yield f"level={intent.level}"
            if intent.change_type is not ChangeType.ANY:
                yield f"type={intent.change_type}"
            if intent.hard:
                yield "--hard"
            if intent.pause:
                yield "--pause"
            yield from _value("incident", intent.incident)
        if isinstance(intent, LockIntent | FreezeIntent):
            yield from _value("until", intent.until)
        yield from _value("reason", intent.reason)

    def _right(self, action: Action) -> str:
        """The action as it is said, or by the key where that word means something else."""
        word = word_of(action)
        verb = next((verb for verb in Verb if verb == word), None)
        if verb is not None:
            return self._verb(verb)
        taken = self._vocabulary is not None and self._vocabulary.readings(word)
        return f"right={word}" if taken else word

    def _version(self, version: str) -> str:
        # A branch could be taken for a misspelt name, so it says what it is.
        return version if self._is_plain_version(version) else f"version={version}"

    def _services(self, services: Sequence[str]) -> Iterator[str]:
        if services and all(self._spell(Kind.SERVICE, name) == name for name in services):
            yield ",".join(services)
        elif services:
            yield f"{Kind.SERVICE}={','.join(services)}"

    def _place(self, service: str | None, environment: str | None) -> Iterator[str]:
        if service is not None:
            yield self._spell(Kind.SERVICE, service)
        if environment is not None:
            yield self._spell(Kind.ENVIRONMENT, environment)

    def _verb(self, verb: Verb) -> str:
        return self._spell(Kind.ACTION, verb)

    def _spell(self, kind: Kind, name: str) -> str:
        return name if self._vocabulary is None else self._vocabulary.spell(kind, name)

    def _is_plain_version(self, version: str) -> bool:
        known = self._vocabulary.readings(version) if self._vocabulary else ()
        plain = is_unmistakable(version) and not is_deployment_id(version) and not is_clock(version)
        return plain and not known


def _deployment(reference: DeploymentRef | None) -> Iterator[str]:
    if reference is not None:
        yield f"#{reference}" if isinstance(reference, int) else reference


def _value(key: str, text: str | None) -> Iterator[str]:
    if text is not None:
        yield f"{key}={text}" if key != "reason" and _BARE.fullmatch(text) else f"{key}={quote(protect(text))}"
