"""Puts the agent together and runs it until it is told to stop. Must hold the root's lock already."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import signal
import time
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web

from integrations.local.agent.api import Api
from integrations.local.agent.faults import Faults
from integrations.local.agent.places import Places
from integrations.local.agent.ports import HOST
from integrations.local.artifacts import Artifacts
from integrations.local.files import write_atomically
from integrations.local.identity import born
from integrations.local.wire import PROTOCOL

if TYPE_CHECKING:
    from collections.abc import Callable

    from integrations.local.files import Root

log = logging.getLogger(__name__)

_WATCH = 2.0


async def serve(root: Root, *, lock: int, allow_faults: bool, ready: Callable[[], None]) -> None:
    """Look after ``root`` until asked to stop; ``lock`` is the descriptor of its lock. Raises `OSError`."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        # The instances are left running: the next agent adopts them.
        loop.add_signal_handler(number, over.set)
    # A connection for each request: an instance that is being stopped is then never sent one on a kept connection.
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=3.0, sock_read=60.0)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(loop=loop)
    ) as session:
        places = Places(root=root, session=session, epoch=f"{time.time_ns():x}")
        token = _token(root)

        async def stop() -> None:
            await places.close(stop=True)
            # The answer to whoever asked goes out first.
            loop.call_later(0.05, over.set)

        api = Api(
            token=token, places=places, artifacts=Artifacts(), faults=Faults(allowed=allow_faults), stop=stop
        ).application()
        await places.load()
        runner = web.AppRunner(api, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, HOST, 0)
        await site.start()
        port = runner.addresses[0][1]
        identity = {
            "url": f"http://{HOST}:{port}",
            "pid": os.getpid(),
            "born": born(os.getpid()),
            "protocol": PROTOCOL,
        }
        write_atomically(root.address, json.dumps(identity).encode())
        log.info("agent %s listens on %s", os.getpid(), identity["url"])
        ready()
        try:
            if not await _owned_until(root, lock, over):
                # Nobody can ask for anything in a folder that is gone, so nothing may be left behind.
                log.warning("the folder is gone; stopping every instance")
                await places.close(stop=True)
        finally:
            await places.close(stop=False)
            await runner.cleanup()
            root.address.unlink(missing_ok=True)
            log.info("agent %s ends", os.getpid())


async def _owned_until(root: Root, lock: int, over: asyncio.Event) -> bool:
    """Wait until ``over``; false as soon as the lock that we hold is no longer the one in the folder."""
    mine = os.fstat(lock)
    while True:
        try:
            async with asyncio.timeout(_WATCH):
                await over.wait()
            return True
        except TimeoutError:
            pass
        try:
            there = root.lock.stat()
        except FileNotFoundError:
            return False
        if (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino):
            return False


def _token(root: Root) -> str:
    try:
        token = root.token.read_text().strip()
    except FileNotFoundError:
        token = ""
    if not token:
        token = secrets.token_urlsafe(32)
        write_atomically(root.token, token.encode())
    return token
