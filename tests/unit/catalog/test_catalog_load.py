"""What a good file means."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bad_catalogs import broken
from pydantic import SecretStr

from bot.catalog.load import base_folder, load, parse, revision_of
from bot.catalog.problems import CatalogError
from bot.domain.actor import Actor, Membership
from bot.domain.catalog import HealthCheck
from bot.domain.policy.access import Action, may

if TYPE_CHECKING:
    from bot.catalog.load import Providers


def test_every_part_of_the_file_reaches_the_catalog(good: str, providers: Providers, tmp_path: Path) -> None:
    path = tmp_path / ".deploy" / "config.yaml"
    path.parent.mkdir()
    path.write_text(good)
    catalog = load(path, providers=providers)

    assert catalog.revision == revision_of(good)
    assert (catalog.channel, catalog.admin_channel) == ("#deployments", "#deploy-admin")
    production = catalog.environment("production")
    assert (production.description, production.protected, production.shared_lock) == ("What customers use", True, True)
    assert not catalog.environment("staging").protected
    assert [(s.name, e.name) for s, e in catalog.places()] == [
        ("checkout", "staging"),
        ("checkout", "production"),
        ("payments", "staging"),
        ("payments", "production"),
    ]
    checkout, payments = catalog.service("checkout"), catalog.service("payments")
    assert catalog.lock_scope(checkout.name, production.name) == "production"
    assert (checkout.channel, checkout.deadline, payments.channel, payments.deadline) == ("#checkout", 300, None, 600)
    assert checkout.health == HealthCheck(path="/health", passes=2)
    assert payments.health == HealthCheck(path="/health", passes=2)
    # Options that differ by environment, and paths relative to the folder that holds .deploy.
    platform = tmp_path.parent / "platform"
    assert {name: dict(ref.options) for name, ref in checkout.targets.items()} == {
        "staging": {"root": platform, "instances": 2},
        "production": {"root": platform, "instances": 3},
    }
    assert checkout.images.options == {"folder": tmp_path.parent / "artifacts" / "checkout"}
    assert payments.targets["staging"].kind == "cluster"  # type: ignore[index]  # a plain str names an environment


def test_roles_decide(good: str, providers: Providers) -> None:
    catalog = parse(good, "c.yaml", providers)
    by_id = Membership(actor=Actor(workspace="T1", id="U0ADA", name="ada"))
    by_group = Membership(actor=Actor(workspace="T1", id="U9", name="x"), groups=frozenset({"deployers"}))
    stranger = Membership(actor=Actor(workspace="T1", id="U8", name="y"))
    checkout, payments = catalog.service("checkout").name, catalog.service("payments").name
    staging, production = catalog.environment("staging").name, catalog.environment("production").name

    def allowed(member: Membership, action: Action, service: object, environment: object) -> bool:
        return may(catalog.rules, member, action, service=service, environment=environment).allowed  # type: ignore[arg-type]  # shorter to write as object

    for member in (by_id, by_group):
        assert allowed(member, Action.DEPLOY, checkout, production)
        assert allowed(member, Action.DEPLOY, payments, staging)
        assert not allowed(member, Action.DEPLOY, payments, production)  # denied
        assert allowed(member, Action.ROLLBACK, payments, production)
        assert allowed(member, Action.ABORT, checkout, staging)  # whoever may roll back may
        assert not allowed(member, Action.LOCK, checkout, staging)  # never allowed
    assert not allowed(stranger, Action.DEPLOY, checkout, staging)


def test_without_roles_nobody_may_do_anything(good: str, providers: Providers) -> None:
    assert parse(good[: good.index("roles:")], "c.yaml", providers).rules == ()


def test_all_actions_and_single_words(good: str, providers: Providers) -> None:
    text = broken(good, "[deploy, rollback]", '"*"').replace('["@deployers", U0ADA]', "S0615G0KT")
    rule = parse(text, "c.yaml", providers).rules[0]
    assert rule.actions == set(Action) - {Action.BREAK_GLASS, Action.OVERRIDE_FREEZE, Action.CONFIGURE}
    assert (rule.users, rule.groups) == (frozenset(), {"S0615G0KT"})


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("90s", 90), ("5m", 300), ("1h", 3600), ("250ms", 0.25), ("1.5m", 90), ("45", 45), ("0.5", 0.5), ("24h", 86400)],
)
def test_durations(good: str, providers: Providers, written: str, seconds: float) -> None:
    catalog = parse(broken(good, "deadline: 5m", f"deadline: {written}"), "c.yaml", providers)
    assert catalog.service("checkout").deadline == pytest.approx(seconds)


def test_defaults_are_laid_under_services_part_by_part(providers: Providers) -> None:
    text = """
version: 1
channel: C024BE91L
environments: { staging: , production: }
defaults:
  channel: "#all"
  environments: staging
  health: { path: /up, interval: 2s }
  target: { type: local, root: /srv/platform, environments: { production: { instances: 5 } } }
  images: { type: local, folder: /srv/images }
services:
  one: {}
  two:
    environments: [production]
    health: { interval: 3 }
    target: { instances: 4 }
  three:
    target: { type: cluster, context: green, limits: { cpu: 1 }, password: hush }
"""
    catalog = parse(text, "c.yaml", providers)
    one, two, three = (catalog.service(name) for name in ("one", "two", "three"))
    assert [(ref.kind, dict(ref.options)) for ref in one.targets.values()] == [
        ("local", {"root": Path("/srv/platform"), "instances": 2})
    ]
    assert {name: ref.options["instances"] for name, ref in two.targets.items()} == {"production": 5}
    assert (two.health.path, two.health.interval, one.health.interval) == ("/up", 3, 2)
    assert one.channel == two.channel == "#all"
    # Another type takes no options from the defaults.
    assert three.targets["staging"].options == {  # type: ignore[index]  # a plain str names an environment
        "context": "green",
        "limits": {"cpu": 1.0, "memory": None},
        "password": SecretStr("hush"),
        "labels": {},
        "port": None,
    }


def test_anchors_may_be_used_and_problems_point_to_what_they_stand_for(good: str, providers: Providers) -> None:
    text = broken(good, "health: { path: /health }", "health: &health { path: /up }")
    text = text.replace("  payments:\n", "  payments:\n    health: *health\n")
    assert parse(text, "c.yaml", providers).service("payments").health.path == "/up"
    with pytest.raises(CatalogError) as caught:
        parse(text.replace("/up", "up"), "c.yaml", providers)
    assert [(p.line, p.column) for p in caught.value.problems] == [(27, 29)]


def test_the_same_text_makes_the_same_catalog(good: str, providers: Providers) -> None:
    assert parse(good, "c.yaml", providers) == parse(good, "c.yaml", providers)
    assert parse(good, "c.yaml", providers).revision != parse(good + "\n", "c.yaml", providers).revision


def test_what_relative_paths_are_relative_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert base_folder("/srv/shop/.deploy/config.yaml") == Path("/srv/shop")
    assert base_folder("/etc/deployment-architect/config.yaml") == Path("/etc/deployment-architect")
    assert base_folder(".deploy/config.yaml") == tmp_path


def test_500_services_load_fast(providers: Providers) -> None:
    services = "".join(
        f"""
  service-{number}:
    description: Number {number}
    environments: [staging, production]
    target:
      type: local
      root: ../platform
      environments:
        production: {{ instances: 3 }}
    images: {{ type: local, folder: ../artifacts/{number} }}
    health: {{ path: /health }}
    deadline: 5m"""
        for number in range(500)
    )
    text = f'version: 1\nchannel: "#d"\nenvironments: {{ staging: {{}}, production: {{}} }}\nservices:{services}\n'
    began = time.process_time()
    catalog = parse(text, "c.yaml", providers)
    assert time.process_time() - began < 1.5
    assert len(catalog.places()) == 1000


def test_an_unreadable_file(tmp_path: Path, providers: Providers) -> None:
    path = tmp_path / "config.yaml"
    path.symlink_to(path)
    with pytest.raises(CatalogError, match="the file cannot be read: Too many levels of symbolic links"):
        load(path, providers=providers)
