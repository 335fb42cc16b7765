"""A cluster's API as raw JSON: what is there, changes to it, and what happens to it.

Never the client's typed models: they lose fields that they do not know. Who repeats a change looks first whether it
was made: an error after a change was sent says nothing about that.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from bot.domain.errors import ProviderError, ProviderTimeout, ProviderUnavailable
from integrations._shared.kube import raw
from integrations._shared.kube.errors import PROVIDER, Conflict, Expired, NotFound, refusal, spoken
from integrations._shared.kube.following import follow
from integrations._shared.kube.session import Elsewhere
from integrations._shared.kube.transport import Transport

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

    from integrations._shared.kube.access import ClusterAccess

__all__ = ["MANAGER", "Conflict", "Elsewhere", "Event", "Expired", "Kube", "NotFound", "PatchKind"]

MANAGER: Final = "deployment-architect"
"""Who the cluster's books say made our changes."""

Objects: TypeAlias = list[dict[str, Any]]
PatchKind = Literal["json", "merge", "apply"]
_CONTENT: Final[Mapping[str, str]] = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
_MOST_PAGES = 400
"""Of 500 objects each; more is no list that anybody meant to have."""
_WATCH_SECONDS = 240
_QUIET_SECONDS = 90.0
"""A server sends a bookmark about once a minute: one that says nothing for so long is not there any more."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to an object."""

    kind: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: dict[str, Any]


class Kube:
    """One cluster. Each call has a deadline, few run at once, and every failure is a `ProviderError`.

    Paths come from `names.path_to`, which lets no name lead elsewhere.
    """

    def __init__(self, access: ClusterAccess, *, timeout: float = 10.0) -> None:
        self.cluster = access.name
        self._transport = Transport(access, timeout=timeout)

    async def get(self, path: str) -> dict[str, Any] | None:
        """The object; None when there is none."""
        try:
            return (await self._transport.send("GET", path)).json()
        except NotFound:
            return None

    async def list(self, path: str, *, field: str = "", label: str = "", limit: int = 500) -> tuple[Objects, str]:
        """All objects that both selectors let through, ``limit`` a page, and the version of the list."""
        for _ in range(3):
            try:
                return await self._pages(path, _selected(field, label), limit)
            except Expired:  # it took too long to turn the pages
                continue
        raise ProviderUnavailable(f"The cluster {self.cluster} changes faster than it lists.", provider=PROVIDER)

    async def _pages(self, path: str, selected: dict[str, str], limit: int) -> tuple[Objects, str]:
        items: Objects = []
        query = {**selected, "limit": str(limit)}
        for _ in range(_MOST_PAGES):
            page = (await self._transport.send("GET", path, query=query)).json()
            items += raw.items(page, "items")
            more = raw.text(page, "metadata", "continue")
            if not more:
                return items, raw.text(page, "metadata", "resourceVersion")
            query = {**query, "continue": more}
        raise ProviderError(f"The cluster {self.cluster} has no end to its list of {spoken(path)}.", provider=PROVIDER)

    async def patch(
        self,
        path: str,
        body: Sequence[Mapping[str, Any]] | Mapping[str, Any],
        *,
        kind: PatchKind,
        dry_run: bool = False,
        force: bool = False,
    ) -> dict[str, Any]:
        """The object as it is, or with ``dry_run`` would be, after the change.

        Raises `Conflict` when a test in a JSON Patch does not hold, or when a version or an owner is in the way.
        ``force`` is for ``apply`` and takes fields from their owners.
        """
        query = {"fieldManager": MANAGER, **_dry(dry_run), **({"force": "true"} if force else {})}
        answer = await self._transport.send(
            "PATCH", path, query=query, body=list(body) if not _is_mapping(body) else body, kind=_CONTENT[kind]
        )
        return answer.json()

    async def create(self, path: str, body: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """The object as it was made. Raises `Conflict` when there is one of that name."""
        query = {"fieldManager": MANAGER, **_dry(dry_run)}
        return (await self._transport.send("POST", path, query=query, body=body)).json()

    async def delete(self, path: str, *, uid: str | None = None, propagation: str = "Background") -> None:
        """Have the object deleted, if it is the one with ``uid``. One that is gone already is fine.

        Raises `Conflict` when there is another one of that name.
        """
        body: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        try:
            await self._transport.send("DELETE", path, body=body)
        except NotFound:
            return

    async def text(self, path: str, *, query: Mapping[str, str] | None = None, largest: int = 256 * 1024) -> str:
        """What is there as text, such as the log of a container. Raises `NotFound`."""
        answer = await self._transport.send("GET", path, query=query, largest=largest)
        return answer.content.decode("utf-8", "replace")

    async def ask(self, path: str, *, timeout: float) -> int:
        """The status of what a pod answers through the API server. Raises `Elsewhere` when that is a redirect."""
        return await self._transport.ask(path, timeout=timeout)

    async def watch(self, path: str, *, field: str = "", label: str = "", since: str) -> AsyncGenerator[Event, None]:
        """What happens after the version ``since``. Ends when the server has said enough, or was cut off.

        Raises `Expired` when ``since`` is too old or unknown to the server: list anew.
        """
        query = {
            **_selected(field, label),
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": since,
            # Not all at the same instant, when a server that was away is back.
            "timeoutSeconds": str(_WATCH_SECONDS - random.randrange(20)),  # noqa: S311 - jitter, not a secret
        }
        async with self._transport.stream(path, query=query, timeout=_WATCH_SECONDS + 30.0) as lines:
            while True:
                try:
                    line = await lines.next(within=_QUIET_SECONDS)
                except (ProviderUnavailable, ProviderTimeout):
                    return
                if line is None:
                    return
                if not line.strip():
                    continue
                event = _event(line)
                if event is None:
                    raise _said(self.cluster, path, line)
                yield event

    def follow(
        self,
        path: str,
        *,
        field: str = "",
        label: str = "",
        patience: float = 120.0,
        trouble: Callable[[ProviderError | None], None] | None = None,
    ) -> AsyncGenerator[Mapping[str, dict[str, Any]], None]:
        """Everything that both selectors let through, by name: now, and again after each change.

        Lists and watches for ever, and lists anew whenever the watch ends; what is old or was told before is left out.
        ``trouble`` is told when the cluster cannot be reached, and (None) when it can again; after ``patience`` seconds
        in a row the error is raised. Raises at once what does not pass by itself. Close it with ``aclose``.
        """
        return follow(self, path, field=field, label=label, patience=patience, trouble=trouble)

    async def close(self) -> None:
        """Close the connections; what is asked afterwards opens new ones."""
        await self._transport.close()


def _event(line: bytes) -> Event | None:
    """The event in a line; None when it is an error or nothing that can be understood."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("object"), dict):
        return None
    if found.get("type") not in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK"):
        return None
    return Event(found["type"], found["object"])


def _said(cluster: str, path: str, line: bytes) -> ProviderError:
    try:
        status = json.loads(line)["object"]
        if not isinstance(status, dict):
            raise TypeError
        code = raw.count(status, "code") or 500
        body = json.dumps(status).encode()
    except (ValueError, TypeError, KeyError, RecursionError):
        return Expired(f"The cluster {cluster} sent what nobody understands.", provider=PROVIDER)
    # "Too large resource version" comes as a 504: the server does not know yet what we know. Listing helps either way.
    if code in (410, 504) or raw.text(status, "reason") in ("Expired", "Gone", "Timeout"):
        return Expired(f"The cluster {cluster} has to be asked anew.", provider=PROVIDER)
    return refusal(cluster, "WATCH", path, code, {}, body)


def _selected(field: str, label: str) -> dict[str, str]:
    return {**({"fieldSelector": field} if field else {}), **({"labelSelector": label} if label else {})}


def _dry(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run else {}


def _is_mapping(body: object) -> bool:
    return isinstance(body, dict)
