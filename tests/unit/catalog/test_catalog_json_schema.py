"""The JSON Schema helps an editor: it takes good files, refuses bad ones, and explains options."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from bad_catalogs import CASES, broken
from jsonschema import Draft202012Validator

from bot.catalog.document import compose
from bot.catalog.json_schema import json_schema
from bot.catalog.problems import CatalogError
from integrations.registry import IMAGES, METRICS, TARGETS

if TYPE_CHECKING:
    from typing import Any

    from bot.catalog.load import Providers

#: What only the loader can know: which names exist, how numbers fit together, what a provider checks by itself.
LOADER_ONLY = {
    "option refused by its own rule",
    "override for an unknown environment",
    "override where the service is not",
    "option missing in one environment",
    "unknown environment",
    "environment twice",
    "service called like a verb",
    "service called like an environment",
    "health can never pass",
    "glob that matches nothing",
    "name that does not exist",
    "duplicate key",
    "duplicate service",
    "tag",
}


@pytest.fixture
def validator(providers: Providers) -> Draft202012Validator:
    schema = json_schema(providers)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_good_files_pass(good: str, validator: Draft202012Validator) -> None:
    validator.validate(compose(good, "c.yaml").root.plain())
    shared = """
version: 1
channel: "#d"
environments: { staging: }
defaults:
  target: { type: local, root: a, environments: { staging: { instances: 3 } } }
  images: { type: local, folder: b }
services: { one: {}, two: { target: { instances: 4 } } }
"""
    validator.validate(compose(shared, "c.yaml").root.plain())


@pytest.mark.parametrize(("name", "old", "new"), [case[:3] for case in CASES], ids=[case[0] for case in CASES])
def test_bad_files_are_refused(good: str, validator: Draft202012Validator, name: str, old: str, new: str) -> None:
    try:
        document = compose(broken(good, old, new), "c.yaml")
    except CatalogError:
        return  # no YAML at all, which an editor tells without a schema
    assert validator.is_valid(document.root.plain()) == (name in LOADER_ONLY)


def test_without_defaults_a_service_needs_target_and_images(validator: Draft202012Validator) -> None:
    text = 'version: 1\nchannel: "#d"\nenvironments: { staging: {} }\nservices: { one: {} }\n'
    messages = {error.message for error in validator.iter_errors(compose(text, "c.yaml").root.plain())}
    assert messages == {"'target' is a required property", "'images' is a required property"}


def test_everything_that_can_be_written_is_described(providers: Providers) -> None:
    schema = json_schema(providers)
    bare: list[str] = []

    def look(part: Any, where: str) -> None:
        if isinstance(part, dict):
            for key, value in part.get("properties", {}).items():
                if isinstance(value, dict) and not {"description", "const", "$ref"} & value.keys() and value:
                    bare.append(f"{where}.{key}")
            for key, value in part.items():
                look(value, f"{where}.{key}")
        elif isinstance(part, list):
            for index, value in enumerate(part):
                look(value, f"{where}[{index}]")

    theirs = ("target-", "images-", "metrics-")
    ours = {name: part for name, part in schema["$defs"].items() if not name.startswith(theirs)}
    look({**{key: value for key, value in schema.items() if key != "$defs"}, "$defs": ours}, "")
    assert [place for place in bare if ".if." not in place and ".else." not in place and ".anyOf" not in place] == []
    assert schema["$defs"]["target-local"]["properties"]["root"]["description"] == "Folder of the platform."
    assert "local: Processes on this machine." in schema["$defs"]["target"]["properties"]["type"]["description"]


def test_the_schema_of_what_is_built_in() -> None:
    from bot.catalog.load import Providers

    schema = json_schema(Providers(targets=TARGETS.models(), images=IMAGES.models(), metrics=METRICS.models()))
    Draft202012Validator.check_schema(schema)
    assert "prometheus" in schema["$defs"]["metrics"]["properties"]["type"]["enum"]
    assert "local" in schema["$defs"]["target"]["properties"]["type"]["enum"]
    references = set(json.dumps(schema).split('"#/$defs/')[1:])
    assert all(reference.split('"')[0] in schema["$defs"] for reference in references)
