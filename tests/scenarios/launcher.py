"""Starts the unmodified bot in a process that dies at a named point.

``launcher.py`` wraps, from outside, everything through which a deployment leaves a trace: durable steps, database
transactions, calls to the local platform's agent, calls to Slack. Each is a *point* with a count. The points passed are
written to ``CRASH_LOG``; at ``CRASH_AT`` (``name#count``) the process gets SIGKILL. Points count from the first request
on that follows ``CRASH_ARM`` (``deploy`` or ``roll_back``), so that start-up is not part of the story.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

_seen: Counter[str] = Counter()
_armed = False


def point(name: str) -> None:
    if not _armed:
        return
    _seen[name] += 1
    label = f"{name}#{_seen[name]}"
    with Path(os.environ["CRASH_LOG"]).open("a") as log:
        log.write(label + "\n")
    if label == os.environ.get("CRASH_AT"):
        os.kill(os.getpid(), signal.SIGKILL)


def arm() -> None:
    global _armed
    _armed = True


def instrument() -> None:
    from dbos import DBOS
    from slack_sdk.web.async_client import AsyncWebClient

    from bot.engine.requests import Requests
    from bot.store.engine import Database
    from integrations.local.client import AgentClient

    accept = getattr(Requests, os.environ.get("CRASH_ARM", "deploy"))

    async def accepting(self: Any, *args: Any, **kwargs: Any) -> Any:
        arm()
        point("request:before")
        result = await accept(self, *args, **kwargs)
        point("request:after")
        return result

    setattr(Requests, os.environ.get("CRASH_ARM", "deploy"), accepting)

    run_step = DBOS.run_step_async

    async def step(options: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
        name = options["name"]

        async def body(*inner: Any, **named: Any) -> Any:
            point(f"step {name}:begins")
            result = await function(*inner, **named)
            point(f"step {name}:done, not journaled")
            return result

        result = await run_step(options, body, *args, **kwargs)
        point(f"step {name}:journaled")
        return result

    DBOS.run_step_async = step  # type: ignore[method-assign,assignment]

    write = Database.write

    async def writing(self: Any, work: Any, **kwargs: Any) -> Any:
        async def inside(connection: Any) -> Any:
            result = await work(connection)
            point("transaction:before commit")
            return result

        result = await write(self, inside, **kwargs)
        point("transaction:after commit")
        return result

    Database.write = writing  # type: ignore[method-assign]

    post = AgentClient.post

    async def posting(self: Any, path: str, body: Any, **kwargs: Any) -> Any:
        point("mutation:before it is sent")
        sending = asyncio.ensure_future(post(self, path, body, **kwargs))
        # The platform is told to take its time before and after it applies a change, so these are inside the call.
        await asyncio.sleep(0.04)
        point("mutation:sent, not applied")
        await asyncio.sleep(0.12)
        point("mutation:applied, not answered")
        result = await sending
        point("mutation:answered")
        return result

    AgentClient.post = posting  # type: ignore[method-assign]

    call = AsyncWebClient.api_call

    async def calling(self: Any, api_method: str, **kwargs: Any) -> Any:
        told = api_method in {"chat.postMessage", "chat.update"}
        if told:
            point(f"{api_method}:before")
        result = await call(self, api_method, **kwargs)
        if told:
            point(f"{api_method}:after")
        return result

    AsyncWebClient.api_call = calling  # type: ignore[method-assign]


if __name__ == "__main__":
    instrument()
    from bot.cli import main

    main(["serve"])
