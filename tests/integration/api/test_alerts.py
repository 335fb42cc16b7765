"""Alerts that are sent to a bot that runs: by a real Alertmanager, as Datadog sends them, and to do harm."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import shutil
import sqlite3
import subprocess
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pydantic import ValidationError

from bot.api.webhooks.doors import LARGEST
from bot.sandbox import seed
from bot.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from house import House

    from bot.sandbox.model import Seen

pytestmark = [pytest.mark.xdist_group("api"), pytest.mark.long]

TOKEN, SECRET = "alerts-0123456789abcdef", "datadog-0123456789abcdef"
ALERTMANAGER, DATADOG = "/webhooks/alertmanager", "/webhooks/datadog"
PATIENCE = 20.0
PLACE = {"service": "checkout", "environment": "staging"}


def one(**changes: Any) -> dict[str, Any]:
    """An alert as Alertmanager sends it."""
    made = {
        "status": "firing",
        "labels": {"alertname": "HighErrorRate", "severity": "page", **PLACE},
        "annotations": {"summary": "Errors"},
        "startsAt": datetime.now(UTC).isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "ab54f1ea6a5a5c5e",
    }
    return {**made, **changes}


def group(*alerts: object) -> dict[str, Any]:
    return {"version": "4", "groupKey": "{}", "truncatedAlerts": 0, "status": "firing", "alerts": list(alerts)}


def event(**changes: Any) -> dict[str, Any]:
    """What Datadog sends when its webhook is set up as the docs say."""
    made = {
        "alert_cycle_key": "16055637923421170000",
        "alert_title": "Errors of checkout",
        "alert_transition": "Triggered",
        "date": str(int(time.time() * 1000)),
        "tags": "monitor,service:checkout,env:staging",
    }
    return {**made, **changes}


class Sender:
    """Sends to a bot and reads what it shows."""

    def __init__(self, house: House) -> None:
        self.house = house

    async def send(self, path: str, body: object, **headers: str) -> httpx.Response:
        secret = {"Authorization": f"Bearer {TOKEN}"} if path == ALERTMANAGER else {"X-Webhook-Secret": SECRET}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.house.client.post(
            f"http://127.0.0.1:{self.house.port}{path}", content=content, headers={**secret, **headers}
        )

    async def told(self, path: str, body: object) -> tuple[int, int]:
        answer = await self.send(path, body)
        assert answer.status_code == 200, answer.text
        return answer.json()["taken"], answer.json()["ignored"]

    async def deploys(self, version: str, number: int) -> None:
        hands = self.house.server.hands
        receipt = await hands.command("ada", "/deploy", f"checkout {version} staging", channel="deployments")
        assert receipt.acked, receipt.error
        await self.reads("thread", f"Succeeded.*{re.escape(version)}")
        assert number

    async def reads(self, where: str, pattern: str) -> Seen:
        """What Ada sees there, once it is there."""
        return await self.until(
            lambda: next(
                (s for s in self.house.server.hands.can_see("ada") if s.where == where and re.search(pattern, s.text)),
                None,
            ),
            pattern,
        )

    async def until(self, look: Callable[[], Any], what: str) -> Any:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if found := look():
                return found
            await asyncio.sleep(0.05)
        seen = [(s.where, s.text) for s in self.house.server.hands.can_see("ada")]
        raise AssertionError(f"{what!r} never came: {seen}")

    async def counted(self, outcome: str, number: int, source: str = "alertmanager") -> None:
        await self.house.until(lambda now: now.get("alerts_received_total", source=source, outcome=outcome) == number)


@pytest.fixture
async def sender(house: House) -> Sender:
    await house.begin(alertmanager_token=TOKEN, datadog_webhook_secret=SECRET)
    return Sender(house)


async def test_an_alert_asks_in_the_thread_whether_to_go_back_and_one_press_goes_back(sender: Sender) -> None:
    await sender.deploys("v1.1", 1)
    early = datetime.now(UTC).isoformat()
    await sender.deploys("v1.2", 2)
    assert await sender.told(ALERTMANAGER, group(one(startsAt=early, fingerprint="0"), one())) == (2, 0)
    await sender.counted("before", 1)
    note = await sender.reads("thread", "HighErrorRate")
    assert re.search(r"! Alert since .*: HighErrorRate \(alertmanager ab54f1ea6a5a…\)", note.text.replace("*", ""))
    assert "It began after #2 was deployed. Roll back to v1.1?" in note.text
    assert "Deploy" in note.author or note.author

    # The very same again, alone and among others, and twice at once: one note, and no second one.
    again = one(startsAt=early, fingerprint="0")
    first, second = await asyncio.gather(
        *(sender.told(ALERTMANAGER, group(one(startsAt=early, fingerprint="0"), again)) for _ in "12")
    )
    assert first[0] == second[0] == 0
    assert await sender.told(DATADOG, event()) == (1, 0)
    both = await sender.reads("thread", "Errors of checkout")
    assert both.ref == note.ref, "the same note, edited"
    assert "They began after #2 was deployed." in both.text

    button = await sender.until(
        lambda: next(
            (
                b
                for b in sender.house.server.hands.visible_buttons("ada")
                if b.where == "thread" and b.label == "Roll back to v1.1"
            ),
            None,
        ),
        "a button in the thread",
    )
    await sender.house.server.hands.click(
        "ada", container=button.container, action_id=button.action_id, block_id=button.block_id
    )
    await sender.reads("thread", "Rolled back")
    await sender.until(
        lambda: not [b for b in sender.house.server.hands.visible_buttons("ada") if b.where == "thread"],
        "a note that asks nothing any more",
    )
    late = one(fingerprint="1", startsAt=datetime.now(UTC).isoformat())
    assert await sender.told(ALERTMANAGER, group(late)) == (1, 0)
    await sender.counted("attached", 2)  # to the rollback, which is the newest deployment now
    await sender.reads("thread", "began after #3 was deployed. There is no earlier release|after #3 was deployed")


async def test_who_may_send(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await house.begin(alertmanager_token=TOKEN, metrics_token="metrics-0123456789abcdef")
    sender = Sender(house)
    assert (await sender.send(DATADOG, event())).status_code == 404, "without a secret there is no such door"
    for shown in ("", f"Bearer {TOKEN[:-1]}g", f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN}é", TOKEN):
        answer = await house.client.post(
            f"http://127.0.0.1:{house.port}{ALERTMANAGER}", json=group(one()), headers={"Authorization": shown.encode()}
        )
        assert answer.status_code == 401, shown
        assert answer.headers["www-authenticate"] == "Bearer"
    # Refused before the body is read: it is not even there.
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    writer.write(f"POST {ALERTMANAGER} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n".encode())
    assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 401")
    writer.close()
    await writer.wait_closed()
    assert (await house.get(ALERTMANAGER)).status_code == 405
    assert await sender.told(ALERTMANAGER, group()) == (0, 0)
    assert TOKEN not in caplog.text
    assert TOKEN[:-1] not in caplog.text


DEEP = b'{"alerts":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        (ALERTMANAGER, b"", 400, "It is no JSON."),
        (ALERTMANAGER, b"\xff\xfe", 400, "It is no JSON."),
        (ALERTMANAGER, b"[]", 400, "the body is not what it should be."),
        (ALERTMANAGER, b"{}", 400, "alerts is missing."),
        (ALERTMANAGER, b'{"alerts": {"a": 1}}', 400, "alerts is not what it should be."),
        (ALERTMANAGER, DEEP, 400, "It is no JSON."),
        (ALERTMANAGER, b'{"alerts": [' + b'{"labels":' * 150 + b"1" + b"}" * 150 + b"]}", 400, "No alert in it"),
        (ALERTMANAGER, group(*[{}] * 501), 400, "more than 500 alerts: set max_alerts"),
        (ALERTMANAGER, group(1, None, "x", []), 400, "No alert in it can be read."),
        (ALERTMANAGER, b'{"alerts":[{"labels":' + b"9" * 4_299 + b"}]}", 400, "No alert in it can be read."),
        (ALERTMANAGER, b'{"alerts":[{"labels":' + b"9" * 50_000 + b"}]}", 400, "It is no JSON."),
        (ALERTMANAGER, b"{" + b" " * LARGEST + b"}", 413, "larger than 2 MiB"),
        (DATADOG, b"{}", 400, "alert_transition is missing."),
        (DATADOG, event(date="$DATE"), 400, "date is no number"),
        (DATADOG, event(date="9" * 199), 400, "date is no number"),
        (DATADOG, event(date=10**29), 400, "date is no number"),
        (DATADOG, event(date=-1), 400, "date is not what it should be."),
        (DATADOG, event(alert_cycle_key="$ALERT_CYCLE_KEY"), 400, "it must be $ALERT_CYCLE_KEY"),
        (DATADOG, event(alert_cycle_key={"a": 1}), 400, "alert_cycle_key is not what it should be."),
        (DATADOG, event(tags=["service:checkout"]), 400, "tags is not what it should be."),
        (DATADOG, b"9" * 100_000, 400, ""),
    ],
)
async def test_what_cannot_be_read_is_refused_without_repeating_it(
    sender: Sender, path: str, body: object, status: int, says: str
) -> None:
    answer = await sender.send(path, body)
    assert answer.status_code == status, answer.text
    assert says in answer.json()["error"]
    assert len(answer.text) < 200
    if status == 400:
        await sender.counted("unreadable", 1, source=path.rpartition("/")[2])
    assert (await sender.house.get("/readyz")).status_code == 200


async def test_what_is_sent_in_pieces_is_cut_off_when_it_is_too_much(sender: Sender) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 100_000

    with contextlib.suppress(httpx.WriteError, httpx.ReadError):
        answer = await sender.house.client.post(
            f"http://127.0.0.1:{sender.house.port}{ALERTMANAGER}",
            content=endless(),
            headers={"Authorization": f"Bearer {TOKEN}"},
        )
        assert answer.status_code == 413
    assert (await sender.house.get("/readyz")).status_code == 200


async def test_of_many_strange_alerts_only_the_good_ones_count(sender: Sender) -> None:
    await sender.deploys("v1.1", 1)
    now = datetime.now(UTC)
    strange = [
        one(startsAt="0001-01-01T00:00:00+14:00"),
        one(startsAt="9999-12-31T23:59:59-14:00"),
        one(startsAt="yesterday"),
        one(startsAt=now.replace(tzinfo=None).isoformat()),
        one(startsAt=now.timestamp()),
        one(startsAt=None),
        one(status="suppressed"),
        one(fingerprint="with a space"),
        one(fingerprint="f" * 201),
        one(fingerprint=12),
        one(labels=["checkout"]),
        one(labels={**PLACE, "n": 1}),
        one(labels={f"l{number}": "x" for number in range(201)}),
        {"labels": PLACE},
        "no alert at all",
    ]
    elsewhere = [
        one(fingerprint="e1", labels={}),
        one(fingerprint="e2", labels={**PLACE, "service": "checkout; DROP TABLE alerts"}),
        one(fingerprint="e3", labels={**PLACE, "environment": "STAGING"}),
        one(fingerprint="e4", labels={"Service": "checkout", "environment": "staging"}),
    ]
    hostile = "<!channel> *x* <https://evil.example|click> `code` & \u202e :tada: <@U0GRACE>"
    good = [
        one(fingerprint="g1", labels={**PLACE, "alertname": hostile}),
        one(fingerprint="g2", startsAt=(now + timedelta(hours=1)).isoformat()),
        one(fingerprint="g3", labels={**PLACE, "alertname": "x" * 50_000}, unknown={"deep": [[[]]]}),
    ]
    answer = await sender.told(ALERTMANAGER, group(*strange, *elsewhere, *good))
    assert answer == (3, len(strange) + len(elsewhere))
    await sender.counted("unreadable", len(strange))
    await sender.counted("elsewhere", len(elsewhere))
    await sender.counted("future", 1)
    await sender.counted("attached", 2)
    await sender.reads("thread", "They began after #1")
    texts = [
        text
        for message in sender.house.server.workspace.channel("deployments").messages.values()
        for text in _mrkdwn([message.text, *(message.blocks or [])])
    ]
    about = [text for text in texts if "click" in text]
    assert about
    for text in about:
        assert "<!channel>" not in text
        assert "<https" not in text
        assert "<@U0GRACE>" not in text
        assert "\u202e" not in text
        assert "&lt;!channel&gt;" in text
        assert len(text) <= 3_000

    for transition in ("Re-Triggered", "Renotify", "No Data", "Warn", "Re-Warn", "Null", "x" * 100):
        assert await sender.told(DATADOG, event(alert_transition=transition)) == (0, 1)
    await sender.counted("other", 7, source="datadog")
    assert await sender.told(DATADOG, event(tags="service:checkout,service:web,env:staging")) == (0, 1)
    assert await sender.told(DATADOG, event(tags="service:checkout,environment:staging")) == (1, 0)


async def test_while_the_store_is_away_it_has_to_be_sent_again_and_then_is_taken(
    sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    await sender.deploys("v1.1", 1)
    other = sqlite3.connect(
        sender.house.folder / "bot.sqlite", isolation_level=None, timeout=60, check_same_thread=False
    )
    alert = one()
    # Not in this thread: the bot lives in it, and must be able to end what it is writing just now.
    await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
    try:
        answer = await sender.send(ALERTMANAGER, group(alert))
    finally:
        other.execute("ROLLBACK")
        other.close()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json() == {"error": "It cannot be kept just now; send it again."}
    assert "has to come again" in caplog.text
    assert (await sender.send(ALERTMANAGER, group(alert))).status_code == 200
    await sender.reads("thread", "HighErrorRate")
    await sender.counted("attached", 1)


async def test_what_was_taken_outlives_the_bot(house: House) -> None:
    await house.begin(alertmanager_token=TOKEN)
    sender = Sender(house)
    await sender.deploys("v1.1", 1)
    await house.end()
    with contextlib.closing(sqlite3.connect(house.folder / "bot.sqlite")) as database, database:
        # As a bot leaves it that dies right after its answer.
        now = datetime.now(UTC)
        key, at = f"alertmanager:f:{now.isoformat()}:firing", now.replace(tzinfo=None).isoformat(" ")
        database.execute(
            "INSERT INTO alerts (key, source, fingerprint, status, service, environment, starts_at, received_at, body) "
            "VALUES (?, 'alertmanager', 'f', 'firing', 'checkout', 'staging', ?, ?, ?)",
            (key, at, at, '{"name":"LeftBehind"}'),
        )
    await house.begin(alertmanager_token=TOKEN)
    await sender.reads("thread", "LeftBehind")


@pytest.mark.parametrize("secret", ["", "short", "a secret with spaces in it", "é" * 20])
def test_a_secret_that_lets_anybody_in_is_refused(secret: str) -> None:
    for name in ("alertmanager_token", "datadog_webhook_secret"):
        settings = {"slack_bot_token": seed.BOT_TOKEN, "slack_app_token": seed.APP_TOKEN, name: secret}
        with pytest.raises(ValidationError, match="nobody can tell of alerts") as refusal:
            Settings.model_validate(settings)
        assert refusal.value.error_count() == 1


async def test_a_real_alertmanager_is_understood(sender: Sender, tmp_path: Path) -> None:
    await sender.deploys("v1.1", 1)
    await sender.deploys("v1.2", 2)
    url = f"http://127.0.0.1:{sender.house.port}{ALERTMANAGER}"
    with alertmanager(tmp_path / "alertmanager", url) as address:
        starts = datetime.now(UTC).isoformat()
        labels = {"alertname": "HighErrorRate", **PLACE}
        fires = {"labels": labels, "annotations": {"summary": "x"}, "startsAt": starts}
        other = {"labels": {"alertname": "Elsewhere", "service": "nobody"}, "startsAt": starts}
        posted = await sender.house.client.post(f"{address}/api/v2/alerts", json=[fires, other])
        assert posted.status_code == 200, posted.text
        note = await sender.reads("thread", r"HighErrorRate(.|\n)*Roll back to v1\.1\?")
        await sender.counted("attached", 1)
        await sender.counted("elsewhere", 1)
        ended = {**fires, "endsAt": datetime.now(UTC).isoformat()}
        posted = await sender.house.client.post(f"{address}/api/v2/alerts", json=[ended])
        assert posted.status_code == 200, posted.text
        over = await sender.reads("thread", "It is over since")
        assert over.ref == note.ref
        await sender.counted("resolved", 1)


@contextlib.contextmanager
def alertmanager(folder: Path, webhook: str) -> Iterator[str]:
    """The address of a real Alertmanager that tells ``webhook`` of everything at once."""
    program = shutil.which("prometheus-alertmanager")
    if program is None:
        pytest.skip("there is no Alertmanager on PATH; `make prometheus` installs one")
    folder.mkdir()
    config = {
        "route": {"receiver": "bot", "group_by": ["..."], "group_wait": "0s", "group_interval": "200ms"},
        "receivers": [
            {
                "name": "bot",
                "webhook_configs": [
                    {
                        "url": webhook,
                        "max_alerts": 100,
                        "http_config": {"authorization": {"type": "Bearer", "credentials": TOKEN}},
                    }
                ],
            }
        ],
    }
    (folder / "alertmanager.yml").write_text(json.dumps(config))
    said = (folder / "log").open("w+")
    server = subprocess.Popen(
        [
            program,
            "--config.file=alertmanager.yml",
            "--storage.path=data",
            "--web.listen-address=127.0.0.1:0",
            "--cluster.listen-address=",
        ],
        cwd=folder,
        stdout=said,
        stderr=said,
    )
    try:
        yield f"http://{_listening(server, folder / 'log')}"
    finally:
        server.terminate()
        server.wait(PATIENCE)
        said.close()


def _listening(server: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        if found := re.search(r'msg="Listening on" address=(127\.0\.0\.1:\d+)', log.read_text()):
            return found[1]
        time.sleep(0.05)
    raise AssertionError("Alertmanager did not start:\n" + log.read_text())


def _mrkdwn(node: object) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        if node.get("type") == "mrkdwn":
            yield node["text"]
        for value in node.values():
            if not isinstance(value, str):
                yield from _mrkdwn(value)
    elif isinstance(node, list):
        for item in node:
            yield from _mrkdwn(item)
