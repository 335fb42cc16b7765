"""What the pages on alerts and incidents have others send is taken, and what they have them grant is enough."""

from __future__ import annotations

import json
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import yaml

from bot.api.app import build_api
from bot.api.webhooks.doors import SECRET_HEADER
from bot.api.webhooks.incidents import IncidentDoor
from bot.api.webhooks.payloads import alertmanager, datadog
from bot.bootstrap import provider_models
from bot.catalog.load import parse
from bot.domain.actor import Membership, service_account
from bot.domain.alert import AlertStatus
from bot.domain.ids import EnvironmentName, ServiceName
from bot.domain.policy.access import Action, may
from bot.engine.incidents import Told

if TYPE_CHECKING:
    from bot.domain.incident import Incident

DOCS = Path(__file__).parents[3] / "docs"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
REST = """\
version: 1
channel: "#deployments"
environments: { staging: {}, production: {} }
services:
  checkout: { target: { type: local, root: platform }, images: { type: local, folder: artifacts } }
"""


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def test_datadogs_payload_with_its_variables_filled_in_is_an_alert() -> None:
    header, payload = blocks("alerts.md", "json")
    assert list(json.loads(header)) == [SECRET_HEADER]
    filled = {
        "$ALERT_CYCLE_KEY": "1234567890",
        "$ALERT_TITLE": "Errors of checkout",
        "$ALERT_TRANSITION": "Triggered",
        "$DATE": str(int(NOW.timestamp() * 1000)),
        "$TAGS": "env:production,service:checkout,team:shop",
    }
    for name, value in filled.items():
        assert payload.count(name) == 1, name
        payload = payload.replace(name, value)
    [alert] = datadog(payload.encode(), at=NOW).alerts
    assert (alert.service, alert.environment, alert.status) == ("checkout", "production", AlertStatus.FIRING)
    assert (alert.name, alert.starts_at) == ("Errors of checkout", NOW)


def test_what_alertmanager_is_set_up_to_send_is_taken() -> None:
    [receivers] = [yaml.safe_load(text) for text in blocks("alerts.md", "yml")]
    [webhook] = receivers["receivers"][0]["webhook_configs"]
    assert webhook["url"].endswith("/webhooks/alertmanager")
    assert set(webhook["http_config"]["authorization"]) == {"credentials_file"}, "a bearer token, which is its default"
    labels = {"alertname": "Errors", "service": "checkout", "environment": "production"}
    one = {"status": "firing", "labels": labels, "startsAt": NOW.isoformat(), "endsAt": "0001-01-01T00:00:00Z"}
    alerts = [{**one, "annotations": {}, "generatorURL": "", "fingerprint": f"{number:x}"} for number in range(1, 101)]
    body = {"version": "4", "groupKey": "{}", "status": "firing", "receiver": "deployments", "alerts": alerts}
    assert len(alertmanager(json.dumps(body).encode(), at=NOW).alerts) == webhook["max_alerts"]


async def test_the_call_that_tells_of_an_incident_is_taken_and_answered_as_shown() -> None:
    [shown] = blocks("incidents.md", "console")
    command, answer = shown.removeprefix("$ ").rsplit("\n", 2)[:2]
    words = shlex.split(command.replace("\\\n", " ").replace("$INCIDENT_TOKEN", "incidents-0123456789"))
    assert words[0] == "curl"
    name, value = words[words.index("-H") + 1].split(": ", 1)
    told: list[Incident] = []

    async def take(incident: Incident) -> Told:
        told.append(incident)
        return Told(lock=None, locked=True, changed=True, sentence="checkout@production is locked by sa:incident.")

    async def ready() -> dict[str, str]:
        return {}

    door = IncidentDoor(take=take, account="incident", token="incidents-0123456789")
    transport = httpx.ASGITransport(build_api(readiness=ready, slack=None, webhooks=door.routes()))
    # As curl sends what it is given by -d.
    headers = {name: value, "Content-Type": "application/x-www-form-urlencoded"}
    async with httpx.AsyncClient(transport=transport) as client:
        said = await client.post(words[1], content=words[words.index("-d") + 1], headers=headers)
    assert said.status_code == 200, said.text
    [incident] = told
    assert (incident.id, incident.service, incident.environment) == ("INC-42", "checkout", "production")
    assert list(said.json()) == list(json.loads(answer))


def test_the_role_of_the_page_lets_the_service_account_lock_and_nothing_else() -> None:
    [role] = blocks("incidents.md", "yml")
    rules = parse(REST + role, "incidents.md", provider_models()).rules
    member = Membership(actor=service_account("incident"))

    def can(action: Action, environment: str) -> bool:
        place = EnvironmentName(environment)
        return may(rules, member, action, service=ServiceName("checkout"), environment=place).allowed

    assert can(Action.LOCK, "production")
    assert not can(Action.LOCK, "staging")
    assert not can(Action.DEPLOY, "production")
