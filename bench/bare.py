"""What acknowledging costs at least: a Bolt app whose listener does nothing else, on the bot's own server and adapter.

Run as ``python -m bench.bare``; prints its port and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.api.app import build_api
from bot.api.server import HttpServer, bind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slack_bolt.async_app import AsyncAck
    from starlette.requests import Request
    from starlette.responses import Response


async def main() -> None:
    """Serve until standard input ends."""
    client = AsyncWebClient(token=os.environ["SLACK_BOT_TOKEN"], base_url=os.environ["SLACK_API_URL"])
    app = AsyncApp(client=client, signing_secret=os.environ["SLACK_SIGNING_SECRET"])

    async def command(ack: AsyncAck) -> None:
        await ack()

    app.command("/deploy")(command)
    handler = AsyncSlackRequestHandler(app)

    async def handle(request: Request) -> Response:
        answer: Response = await handler.handle(request)
        return answer

    async def ready() -> Mapping[str, str]:
        return {}

    server = HttpServer(build_api(readiness=ready, slack=handle), bind("127.0.0.1", 0))
    server.start()
    print(server.port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop()


if __name__ == "__main__":
    asyncio.run(main())
