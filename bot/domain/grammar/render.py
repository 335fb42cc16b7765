"""Writes an intent as the command that asks for it; `parse` reads exactly that intent back."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from bot.domain.grammar.intents import (
    DEFAULT_LIMIT,
    AbortIntent,
    DeployIntent,
    HelpIntent,
    HistoryIntent,
    OpenFormIntent,
    QueueIntent,
    RollbackIntent,
    StatusIntent,
    WhereIntent,
)
from bot.domain.grammar.normalise import protect
from bot.domain.grammar.tokens import quote
from bot.domain.grammar.verbs import Verb
from bot.domain.grammar.versions import is_deployment_id, is_unmistakable
from bot.domain.grammar.vocabulary import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bot.domain.grammar.intents import DeploymentRef, Intent
    from bot.domain.grammar.vocabulary import Vocabulary


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
                yield from _reason(intent.reason)
            case AbortIntent():
                yield self._verb(Verb.ABORT)
                yield from _deployment(intent.deployment)
                yield from self._place(intent.service, intent.environment)
                yield from _reason(intent.reason)
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
            # A branch could be taken for a misspelt name, so it says what it is.
            yield intent.version if self._is_plain_version(intent.version) else f"version={intent.version}"
        yield from self._place(None, intent.environment)
        if intent.strategy is not None:
            yield f"strategy={intent.strategy}"
        if intent.dry_run:
            yield "--dry-run"
        if intent.force:
            yield "--force"
        yield from _reason(intent.reason)

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
        return is_unmistakable(version) and not is_deployment_id(version) and not known


def _deployment(reference: DeploymentRef | None) -> Iterator[str]:
    if reference is not None:
        yield f"#{reference}" if isinstance(reference, int) else reference


def _reason(reason: str | None) -> Iterator[str]:
    if reason is not None:
        yield f"reason={quote(protect(reason))}"
