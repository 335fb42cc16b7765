"""What is said about rollouts of several steps: strategies of the catalog, and going on, holding and resuming."""

from __future__ import annotations

from itertools import permutations

import pytest
from grammar_names import vocabulary_of

from bot.domain.catalog import Catalog, Environment, ProviderRef, Service
from bot.domain.errors import BadCommand
from bot.domain.grammar import (
    BreakGlassIntent,
    DeployIntent,
    HoldIntent,
    Intent,
    MayIntent,
    OpenFormIntent,
    PromoteIntent,
    ResumeIntent,
    RollbackIntent,
    Vocabulary,
    hints,
    parse,
    render,
)
from bot.domain.ids import DeploymentId, EnvironmentName, ServiceName
from bot.domain.policy.access import Action
from bot.domain.strategy.kinds import Canary, Rolling, Step

CHECKOUT, STAGING, PRODUCTION = ServiceName("checkout"), EnvironmentName("staging"), EnvironmentName("production")
AN_ID = DeploymentId("d1jkmnpqrstvwxy")
NAMES = vocabulary_of(
    {"checkout": "staging production"},
    "staging",
    "production",
    strategies=("rolling", "canary", "blue-green", "slow", "abcdef1"),
)
#: There the canary is a place.
PLACE = vocabulary_of({"checkout": "staging canary"}, "staging", "canary", strategies=("rolling", "canary"))


def deploy(strategy: str | None, version: str = "v1.2") -> DeployIntent:
    return DeployIntent(services=(CHECKOUT,), version=version, environment=STAGING, strategy=strategy)


SAID: list[tuple[str, Intent]] = [
    ("promote", PromoteIntent()),
    ("promote #42", PromoteIntent(deployment=42)),
    ("promote #42 to=50", PromoteIntent(deployment=42, to=50)),
    ("promote #42 to=50%", PromoteIntent(deployment=42, to=50)),
    ('promote #42 to="50 %"', PromoteIntent(deployment=42, to=50)),
    ("promote #42 50%", PromoteIntent(deployment=42, to=50)),
    ("promote #42 to 100%", PromoteIntent(deployment=42, to=100)),
    ("promote 420", PromoteIntent(deployment=420)),
    ("promote deployment=42", PromoteIntent(deployment=42)),
    (f"promote {AN_ID}", PromoteIntent(deployment=AN_ID)),
    ("promote checkout in production", PromoteIntent(service=CHECKOUT, environment=PRODUCTION)),
    ("#42 promote to=100 --skip", PromoteIntent(deployment=42, to=100, skip=True)),
    (
        'promote #42 to=100 force skip reason="errors are from the probe"',
        PromoteIntent(deployment=42, to=100, force=True, skip=True, reason="errors are from the probe"),
    ),
    ("hold", HoldIntent()),
    ("hold #42", HoldIntent(deployment=42)),
    ("hold 42 reason=lunch", HoldIntent(deployment=42, reason="lunch")),
    ("hold checkout production", HoldIntent(service=CHECKOUT, environment=PRODUCTION)),
    ("resume #42", ResumeIntent(deployment=42)),
    ("resume checkout production", ResumeIntent(service=CHECKOUT, environment=PRODUCTION)),
    ("may promote production", MayIntent(action=Action.PROMOTE, environment=PRODUCTION)),
    ("may hold", MayIntent(action=Action.PROMOTE)),
    ("may right=promote", MayIntent(action=Action.PROMOTE)),
    ("rollback #42 to=v1.1", RollbackIntent(deployment=42, to="v1.1")),
    ("rollback #42 to=50", RollbackIntent(deployment=42, to="50")),
    ("checkout v1.2 staging", deploy(None)),
    ("checkout v1.2 staging strategy=canary", deploy("canary")),
    ("checkout v1.2 staging strategy=Canary", deploy("canary")),
    ("checkout v1.2 staging strategy=blue_green", deploy("blue-green")),
    ("checkout v1.2 staging strategy=slow", deploy("slow")),
    ("checkout v1.2 staging canary", deploy("canary")),
    ("canary checkout v1.2 staging", deploy("canary")),
    ("checkout v1.2 staging rolling", deploy("rolling")),
    ("checkout v1.2 staging, Blue_Green.", deploy("blue-green")),
    ("checkout v1.2 staging canary strategy=canary", deploy("canary")),
    ("checkout version=canary staging slow", deploy("slow", version="canary")),
    ("checkout main staging slow", deploy("slow", version="main")),
    # A branch may be called so too; nothing is started, the form asks for the version.
    (
        "checkout staging canary",
        OpenFormIntent(services=(CHECKOUT,), environment=STAGING, strategy="canary"),
    ),
    ("checkout staging slow", OpenFormIntent(services=(CHECKOUT,), environment=STAGING, strategy="slow")),
    ("canary", OpenFormIntent(strategy="canary")),
]


@pytest.mark.parametrize(("text", "intent"), SAID, ids=[text for text, _ in SAID])
def test_what_is_said(text: str, intent: Intent) -> None:
    assert parse(text, vocabulary=NAMES) == intent
    assert parse(render(intent, vocabulary=NAMES), vocabulary=NAMES) == intent


@pytest.mark.parametrize("text", ["promote #42 to=50 skip", "checkout v1.2 staging canary", "hold #42 reason=lunch"])
def test_words_come_in_any_order(text: str) -> None:
    meant = parse(text, vocabulary=NAMES)
    assert all(parse(" ".join(words), vocabulary=NAMES) == meant for words in permutations(text.split()))


def test_a_place_that_is_called_like_a_strategy_is_the_place() -> None:
    there = parse("checkout v1.2 canary", vocabulary=PLACE)
    assert there == DeployIntent(services=(CHECKOUT,), version="v1.2", environment=EnvironmentName("canary"))
    both = parse("checkout v1.2 canary strategy=canary", vocabulary=PLACE)
    assert isinstance(both, DeployIntent)
    assert (both.environment, both.strategy) == ("canary", "canary")


def test_a_rollback_and_an_emergency_take_no_strategy() -> None:
    glass = "break-glass checkout v1.2 staging reason=x confirm=checkout"
    assert isinstance(parse(glass, vocabulary=NAMES), BreakGlassIntent)
    for text in (f"{glass} canary", "rollback checkout staging canary", "promote #42 canary", "status canary"):
        with pytest.raises(BadCommand, match=r"^“canary” is a strategy\.$") as caught:
            parse(text, vocabulary=NAMES)
        assert caught.value.hint == "Only deploy takes one, as in checkout v1.2 staging strategy=canary."


# text, the whole message, the suggestions, what the hint says
REFUSED: list[tuple[str, str, tuple[str, ...], str]] = [
    (
        "checkout v1.2 staging strategy=cannary",
        "strategy= can only be rolling, canary, blue-green and 2 more, not “cannary”.",
        ("strategy=canary",),
        "Did you mean strategy=canary?",
    ),
    (
        "checkout v1.2 staging strategy=recreate",
        "strategy= can only be rolling, canary, blue-green and 2 more, not “recreate”.",
        ("strategy=rolling", "strategy=canary", "strategy=blue-green"),
        "Write strategy=rolling.",
    ),
    (
        "checkout v1.2 staging strategy=",
        "strategy= needs a value right after the equals sign.",
        (),
        "Write strategy=rolling.",
    ),
    (
        "checkout v1.2 staging recreate",
        "“recreate” is a strategy.",
        ("strategy=rolling", "strategy=canary", "strategy=blue-green"),
        "others are not available here",
    ),
    (
        "checkout v1.2 staging cannary",
        "“cannary” is not a service, an environment or an action.",
        ("canary",),
        "Did you mean canary?",
    ),
    (
        "checkout staging cannary",
        "“cannary” is not a service, an environment or an action.",
        ("canary",),
        "version=cannary",
    ),
    (
        "checkout v1.2 staging canary slow",
        "strategy= is given twice, with different values.",
        (),
        "Keep one strategy=.",
    ),
    (
        "checkout abcdef1 staging",
        "“abcdef1” can be a strategy and a version.",
        ("strategy=abcdef1", "version=abcdef1"),
        "Say which: strategy=abcdef1 or version=abcdef1.",
    ),
    (
        "promote 50",
        "“50” can be the deployment 50 and 50 per cent.",
        ("#50", "to=50"),
        "Say which: #50 or to=50.",
    ),
    (
        "promote #42 to 50",
        "“50” can be the deployment 50 and 50 per cent.",
        ("#50", "to=50"),
        "Say which: #50 or to=50.",
    ),
    *[
        (
            f"promote #42 to={value}",
            f"to= is a number of per cent from 1 to 100, not “{value}”.",
            ("to=50", "to=100"),
            "Write to=50, or leave it out for the next step.",
        )
        for value in ("0", "101", "0%", "half", "v1.2", "-5", "٥٠", "50.5")
    ],
    ("promote #42 to=50 100%", "to is given twice", (), "Keep one to="),
    ("promote #42 #43", "There are two deployments: “42” and “43”.", (), "one deployment"),
    ("promote checkout v1.2", "promote takes no version, but there is “v1.2”.", (), "help promote"),
    ("promote checkout staging production", "There are two environments", (), "one environment"),
    ("resume #42 reason=x", "reason does not belong to resume", (), "Leave reason out"),
    ("hold #42 force", "force does not belong to hold", (), "Leave force out"),
    ("checkout v1.2 staging skip", "skip does not belong to deploy; it belongs to promote.", (), "Leave skip out"),
    ("checkout v1.2 staging canary=20", "Choosing a canary's weight (canary=) is not available here", (), "Leave"),
    ("continue #42", "“continue” is not an action here.", ("resume",), "Did you mean resume?"),
    ("advance #42", "“advance” is not an action here.", ("promote",), "Did you mean promote?"),
]


@pytest.mark.parametrize(("text", "message", "suggestions", "hint"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_is_refused(text: str, message: str, suggestions: tuple[str, ...], hint: str) -> None:
    with pytest.raises(BadCommand) as caught:
        parse(text, vocabulary=NAMES)
    assert caught.value.message.startswith(message.replace("to is given", "to= is given"))
    assert caught.value.suggestions == suggestions
    assert hint in (caught.value.hint or "")


def test_without_that_strategy_its_word_is_neither_a_branch_nor_a_strategy() -> None:
    plain = vocabulary_of({"checkout": "staging"}, "staging")
    for text in ("checkout staging canary", "checkout v1.2 staging canary"):
        with pytest.raises(BadCommand, match="“canary” is a strategy") as caught:
            parse(text, vocabulary=plain)
        assert caught.value.hint == "The strategy is written strategy=rolling; others are not available here."


def test_completions_offer_the_strategies_of_the_catalog() -> None:
    before = "checkout v1.2 staging strategy="
    assert hints(before, vocabulary=NAMES, versions={}) == [
        f"strategy={name}" for name in ("rolling", "canary", "blue-green", "slow", "abcdef1")
    ]
    assert hints(f"{before}c", vocabulary=NAMES, versions={}) == ["strategy=canary"]


def test_the_strategies_of_a_vocabulary_are_those_of_the_catalog() -> None:
    target = ProviderRef(kind="local")
    catalog = Catalog(
        revision="1",
        channel="#d",
        services={CHECKOUT: Service(name=CHECKOUT, targets={STAGING: target}, images=target)},
        environments={STAGING: Environment(name=STAGING)},
        strategies={"rolling": Rolling(), "slow": Canary(steps=(Step(weight=5, approval=True),))},
    )
    vocabulary = Vocabulary.of(catalog)
    assert vocabulary.strategies == ("rolling", "slow")
    assert parse("checkout v1.2 staging slow", vocabulary=vocabulary) == deploy("slow")
