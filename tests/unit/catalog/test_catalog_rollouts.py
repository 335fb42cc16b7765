"""Metric sources, checks and strategies reach the domain as they are written, and mistakes are told at their place."""

from __future__ import annotations

from collections import UserDict
from dataclasses import MISSING, fields, replace
from typing import TYPE_CHECKING, get_args

import pytest
from bad_catalogs import broken
from bad_rollouts import CASES, LOADER_ONLY
from jsonschema import Draft202012Validator

from bot.catalog.document import compose
from bot.catalog.json_schema import json_schema
from bot.catalog.load import parse
from bot.catalog.problems import BadValue, CatalogError
from bot.catalog.quantities import length, number, percentage, weight
from bot.catalog.rollout_schema import BlueGreenBlock, CanaryBlock, CheckBlock, ComparisonBlock, StrategyBlock
from bot.catalog.rollouts import Rollouts
from bot.catalog.schema import CatalogFile, ServiceBlock
from bot.domain.analysis.check import Check, Comparison, Good, Kind
from bot.domain.catalog import Service
from bot.domain.errors import BadCommand, ConfigurationError
from bot.domain.grammar import DeployIntent, Vocabulary
from bot.domain.grammar import parse as read
from bot.domain.strategy.kinds import BlueGreen, Canary, OnTimeout, Recreate, Rolling, Step, StrategyKind
from bot.domain.strategy.powers import Power

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pydantic import BaseModel

    from bot.catalog.load import Providers
    from bot.domain.catalog import Catalog


@pytest.fixture
def catalog(rollouts: str, providers: Providers, tmp_path: Path) -> Catalog:
    return parse(rollouts, str(tmp_path / "c.yaml"), providers)


def test_metric_sources_reach_the_catalog(catalog: Catalog, tmp_path: Path) -> None:
    assert {name: reference.kind for name, reference in catalog.metrics.items()} == {"proxy": "local", "board": "board"}
    assert catalog.metrics["proxy"].options == {"root": tmp_path / "platform"}
    assert catalog.metrics["board"].options == {"address": "https://board.example.com", "token": None}


def test_checks_reach_the_services_that_name_them(catalog: Catalog) -> None:
    errors = Check(
        name="errors",
        source="proxy",
        query="error_share",
        kind=Kind.SHARE,
        limit=0.02,
        against_stable=Comparison(ratio=1.5, tolerance=0.01),
        interval=2.0,
        window=6.0,
    )
    latency = Check(
        name="latency",
        source="board",
        query="avg:latency{service:{service}}",
        unit="ms",
        limit=250.0,
        against_before=Comparison(),
        max_age=60.0,
        required=False,
    )
    checks = {service.name: service.checks for service in catalog.services.values()}
    # Of its own, by the defaults, and none on purpose.
    assert checks == {"checkout": (errors, latency), "catalog": (errors,), "payments": ()}
    assert {service.name: (service.bake, service.countdown) for service in catalog.services.values()} == {
        "checkout": (30.0, 0.0),
        "catalog": (30.0, 60.0),
        "payments": (30.0, 60.0),
    }


def test_strategies_reach_the_catalog(catalog: Catalog) -> None:
    assert catalog.strategies == {
        "rolling": Rolling(),
        "recreate": Recreate(),
        "careful": Canary(
            steps=(Step(weight=20, bake=10.0), Step(weight=50, bake=60.0, approval=True)),
            timeout=172_800.0,
            on_timeout=OnTimeout.HOLD,
        ),
        "switch": BlueGreen(keep=600.0, verify=10.0, approval=True),
    }
    staging, production = catalog.environment("staging").name, catalog.environment("production").name
    checkout, other = catalog.service("checkout").name, catalog.service("catalog").name
    assert catalog.strategy("", checkout, staging).kind is StrategyKind.BLUE_GREEN
    assert catalog.strategy("", other, staging).kind is StrategyKind.ROLLING
    assert catalog.strategy("", other, production).kind is StrategyKind.CANARY  # the environment's goes first
    assert catalog.strategy("recreate", checkout, production).kind is StrategyKind.RECREATE


def test_a_file_without_any_of_it_rolls_and_watches_nothing(good: str, providers: Providers) -> None:
    catalog = parse(good, "c.yaml", providers)
    assert (catalog.metrics, catalog.environment("production").strategy) == ({}, None)
    service = catalog.service("checkout")
    plain = Service(name=service.name, targets={}, images=service.images)
    watched = (service.strategy, service.checks, service.bake, service.countdown)
    assert watched == (plain.strategy, plain.checks, plain.bake, plain.countdown)
    assert watched == ("rolling", (), 0.0, 60.0)


def test_recreate_is_built_in_only_where_a_target_can(good: str, providers: Providers) -> None:
    assert list(parse(good, "c.yaml", providers).strategies) == ["rolling", "recreate"]
    weak = replace(providers, powers={"local": {Power.ABORT}})
    assert list(parse(good, "c.yaml", weak).strategies) == ["rolling"]
    assert list(parse(good, "c.yaml", replace(providers, powers={})).strategies) == ["rolling"]


def test_what_no_target_here_can_do_is_no_strategy(rollouts: str, providers: Providers) -> None:
    text = broken(rollouts, "    strategy: careful", "    description: live")
    weak = replace(providers, powers={"local": {Power.RECREATE}, "other": frozenset(Power)})
    with pytest.raises(CatalogError) as caught:
        parse(text, "c.yaml", weak)
    # Told once: where it is asked for, and if nobody does where it is defined.
    assert [(problem.line, problem.path) for problem in caught.value.problems] == [
        (33, "strategies.careful"),
        (49, "services.checkout.strategy"),
    ]
    assert str(caught.value.problems[0]).startswith("c.yaml:33:3: strategies.careful: nothing for any service here: ")
    assert all("These targets can: other" in str(problem) for problem in caught.value.problems)


def test_an_environment_that_many_services_cannot_follow_is_told_once(providers: Providers) -> None:
    cluster = "{ target: { type: cluster, context: blue, limits: { cpu: 2 } }, images: { type: local, folder: b } }"
    text = f"""
version: 1
channel: "#d"
environments: {{ staging: {{ strategy: recreate }} }}
services: {{ {", ".join(f"s{number}: {cluster}" for number in range(5))} }}
"""
    with pytest.raises(CatalogError) as caught:
        parse(text, "c.yaml", providers)
    [problem] = caught.value.problems
    assert (problem.line, problem.path) == (4, "environments.staging.strategy")
    assert problem.message.startswith("nothing for s0 in staging, s1 in staging, s2 in staging and 2 more: ")


def test_a_broken_target_that_can_perhaps_do_it_does_not_hide_the_problem(rollouts: str, providers: Providers) -> None:
    class Lazy(UserDict[str, frozenset[Power]]):
        def __getitem__(self, key: str) -> frozenset[Power]:
            if key == "gone":
                raise ConfigurationError("The target type 'gone' cannot be loaded.")
            return super().__getitem__(key)

    powers = Lazy(local=frozenset(Power), gone=frozenset(), cluster=frozenset())
    text = broken(rollouts, "    environments: [staging]", "    strategy: recreate\n    environments: [staging]")
    with pytest.raises(CatalogError, match="These targets can: local"):
        parse(text, "c.yaml", replace(providers, powers=powers))


@pytest.mark.parametrize("noun", ["target", "images", "metrics"])
def test_packages_that_are_missing_are_told_where_the_type_is_named(
    rollouts: str, providers: Providers, noun: str
) -> None:
    def check(asked: str, kind: str) -> None:
        if (asked, kind) == (noun, "local"):
            raise ConfigurationError("The type lacks a package; install it: pip install 'deployment-architect[x]'.")

    with pytest.raises(CatalogError) as caught:
        parse(rollouts, "c.yaml", replace(providers, check=check))
    lines = {"target": [47, 53], "images": [48, 54, 58], "metrics": [8]}
    told = [problem for problem in caught.value.problems if problem.message.startswith("The type lacks a package")]
    assert [problem.line for problem in told] == lines[noun]
    assert all("pip install 'deployment-architect[x]'." in str(problem) for problem in told)


@pytest.mark.parametrize(("old", "new", "answer"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_each_problem_is_told_at_its_place(
    rollouts: str, providers: Providers, old: str, new: str, answer: str
) -> None:
    with pytest.raises(CatalogError) as caught:
        parse(broken(rollouts, old, new), "c.yaml", providers)
    assert str(caught.value) == answer


@pytest.mark.parametrize(("name", "old", "new"), [case[:3] for case in CASES], ids=[case[0] for case in CASES])
def test_the_schema_refuses_what_it_can(rollouts: str, providers: Providers, name: str, old: str, new: str) -> None:
    validator = Draft202012Validator(json_schema(providers))
    assert validator.is_valid(compose(rollouts, "c.yaml").root.plain())
    assert validator.is_valid(compose(broken(rollouts, old, new), "c.yaml").root.plain()) == (name in LOADER_ONLY)


def test_several_problems_of_one_check_are_told_together(rollouts: str, providers: Providers) -> None:
    text = broken(rollouts, "limit: 2%", "limit: 20").replace("failures: 2", "failures: 9", 1)
    text = broken(text, "weight: 50%, bake: 1m, approval: true", "weight: 5").replace("source: board", "source: bord")
    with pytest.raises(CatalogError) as caught:
        parse(text, "c.yaml", providers)
    assert [problem.path for problem in caught.value.problems] == [
        "checks.errors.limit",
        "checks.errors.of",
        "checks.latency.source",
        "strategies.careful.canary.steps[1]",
        "strategies.careful.canary.steps[1].weight",
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[errors, latency]", "[[errors], { latency: errors }]"),
        ("strategy: switch", "strategy: { switch: }"),
        ("source: proxy", "source: [proxy]"),
        ("{ ratio: 1.5, tolerance: 1% }", "[1.5]"),
        ("{ weight: 20, bake: 10s }", "[20]"),
        ("metrics:\n", "metrics: []\nmetric:\n"),
        ("checks:\n", "checks: 5\ncheck:\n"),
        ("strategies:\n", "strategies:\nstrategie:\n"),
    ],
)
def test_what_has_another_shape_is_a_problem_and_no_accident(
    rollouts: str, providers: Providers, old: str, new: str
) -> None:
    with pytest.raises(CatalogError) as caught:
        parse(broken(rollouts, old, new), "c.yaml", providers)
    assert all(problem.line for problem in caught.value.problems)


def test_every_strategy_of_the_file_can_be_said(catalog: Catalog) -> None:
    vocabulary = Vocabulary.of(catalog)
    for name in catalog.strategies:
        for said in (f"strategy={name}", name):
            intent = read(f"checkout v1.2 staging {said}", vocabulary=vocabulary)
            assert isinstance(intent, DeployIntent)
            assert intent.strategy == name
    with pytest.raises(BadCommand, match="rolling, recreate, careful"):
        read("checkout v1.2 staging strategy=canary", vocabulary=vocabulary)


DEFAULTS: list[tuple[type[BaseModel], type, Mapping[str, str]]] = [
    (CheckBlock, Check, {}),
    (ComparisonBlock, Comparison, {}),
    (CanaryBlock, Canary, {}),
    (BlueGreenBlock, BlueGreen, {}),
    (ServiceBlock, Service, {"description": "", "channel": "", "health": ""}),
]


@pytest.mark.parametrize(("block", "made", "others"), DEFAULTS, ids=[block.__name__ for block, _, _ in DEFAULTS])
def test_what_is_left_out_is_what_the_domain_takes_for_usual(
    block: type[BaseModel], made: type, others: Mapping[str, str]
) -> None:
    usual = {one.name: one.default for one in fields(made) if one.default is not MISSING}
    assert {name for name in usual if name in block.model_fields} >= usual.keys() - others.keys() - {"name"}
    for name in usual.keys() & block.model_fields.keys() - others.keys():
        written = block.model_fields[name].default
        assert (tuple(written) if isinstance(written, list) else written) == usual[name], name


def test_the_words_of_the_file_are_those_of_the_domain() -> None:
    assert set(StrategyBlock.model_fields) == {str(kind) for kind in StrategyKind}
    for block, key, words in (
        (CheckBlock, "kind", Kind),
        (CheckBlock, "good", Good),
        (CanaryBlock, "on_timeout", OnTimeout),
        (BlueGreenBlock, "on_timeout", OnTimeout),
    ):
        assert set(get_args(block.model_fields[key].annotation)) == {str(word) for word in words}


def test_what_only_the_domain_refuses_is_told_at_its_place(rollouts: str) -> None:
    document = compose(rollouts, "c.yaml")
    file = CatalogFile.model_validate(document.root.plain())

    def spoilt() -> Iterator[CatalogFile]:
        # Copies are not validated again: as if the file's own checks had let them through.
        check = file.checks["errors"]
        yield file.model_copy(update={"checks": {"errors": check.model_copy(update={"interval": 0.0})}})
        assert check.against_stable is not None
        far = check.against_stable.model_copy(update={"ratio": 0.0})
        yield file.model_copy(update={"checks": {"errors": check.model_copy(update={"against_stable": far})}})
        careful, switch = file.strategies["careful"], file.strategies["switch"]
        assert careful.canary is not None
        assert switch.blue_green is not None
        canary = careful.canary.model_copy(update={"timeout": 0.0})
        blue_green = switch.blue_green.model_copy(update={"keep": -1.0})
        yield file.model_copy(update={"strategies": {"careful": careful.model_copy(update={"canary": canary})}})
        yield file.model_copy(update={"strategies": {"switch": switch.model_copy(update={"blue_green": blue_green})}})

    told = []
    for one in spoilt():
        made = Rollouts(one, document.root, document.source)
        assert len(made.checks()) + len(made.strategies()) < len(one.checks) + len(one.strategies)
        told += [(problem.line, problem.path) for problem in made.problems]
    assert told == [
        (13, "checks.errors"),
        (18, "checks.errors.against_stable"),
        (34, "strategies.careful.canary"),
        (41, "strategies.switch.blue_green"),
    ]


@pytest.mark.parametrize(
    ("written", "means"),
    [("2%", 0.02), ("1.1%", 0.011), ("0.5 %", 0.005), ("100%", 1.0), (0.02, 0.02), (250, 250.0), (-3, -3.0), (0, 0.0)],
)
def test_numbers_and_percentages(written: object, means: float) -> None:
    assert number(written) == means


@pytest.mark.parametrize("written", [True, None, "2", "%", "-2%", "2 percent", "1e3%", "٢%", [2], 10**40, float("inf")])
def test_what_is_no_number(written: object) -> None:
    with pytest.raises(BadValue, match=r"^must be a number such as 250, or a percentage such as 2%, not "):
        number(written)
    assert not isinstance(written, str) or percentage(written) is None


@pytest.mark.parametrize(("written", "means"), [(1, 1), (100, 100), ("20%", 20), ("20 %", 20), ("100%", 100)])
def test_weights(written: object, means: int) -> None:
    assert weight(written) == means
    assert isinstance(weight(written), int)


@pytest.mark.parametrize("written", [0, 101, True, 12.5, "12.5%", "20", "0%", "101%", None])
def test_what_is_no_weight(written: object) -> None:
    with pytest.raises(BadValue, match=r"^must be a whole number of per cent from 1 to 100, not "):
        weight(written)


@pytest.mark.parametrize(
    ("written", "means"), [("30s", 30), ("1.5m", 90), ("2h", 7200), ("1d", 86_400), ("500ms", 0.5), (0, 0), ("0s", 0)]
)
def test_lengths_of_time(written: object, means: float) -> None:
    assert length(written, least="0", most="24h") == means


@pytest.mark.parametrize("written", ["25h", "-1s", -1, "1w", "1 m", True, None, float("nan"), "9" * 30])
def test_what_is_no_length_of_time(written: object) -> None:
    with pytest.raises(BadValue):
        length(written, least="0", most="24h")
