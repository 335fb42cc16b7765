"""Clusters in the catalog: described once, named by targets, and nothing of them is loaded where there are none."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel, ConfigDict

from bot.bootstrap import RegisteredProviders
from bot.catalog.json_schema import json_schema
from bot.catalog.load import Providers, parse
from bot.catalog.problems import CatalogError
from bot.domain.errors import ConfigurationError
from bot.domain.ids import EnvironmentName, ServiceName
from integrations import registry
from integrations.registry import CLUSTERS, Entry, Registry

CATALOG = """\
version: 1
channel: "#deployments"
environments: { staging: {}, production: {} }
clusters:
  main: { type: kubeconfig, path: kube/config, context: prod, exec: [aws] }
  here: { type: in_cluster }
  google: { type: gke, project: acme-prod, location: europe-west1, cluster: shop }
  amazon: { type: eks, region: eu-west-1, cluster: shop, role_arn: "arn:aws:iam::123456789012:role/deployer" }
  azure: { type: aks, subscription: 00000000-1111-2222-3333-444444444444, resource_group: shop, cluster: shop }
services:
  checkout:
    target:
      type: pods
      cluster: main
      environments:
        staging: { cluster: here }
    images: { type: local, folder: b }
  catalog:
    target: { type: pods, cluster: main }
    images: { type: local, folder: b }
"""


class Pods(BaseModel):
    """Pods of a cluster."""

    model_config = ConfigDict(extra="forbid")

    cluster: str


class Target:
    """What a factory was called with."""

    def __init__(self, **given: Any) -> None:
        self.given = given


@pytest.fixture
def there(providers: Providers) -> Providers:
    return replace(
        providers,
        targets={**providers.targets, "pods": Pods},
        clusters=CLUSTERS.models(),
        clustered={"pods": True, "local": False},
        check=lambda noun, kind: CLUSTERS.check(kind) if noun == "cluster" else None,
    )


def problems(text: str, providers: Providers) -> list[str]:
    with pytest.raises(CatalogError) as caught:
        parse(text, "c.yaml", providers)
    return [str(problem) for problem in caught.value.problems]


def test_every_kind_is_read(there: Providers) -> None:
    catalog = parse(CATALOG, "/srv/.deploy/config.yaml", there)
    assert {name: one.kind for name, one in catalog.clusters.items()} == {
        "main": "kubeconfig",
        "here": "in_cluster",
        "google": "gke",
        "amazon": "eks",
        "azure": "aks",
    }
    assert catalog.clusters["main"].options["path"] == Path("/srv/kube/config")
    assert catalog.clusters["main"].options["exec"] == ["aws"]
    assert catalog.service("checkout").targets[EnvironmentName("staging")].options == {"cluster": "here"}


def test_home_is_where_the_file_is_looked_for(there: Providers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/bot")
    catalog = parse(CATALOG.replace("kube/config", "~/.kube/config"), "c.yaml", there)
    assert catalog.clusters["main"].options["path"] == Path("/home/bot/.kube/config")


def test_a_cluster_that_nothing_describes_is_told_where_it_is_named(there: Providers) -> None:
    [told] = problems(CATALOG.replace("cluster: main }", "cluster: mian }"), there)
    assert told == (
        "c.yaml:19:36: services.catalog.target.cluster: there is no cluster 'mian'. Did you mean 'main'? "
        "Allowed: main, here, google, amazon, azure."
    )
    [told] = problems(CATALOG.replace("staging: { cluster: here }", "staging: { cluster: hear }"), there)
    assert told == (
        "c.yaml:16:29: services.checkout.target.environments.staging.cluster: there is no cluster 'hear'. "
        "Did you mean 'here'? Allowed: main, here, google, amazon, azure."
    )


def test_without_any_cluster_it_is_said_where_they_go(there: Providers) -> None:
    start, _, rest = CATALOG.partition("clusters:\n")
    text = start + "services:\n" + rest.partition("services:\n")[2].replace("cluster: here", "cluster: main")
    found = problems(text, there)
    assert len(found) == 3  # each place once
    assert found[0].endswith("there is no cluster 'main'; say under 'clusters' how it is reached.")


def test_a_target_that_runs_on_no_cluster_may_call_an_option_so(there: Providers) -> None:
    text = CATALOG.replace("type: pods, cluster: main", "type: pods, cluster: elsewhere")
    assert parse(text, "c.yaml", replace(there, clustered={"pods": False})).services


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            ("type: kubeconfig", "type: kubeconfg"),
            "there is no type of cluster 'kubeconfg'. Did you mean 'kubeconfig'?",
        ),
        (("type: in_cluster }", "type: in_cluster, token: abc }"), "unknown key"),
        (("path: kube/config, ", ""), "'path' is missing"),
        (("exec: [aws]", 'exec: ["aws eks get-token"]'), "must be the name of a command or its whole path"),
        (("exec: [aws]", "exec: [./aws]"), "must be the name of a command or its whole path"),
        (("location: europe-west1", "location: ../../other"), "location"),
        (("region: eu-west-1", "region: evil.example.com"), "region"),
        (("subscription: 00000000-", "subscription: 0/"), "subscription"),
        (("resource_group: shop", "resource_group: a/b"), "resource_group"),
        (("role/deployer", "user/deployer"), "role_arn"),
        (("  main: {", "  Main: {"), "cannot be the name of a cluster"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[1][:30],
)
def test_what_is_wrong_is_told_with_its_line(change: tuple[str, str], told: str, there: Providers) -> None:
    old, new = change
    assert old in CATALOG
    found = problems(CATALOG.replace(old, new, 1), there)
    line = next(number for number, text in enumerate(CATALOG.splitlines(), 1) if old in text)
    assert any(f"c.yaml:{line}:" in one and told in one for one in found), found


def test_editors_know_clusters(there: Providers) -> None:
    import yaml

    schema = json_schema(there)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(CATALOG), schema)
    for bad in (CATALOG.replace("type: gke", "type: gcloud"), CATALOG.replace("project: acme-prod, ", "")):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(yaml.safe_load(bad), schema)


def test_one_client_for_each_cluster_and_it_stays_over_a_reload(
    there: Providers, monkeypatch: pytest.MonkeyPatch
) -> None:
    pods = Entry(options=f"{__name__}:Pods", factory=f"{__name__}:Target", uses_cluster=True)
    monkeypatch.setattr(registry, "TARGETS", Registry[Any]("target", {"pods": pods}))
    providers = RegisteredProviders()
    catalog = parse(CATALOG, "c.yaml", there)
    staging, production = EnvironmentName("staging"), EnvironmentName("production")
    checkout, other = ServiceName("checkout"), ServiceName("catalog")

    def kube(catalog: Any, service: ServiceName, environment: EnvironmentName) -> Any:
        target: Any = providers.target(catalog, service, environment)
        assert target.given["service"] == service
        return target.given["kube"]

    main, here = kube(catalog, checkout, production), kube(catalog, checkout, staging)
    assert main is kube(catalog, other, production) is kube(catalog, other, staging)
    assert here is not main
    changed = parse(CATALOG.replace("context: prod", "context: blue"), "c.yaml", there)
    assert kube(changed, checkout, staging) is here, "nothing about it has changed"
    blue = kube(changed, checkout, production)
    assert blue is not main, "the target must not go on with the cluster of before"
    assert kube(catalog, checkout, production) is main, "what has begun before goes on where it began"


def test_a_catalog_of_before_without_the_cluster_says_so(there: Providers, monkeypatch: pytest.MonkeyPatch) -> None:
    pods = Entry(options=f"{__name__}:Pods", factory=f"{__name__}:Target", uses_cluster=True)
    monkeypatch.setattr(registry, "TARGETS", Registry[Any]("target", {"pods": pods}))
    catalog = replace(parse(CATALOG, "c.yaml", there), clusters={})
    with pytest.raises(ConfigurationError, match="describes no cluster 'main'"):
        RegisteredProviders().target(catalog, ServiceName("catalog"), EnvironmentName("staging"))


def test_a_catalog_without_clusters_loads_nothing_of_them(tmp_path: Path) -> None:
    text = """
version: 1
channel: "#d"
environments: { staging: {} }
services: { checkout: { target: { type: local, root: p }, images: { type: local, folder: a } } }
"""
    (tmp_path / "config.yaml").write_text(text)
    code = (
        "import sys; from pathlib import Path; from bot.bootstrap import check_catalog, RegisteredProviders\n"
        f"catalog = check_catalog(Path({str(tmp_path / 'config.yaml')!r}))\n"
        "RegisteredProviders().target(catalog, 'checkout', 'staging')\n"
        "import json; print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout)
    vendors = ("kubernetes", "boto3", "botocore", "google.auth", "google.cloud", "azure", "grpc", "aiohttp")
    clusters = ("integrations.clusters.", "integrations._shared.kube")
    assert [name for name in loaded if name.startswith((*vendors, *clusters))] == ["integrations.clusters.shared"]


def test_naming_clusters_loads_no_vendor(tmp_path: Path) -> None:
    head, _, _ = CATALOG.partition("services:\n")
    rest = "services: { checkout: { target: { type: local, root: p }, images: { type: local, folder: a } } }\n"
    (tmp_path / "config.yaml").write_text(head + rest)
    code = (
        "import sys; from pathlib import Path; from bot.bootstrap import check_catalog\n"
        f"assert len(check_catalog(Path({str(tmp_path / 'config.yaml')!r})).clusters) == 5\n"
        "import json; print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    vendors = ("kubernetes", "boto3", "botocore", "google.auth", "azure.identity", "grpc", "google.cloud.container_v1")
    assert [name for name in json.loads(done.stdout) if name.startswith(vendors)] == []


@pytest.mark.parametrize("name", CLUSTERS.names())
def test_each_kind_says_what_it_needs_and_who_brings_it(name: str) -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    entry = CLUSTERS._builtin[name]
    assert (entry.extra is not None) == bool(entry.needs)
    assert entry.extra is None or entry.extra in project["optional-dependencies"]
    CLUSTERS.check(name)  # whoever tests has them all
    schema = CLUSTERS.options(name).model_json_schema()
    assert all(field.get("description") for field in schema["properties"].values()), "editors show it"


def test_a_package_within_one_that_is_missing_is_missing_too() -> None:
    entry = Entry(options="a:B", factory="a:b", extra="gcp", needs=("no_such_vendor.cloud.container_v1",))
    with pytest.raises(ConfigurationError, match=r"pip install 'deployment-architect\[gcp\]'"):
        Registry[Any]("cluster", {"gke": entry}).check("gke")


def test_every_kind_is_on_the_page_about_clusters() -> None:
    page = (Path(__file__).parents[3] / "docs" / "clusters.md").read_text()
    told = set(re.findall(r"^\| `([a-z_]+)` \|", page, re.MULTILINE))
    assert told == set(CLUSTERS.names())
