"""As much of PromQL as it takes to say which metrics and which labels an expression speaks of."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[3]
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "deployment-architect.json"

_WORDS = frozenset({"and", "or", "unless", "bool", "offset", "inf", "nan"})
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_TOKEN = re.compile(
    r"(?P<range>\[[^\]]*\])|(?P<matchers>\{[^}]*\})|(?P<number>\d[\w.]*)"
    r"|(?P<function>[a-zA-Z_]\w*(?=\s*\())|(?P<name>[a-zA-Z_:][\w:]*)|(?P<other>[-+*/()<>=!,%^\s])"
)
_MATCHER = re.compile(r"([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*\"([^\"]*)\"")
_VARIABLES = {"$__rate_interval": "5m", "$__range": "1d", "$environment": ".*", "$service": ".*"}


class Asked(NamedTuple):
    """One selector."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]


def selectors(expression: str) -> tuple[list[Asked], set[str]]:
    """Every selector, and every label that is grouped or joined by."""
    labels = {label.strip() for group in _GROUPING.findall(expression) for label in group.split(",") if label.strip()}
    rest = _GROUPING.sub(" ", expression)
    found: list[Asked] = []
    at = 0
    while at < len(rest):
        token = _TOKEN.match(rest, at)
        assert token is not None, f"{rest[at:]!r} is not understood"
        at = token.end()
        if token.lastgroup == "name" and token[0].lower() not in _WORDS:
            found.append(Asked(token[0], ()))
        elif token.lastgroup == "matchers":
            found[-1] = Asked(found[-1].metric, tuple(_MATCHER.findall(token[0])))
    return found, labels


def rules() -> Iterator[dict[str, str]]:
    """Every rule of the file."""
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        yield from group["rules"]


def panels() -> Iterable[dict[str, object]]:
    """Every panel of the dashboard that shows something."""
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def shown() -> Iterator[tuple[str, str]]:
    """Every query of the dashboard with its panel, the variables put in."""
    for panel in panels():
        for target in panel["targets"]:  # type: ignore[attr-defined]  # JSON
            expression = target["expr"]
            for name, value in _VARIABLES.items():
                expression = expression.replace(name, value)
            yield str(panel["title"]), expression
