"""The dashboard and the rules speak of metrics, labels and values that the bot has, and fire when they should."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import yaml
from promql import DASHBOARD, ROOT, RULES, panels, rules, selectors, shown

from bot.api.metrics import PHASES, STATUSES, Metrics
from bot.domain.ids import EnvironmentName, ServiceName
from bot.ports.telemetry import Change, Kind, Standing

if TYPE_CHECKING:
    from pathlib import Path

promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is missing: run `make prometheus`")

OF_PROMETHEUS = {"instance", "job"}
VALUES = {"status": set(STATUSES), "phase": set(PHASES), "outcome": {str(change) for change in Change}}


@pytest.fixture(scope="module")
def known() -> dict[str, set[str]]:
    """Every series name that the bot exposes, and those that the rules record, with their labels."""
    metrics = Metrics()
    metrics.know([Kind(ServiceName("s"), EnvironmentName("e"), "rolling")], only=True)
    metrics.stands(Standing(at=datetime.now(UTC), untold_since=None, replicas=1))
    found: dict[str, set[str]] = {}
    for family in metrics.registry.collect():
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    for rule in rules():
        if "record" in rule:
            found[rule["record"]] = set(rule["record"].split(":")[0].split("_"))
    return found


def expressions() -> list[tuple[str, str]]:
    return [*shown(), *((rule.get("record") or rule["alert"], rule["expr"]) for rule in rules())]


@pytest.mark.parametrize(("where", "expression"), expressions())
def test_it_asks_for_what_there_is(where: str, expression: str, known: dict[str, set[str]]) -> None:
    asked, grouped = selectors(expression)
    assert asked, where
    labels: set[str] = set()
    for metric, matchers in asked:
        assert metric in known, f"{where}: the bot has no {metric}"
        labels |= known[metric]
        for label, operator, value in matchers:
            assert label in known[metric], f"{where}: {metric} has no label {label}"
            if label in VALUES and operator == "=":
                assert value in VALUES[label], f"{where}: {label} is never {value}"
            elif label in VALUES:
                assert set(value.split("|")) <= VALUES[label], f"{where}: {label} is never one of {value}"
    assert grouped <= labels | OF_PROMETHEUS, f"{where} groups by {grouped - labels}"


def test_the_reader_of_expressions_would_notice(known: dict[str, set[str]]) -> None:
    asked, grouped = selectors(
        'sum by (zone) (rate(deployment_total{state="ok"}[5m])) / 3 > bool 1e3 or up{a=~"x"} and b'
    )
    assert [(one.metric, [m[0] for m in one.matchers]) for one in asked] == [
        ("deployment_total", ["state"]),
        ("up", ["a"]),
        ("b", []),
    ]
    assert grouped == {"zone"}
    assert "deployment_total" not in known


def test_the_dashboard_is_whole() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)\}?", DASHBOARD.read_text())) - {"__rate_interval", "__all"} == variables
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, f"{panel['title']} covers another"
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert all(panel["title"] for panel in panels())


def test_the_seeds_metrics_and_every_other_one_is_on_the_dashboard(known: dict[str, set[str]]) -> None:
    asked = {re.sub(r"_bucket$", "", one.metric) for _, expression in shown() for one in selectors(expression)[0]}
    ours = {re.sub(r"_(bucket|count|sum)$", "", name) for name in known if not re.match("process_|python_", name)}
    assert ours - asked <= {"database_read_timestamp_seconds", "event_loop_lag_seconds"} - asked


def test_every_rule_and_every_metric_is_explained() -> None:
    text = (ROOT / "docs" / "operate.md").read_text()
    for rule in rules():
        if "alert" in rule:
            assert f"`{rule['alert']}`" in text, rule["alert"]
    for family in Metrics().registry.collect():
        if not re.match("process_|python_", family.name):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            assert f"`{name}" in text, name


@promtool
def test_prometheus_takes_the_rules_and_every_query_of_the_dashboard(tmp_path: Path) -> None:
    queries = [{"record": f"panel:{number}", "expr": expr} for number, (_, expr) in enumerate(shown())]
    dashboard = tmp_path / "dashboard.yml"
    dashboard.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": queries}]}))
    done = subprocess.run(["promtool", "check", "rules", RULES, dashboard], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@promtool
def test_the_rules_say_what_they_should(tmp_path: Path) -> None:
    cases = yaml.safe_load((ROOT / "tests" / "unit" / "api" / "rules_cases.yml").read_text())
    cases["rule_files"] = [str(RULES)]
    tried = {test["alertname"] for case in cases["tests"] for test in case.get("alert_rule_test", [])}
    assert tried == {rule["alert"] for rule in rules() if "alert" in rule}
    path = tmp_path / "cases.yml"
    path.write_text(yaml.safe_dump(cases))
    done = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
