"""What every block of the catalog file has in common. Knows no key of the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ConfigDict

from bot.catalog.problems import BadValue

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core.core_schema import CoreSchema


#: Unknown keys are errors, and ``"5"`` is no number.
STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)


class NeverNull:
    """Keeps "null" out of the JSON Schema of what may only be left out."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        generated = handler(schema)
        return next((one for one in generated.get("anyOf", []) if one != {"type": "null"}), generated)


def something(advice: str) -> Callable[[object], object]:
    """A check that refuses nothing where a mapping belongs; ``advice`` says what to write instead."""

    def check(value: object) -> object:
        if value is None:
            raise BadValue(f"must be a mapping, not nothing; {advice}")
        return value

    return check
