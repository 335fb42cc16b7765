"""What can go wrong between a client and the API server, on request.

Each is something that real servers, load balancers and networks do: watches that are cut, resourceVersions that are
too old (410, as an answer or in the stream) or too new (504 in the stream), a server that is down or slow, a token
that is no good any more, events that come twice or late, an answer that is lost after the change was made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import failures

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .failures import ApiFailure
    from .server import Call


@dataclass
class Refusal:
    """The next ``times`` requests that fit are refused."""

    failure: ApiFailure
    verb: str
    path: str
    times: int

    def fits(self, verb: str, path: str) -> bool:
        return self.times > 0 and self.verb in ("*", verb) and self.path in path


@dataclass
class Faults:
    """Turn them on and off at any time; they count down by themselves where a number is given."""

    cut_watches_every: float | None = None
    """Seconds after which every watch is broken off, in the middle of the stream."""
    latency: float = 0.0
    """Seconds before anything is answered."""
    gone_stream: int = 0
    """So many next watches that start from a resourceVersion get an ERROR event 410."""
    gone_http: int = 0
    """So many next watches that start from a resourceVersion are answered 410."""
    too_large_stream: int = 0
    """So many next watches get an ERROR event 504, "Too large resource version"."""
    gone_continue: int = 0
    """So many next lists with a continue token are answered 410."""
    repeat_events: bool = False
    """Every event of a watch comes twice."""
    stale_events: bool = False
    """After every change, a watch tells the state before it once more."""
    is_down: bool = False
    cuts: int = 0
    """How often all open watches were cut by `cut_watches`."""
    bookmarks: int = 0
    """How often all open watches that take bookmarks were sent one by `bookmark`."""
    under_way: Callable[[Call], Awaitable[None]] | None = None
    """Awaited with each change when it has come, and again, with its code, before it is answered."""
    wake: Callable[[], None] = lambda: None
    """Makes open watches notice."""
    _refusals: list[Refusal] = field(default_factory=list)
    _lost: list[Refusal] = field(default_factory=list)

    def down(self) -> None:
        """Every request, and every open watch, is cut without an answer."""
        self.is_down = True
        self.wake()

    def cut_watches(self) -> None:
        """Break off every open watch now."""
        self.cuts += 1
        self.wake()

    def bookmark(self) -> None:
        """Send a BOOKMARK to every open watch that takes them."""
        self.bookmarks += 1
        self.wake()

    def up(self) -> None:
        self.is_down = False

    def refuse(self, code: int = 500, *, verb: str = "*", path: str = "", times: int = 1, retry_after: int = 1) -> None:
        """Refuse the next requests with 401, 409, 429, 500 or 503. Verbs: get, list, watch, patch …"""
        failure = {
            401: failures.unauthorized(),
            409: failures.ApiFailure(409, "Conflict", f"Operation cannot be fulfilled: {failures.MODIFIED}"),
            429: failures.too_many_requests(retry_after),
            500: failures.internal(),
            503: failures.unavailable(),
        }[code]
        self._refusals.append(Refusal(failure, verb, path, times))

    def lose_answer(self, *, verb: str = "patch", path: str = "", times: int = 1) -> None:
        """The next such requests are carried out, and the connection is cut instead of an answer."""
        self._lost.append(Refusal(failures.internal(), verb, path, times))

    def refusal(self, verb: str, path: str) -> ApiFailure | None:
        found = _take(self._refusals, verb, path)
        return found.failure if found else None

    def loses(self, verb: str, path: str) -> bool:
        return _take(self._lost, verb, path) is not None

    def clear(self) -> None:
        """All as it should be."""
        fresh = Faults()
        for name in self.__dataclass_fields__.keys() - {"wake", "cuts", "bookmarks"}:
            setattr(self, name, getattr(fresh, name))


def _take(refusals: list[Refusal], verb: str, path: str) -> Refusal | None:
    for each in refusals:
        if each.fits(verb, path):
            each.times -= 1
            return each
    return None
