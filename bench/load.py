"""Sends signed slash commands over connections that stay open, and notes how long each takes to be acknowledged."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from bot.sandbox import seed
from bot.sandbox.delivery import signature

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(kw_only=True)
class Load:
    """One address under load; times in seconds."""

    port: int
    hooks: Iterator[str]
    taken: list[float] = field(default_factory=list)
    """From the first byte sent to the last one read, of every command."""
    rates: list[float] = field(default_factory=list)
    """Commands per second, of every round."""

    async def saturate(self, text: str, *, commands: int, at_once: int, keep: bool = True) -> None:
        """A round: that many commands from that many people, each of whom waits for the answer before the next."""
        left = itertools.repeat(text, commands)
        lines = [await asyncio.open_connection("127.0.0.1", self.port) for _ in range(at_once)]
        taken: list[float] = []

        async def person(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for said in left:
                taken.append(await self._send(reader, writer, said))  # noqa: PERF401 - the others append meanwhile
            writer.close()

        began = time.perf_counter()
        await asyncio.gather(*(person(*line) for line in lines))
        if keep:
            self.taken += taken
            self.rates.append(commands / (time.perf_counter() - began))

    async def pace(self, texts: Sequence[str], *, spacing: float) -> None:
        """Commands at fixed times, whether or not those before them were answered."""
        loop = asyncio.get_running_loop()
        began = loop.time()

        async def one(number: int, text: str) -> None:
            await asyncio.sleep(began + number * spacing - loop.time())
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            self.taken.append(await self._send(reader, writer, text))
            writer.close()

        await asyncio.gather(*(one(number, text) for number, text in enumerate(texts)))

    async def _send(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: str) -> float:
        body = urlencode(
            {
                "token": seed.VERIFICATION_TOKEN,
                "team_id": seed.TEAM_ID,
                "channel_id": "C0DEPLOY",
                "channel_name": "deployments",
                "user_id": "U0ADA",
                "user_name": "ada",
                "command": "/deploy",
                "text": text,
                "api_app_id": seed.APP_ID,
                "is_enterprise_install": "false",
                "response_url": next(self.hooks),
                "trigger_id": f"{time.time_ns()}.{secrets.token_hex(16)}",
            }
        ).encode()
        stamp = str(int(time.time()))
        head = (
            f"POST /slack/events HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(body)}\r\nX-Slack-Request-Timestamp: {stamp}\r\n"
            f"X-Slack-Signature: {signature(seed.SIGNING_SECRET, stamp, body)}\r\n\r\n"
        )
        began = time.perf_counter()
        writer.write(head.encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = answer.partition("content-length:")[2].partition("\r\n")[0].strip()
        await reader.readexactly(int(length or 0))
        taken = time.perf_counter() - began
        if not answer.startswith("http/1.1 200"):
            raise RuntimeError(f"a command was answered {answer.splitlines()[0]}")
        return taken
