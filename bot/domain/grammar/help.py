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
            '<service> <version> <environment> [at 18:00 [expires=2h]] [reason="…"] [strategy=…] [dry-run] [force]',
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
        Verb.APPROVE: (
            'approve [#number | service environment] [reason="…"]',
            "Say yes to a deployment that waits for it; in its thread without a number.",
            "approve #42",
        ),
        Verb.REJECT: (
            'reject [#number | service environment] reason="…"',
            "Say no to a deployment that waits for approval. One no is enough.",
            'reject #42 reason="not before the fair"',
        ),
        Verb.START: (
            "start [#number]",
            "Let a deployment that is held try again.",
            "start #42",
        ),
        Verb.PROMOTE: (
            'promote [#number | service environment] [to=50] [skip] [force] [reason="…"]',
            "Let a rollout that waits go on: to its next step, or up to the per cent named.",
            "promote #42 to=50",
        ),
        Verb.HOLD: (
            'hold [#number | service environment] [reason="…"]',
            "Leave a rollout at the weight that it has until somebody says more.",
            "hold #42",
        ),
        Verb.RESUME: (
            "resume [#number | service environment]",
            "Let a rollout that is held go on by its strategy.",
            "resume #42",
        ),
        Verb.SCHEDULE: (
            "schedule [service] [environment] | schedule #number at 19:00 [expires=2h]",
            "Show what waits for its time, or move one of them to another time.",
            "schedule #42 at 19:00",
        ),
        Verb.RUN_NEXT: (
            'run-next [#number | service environment] reason="…"',
            "Let a deployment that waits in the queue go before the others.",
            'run-next #42 reason="customers wait for it"',
        ),
        Verb.LOCK: (
            (
                'lock <service> <environment> | all reason="…" [until=2h] [level=warn] [type=config] [hard] [pause] '
                "[incident=…]"
            ),
            "Keep deployments away from a service, an environment, one in the other, or everything.",
            'lock {service} {environment} reason="incident 42" until=2h',
        ),
        Verb.UNLOCK: (
            'unlock <service> <environment> | all [reason="…"]',
            "Take the locks of exactly that place away.",
            "unlock {service} {environment}",
        ),
        Verb.LOCKS: (
            "locks [service] [environment]",
            "Show what is locked and frozen, by whom and until when.",
            "locks {environment}",
        ),
        Verb.FREEZE: (
            'freeze <service> <environment> | all reason="…" [until=18:00]',
            "Stop the line: nothing but rollbacks changes anything there any more.",
            'freeze {environment} reason="the shop is down" until=2h',
        ),
        Verb.UNFREEZE: (
            'unfreeze <service> <environment> | all [reason="…"]',
            "Let the line go on, and show what was held.",
            "unfreeze {environment}",
        ),
        Verb.MAY: (
            "may [@person] <action> [service] [environment]",
            "Explain whether somebody may do that, and which rule says so.",
            "may rollback {service} {environment}",
        ),
        Verb.DIFF: (
            "diff <environment> <environment> [service]",
            "Show where two environments run different versions.",
            "diff {environment} {other}",
        ),
        Verb.STATS: (
            "stats [service] [environment] [days=30]",
            "Show how often, how fast and how safely was deployed.",
            "stats {service} days=90",
        ),
        Verb.PREVIEW: (
            "preview <service> <version> pr=123 [for=3d] | preview close <service> pr=123",
            "Bring a version to the preview of a pull request, or close that preview.",
            "preview {service} v1.2 pr=123",
        ),
        Verb.PREVIEWS: (
            "previews",
            "Show which previews there are, where, and until when.",
            "previews",
        ),
        Verb.BREAK_GLASS: (
            'break-glass <service> <version> <environment> reason="…" confirm=<service> [force]',
            "Deploy past approval, freezes and locks in an emergency. It is announced, recorded and reviewed.",
            'break-glass {service} v1.2 {environment} reason="payments are down" confirm={name}',
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
    others = (name for name in vocabulary.environments if vocabulary.spell(Kind.ENVIRONMENT, name) != environment)
    filled = example.format(
        service=vocabulary.spell(Kind.SERVICE, service) if service else "<service>",
        name=service or "<service>",
        environment=environment,
        other=next((vocabulary.spell(Kind.ENVIRONMENT, name) for name in others), "<environment>"),
    )
    return HelpEntry(syntax=f"{command} {syntax}", meaning=meaning, example=f"{command} {filled}")


def _a_place(vocabulary: Vocabulary) -> tuple[str | None, str]:
    """A service, None if there is none, and an environment in which it runs, spelt so that it is read as such."""
    place = next(((service, homes[0]) for service, homes in vocabulary.homes.items() if homes), None)
    service, environment = place or (next(iter(vocabulary.services), None), next(iter(vocabulary.environments), None))
    return service, vocabulary.spell(Kind.ENVIRONMENT, environment) if environment else "<environment>"
