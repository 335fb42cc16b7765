"""One instance: a record of what was started and the process that it became."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from integrations._shared.redact import last_lines
from integrations.local.agent.model import Build
from integrations.local.agent.process import Process, adopt, start
from integrations.local.identity import born, find_orphan

if TYPE_CHECKING:
    from integrations.local.wire import InstanceStatus

_LOG_LIMIT = 4_000_000
_TAIL = 8_192


class State(StrEnum):
    """Where an instance is in its life."""

    STARTING = "starting"
    READY = "ready"
    #: Runs, but its health check fails: gets traffic only if nobody else can.
    UNREADY = "unready"
    #: Gets no new requests and ends when the ones under way are answered.
    DRAINING = "draining"
    #: Ended by itself; will be started again.
    CRASHED = "crashed"
    #: Ended with the whole platform; comes back with it.
    STOPPED = "stopped"


class Instance:
    """One instance of a build in a place. Its place decides what becomes of it."""

    def __init__(
        self, *, name: str, build: Build, port: int, log: Path, number: int, state: State = State.STARTING
    ) -> None:
        self.id = name
        self.build = build
        self.key = build.key
        self.port = port
        self.log = log
        self.number = number
        """The operation that started it."""
        self.state = state
        self.restarts = 0
        self.started_at = time.time()
        self.message = ""
        self.process: Process | None = None
        self.in_flight = 0
        self.idle = asyncio.Event()
        """Set while it has no request under way."""
        self.idle.set()
        self.turn = 0
        """When it last got a request, in requests of its place."""
        self.misses = 0
        """Failed looks at its health in a row."""
        self.crashes = 0
        """Times that it ended by itself, forgotten when it lives for a while."""

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.alive

    @property
    def serves(self) -> bool:
        """Whether it may get requests."""
        return self.state is State.READY and self.alive

    @property
    def counts(self) -> bool:
        """Whether it is one of those that there should be: it serves, or did a moment ago."""
        return self.state in (State.READY, State.UNREADY) and self.alive

    def start(self, *, service: str, environment: str) -> None:
        """Start its process; raises `OSError` when the command cannot be run."""
        own = self._own_variables(service, environment)
        command = [word.replace("{python}", sys.executable) for word in self.build.command]
        self.started_at = time.time()
        self.process = start(
            command=command,
            cwd=Path(self.build.location),
            variables={**_inherited(), **self.build.variables, **own},
            log=self.log,
        )

    def adopt(self, record: dict[str, Any], *, service: str, environment: str) -> None:
        """Take over the process that ``record`` names, if it still runs."""
        if self.state in (State.CRASHED, State.STOPPED):
            return
        pid, identity = record["pid"], record["identity"]
        if pid is None:
            # The agent ended between starting it and writing its number down.
            own = self._own_variables(service, environment)
            pid = find_orphan(cwd=Path(self.build.location).resolve(), variables=own)
            identity = born(pid) if pid is not None else None
        if pid is not None and identity:
            self.process = adopt(pid=pid, identity=identity)

    def _own_variables(self, service: str, environment: str) -> dict[str, str]:
        return {
            "PORT": str(self.port),
            "SERVICE": service,
            "ENVIRONMENT": environment,
            "VERSION": self.build.version,
        }

    def ending(self) -> str:
        """How its process ended, in words."""
        return self.process.ending() if self.process is not None else "did not start"

    def last_words(self) -> str:
        """The end of its log in lines of its own, redacted; empty when it wrote nothing."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - _TAIL))
                text = file.read(_TAIL).decode("utf-8", "replace")
        except OSError:
            return ""
        lines = last_lines(text)
        return "\nLast lines of its log:\n" + "\n".join(lines) if lines else ""

    def trim_log(self) -> None:
        """Empty a log that has grown too large; the process appends, so it goes on at the new end."""
        try:
            if self.log.stat().st_size > _LOG_LIMIT:
                os.truncate(self.log, 0)
        except OSError:
            return

    def record(self) -> dict[str, Any]:
        """What is written down about it."""
        return {
            "id": self.id,
            "build": asdict(self.build),
            "port": self.port,
            "number": self.number,
            "state": self.state.value,
            "restarts": self.restarts,
            "started_at": self.started_at,
            "message": self.message,
            "pid": self.process.pid if self.process is not None else None,
            "identity": self.process.identity if self.process is not None else None,
        }

    @classmethod
    def read(cls, record: dict[str, Any], *, log: Path) -> Instance:
        """The instance that `record` describes, without its process."""
        instance = cls(
            name=record["id"],
            build=Build.read(record["build"]),
            port=record["port"],
            log=log,
            number=record["number"],
            state=State(record["state"]),
        )
        instance.restarts = record["restarts"]
        instance.started_at = record["started_at"]
        instance.message = record["message"]
        return instance

    def status(self) -> InstanceStatus:
        """What the API tells about it."""
        return {
            "id": self.id,
            "version": self.build.version,
            "digest": self.build.digest,
            "location": self.build.location,
            "build": self.key,
            "state": self.state.value,
            "pid": self.process.pid if self.process is not None and self.process.alive else None,
            "port": self.port,
            "restarts": self.restarts,
            "message": self.message,
        }


def _inherited() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
