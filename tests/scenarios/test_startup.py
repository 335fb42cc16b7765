"""A bot that cannot start says why in a sentence and what to do, and ends; HTTP mode hears only what Slack signed."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import socket
import sys
import time
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import aiohttp
import pytest
from world import World, catalog, until

from bot.sandbox import seed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_PATIENCE = 40.0


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A workspace and a catalog; nothing runs."""
    found = await World.open(tmp_path / "world", runs=None)
    try:
        yield found
    finally:
        await found.close()


async def _refuses(world: World, *, without: tuple[str, ...] = (), **changed: str) -> str:
    """What the bot says when it is started so, which must be little; fails when it does start."""
    environment = {name: value for name, value in world.settings(**changed).items() if name not in without}
    keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot",
        "serve",
        env={**keep, **environment},
        cwd=world.folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_PATIENCE):
            out, error = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    said = error.decode()
    assert process.returncode == 1, said
    assert out == b""
    assert "Traceback" not in said
    assert "Error(" not in said
    told = [line for line in said.splitlines() if line.startswith("✗ ")]
    assert told, said
    noise = [line for line in said.splitlines() if not line.startswith("✗ ") and " INFO " not in line]
    assert not noise, noise
    for secret in (seed.BOT_TOKEN, seed.APP_TOKEN, seed.SIGNING_SECRET, "sesame"):
        assert secret not in said
    return "\n".join(line.removeprefix("✗ ") for line in told)


async def test_a_bad_catalog(world: World) -> None:
    path = world.folder / ".deploy" / "config.yaml"
    path.write_text(catalog().replace("type: local, root", "type: locl, root"))
    said = await _refuses(world)
    assert "config.yaml:" in said
    assert "locl" in said
    assert "local" in said.replace("locl", "")


async def test_no_catalog(world: World) -> None:
    (world.folder / ".deploy" / "config.yaml").unlink()
    said = await _refuses(world)
    assert "config.yaml" in said


async def test_no_tokens(world: World) -> None:
    said = await _refuses(world, without=("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN"))
    assert "SLACK_BOT_TOKEN is not set." in said


@pytest.mark.long
async def test_neither_socket_nor_signatures(world: World) -> None:
    said = await _refuses(world, without=("SLACK_APP_TOKEN",))
    assert "SLACK_APP_TOKEN" in said
    assert "SLACK_SIGNING_SECRET" in said


@pytest.mark.long
async def test_a_token_of_the_wrong_kind(world: World) -> None:
    said = await _refuses(world, SLACK_BOT_TOKEN="sesame")
    assert "xoxb-" in said
    assert "OAuth & Permissions" in said


@pytest.mark.long
async def test_a_bot_token_that_slack_refuses(world: World) -> None:
    said = await _refuses(world, SLACK_BOT_TOKEN="xoxb-sesame")
    assert "Slack refuses SLACK_BOT_TOKEN (invalid_auth)" in said
    assert "OAuth & Permissions" in said


@pytest.mark.long
async def test_an_app_token_that_slack_refuses(world: World) -> None:
    said = await _refuses(world, SLACK_APP_TOKEN="xapp-sesame")
    assert "Slack refuses SLACK_APP_TOKEN (invalid_auth)" in said
    assert "connections:write" in said


async def test_a_taken_port(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = await _refuses(world, PORT=str(port))
    assert f"Port {port} on 127.0.0.1 is taken" in said
    assert "PORT" in said


@pytest.mark.long
async def test_a_port_that_is_none(world: World) -> None:
    assert "PORT" in await _refuses(world, PORT="http")


async def test_a_database_that_is_not_there(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    said = await _refuses(world, DATABASE_URL=f"postgresql://somebody:sesame@127.0.0.1:{port}/deployments")
    assert f"127.0.0.1:{port}" in said


@pytest.mark.long
async def test_a_database_of_an_unknown_kind(world: World) -> None:
    said = await _refuses(world, DATABASE_URL="mysql://somebody:sesame@127.0.0.1/deployments")
    assert "postgresql" in said


@pytest.mark.long
async def test_a_folder_that_cannot_be_written(world: World) -> None:
    blocked = world.folder / "blocked"
    blocked.write_text("a file where a folder should be")
    said = await _refuses(world, without=("DATABASE_URL",), DATA_DIR=str(blocked / "data"))
    assert str(blocked / "data") in said


@pytest.mark.long
async def test_a_second_bot_on_the_same_file(world: World) -> None:
    await world.start()
    said = await _refuses(world, EXECUTOR_ID="another")
    assert "Another bot is using" in said
    assert "PostgreSQL" in said


@pytest.mark.postgres
@pytest.mark.long
async def test_a_second_bot_of_the_same_name(tmp_path: Path, postgres_url: str) -> None:
    world = await World.open(tmp_path / "world", postgres_url, runs=None)
    try:
        await world.start()
        said = await _refuses(world)
        assert "world" in said
        assert "EXECUTOR_ID" in said
    finally:
        await world.close()


@pytest.mark.long
async def test_the_demo_on_a_taken_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "bot", "demo", "--port", str(taken.getsockname()[1]), "--data", str(tmp_path / "demo")),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(_PATIENCE):
            _, error = await process.communicate()
    assert process.returncode == 1
    assert "Choose another with --port" in error.decode()
    assert "Traceback" not in error.decode()


# HTTP mode.


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture
async def over_http(tmp_path: Path) -> AsyncIterator[World]:
    """A world whose workspace sends everything to the bot's own address, and a bot that listens there."""
    port = _free_port()
    found = await World.open(
        tmp_path / "world", text=catalog(instances=1), deliver_to=f"http://127.0.0.1:{port}/slack/events"
    )
    found.port = port
    bot = found.bot(PORT=str(port), SLACK_SIGNING_SECRET=seed.SIGNING_SECRET, without="SLACK_APP_TOKEN")
    try:
        await bot.start()

        async def ready() -> bool:
            try:
                async with (
                    aiohttp.ClientSession() as session,
                    session.get(f"http://127.0.0.1:{port}/readyz") as answer,
                ):
                    return answer.status == 200
            except aiohttp.ClientError:
                return False

        await until(ready, what=f"a bot that is ready\n{found.log_tail()}")
        yield found
    finally:
        await found.close()


@pytest.mark.long
async def test_the_main_job_over_signed_http(over_http: World) -> None:
    await over_http.command("ada", "checkout v1.2 staging")
    await over_http.ends(1, "succeeded")
    assert await over_http.serves() == "v1.2"
    await over_http.press("linus", "Roll back to v1.1")
    await over_http.whispered("linus", "may not")
    await over_http.press("ada", "Roll back to v1.1")
    await over_http.ends(1, "rolled_back")
    assert await over_http.serves() == "v1.1"
    await over_http.unlock("ada", "checkout staging")
    await over_http.server.hands.say("grace", "<@U0BOT> checkout v1.4 staging", channel="C0DEPLOY")
    await over_http.ends(3, "succeeded")
    assert not over_http.told_twice()


def _signed(body: bytes, *, at: int, secret: str = seed.SIGNING_SECRET) -> dict[str, str]:
    digest = hmac.new(secret.encode(), f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": str(at),
        "X-Slack-Signature": f"v0={digest}",
    }


async def test_what_slack_did_not_sign_is_refused(over_http: World) -> None:
    now = int(time.time())
    body = urlencode(
        {
            "token": "t",
            "team_id": "T0SANDBOX",
            "channel_id": "C0DEPLOY",
            "user_id": "U0ADA",
            "command": "/deploy",
            "text": "checkout v1.2 staging",
            "response_url": f"{over_http.server.url}/hook/none",
            "trigger_id": "1.1.forged",
        }
    ).encode()
    unsigned = {"Content-Type": "application/x-www-form-urlencoded"}
    attempts = {
        "unsigned": (body, unsigned),
        "signed by somebody else": (body, _signed(body, at=now, secret="sesame")),
        "recorded ten minutes ago": (body, _signed(body, at=now - 600)),
        "altered on the way": (body.replace(b"staging", b"production"), _signed(body, at=now)),
        "with the time of another": (body, {**_signed(body, at=now), "X-Slack-Request-Timestamp": str(now - 1)}),
        "without its time": (
            body,
            {name: value for name, value in _signed(body, at=now).items() if name != "X-Slack-Request-Timestamp"},
        ),
    }
    async with aiohttp.ClientSession() as session:
        for what, (content, headers) in attempts.items():
            url = f"http://127.0.0.1:{over_http.port}/slack/events"
            async with session.post(url, data=content, headers=headers) as answer:
                assert answer.status in {400, 401, 403}, f"{what}: {answer.status}"
                assert "Traceback" not in await answer.text()
        # The very same words, signed and fresh, are taken: nothing else was wrong with them.
        async with session.post(
            f"http://127.0.0.1:{over_http.port}/slack/events", data=body, headers=_signed(body, at=now)
        ) as answer:
            assert answer.status == 200
    await over_http.ends(1, "succeeded")
    assert len(await over_http.deployments()) == 1
