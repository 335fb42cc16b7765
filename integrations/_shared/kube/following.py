"""The list-and-watch loop: what is known of some objects, kept right whatever the server or the network does.

The client's own loop is not used: it repeats the same expired version, and reconnects for ever without a word.
"""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from contextlib import aclosing
from typing import TYPE_CHECKING

from bot.domain.errors import ProviderError
from integrations._shared.kube import raw
from integrations._shared.kube.errors import Expired

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping

    from integrations._shared.kube.api import Event, Kube
    from integrations._shared.kube.raw import Object

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
_LONGEST_PAUSE_WHILE_WELL = 1.0
_LONGEST_ASKED_FOR = 30.0
_REMEMBERED = 256


async def follow(
    kube: Kube,
    path: str,
    *,
    field: str,
    label: str,
    patience: float,
    trouble: Callable[[ProviderError | None], None] | None,
) -> AsyncGenerator[Mapping[str, Object], None]:
    """See `Kube.follow`."""
    loop = asyncio.get_running_loop()
    known = Known()
    pause = _FIRST_PAUSE
    failing: float | None = None
    while True:
        failure: ProviderError | None = None
        try:
            objects, since = await kube.list(path, field=field, label=label)
            if failing is not None:
                failing = None
                if trouble is not None:
                    trouble(None)
            if known.listed(objects, since):
                yield known.objects
            async with aclosing(kube.watch(path, field=field, label=label, since=since)) as events:
                async for event in events:
                    pause = _FIRST_PAUSE
                    if known.happened(event):
                        yield known.objects
        except Expired:
            pass
        except ProviderError as error:
            if not error.retryable:
                raise
            failure = error
        if failure is not None:
            failing = failing or loop.time()
            if loop.time() - failing > patience:
                raise failure
            if trouble is not None:
                trouble(failure)
        # Where lists are answered and watches are not, this is what keeps it from asking again and again.
        longest = _LONGEST_PAUSE if failure is not None else _LONGEST_PAUSE_WHILE_WELL
        pause = min(pause, longest)
        asked = failure.retry_after if failure is not None else None
        # Who asks for an hour is not left alone for an hour: a rollout would be over long before anybody looks.
        await asyncio.sleep(min(asked or 0.0, _LONGEST_ASKED_FOR) or pause * random.uniform(0.7, 1.3))  # noqa: S311 - jitter, not a secret
        pause = min(pause * 2, longest)


class Known:
    """What is known of some objects, by name. What arrives late or twice changes nothing."""

    def __init__(self) -> None:
        self._objects: dict[str, Object] = {}
        self._gone: OrderedDict[str, int] = OrderedDict()
        self._told = False

    @property
    def objects(self) -> Mapping[str, Object]:
        """All of them as they are now; nobody changes what was handed out."""
        return dict(self._objects)

    def listed(self, objects: Iterable[Object], since: str) -> bool:
        """Take in a list of all there was at the version ``since``; True if something is new, and the first time."""
        now = raw.number(since)
        found: dict[str, Object] = {}
        for one in objects:
            name = raw.name(one)
            known = self._objects.get(name)
            if known is not None and _older(one, known):
                found[name] = known
            elif known is not None or not self._buried(name, one):
                found[name] = one
        for name, known in self._objects.items():
            if name in found:
                continue
            written = raw.version(known)
            # A server that lags behind does not list yet what a watch has told us of.
            if now is not None and written is not None and written > now:
                found[name] = known
            else:
                self._bury(name, now)
        changed = not self._told or found != self._objects
        self._objects, self._told = found, True
        return changed

    def happened(self, event: Event) -> bool:
        """Take in an event; True if something is new."""
        if event.kind == "BOOKMARK":
            return False
        one, name = event.object, raw.name(event.object)
        known = self._objects.get(name)
        if known is not None and (_older(one, known) or (event.kind != "DELETED" and one == known)):
            return False
        if event.kind == "DELETED":
            self._bury(name, raw.version(one))
            return self._objects.pop(name, None) is not None
        if known is None and self._buried(name, one):
            return False
        self._objects[name] = one
        return True

    def _bury(self, name: str, when: int | None) -> None:
        if when is not None:
            self._gone[name] = max(when, self._gone.pop(name, 0))
            if len(self._gone) > _REMEMBERED:
                self._gone.popitem(last=False)

    def _buried(self, name: str, one: Object) -> bool:
        """Whether that is only an echo of what is gone."""
        written = raw.version(one)
        return written is not None and written <= self._gone.get(name, -1)


def _older(one: Object, other: Object) -> bool:
    """Whether ``one`` was written before ``other`` was; False when it cannot be told."""
    first, second = raw.version(one), raw.version(other)
    return first is not None and second is not None and first < second
