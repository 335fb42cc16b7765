"""The sandbox workspace in a process of its own, so that its work is not counted as the load generator's.

Run as ``python -m bench.workspace``; prints its address and its response URLs as JSON, ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import sys

from bot.sandbox.server import SandboxServer
from bot.sandbox.workspace import Workspace

_URLS = 10_000


async def main() -> None:
    """Serve until standard input ends."""
    server = SandboxServer(Workspace())
    await server.start()
    urls = [server.workspace.new_hook("U0ADA", "C0DEPLOY") for _ in range(_URLS)]
    print(json.dumps({"url": server.url, "hooks": urls}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop()


if __name__ == "__main__":
    asyncio.run(main())
