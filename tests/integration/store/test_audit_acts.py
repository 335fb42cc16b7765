"""The page about the audit names every act that can be in it, and none that cannot."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import get_args

from bot.store import ballots, freezes, locks, overrides, schedules

ROOT = Path(__file__).parents[3]
STORED = {act for module in (ballots, freezes, locks, overrides, schedules) for act in get_args(module.Act)}


def documented() -> set[str]:
    table = (ROOT / "docs" / "audit.md").read_text().partition("| act |")[2].partition("\n\n")[0]
    acts = {act for line in table.splitlines()[2:] for act in re.findall(r"`([a-z_.]+)`", line.split("|")[1])}
    assert len(acts) > 20, "the table was not found"
    return acts


def constants(node: ast.expr) -> set[str]:
    """The texts that an expression may be."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {node.value}
    if isinstance(node, ast.IfExp):
        return constants(node.body) | constants(node.orelse)
    return set()


def spoken_of_deployments() -> set[str]:
    """What the code calls an event of a deployment."""
    found = set()
    for path in [*(ROOT / "bot" / "engine").glob("*.py"), ROOT / "bot" / "store" / "deployments.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if (isinstance(node, ast.keyword) and node.arg == "kind") or (
                isinstance(node, ast.Assign)
                and any(isinstance(to, ast.Name) and to.id == "kind" for to in node.targets)
            ):
                found |= constants(node.value)
    return {f"deployment.{kind}" for kind in found}


def other_acts() -> set[str]:
    """What is recorded although it changes no row."""
    return {
        act
        for path in (ROOT / "bot").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "AuditEntry"
        for keyword in node.keywords
        if keyword.arg == "act"
        for act in constants(keyword.value)
    }


def test_every_act_is_in_the_page() -> None:
    assert {"deployment.requested", "deployment.phase", "deployment.abort_requested"} <= spoken_of_deployments()
    written = STORED | spoken_of_deployments() | other_acts()
    assert written - documented() == set(), "docs/audit.md lacks these acts"
    assert documented() - written == set(), "docs/audit.md names acts that nothing writes"
