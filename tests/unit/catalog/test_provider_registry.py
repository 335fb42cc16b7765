"""Providers by name: loaded when asked for, and a clear sentence when they cannot be."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bot.catalog.load import Providers, parse
from bot.catalog.problems import CatalogError
from bot.domain.catalog import ProviderRef
from bot.domain.errors import ConfigurationError
from bot.domain.ids import EnvironmentName, ServiceName
from bot.domain.strategy.powers import Power
from bot.ports import target
from integrations import registry
from integrations._shared.kube.api import Kube
from integrations.local.metrics import QUERIES
from integrations.registry import IMAGES, METRICS, TARGETS, Entry, Registry

PLUGIN = """
from pydantic import BaseModel
from bot.domain.strategy.powers import Power
from integrations.registry import Entry

class Options(BaseModel):
    job: str

def build(*, options, service, environment):
    return (options.job, service, environment)

TARGET = Entry(options="acme_deploy:Options", factory="acme_deploy:build", powers=frozenset({Power.RECREATE}))
NOTHING = 5
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Installs a distribution with the given entry points, as pip would lay it out."""

    def install(name: str, points: str) -> None:
        folder = tmp_path / name
        info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{points}\n")
        (folder / "acme_deploy.py").write_text(PLUGIN)
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(sys.modules, "acme_deploy", raising=False)

    return install


def test_importing_the_registry_imports_no_provider() -> None:
    code = "import sys, integrations.registry as r; r.TARGETS.names(); print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "integrations.registry" in loaded
    assert [name for name in loaded if name.startswith(("integrations.local", "pydantic", "kubernetes", "boto3"))] == []


def test_the_options_of_what_is_built_in_can_be_read_without_vendors() -> None:
    for registry_ in (TARGETS, IMAGES, METRICS):
        assert "local" in registry_.names()
        for name, model in registry_.models().items():
            assert model.model_json_schema()["type"] == "object", name


def test_a_model_is_found_through_the_mapping() -> None:
    models = TARGETS.models()
    assert "root" in models["local"].model_fields
    assert "nomad" not in models
    assert list(models) == TARGETS.names()
    assert len(models) == len(TARGETS.names())
    with pytest.raises(KeyError):
        models["nomad"]


def test_an_unknown_name_names_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"^There is no target type 'nomad'. There are: .*local"):
        TARGETS.build(ProviderRef(kind="nomad"), service="a", environment="b")


def test_a_missing_extra_names_the_fix() -> None:
    lacking = Registry[Any](
        "target",
        {
            "kubernetes": Entry(
                options="integrations.local:LocalTargetOptions",
                factory="no_such_vendor.client:build",
                extra="kubernetes",
            )
        },
    )
    assert "root" in lacking.options("kubernetes").model_fields
    with pytest.raises(ConfigurationError) as caught:
        lacking.build(ProviderRef(kind="kubernetes", options={"root": "/srv"}), service="a", environment="b")
    assert caught.value.message == (
        "The target type 'kubernetes' cannot be loaded, because the package 'no_such_vendor' is not installed; "
        "install what it needs: pip install 'deployment-architect[kubernetes]'"
    )


def test_a_missing_package_is_told_before_anything_is_built(good: str, providers: Providers) -> None:
    entry = Entry(
        options="integrations.prometheus.options:PrometheusOptions",
        factory="no_such_vendor.client:build",
        extra="prometheus",
        needs=("json", "no_such_vendor"),
    )
    lacking = Registry[Any]("metrics", {"prometheus": entry})
    text = f"metrics:\n  numbers: {{ type: prometheus, address: 'http://127.0.0.1:9090' }}\n{good}"
    read = replace(providers, metrics=lacking.models())
    assert parse(text, "c.yaml", read).metrics["numbers"].kind == "prometheus"
    with pytest.raises(CatalogError) as caught:
        parse(
            text, "c.yaml", replace(read, check=lambda noun, kind: lacking.check(kind) if noun == "metrics" else None)
        )
    assert str(caught.value) == (
        "c.yaml:2:20: metrics.numbers.type: The metrics type 'prometheus' cannot be loaded, because the package "
        "'no_such_vendor' is not installed; install what it needs: pip install 'deployment-architect[prometheus]'."
    )


@pytest.mark.parametrize("registry_", [TARGETS, IMAGES, METRICS], ids=lambda found: found.noun)
def test_what_needs_packages_says_in_which_extra_they_are(registry_: Registry[Any]) -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    for name, entry in registry_._builtin.items():
        assert (entry.extra is not None) == bool(entry.needs), name
        assert entry.extra is None or entry.extra in project["optional-dependencies"], name
        registry_.check(name)  # whoever tests has them all


def test_looking_for_packages_imports_none() -> None:
    code = (
        "import sys, integrations.registry as r\n"
        "for name in r.METRICS.names(): r.METRICS.check(name)\n"
        "r.TARGETS.powers()['local']\n"
        "print(*sorted(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    vendors = ("datadog_api_client", "aiosonic", "httpx", "pydantic", "integrations.local", "integrations.datadog")
    assert [name for name in loaded if name.startswith(vendors)] == []


def test_the_powers_of_a_target_are_those_that_it_has(tmp_path: Path) -> None:
    on_cluster = {"cluster": "main", "namespace": "shop", "workload": "checkout"}
    on_argo = {"cluster": "main", "namespace": "shop", "rollout": "checkout"}
    on_flagger = {"cluster": "main", "namespace": "shop", "canary": "checkout"}
    options: dict[str, dict[str, str]] = {
        "argo_rollouts": on_argo,
        "flagger": on_flagger,
        "kubernetes": on_cluster,
        "local": {"root": str(tmp_path)},
    }
    powers = TARGETS.powers()
    assert set(powers) == set(TARGETS.names()) == set(options)
    assert "nomad" not in powers
    with pytest.raises(KeyError):
        powers["nomad"]
    for name in powers:
        reference = ProviderRef(kind=name, options=options[name])
        kube = Kube(SimpleNamespace(name="main")) if "cluster" in options[name] else None
        built = registry.build_target(
            reference, service=ServiceName("a"), environment=EnvironmentName("staging"), kube=kube
        )
        for power in Power:
            methods = [method for method in vars(getattr(target, power.protocol)) if not method.startswith("_")]
            assert methods
            assert all(callable(getattr(built, method, None)) for method in methods) == (power in powers[name]), power


def test_the_queries_of_a_source_are_those_that_it_answers() -> None:
    queries = METRICS.queries()
    assert set(queries) == set(METRICS.names())
    assert set(queries["local"]) == set(QUERIES)
    assert {name for name in queries if queries[name]} == {"local"}  # the others have a language
    with pytest.raises(KeyError):
        queries["nomad"]


def test_options_are_checked_again_when_built() -> None:
    with pytest.raises(ConfigurationError, match="The target type 'local' refuses root: "):
        registry.build_target(
            ProviderRef(kind="local"), service=ServiceName("a"), environment=EnvironmentName("staging")
        )


def test_a_plugin_brings_its_own(plugin: Any) -> None:
    plugin("acme-deploy", "target.nomad = acme_deploy:TARGET")
    targets = Registry[Any]("target", {})
    images = Registry[Any]("images", {})
    assert (targets.names(), images.names()) == (["nomad"], [])
    assert dict(targets.powers()) == {"nomad": {Power.RECREATE}}
    reference = ProviderRef(kind="nomad", options={"job": "web"})
    assert targets.build(reference, service="a", environment="b") == ("web", "a", "b")


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ("target.nomad = acme_gone:TARGET", "because the package 'acme_gone' is not installed; acme-deploy is broken"),
        ("target.nomad = acme_deploy:GONE", "has no attribute 'GONE'; acme-deploy is broken"),
        ("target.nomad = acme_deploy:NOTHING", "acme_deploy:NOTHING of acme-deploy is no Entry"),
        ("target.local = acme_deploy:TARGET", "'local' is offered by acme-deploy and deployment-architect itself"),
    ],
)
def test_a_broken_plugin_is_told_at_the_line_that_names_it(
    plugin: Any, good: str, providers: Providers, points: str, message: str
) -> None:
    plugin("acme-deploy", points)
    entry = Entry(options="integrations.local:LocalTargetOptions", factory="integrations.local:build_target")
    targets = Registry[Any]("target", {"local": entry})
    text = good.replace("type: cluster", "type: nomad")
    with pytest.raises(CatalogError) as caught:
        parse(text, "c.yaml", Providers(targets=targets.models(), images=providers.images))
    line = 19 if "target.local" in points else 31
    told = [str(problem) for problem in caught.value.problems if problem.line == line]
    assert len(told) == 1
    assert message in told[0]


def test_two_plugins_may_not_offer_the_same_name(plugin: Any) -> None:
    plugin("acme-deploy", "target.nomad = acme_deploy:TARGET")
    plugin("other-deploy", "target.nomad = acme_deploy:TARGET")
    with pytest.raises(ConfigurationError, match="is offered by acme-deploy, other-deploy; uninstall all of them but"):
        Registry[Any]("target", {}).options("nomad")
