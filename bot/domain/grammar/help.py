"""What can be said, with examples that work in this catalog. Filtered to what the caller may do; decides no right."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from bot.domain.grammar.verbs import Verb
from bot.domain.grammar.vocabulary import Kind

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from bot.domain.grammar.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class HelpEntry:
    """One line of help."""

    syntax: str
    meaning: str
    example: str


#: For each action: what may follow, what it does, and an example in which names are filled in.
_HELP: Mapping[Verb, tuple[str, str, str]] = MappingProxyType(
    {
        Verb.DEPLOY: (
            '<service> <version> <environment> [reason="…"] [strategy=rolling] [dry-run] [force]',
            "Deploy a version. Words in any order; what is missing is asked for in a form. Several services: api,web.",
            "{service} v1.2 {environment}",
        ),
        Verb.STATUS: (
            "status [service] [environment] [#number]",
            "Show what is going on, everywhere or only there.",
            "status {environment}",
        ),
        Verb.HISTORY: (
            "history <service> [environment] [limit=20]",
            "Show what was deployed, newest first.",
            "history {service} {environment}",
        ),
        Verb.ROLLBACK: (
            'rollback <service> <environment> [to=version] [reason="…"]',
            "Bring back the last release that was proven healthy, or the version named.",
            "rollback {service} {environment}",
        ),
        Verb.ABORT: (
            'abort <#number> | <service> <environment> [reason="…"]',
            "Stop a deployment that waits or runs.",
            "abort {service} {environment}",
        ),
        Verb.QUEUE: (
            "queue [environment] [service]",
            "Show who waits for an environment, and who is in front.",
            "queue {environment}",
        ),
        Verb.WHERE: (
            "where [service]",
            "Show which version runs where.",
            "where {service}",
        ),
        Verb.HELP: (
            "help [action]",
            "Show this, or one action only.",
            "help rollback",
        ),
    }
)


def usage(
    vocabulary: Vocabulary,
    *,
    allowed: Container[Verb] | None,
    topic: Verb | None = None,
    command: str = "/deploy",
) -> list[HelpEntry]:
    """The help for somebody who may do what is ``allowed`` (None: everything), or the one entry for ``topic``.

    `Verb.HELP` is always allowed. An example is a command that works in this catalog, except in an empty one.
    """
    verbs = [verb for verb in Verb if verb is Verb.HELP or allowed is None or verb in allowed]
    return [_entry(verb, vocabulary, command) for verb in verbs if topic is None or verb is topic]


def _entry(verb: Verb, vocabulary: Vocabulary, command: str) -> HelpEntry:
    syntax, meaning, example = _HELP[verb]
    service, environment = _a_place(vocabulary)
    filled = example.format(service=service, environment=environment)
    return HelpEntry(syntax=f"{command} {syntax}", meaning=meaning, example=f"{command} {filled}")


def _a_place(vocabulary: Vocabulary) -> tuple[str, str]:
    """A service and an environment in which it runs, spelt so that they are read as such."""
    place = next(((service, homes[0]) for service, homes in vocabulary.homes.items() if homes), None)
    service, environment = place or (
        next(iter(vocabulary.services), "<service>"),
        next(iter(vocabulary.environments), "<environment>"),
    )
    return (
        vocabulary.spell(Kind.SERVICE, service) if vocabulary.services else service,
        vocabulary.spell(Kind.ENVIRONMENT, environment) if vocabulary.environments else environment,
    )
