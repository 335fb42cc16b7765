"""Help and completion: what is offered can be said, and only to those who may."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from grammar_names import vocabulary_of

from bot.domain.catalog import Catalog, Environment, ProviderRef, Service
from bot.domain.grammar import (
    AbortIntent,
    DeployIntent,
    HelpIntent,
    HistoryIntent,
    QueueIntent,
    RollbackIntent,
    StatusIntent,
    Verb,
    Vocabulary,
    WhereIntent,
    hints,
    parse,
    usage,
)
from bot.domain.ids import EnvironmentName, ServiceName

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

INTENTS = {
    Verb.DEPLOY: DeployIntent,
    Verb.STATUS: StatusIntent,
    Verb.HISTORY: HistoryIntent,
    Verb.ROLLBACK: RollbackIntent,
    Verb.ABORT: AbortIntent,
    Verb.QUEUE: QueueIntent,
    Verb.WHERE: WhereIntent,
    Verb.HELP: HelpIntent,
}
VERSIONS: Mapping[ServiceName, Sequence[str]] = {
    ServiceName("checkout"): ("v1.3", "v1.2", "v1.1"),
    ServiceName("catalog"): ("v1.2", "v1.0"),
}


@pytest.mark.parametrize("names", ["vocabulary", "tricky"])
def test_every_example_works(names: str, request: pytest.FixtureRequest) -> None:
    vocabulary: Vocabulary = request.getfixturevalue(names)
    for verb in Verb:
        if names == "tricky" and verb is not Verb.DEPLOY:
            continue  # the example's action is ambiguous there, which is refused with both readings
        (entry,) = usage(vocabulary, allowed=None, topic=verb)
        assert isinstance(parse(entry.example, vocabulary=vocabulary), INTENTS[verb]), entry.example


def test_help_is_filtered_to_what_one_may_do(vocabulary: Vocabulary) -> None:
    entries = usage(vocabulary, allowed={Verb.STATUS, Verb.WHERE})
    assert [entry.example for entry in entries] == [
        "/deploy status staging",
        "/deploy where checkout",
        "/deploy help rollback",
    ]
    assert len(usage(vocabulary, allowed=None)) == len(Verb)
    assert usage(vocabulary, allowed=(), topic=Verb.ABORT) == []


def test_help_for_an_empty_catalog() -> None:
    entries = usage(vocabulary_of({}), allowed=None, command="/ship")
    assert entries[0].example == "/ship <service> v1.2 <environment>"


def test_vocabulary_of_a_catalog() -> None:
    target = ProviderRef(kind="local")
    staging, production = EnvironmentName("staging"), EnvironmentName("production")
    api, web = ServiceName("api"), ServiceName("web")
    catalog = Catalog(
        revision="1",
        channel="#deploys",
        services={
            api: Service(name=api, targets={staging: target, production: target}, images=target),
            web: Service(name=web, targets={staging: target}, images=target),
        },
        environments={staging: Environment(name=staging), production: Environment(name=production)},
    )
    vocabulary = Vocabulary.of(catalog)
    assert vocabulary.services == (api, web)
    assert vocabulary.environments == (staging, production)
    assert vocabulary.homes == {api: (staging, production), web: (staging,)}
    assert vocabulary == Vocabulary.of(catalog)


MORE = ["reason=", "strategy=", "dry-run", "force"]
COMPLETIONS = [
    ("ch", ["checkout"]),
    ("CH", ["checkout"]),
    ("c", ["checkout", "catalog"]),
    ("checkout ", ["v1.3", "v1.2", "v1.1", "staging", "production", *MORE]),
    ("checkout v", ["v1.3", "v1.2", "v1.1"]),
    ("checkout,catalog ", ["v1.2", "staging", "production", *MORE]),
    ("checkout v1.2 ", ["staging", "production", *MORE]),
    ("checkout v1.2 staging d", ["dry-run"]),
    ("checkout v1.2 staging --", ["--dry-run", "--force"]),
    ("checkout v1.2 staging --dry-run --", ["--force"]),
    ("checkout v1.2 staging strategy=", ["strategy=rolling"]),
    ("checkout v1.2 env=s", ["env=staging"]),
    ("checkout version=v1.3", ["version=v1.3"]),
    ("checkout,", ["checkout,catalog", "checkout,payments", "checkout,api2"]),
    ("checkout,p", ["checkout,payments"]),
    ("service=checkout,p", ["service=checkout,payments"]),
    ("payments v1.2 ", ["production", *MORE]),
    ("rollb", ["rollback"]),
    ("rollback checkout staging to=v1.", ["to=v1.3", "to=v1.2", "to=v1.1"]),
    ("rollback checkout staging ", ["reason=", "to="]),
    ("help ro", ["rollback"]),
    ("where ", ["checkout", "catalog", "payments", "api2"]),
    ("history checkout l", ["limit="]),
    ('checkout v1.2 staging reason="fix', []),
    ('checkout v1.2 staging reason="fix ', []),
    ("x" * 3_000, []),
    ("zzz", []),
]


@pytest.mark.parametrize(("text", "offered"), COMPLETIONS, ids=[text[:40] for text, _ in COMPLETIONS])
def test_completions(text: str, offered: list[str], vocabulary: Vocabulary) -> None:
    assert hints(text, vocabulary=vocabulary, versions=VERSIONS) == offered


def test_nothing_said_offers_services_first_and_actions(vocabulary: Vocabulary) -> None:
    offered = hints("", vocabulary=vocabulary, versions={})
    assert offered[0] == "checkout"
    assert {"status", "rollback", "help", "staging"} <= set(offered)


def test_a_completion_is_spelt_so_that_it_has_one_reading(tricky: Vocabulary) -> None:
    assert "service=queue" in hints("", vocabulary=tricky, versions={})
    assert "environment=prod" in hints("api v1.2 ", vocabulary=tricky, versions={})
