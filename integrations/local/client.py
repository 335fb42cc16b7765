"""Talks to the agent of a root folder, starting it when it does not run. Knows HTTP and nothing of deployments.

Every call may be sent again: reads change nothing and mutations carry an operation id that the agent applies once.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bot.domain.errors import (
    OutcomeUnknown,
    ProviderError,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
)
from integrations.local.files import Root
from integrations.local.identity import born
from integrations.local.wire import PROTOCOL

if TYPE_CHECKING:
    from collections.abc import Mapping

PROVIDER = "local"
_START_LIMIT = 10.0
_ATTEMPTS = 6
_PAUSE = 0.05
_LOOK = 0.02
_BUSY = 3


class Agent(NamedTuple):
    """A running agent."""

    url: str
    token: str
    pid: int
    born: str
    protocol: int


class NotThere(Exception):
    """The agent has nothing of that name."""


class AgentClient:
    """A client of the agent of ``root``. Holds no connection, so there is nothing to close."""

    def __init__(self, root: Path) -> None:
        self._root = Root(root)

    async def get(self, path: str, *, query: Mapping[str, str] | None = None, timeout: float = 10.0) -> Any:
        """The answer to GET ``path``; raises `NotThere`, `ProviderError`."""
        return await self._call("GET", path, query=query, timeout=timeout)

    async def post(self, path: str, body: Mapping[str, object], *, timeout: float = 30.0) -> Any:
        """The answer to POST ``path``; raises `NotThere`, `ProviderError`."""
        return await self._call("POST", path, body=body, timeout=timeout)

    def running(self) -> Agent | None:
        """The agent if it runs now; starts nothing."""
        try:
            known = json.loads(self._root.address.read_bytes())
            # Its port may belong to somebody else by now, who must not see the token.
            if born(known["pid"]) != known["born"]:
                return None
            token = self._root.token.read_text().strip()
            return Agent(
                url=known["url"], token=token, pid=known["pid"], born=known["born"], protocol=known["protocol"]
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    async def gone(self, agent: Agent, *, timeout: float) -> None:
        """Wait until the process of ``agent`` has ended, at most ``timeout`` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while born(agent.pid) == agent.born:  # noqa: ASYNC110 - nobody tells of the end of a detached process
                    await asyncio.sleep(_LOOK)

    async def ensure(self, *, faults: bool = False) -> Agent:
        """The agent, started if need be; raises `ProviderUnavailable`, `ProviderRejected`.

        One that is started with ``faults`` makes trouble on request.
        """
        agent = self.running()
        if agent is not None and agent.protocol == PROTOCOL:
            return agent
        if agent is not None:
            # Started by another version of this program. What it runs goes on, and its successor adopts it.
            with suppress(ProcessLookupError):
                os.kill(agent.pid, signal.SIGTERM)
            await self.gone(agent, timeout=_START_LIMIT)
        try:
            async with asyncio.timeout(_START_LIMIT):
                while True:
                    await self._start(faults=faults)
                    agent = self.running()
                    if agent is not None:
                        return agent
                    # Another one is just starting or just ending.
                    await asyncio.sleep(_PAUSE)
        except TimeoutError:
            raise ProviderUnavailable(
                f"The agent of {self._root.path} did not start within {_START_LIMIT:g} s; its agent.log may say why.",
                provider=PROVIDER,
            ) from None

    async def _start(self, *, faults: bool) -> None:
        # A clean environment: the bot's tokens are no business of the agent and of what it starts.
        variables = {name: os.environ[name] for name in ("PATH", "LANG", "LOCAL_AGENT_FAULTS") if name in os.environ}
        if faults:
            variables["LOCAL_AGENT_FAULTS"] = "1"
        variables["PYTHONPATH"] = str(Path(__file__).parents[2])
        launcher = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "integrations.local.agent",
            "--root",
            str(self._root.path),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=variables,
            start_new_session=True,
        )
        try:
            output, _ = await launcher.communicate()
        except BaseException:
            with suppress(ProcessLookupError):
                launcher.kill()
            await launcher.wait()
            raise
        if launcher.returncode not in (0, _BUSY):
            lines = output.decode("utf-8", "replace").strip().splitlines()
            raise ProviderRejected(lines[-1] if lines else "The agent could not be started.", provider=PROVIDER)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        timeout: float,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Any:
        import aiohttp

        trouble = "it did not answer"
        for attempt in range(_ATTEMPTS):
            if attempt:
                await asyncio.sleep(_PAUSE * 2 ** (attempt - 1))
            agent = await self.ensure()
            try:
                async with (
                    aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout)) as session,
                    session.request(
                        method,
                        f"{agent.url}/v1{path}",
                        params=query,
                        json=body,
                        headers={"Authorization": f"Bearer {agent.token}"},
                        allow_redirects=False,
                    ) as answer,
                ):
                    text = await answer.read()
                    status = answer.status
            except TimeoutError:
                # What the client raises knows the request, and with it the token: it must not be the cause of ours.
                break
            except (aiohttp.ClientError, OSError, ValueError) as error:
                # It ended, perhaps in the middle of the call; a new one takes over and nothing is applied twice.
                trouble = f"the connection broke ({type(error).__name__})"
                continue
            content = _content(text)
            if status < 300 and content is None:
                trouble = "it does not answer in JSON"
                continue
            if status < 300:
                return content
            error_code, message = _error_of(content, status)
            if status < 500 or error_code == "damaged":
                raise _translated(error_code, message, mutation=method == "POST")
            trouble = message
        else:
            raise ProviderUnavailable(
                f"The agent of {self._root.path} cannot be used: {trouble.rstrip('.')}.", provider=PROVIDER
            )
        raise ProviderTimeout(f"The agent of {self._root.path} did not answer within {timeout:g} s.", provider=PROVIDER)


def _content(text: bytes) -> object:
    """The JSON of an answer; None when it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _error_of(content: object, status: int) -> tuple[str, str]:
    if isinstance(content, dict):
        return str(content.get("error", "")), str(content.get("message", ""))
    return "", f"it answered {status}"


def _translated(code: str, message: str, *, mutation: bool) -> Exception:
    if code == "unknown":
        return NotThere(message)
    if code == "damaged" and mutation:
        return OutcomeUnknown(message, provider=PROVIDER)
    if code == "damaged":
        return ProviderError(message, provider=PROVIDER)
    return ProviderRejected(message, provider=PROVIDER)
