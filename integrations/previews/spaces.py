"""The namespaces of previews: claimed, kept and deleted, and none of anybody else's ever changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.errors import ProviderRejected, ProviderUnavailable, RequestRefused, SomebodyWasFaster
from integrations._shared.kube import raw
from integrations._shared.kube.errors import PROVIDER, Conflict, NotFound
from integrations._shared.kube.names import path_to
from integrations._shared.kube.patches import pointer
from integrations.previews import marks

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from integrations._shared.kube.api import Kube
    from integrations._shared.kube.patches import Operation
    from integrations._shared.kube.raw import Object
    from integrations.previews.options import PreviewsOptions

_TRIES = 5
_WHILE_GOING = 5.0
"""Seconds after which it is worth looking again whether a namespace has gone."""


class Spaces:
    """All namespaces of one kind of previews."""

    def __init__(self, kube: Kube, options: PreviewsOptions) -> None:
        self._kube = kube
        self._options = options

    async def get(self, number: int) -> Object | None:
        """The namespace of a preview; None when there is none. Raises `ProviderRejected` when it is not ours."""
        one = await self._kube.get(self._path(number))
        if one is not None and not marks.is_ours(one, self._options):
            raise ProviderRejected(
                f"The namespace {self._options.namespace(number)} of the cluster {self._kube.cluster} is not one of "
                f"{self._options.owner}'s previews, so it is left alone.",
                provider=PROVIDER,
            )
        return one

    async def all(self) -> list[Object]:
        """Those that are ours, by number."""
        found, _ = await self._kube.list(path_to("v1", "namespaces"), label=marks.selector(self._options))
        ours = [one for one in found if marks.is_ours(one, self._options)]
        return sorted(ours, key=lambda one: self._options.number_of(raw.name(one)) or 0)

    async def have(self, number: int, *, inherited: Mapping[str, str], until: datetime, by: str) -> Object:
        """The namespace of a preview, made if there is none, and kept until then.

        Raises `RequestRefused` when there are too many, or when it is being closed.
        """
        one = await self.get(number)
        if one is None:
            await self._refuse_too_many(beside="")
            wanted = marks.namespace(self._options, number, inherited=inherited, until=until, by=by)
            try:
                one = await self._kube.create(path_to("v1", "namespaces"), wanted)
            except Conflict:
                one = await self.get(number)
                if one is None:
                    raise _going(self._options.namespace(number)) from None
        if marks.is_going(one):
            raise _going(raw.name(one))
        if marks.state(one) == marks.CLAIMED:
            # Whoever claimed at the same time is seen by at least one of us: too many are never let in.
            try:
                await self._refuse_too_many(beside=raw.uid(one))
            except RequestRefused:
                await self._kube.delete(self._path(number), uid=raw.uid(one))
                raise
        return await self.keep(number, raw.uid(one), until=until, by=by)

    async def keep(self, number: int, uid: str, *, until: datetime, by: str | None = None) -> Object:
        """Write down until when it is kept. Raises `SomebodyWasFaster` when it is not there any more, or going."""
        for _ in range(_TRIES):
            one = await self._still(number, uid)
            if marks.state(one) == marks.CLOSING:
                raise SomebodyWasFaster(f"The preview {raw.name(one)} is being closed.")
            written = {marks.UID: uid, marks.STATE: marks.OPEN, marks.EXPIRES: marks.written(until)}
            if by is not None:
                written[marks.BY] = marks.who(by)
            if all(marks.notes_on(one).get(key) == value for key, value in written.items()):
                return one
            try:
                return await self._kube.patch(self._path(number), _unchanged(one) + _writing(written), kind="json")
            except (Conflict, NotFound):  # what has gone meanwhile is told by the next look
                continue
        raise _busy(self._options.namespace(number))

    async def close(self, number: int, uid: str, *, over_at: datetime | None) -> bool:
        """Have it deleted; whether it is gone. Raises `SomebodyWasFaster` as the port says."""
        for _ in range(_TRIES):
            one = await self.get(number)
            if one is None:
                return True
            if raw.uid(one) != uid:
                if over_at is None:
                    return True
                raise SomebodyWasFaster(f"The preview {raw.name(one)} is another one by now.")
            if marks.is_going(one):
                return False
            if marks.state(one) != marks.CLOSING:
                until = marks.until(one)
                if over_at is not None and (until is None or until > over_at):
                    raise SomebodyWasFaster(f"The preview {raw.name(one)} is not over yet.")
                try:
                    # From here on nobody can extend it: either that came before, and is seen here, or not at all.
                    closing = _writing({marks.STATE: marks.CLOSING})
                    await self._kube.patch(self._path(number), _unchanged(one) + closing, kind="json")
                except (Conflict, NotFound):
                    continue
            try:
                await self._kube.delete(self._path(number), uid=uid)
            except Conflict:
                continue
            return False
        raise _busy(self._options.namespace(number))

    async def check(self, number: int, uid: str) -> None:
        """Raise `SomebodyWasFaster` when it is not there any more, is going, or is another one."""
        one = await self._still(number, uid)
        if marks.state(one) == marks.CLOSING:
            raise SomebodyWasFaster(f"The preview {raw.name(one)} is being closed.")

    async def is_there(self, number: int, uid: str) -> bool:
        """Whether this very namespace is there, in whatever state."""
        return raw.uid(await self._kube.get(self._path(number))) == uid

    async def _still(self, number: int, uid: str) -> Object:
        one = await self.get(number)
        if one is None or raw.uid(one) != uid:
            raise SomebodyWasFaster(f"The preview {self._options.namespace(number)} was closed meanwhile.")
        return one

    async def _refuse_too_many(self, *, beside: str) -> None:
        others = [one for one in await self.all() if raw.uid(one) != beside and marks.state(one) != marks.CLOSING]
        most = self._options.most
        if len(others) >= most:
            numbers = ", ".join(f"#{self._options.number_of(raw.name(one))}" for one in others[:most])
            raise RequestRefused(
                f"There are {len(others)} previews of {self._options.template} already and may be {most}: {numbers}.",
                hint="Close one that nobody needs any more.",
            )

    def _path(self, number: int) -> str:
        return path_to("v1", "namespaces", name=self._options.namespace(number))


def _unchanged(one: Object) -> list[Operation]:
    """Tests that it is this very namespace and that nobody has written on it what we would decide otherwise by."""
    tests: list[Operation] = [{"op": "test", "path": "/metadata/uid", "value": raw.uid(one)}]
    noted = marks.notes_on(one)
    tests += [
        {"op": "test", "path": pointer("metadata", "annotations", key), "value": noted[key]}
        for key in (marks.OWNER, marks.STATE, marks.EXPIRES)
        if key in noted
    ]
    return tests


def _writing(written: Mapping[str, str]) -> list[Operation]:
    return [
        {"op": "add", "path": pointer("metadata", "annotations", key), "value": value} for key, value in written.items()
    ]


def _going(name: str) -> RequestRefused:
    return SomebodyWasFaster(f"The preview {name} is being deleted.", hint="Open it again when it is gone.")


def _busy(name: str) -> ProviderUnavailable:
    return ProviderUnavailable(
        f"Somebody keeps changing the namespace {name}.", provider=PROVIDER, retry_after=_WHILE_GOING
    )
