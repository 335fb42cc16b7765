"""The JSON Schema of ``.deploy/config.yaml``, with which editors complete and check it while it is written.

It can be laxer than `load` (it cannot know that a name exists), never stricter: what it refuses, `load` refuses too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema

from bot.catalog.schema import CatalogFile
from bot.catalog.values import NAME_PATTERN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel
    from pydantic_core.core_schema import ModelSchema, WithDefaultSchema

    from bot.catalog.options import Providers

Schema = dict[str, Any]


class _Generator(GenerateJsonSchema):
    """Pydantic's own, without the names of our classes and without "null" for what may only be left out."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - as in the base class
        return False

    def default_schema(self, schema: WithDefaultSchema) -> Schema:
        generated = super().default_schema(schema)
        if generated.get("default", ...) is None:
            del generated["default"]
        return generated

    def model_schema(self, schema: ModelSchema) -> Schema:
        generated = super().model_schema(schema)
        generated.pop("title", None)
        return generated


def json_schema(providers: Providers) -> Schema:
    """The schema, the options of every provider included; raises `ConfigurationError` when one cannot be loaded."""
    schema = CatalogFile.model_json_schema(ref_template="#/$defs/{model}", schema_generator=_Generator)
    definitions: Schema = schema["$defs"]
    definitions |= _blocks("target", providers.targets, by_environment=True)
    definitions |= _blocks("images", providers.images, by_environment=False)
    definitions |= _blocks("metrics", providers.metrics, by_environment=False, complete=True)
    definitions |= _blocks("cluster", providers.clusters, by_environment=False, complete=True)
    definitions |= _blocks("preview", providers.previews, by_environment=False, complete=True)
    for key, kind in (("metrics", "metrics"), ("clusters", "cluster"), ("previews", "preview")):
        schema["properties"][key]["additionalProperties"] = {"$ref": f"#/$defs/{kind}"}
    service = definitions["ServiceBlock"]
    service["required"] = []
    for holder in (service, definitions["DefaultsBlock"]):
        for key in ("target", "images"):
            described = holder["properties"][key].get("description")
            holder["properties"][key] = {"$ref": f"#/$defs/{key}"} | ({"description": described} if described else {})
    for unused in ("TargetBlock", "ProviderBlock"):
        definitions.pop(unused, None)
    for key in ("environments", "services", "roles", "metrics", "clusters", "previews", "checks", "strategies"):
        schema["properties"][key]["propertyNames"] = {"pattern": NAME_PATTERN}
    for key in ("allow", "deny"):
        definitions["RoleBlock"]["properties"][key].pop("default", None)
    definitions["RoleBlock"]["anyOf"] = [
        {"required": [key], "properties": {key: {"minItems": 1}}} for key in ("allow", "deny")
    ]
    definitions["WindowBlock"]["oneOf"] = [{"required": [key]} for key in ("allow", "deny")]
    definitions["StrategyBlock"]["oneOf"] = [{"required": [key]} for key in definitions["StrategyBlock"]["properties"]]
    schema["allOf"] = [_needed(key) for key in ("target", "images")]
    schema["title"] = "Deployment Architect: the catalog"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _needed(key: str) -> Schema:
    """Each service needs ``key`` with a type, unless the defaults give it one."""
    given = {"properties": {"defaults": {"required": [key], "type": "object"}}, "required": ["defaults"]}
    block = {"required": [key], "properties": {key: {"required": ["type"]}}}
    return {"if": given, "else": {"properties": {"services": {"additionalProperties": block}}}}


def _blocks(
    noun: str, models: Mapping[str, type[BaseModel]], *, by_environment: bool, complete: bool = False
) -> Schema:
    """The definition of a provider block: its type, and by its type its options.

    ``complete``: nothing is laid over or under it, so whatever it needs stands in it.
    """
    definitions: Schema = {}
    choices: list[Schema] = []
    notes: list[str] = []
    for kind in sorted(models):
        name = f"{noun}-{re.sub(r'[^A-Za-z0-9]', '-', kind)}"
        template = f"#/$defs/{name}-{{model}}"
        schema = models[kind].model_json_schema(ref_template=template, schema_generator=_Generator)
        definitions |= {f"{name}-{key}": value for key, value in schema.pop("$defs", {}).items()}
        if not complete:
            # What an option leaves out here may stand in the defaults or in an environment.
            schema.pop("required", None)
        definitions[f"{name}-options"] = schema
        note = str(schema.get("description", "")).split("\n")[0]
        notes.append(f"{kind}: {note}" if note else kind)
        block = {**schema, "properties": {"type": {"const": kind}, **schema.get("properties", {})}}
        if by_environment:
            special = {"anyOf": [{"$ref": f"#/$defs/{name}-options"}, {"type": "null"}]}
            block["properties"]["environments"] = {
                "description": "Options that differ by environment, laid over the others.",
                "type": "object",
                "additionalProperties": special,
            }
        definitions[name] = block
        condition = {"properties": {"type": {"const": kind}}, "required": ["type"]}
        choices.append({"if": condition, "then": {"$ref": f"#/$defs/{name}"}})
    definitions[noun] = {
        "type": "object",
        "properties": {"type": {"enum": sorted(models), "description": "; ".join(notes)}},
        "allOf": choices,
    }
    if complete:
        definitions[noun]["required"] = ["type"]
    if not choices:
        definitions[noun].pop("allOf")
    return definitions
