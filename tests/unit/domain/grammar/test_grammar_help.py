"""Help and completion: what is offered can be said, and only to those who may."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from grammar_names import vocabulary_of

from bot.domain.catalog import Catalog, Environment, ProviderRef, Service
from bot.domain.grammar import (
    AbortIntent,
    ApproveIntent,
    BreakGlassIntent,
    DeployIntent,
    DiffIntent,
    FreezeIntent,
    HelpIntent,
    HistoryIntent,
    HoldIntent,
    LockIntent,
    LocksIntent,
    MayIntent,
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
    Verb,
    Vocabulary,
    WhereIntent,
    hints,
    parse,
    usage,
)
from bot.domain.grammar.options import OPTIONS, Takes
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
    Verb.APPROVE: ApproveIntent,
    Verb.REJECT: RejectIntent,
    Verb.START: StartIntent,
    Verb.PROMOTE: PromoteIntent,
    Verb.HOLD: HoldIntent,
    Verb.RESUME: ResumeIntent,
    Verb.SCHEDULE: ScheduleIntent,
    Verb.RUN_NEXT: RunNextIntent,
    Verb.LOCK: LockIntent,
    Verb.UNLOCK: UnlockIntent,
    Verb.LOCKS: LocksIntent,
    Verb.FREEZE: FreezeIntent,
    Verb.UNFREEZE: UnfreezeIntent,
    Verb.MAY: MayIntent,
    Verb.DIFF: DiffIntent,
    Verb.STATS: StatsIntent,
    Verb.PREVIEW: PreviewIntent,
    Verb.PREVIEWS: PreviewsIntent,
    Verb.BREAK_GLASS: BreakGlassIntent,
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


def test_every_option_of_an_action_is_in_its_help(vocabulary: Vocabulary) -> None:
    for verb in Verb:
        (entry,) = usage(vocabulary, allowed=None, topic=verb)
        for option in OPTIONS.values():
            if verb in option.verbs and option.takes is not Takes.NAME and option.name not in {"scope", "right"}:
                assert re.search(rf"\b{option.name}\b", entry.syntax), (
                    f"the help of {verb} says nothing of {option.name}"
                )


def test_help_is_short_enough_to_be_shown_whole(vocabulary: Vocabulary) -> None:
    for entry in usage(vocabulary, allowed=None):
        assert len(entry.syntax) <= 200
        assert len(entry.meaning) <= 200
        assert len(entry.example) <= 120


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


ENVIRONMENTS = ["staging", "production", "qa1"]
MORE = ["reason=", "strategy=", "at=", "dry-run", "force"]
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
    ("checkout v1.2 staging at 18:00 ", ["reason=", "strategy=", "expires=", "dry-run", "force"]),
    ("checkout v1.2 staging at=n", ["at=next-window"]),
    ("checkout at 18:00 v1.", ["v1.3", "v1.2", "v1.1"]),
    ("may over", ["override-freeze"]),
    ("may rollback ch", ["checkout"]),
    ("may rollback payments ", ["production"]),
    ("rollback may o", []),
    ("may right=run", ["right=run-next"]),
    ("lock a", ["api2", "all"]),
    ("lock checkout production ", ["reason=", "until=", "level=", "type=", "incident=", "hard", "pause"]),
    ("lock checkout hard level=", ["level=block", "level=warn"]),
    ("lock checkout type=m", ["type=migration"]),
    ("lock checkout --", ["--hard", "--pause"]),
    ("freeze all ", ["reason=", "until="]),
    ("freeze reason=x ", ["checkout", "catalog", "payments", "api2", *ENVIRONMENTS, "all", "until="]),
    ("unlock payments ", ["production", "reason="]),
    ("diff checkout staging ", ["production"]),
    ("diff checkout staging production ", []),
    ("stats checkout staging ", ["days="]),
    ("approve checkout staging ", ["reason="]),
    ("schedule #42 at 18:00 ex", ["expires="]),
    ("break-glass checkout ", ["v1.3", "v1.2", "v1.1", "staging", "production", "reason=", "confirm=", "force"]),
    ("start ", []),
    ("prom", ["promote"]),
    ("promote checkout staging ", ["reason=", "force", "skip", "to="]),
    ("promote #42 --", ["--force", "--skip"]),
    ("promote #42 to=", ["to=100"]),
    ("hold checkout staging ", ["reason="]),
    ("resume checkout staging ", []),
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
    assert set(Verb) | {"staging"} <= set(offered)


def test_a_completion_is_spelt_so_that_it_has_one_reading(tricky: Vocabulary) -> None:
    assert "service=queue" in hints("", vocabulary=tricky, versions={})
    assert "environment=prod" in hints("api v1.2 ", vocabulary=tricky, versions={})
