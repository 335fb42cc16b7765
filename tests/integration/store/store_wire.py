"""A wire to PostgreSQL that can be cut at the worst moment: just before a commit arrives, or before its answer does."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Self

from sqlalchemy.engine import make_url

if TYPE_CHECKING:
    from types import TracebackType


class CutWire:
    """Passes bytes on between the store and a server."""

    def __init__(self, url: str) -> None:
        self._to = make_url(url)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._armed: bool | None = None
        self.cuts = 0

    def cut_next_commit(self, *, arrives: bool) -> None:
        """Cut the connection that commits next; with ``arrives`` the server has committed by then."""
        self._armed = arrives

    @property
    def url(self) -> str:
        """The database's address through this wire."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return self._to.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._open):
            writer.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there = await asyncio.open_connection(self._to.host, self._to.port)
        self._open |= {writer, there}
        muted = asyncio.Event()

        async def back() -> None:
            while data := await there_reader.read(65536):
                if muted.is_set():
                    return
                writer.write(data)
                await writer.drain()

        answers = asyncio.ensure_future(back())
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if b"COMMIT\x00" in data and self._armed is not None:
                    arrives, self._armed = self._armed, None
                    if arrives:
                        muted.set()
                        there.write(data)
                        await there.drain()
                        await asyncio.wait_for(answers, 10)  # its answer: it is done
                    self.cuts += 1
                    break
                there.write(data)
                await there.drain()
        answers.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await answers
        for one in (writer, there):
            one.close()
            self._open.discard(one)
