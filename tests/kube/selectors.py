"""Which objects a labelSelector or a fieldSelector means.

Follows apimachinery's pkg/labels/selector.go and pkg/fields/selector.go: a field that the kind does not index is 400.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import failures

if TYPE_CHECKING:
    from .resources import Object, Resource

Matches = Callable[["Object"], bool]

_SET = re.compile(r"^(?P<key>[\w./-]+)\s+(?P<how>in|notin)\s+\((?P<values>[^)]*)\)$")
_EQUAL = re.compile(r"^(?P<key>[\w./-]+)\s*(?P<how>==|=|!=)\s*(?P<value>[\w.-]*)$")
_EXISTS = re.compile(r"^(?P<not>!?)\s*(?P<key>[\w./-]+)$")


def by_labels(text: str) -> Matches:
    """Raises ApiFailure (400) for what is no selector."""
    tests = [_label_test(part.strip()) for part in re.split(r",(?![^(]*\))", text) if part.strip()]
    return lambda found: all(test(found.get("metadata", {}).get("labels") or {}) for test in tests)


def _label_test(part: str) -> Callable[[dict[str, str]], bool]:
    if match := _SET.match(part):
        key, values = match["key"], {value.strip() for value in match["values"].split(",")}
        if match["how"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if match := _EQUAL.match(part):
        key, value = match["key"], match["value"]
        if match["how"] == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if match := _EXISTS.match(part):
        key, wanted = match["key"], not match["not"]
        return lambda labels: (key in labels) is wanted
    raise failures.bad_request(f"unable to parse requirement: found '{part}'")


def by_selector(selector: Object) -> Matches:
    """A LabelSelector object: ``matchLabels`` and ``matchExpressions``."""
    wanted = dict(selector.get("matchLabels") or {})
    tests: list[Callable[[dict[str, str]], bool]] = [lambda labels: wanted.items() <= labels.items()]
    for each in selector.get("matchExpressions") or []:
        values = f" ({','.join(each.get('values', []))})"
        text = {
            "In": f"{each['key']} in{values}",
            "NotIn": f"{each['key']} notin{values}",
            "Exists": each["key"],
            "DoesNotExist": f"!{each['key']}",
        }
        tests.append(_label_test(text[each["operator"]]))
    return lambda found: all(test(found.get("metadata", {}).get("labels") or {}) for test in tests)


def field_terms(text: str) -> list[tuple[str, str, bool]]:
    """(field, value, whether it must be that value)."""
    terms = []
    for part in filter(None, text.split(",")):
        field, how, value = re.split(r"(==|!=|=)", part, maxsplit=1) if "=" in part else (part, "", "")
        if not how:
            raise failures.bad_request(f'invalid selector: "{text}"; can\'t understand "{part}"')
        terms.append((field.strip(), value.strip(), how != "!="))
    return terms


def by_fields(text: str, resource: Resource) -> Matches:
    terms = field_terms(text)
    for field, _, _ in terms:
        known = {"metadata.name"} | ({"metadata.namespace"} if resource.namespaced else set()) | resource.fields
        if field not in known:
            said = f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"'
            raise failures.bad_request(
                f'Unable to find "{resource.api_version}, Resource={resource.plural}" that match label selector "",'
                f' field selector "{text}": ' + (said if not resource.fields else f"field label not supported: {field}")
            )
    return lambda found: all((_field(found, field) == value) is equal for field, value, equal in terms)


def _field(found: Object, path: str) -> str:
    value: Any = found
    for part in path.split("."):
        value = value.get(part, "") if isinstance(value, dict) else ""
    return "" if value is None else str(value)


def only_name(text: str) -> str | None:
    """The one name that a fieldSelector asks for; the authoriser takes it as the request's name."""
    for field, value, equal in field_terms(text) if text else []:
        if field == "metadata.name" and equal:
            return value
    return None
