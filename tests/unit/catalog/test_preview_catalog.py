"""Previews in the catalog: what they name must exist and be one kind's only; editors know them; loading stays cheap."""

from __future__ import annotations

import jsonschema
import pytest
import yaml

from bot.bootstrap import provider_models
from bot.catalog.json_schema import json_schema
from bot.catalog.load import parse
from bot.catalog.problems import CatalogError
from bot.domain.errors import ConfigurationError
from bot.domain.ids import ServiceName
from integrations.clusters.shared import SharedClusters
from integrations.previews.registered import SharedPreviews

CATALOG = """\
version: 1
channel: "#deployments"
environments: { staging: {} }
clusters:
  main: { type: in_cluster }
  other: { type: in_cluster }
previews:
  shop:
    type: kubernetes
    cluster: main
    template: shop-template
    namespaces: shop-pr-{number}
    address: https://{service}-pr-{number}.preview.example.com
    services:
      checkout: { workload: checkout, container: web }
  back:
    type: kubernetes
    cluster: other
    template: back-template
    namespaces: back-pr-{number}
    address: https://{service}-back-{number}.preview.example.com
    services: { ledger: { workload: ledger } }
services:
  checkout: &service
    target: { type: local, root: platform }
    images: { type: oci, repository: ghcr.io/acme/checkout }
  ledger: *service
  alone: *service
"""


def problems(text: str) -> list[str]:
    with pytest.raises(CatalogError) as caught:
        parse(text, "c.yaml", provider_models())
    return [str(problem) for problem in caught.value.problems]


def test_each_service_has_the_previews_that_name_it() -> None:
    catalog = parse(CATALOG, "c.yaml", provider_models())
    source = SharedPreviews(clusters=SharedClusters())
    shop, back = (source.of(catalog, ServiceName(name)) for name in ("checkout", "ledger"))
    assert shop is not None
    assert shop is not back
    assert source.every(catalog) == [shop, back], "the same ones, built once"
    assert source.of(catalog, ServiceName("alone")) is None
    assert source.every(parse(CATALOG, "c.yaml", provider_models())) == [shop, back], "a reload changes nothing"


def test_a_catalog_without_the_cluster_says_so() -> None:
    catalog = parse(CATALOG, "c.yaml", provider_models())
    object.__setattr__(catalog, "clusters", {})
    with pytest.raises(ConfigurationError, match="describes no cluster 'main'"):
        SharedPreviews(clusters=SharedClusters()).every(catalog)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("cluster: main", "cluster: mian", "there is no cluster 'mian'. Did you mean 'main'?"),
        ("      checkout: {", "      chekout: {", "there is no service 'chekout'. Did you mean 'checkout'?"),
        ("{ ledger: {", "{ checkout: {", "checkout has previews in line 15 already"),
        ("    type: kubernetes\n", "    type: kubernets\n", "Did you mean 'kubernetes'?"),
        ("template: shop-template", "template: Shop", "template"),
        ("template: shop-template", "template: shop-pr-1", "must not be called as previews are"),
        ("namespaces: shop-pr-{number}", "namespaces: shop", "must be the name of a namespace with {number}"),
        ("namespaces: shop-pr-{number}", "namespaces: kube-{number}", "letters of its own"),
        ("address: https://{service}-pr", "adress: https://{service}-pr", "Did you mean 'address'?"),
        ("checkout, container: web }", "checkout, contaner: web }", "Did you mean 'container'?"),
        ("  shop:\n", "  Shop:\n", "cannot be the name of a kind of previews"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(old: str, new: str, told: str) -> None:
    assert CATALOG.count(old) >= 1
    text = CATALOG.replace(old, new, 1)
    at = text[: text.index(new)].count("\n") + 1
    found = problems(text)
    lines = range(at, at + new.count("\n") + 2)
    fits = [one for one in found if told in one and any(one.startswith(f"c.yaml:{line}:") for line in lines)]
    assert fits or ("must not be called" in told and any(told in one for one in found)), found


def test_two_kinds_on_one_cluster_cannot_share_names() -> None:
    text = CATALOG.replace("cluster: other", "cluster: main").replace("back-pr-{number}", "shop-pr-{number}")
    [told] = problems(text)
    assert told.startswith("c.yaml:20:")
    assert "previews of shop on the cluster main are called 'shop-pr-{number}' already" in told


def test_without_any_cluster_it_is_said_where_they_go() -> None:
    head, _, rest = CATALOG.partition("clusters:\n")
    text = head + "previews:\n" + rest.partition("previews:\n")[2]
    assert [one for one in problems(text) if "say under 'clusters' how it is reached" in one]


def test_images_that_no_cluster_can_pull_are_refused_where_the_preview_names_their_service() -> None:
    """Also where several services have them from one anchor; of no service that has no preview it is said."""
    text = CATALOG.replace(
        "images: { type: oci, repository: ghcr.io/acme/checkout }", "images: { type: local, folder: a }"
    )
    at = {name: text[: text.index(f"{name}: {{ workload")].count("\n") + 1 for name in ("checkout", "ledger")}
    images = text[: text.index("    images:")].count("\n") + 1
    found = problems(text)
    assert [one.partition(" ")[0] for one in found] == [f"c.yaml:{at['checkout']}:7:", f"c.yaml:{at['ledger']}:17:"]
    for one, name in zip(found, at, strict=True):
        assert f"the images of {name} are of type 'local' (line {images})" in one
        assert "no cluster can pull" in one
        assert "images: { type: oci, repository: registry.example.com/" + name + " }" in one
        assert f"or take {name} out of these previews" in one


def test_images_that_every_service_has_by_default_count_as_well() -> None:
    text = CATALOG.replace("    images: { type: oci, repository: ghcr.io/acme/checkout }\n", "")
    text += "defaults:\n  images: { type: local, folder: a }\n"
    assert [one for one in problems(text) if "the images of checkout are of type 'local'" in one]


def test_images_that_no_cluster_can_pull_are_refused_for_a_target_on_a_cluster() -> None:
    """Else the first deployment would be the one that finds out: its pods would never start."""
    target = "{ type: kubernetes, cluster: main, namespace: shop, workload: alone }"
    text = CATALOG + (
        f"  elsewhere:\n    target: {target}\n    images:\n      type: local\n      folder: a\n"
        f"  right: {{ target: {target}, images: {{ type: oci, repository: ghcr.io/acme/right }} }}\n"
    )
    line = text[: text.index("      type: local")].count("\n") + 1
    [told] = problems(text)
    assert told.startswith(f"c.yaml:{line}:13: services.elsewhere.images.type:")
    assert "a target of type 'kubernetes' runs on a cluster" in told
    assert "write images: { type: oci, repository: registry.example.com/elsewhere } with your registry" in told


def test_editors_know_previews() -> None:
    schema = json_schema(provider_models())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(CATALOG), schema)
    for bad in (CATALOG.replace("    template: shop-template\n", ""), CATALOG.replace("web }", "web, x: 1 }")):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(yaml.safe_load(bad), schema)
