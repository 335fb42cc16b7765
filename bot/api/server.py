"""Serves the HTTP application on a socket that was bound beforehand, so that a taken port is told in one sentence."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import TYPE_CHECKING

import uvicorn

from bot.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from fastapi import FastAPI


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; raises `ConfigurationError` when there can be none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # By its name, or asyncio does not see that it is TCP and lets each answer wait 40 ms for an acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(256)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            message = f"Port {port} on {host} is taken. Stop what listens there, or set PORT to another one."
        elif error.errno == errno.EACCES:
            message = f"Port {port} needs rights that this user has not. Set PORT to one above 1023."
        else:
            message = f"Cannot listen on {host}:{port}: {error.strerror}. Set HOST and PORT."
        raise ConfigurationError(message) from None
    listening.setblocking(False)
    return listening


class HttpServer:
    """A running HTTP server."""

    def __init__(self, api: FastAPI, listening: socket.socket) -> None:
        config = uvicorn.Config(api, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=3)
        self._server = uvicorn.Server(config)
        self._listening = listening
        self._serving: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listening.getsockname()[1])

    def start(self) -> None:
        """Begin to serve in the background."""
        # `_serve` leaves the signals alone; the process's own handlers stop everything in order.
        self._serving = asyncio.create_task(self._server._serve([self._listening]))  # noqa: SLF001

    async def stop(self) -> None:
        """Finish what is being answered and close."""
        self._server.should_exit = True
        if self._serving:
            await self._serving
