"""Starts the unmodified bot in a process that dies at a named point.

From outside it wraps everything through which a deployment leaves a trace: durable steps and their journal, database
transactions, calls to the local platform's agent, changes of a cluster, calls to Slack. Each is a *point*, a name with
a count. It never changes what is done, only when the process ends.

``CRASH_FOLDER`` holds ``crash.json``: ``{"arm": "deploy" | "roll_back" | "break_glass", "at": "name#count"}``, read
anew whenever a request comes in. From then on points are counted from one and written to ``points.log``; at the named
one, or at any of a list, the process gets SIGKILL and leaves in ``dead.json`` where that was. With ``"run": name``
later requests of the same run begin no new count; with ``"arm": "at once"`` the counting goes on where the last process
left it. With ``"pause": true`` the first permit that is taken after that is not used before there is a file ``go``;
until then there is a file ``paused``.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import signal
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

FOLDER = Path(os.environ.get("CRASH_FOLDER", "."))
SENT = 0.1
"""Seconds after which a request has reached the agent, which is told to take several times as long."""

_seen: Counter[str] = Counter()
_armed = False
_at: list[str] = []
_pause = False
_run: str | None = None
_sending = ""


def arm(request: str) -> None:
    """Count from here if this is the request that was meant."""
    global _armed, _at, _pause, _run
    plan = json.loads((FOLDER / "crash.json").read_text())
    if _armed and plan.get("run") is not None and plan["run"] == _run:
        return
    _seen.clear()
    _armed, _at, _run = plan["arm"] == request, _points(plan), plan.get("run")
    _pause = _armed and plan.get("pause", False)


def go_on() -> None:
    """Count on from where the last process has died, if that is wanted."""
    global _armed, _at, _run
    if not (FOLDER / "crash.json").exists():
        return
    plan = json.loads((FOLDER / "crash.json").read_text())
    if plan["arm"] == "at once":
        _seen.update(json.loads((FOLDER / "dead.json").read_text())["seen"])
        _armed, _at, _run = True, _points(plan), plan.get("run")


def point(name: str) -> None:
    """Here something has just been, or is just to be done."""
    if not _armed:
        return
    _seen[name] += 1
    label = f"{name}#{_seen[name]}"
    with (FOLDER / "points.log").open("a") as log:
        log.write(label + "\n")
    # Read again: whoever asked for it may have given it up meanwhile.
    if label in _at and label in _points(json.loads((FOLDER / "crash.json").read_text())):
        (FOLDER / "dead.json").write_text(json.dumps({"at": label, "seen": _seen, "sending": _sending}))
        os.kill(os.getpid(), signal.SIGKILL)


def _points(plan: dict[str, Any]) -> list[str]:
    at = plan["at"]
    return at if isinstance(at, list) else [at]


def instrument() -> None:
    """Put the points around what they are named after."""
    _requests()
    _workflows()
    _transactions()
    _permits()
    _mutations()
    _messages()


def _requests() -> None:
    from bot.engine.overriding import Overriding
    from bot.engine.requests import Requests

    ways_in: tuple[tuple[str, type, str], ...] = (  # the command's own, and the button's
        ("deploy", Requests, "deploy_all"),
        ("roll_back", Requests, "roll_back"),
        ("break_glass", Overriding, "break_glass"),
    )
    for name, owner, door in ways_in:
        accept = getattr(owner, door)

        async def accepting(self: Any, *args: Any, _name: str = name, _accept: Any = accept, **kwargs: Any) -> Any:
            arm(_name)
            point("request:taken up")
            result = await _accept(self, *args, **kwargs)
            point("request:accepted")
            return result

        setattr(owner, door, functools.wraps(accept)(accepting))


def _workflows() -> None:
    from dbos import DBOS

    run_step = DBOS.run_step_async

    async def step(options: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
        name = options["name"]

        async def body(*inner: Any, **named: Any) -> Any:
            point(f"step {name}:begins")
            result = await function(*inner, **named)
            point(f"step {name}:done, not in the journal")
            return result

        result = await run_step(options, body, *args, **kwargs)
        point(f"step {name}:in the journal")
        return result

    DBOS.run_step_async = step  # type: ignore[method-assign,assignment]  # a wrapper is all that this file is

    for name, what in (("start_workflow_async", "intake"), ("enqueue_workflow_async", "turn")):
        begin = getattr(DBOS, name)

        async def beginning(*args: Any, _begin: Any = begin, _what: str = what, **kwargs: Any) -> Any:
            point(f"workflow {_what}:not begun")
            result = await _begin(*args, **kwargs)
            point(f"workflow {_what}:begun")
            return result

        setattr(DBOS, name, beginning)


def _transactions() -> None:
    from bot.store.engine import Database

    write = Database.write

    async def writing(self: Any, work: Any, **kwargs: Any) -> Any:
        name = ".".join(work.__qualname__.split(".")[:2])
        if name.startswith("StoredLeases"):  # a heartbeat, no part of the story; or a permit, which is told below
            return await write(self, work, **kwargs)

        async def inside(connection: Any) -> Any:
            result = await work(connection)
            point(f"transaction {name}:before its commit")
            return result

        result = await write(self, inside, **kwargs)
        point(f"transaction {name}:after its commit")
        return result

    Database.write = writing  # type: ignore[method-assign]  # a wrapper is all that this file is


def _permits() -> None:
    from bot.store.leases import StoredLeases

    for name, what in (("hold", "take"), ("release", "give back")):
        method = getattr(StoredLeases, name)

        async def leasing(
            self: Any, lease: str, *args: Any, _method: Any = method, _what: str = what, **kwargs: Any
        ) -> Any:
            ours = lease.startswith("write:")
            if ours:
                point(f"permit {_what}:not done")
            result = await _method(self, lease, *args, **kwargs)
            if ours:
                point(f"permit {_what}:done")
                if _what == "take":
                    await _wait_with_it()
            return result

        setattr(StoredLeases, name, leasing)


async def _wait_with_it() -> None:
    global _pause
    if not _pause:
        return
    _pause = False
    (FOLDER / "paused").touch()
    while not (FOLDER / "go").exists():
        await asyncio.sleep(0.01)
    (FOLDER / "paused").unlink()


def _mutations() -> None:
    from integrations._shared.kube.api import Kube
    from integrations.local.client import AgentClient

    post, patch = AgentClient.post, Kube.patch

    async def posting(self: Any, path: str, body: Any, **kwargs: Any) -> Any:
        kind, operation = body["kind"], body["operation"]
        _, _, service, environment, _ = path.split("/")
        journal = FOLDER / "platform" / "places" / f"{service}@{environment}" / "journal.jsonl"

        def applied() -> bool:
            return journal.exists() and operation in journal.read_text()

        if applied():
            return await post(self, path, body, **kwargs)
        until = asyncio.get_running_loop().time() + SENT
        there = lambda: asyncio.get_running_loop().time() >= until  # noqa: E731 - a word for it
        return await _mutate(kind, operation, post(self, path, body, **kwargs), there, applied)

    async def patching(self: Any, path: str, body: Any, **kwargs: Any) -> Any:
        if kwargs.get("dry_run"):
            return await patch(self, path, body, **kwargs)
        before = len(_handled(path))

        def there() -> bool:
            return len(_handled(path)) > before

        def applied() -> bool:
            return "200" in _handled(path)[before:]

        sending = patch(self, path, body, **kwargs)
        return await _mutate(f"of {path.partition('/shop/')[2]}", f"{before} {path}", sending, there, applied)

    AgentClient.post = posting  # type: ignore[method-assign]  # a wrapper is all that this file is
    Kube.patch = patching  # type: ignore[method-assign]  # a wrapper is all that this file is


def _handled(path: str) -> list[str]:
    """What the cluster has written down about changes there: ``came`` when one has come, later its status."""
    log = FOLDER / "cluster.log"
    lines = log.read_text().splitlines() if log.exists() else []
    return [what for what, _, where in (line.partition(" ") for line in lines) if where == path]


async def _mutate(
    kind: str, key: str, call: Coroutine[Any, Any, Any], there: Callable[[], bool], applied: Callable[[], bool]
) -> Any:
    """Make a change, with the points of its way; ``there``: it has come to where it is made."""
    global _sending
    _sending = key
    point(f"mutation {kind}:not sent")
    sending = asyncio.ensure_future(call)
    while not there() and not sending.done():
        await asyncio.sleep(0.01)
    if not applied() and not sending.done():
        point(f"mutation {kind}:sent, not applied")
    while not applied() and not sending.done():
        await asyncio.sleep(0.01)
    if not sending.done():
        point(f"mutation {kind}:applied, not answered")
    result = await sending
    point(f"mutation {kind}:answered")
    return result


def _messages() -> None:
    from slack_sdk.web.async_client import AsyncWebClient

    call = AsyncWebClient.api_call

    async def calling(self: Any, api_method: str, **kwargs: Any) -> Any:
        told = api_method in {"chat.postMessage", "chat.update"}
        if told:
            point(f"{api_method}:not sent")
        result = await call(self, api_method, **kwargs)
        if told:
            point(f"{api_method}:answered")
        return result

    AsyncWebClient.api_call = calling  # type: ignore[method-assign]  # a wrapper is all that this file is


if __name__ == "__main__":
    instrument()
    go_on()
    from bot.cli import main

    main(["serve"])
