"""Previews as copies of a template namespace. What there is, is read from the cluster each time and kept nowhere else.

Each step can be done again: whoever opens a preview that was half made, by a crash or by a lost answer, finishes it.
"""

from __future__ import annotations

from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from bot.domain.errors import ProviderError, ProviderRejected, ProviderUnavailable, SomebodyWasFaster
from bot.domain.ids import ServiceName
from bot.domain.rollout import Outcome, OutcomeKind, Progress
from bot.ports.previews import Preview, Previewed, PreviewState
from integrations._shared.failures import told
from integrations._shared.kube import raw
from integrations._shared.kube.errors import PROVIDER, Conflict
from integrations._shared.kube.names import path_to
from integrations._shared.kube.patches import images_of, same_object, set_annotations, set_images
from integrations._shared.turns import Turns
from integrations.previews import copying, marks, needs, standing
from integrations.previews.copying import DEPLOYMENT, KINDS, SECRET, Copy, Kind
from integrations.previews.options import LARGEST_NUMBER
from integrations.previews.spaces import Spaces

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime

    from bot.domain.finding import Finding
    from bot.domain.ids import OperationId
    from bot.domain.release import Release
    from integrations._shared.kube.api import Kube
    from integrations._shared.kube.raw import Object
    from integrations.previews.options import PreviewedOptions, PreviewsOptions

_MOST_OBJECTS = 300
_TRIES = 5


class NamespacePreviews:
    """A `Previews` on one cluster."""

    def __init__(self, kube: Kube, options: PreviewsOptions) -> None:
        self._kube = kube
        self._options = options
        self._spaces = Spaces(kube, options)
        self._claiming = Turns()

    async def open(self, *, number: int, release: Release, until: datetime, by: str, operation: OperationId) -> Preview:
        """See `Previews`. Nothing is begun for a template that cannot be copied."""
        _check(number)
        wanted = self._service(release.service)
        written = standing.written(release, operation, by)
        inherited, made = await self._template(number)
        mine = next((copy for copy in made if copy.kind is DEPLOYMENT and copy.name == wanted.workload), None)
        if mine is None:
            raise ProviderRejected(
                f"The template namespace {self._options.template} has no Deployment {wanted.workload}.",
                provider=PROVIDER,
            )
        image = {standing.container_of(mine.object, wanted): release.artifact.location}
        _set_image(mine.object, image)
        mine.object["metadata"]["annotations"].update(written)
        async with self._claiming.here:
            space = await self._spaces.have(number, inherited=inherited, until=until, by=by)
        uid = raw.uid(space)
        notes = copying.missing_secrets(made)
        last: tuple[str, str] | None = None
        for copy in made:
            # What is created names a namespace, and never which one of that name: so each time it is looked at anew.
            await self._mine_still(number, uid, last)
            there = await self._put(number, uid, copy)
            if marks.is_part_of(there, uid):
                last = self._path(number, copy), raw.uid(there)
            if copy is mine:
                await self._change(number, there, image, written, uid)
            elif not marks.is_part_of(there, uid):
                notes.append(f"The {copy.kind.name} {copy.name} was there already; it is left as it is.")
        await self._mine_still(number, uid, last)
        return self._preview(space, await self._deployments(number), notes=notes)

    async def observe(self, *, preview: Preview, service: ServiceName) -> AsyncIterator[Progress | Outcome]:
        """See `Previews`."""
        wanted, before = self._service(service), preview.services[service]
        path = path_to("apps/v1", "deployments", namespace=preview.place)
        last: Progress | None = None
        async with aclosing(self._kube.follow(path, field=f"metadata.name={wanted.workload}")) as looks:
            async for known in looks:
                one = known.get(wanted.workload)
                view = standing.follow(one, before, uid=preview.identity)
                if view.outcome is not None:
                    yield Outcome(kind=view.outcome, message=view.message)
                    return
                progress = Progress(done=view.done, total=view.total, message=view.message)
                if progress != last:
                    last = progress
                    yield progress
        yield Outcome(kind=OutcomeKind.TIMED_OUT, message="The cluster told no more.")

    async def find(self, *, number: int) -> Preview | None:
        """See `Previews`. Raises `ProviderRejected` when a namespace of that name is not ours."""
        _check(number)
        space = await self._spaces.get(number)
        return None if space is None else self._preview(space, await self._deployments(number))

    async def all(self) -> Sequence[Preview]:
        """See `Previews`. Two calls, however many there are."""
        spaces = await self._spaces.all()
        if not spaces:
            return ()
        found, _ = await self._kube.list(path_to("apps/v1", "deployments"), label=marks.selector(self._options))
        by_space: dict[str, list[Object]] = {}
        for one in found:
            by_space.setdefault(raw.text(one, "metadata", "namespace"), []).append(one)
        return [self._preview(space, by_space.get(raw.name(space), [])) for space in spaces]

    async def extend(self, *, number: int, identity: str, until: datetime) -> Preview:
        """See `Previews`."""
        _check(number)
        space = await self._spaces.keep(number, identity, until=until)
        return self._preview(space, await self._deployments(number))

    async def close(self, *, number: int, identity: str, over_at: datetime | None = None) -> bool:
        """See `Previews`."""
        _check(number)
        return await self._spaces.close(number, identity, over_at=over_at)

    async def examine(self) -> Sequence[Finding]:
        """Whether we may do all that previews take; see `bot.ports.target.Examines`."""
        return await needs.findings(self._kube, self._options)

    async def _template(self, number: int) -> tuple[dict[str, str], list[Copy]]:
        """The labels of a preview's namespace, and all that it consists of."""
        options = self._options
        origin = await self._kube.get(path_to("v1", "namespaces", name=options.template))
        if origin is None:
            raise ProviderRejected(
                f"The cluster {self._kube.cluster} has no template namespace {options.template}.", provider=PROVIDER
            )
        found: dict[Kind, list[Object]] = {}
        for kind in KINDS:
            if kind is SECRET:
                paths = [
                    path_to(kind.api, kind.plural, namespace=options.template, name=name) for name in options.secrets
                ]
                found[kind] = [one for path in paths if (one := await self._kube.get(path)) is not None]
            else:
                found[kind], _ = await self._kube.list(path_to(kind.api, kind.plural, namespace=options.template))
        made = copying.copies(found, options, number)
        if len(made) > _MOST_OBJECTS:
            raise ProviderRejected(
                f"The template namespace {options.template} has {len(made)} objects to copy; {_MOST_OBJECTS} may be.",
                provider=PROVIDER,
            )
        return copying.inherited(origin), made

    async def _mine_still(self, number: int, uid: str, last: tuple[str, str] | None) -> None:
        """Raise `ProviderError` when the namespace is not ours any more, with the ``last`` that was put into it.

        That may have got into somebody else's of that name, if it went and came between a look and a request.
        """
        try:
            await self._spaces.check(number, uid)
        except (ProviderRejected, SomebodyWasFaster):
            if last is not None and not await self._spaces.is_there(number, uid):
                with suppress(ProviderError):
                    await self._kube.delete(last[0], uid=last[1])
            raise

    def _path(self, number: int, copy: Copy) -> str:
        namespace = self._options.namespace(number)
        return path_to(copy.kind.api, copy.kind.plural, namespace=namespace, name=copy.name)

    async def _put(self, number: int, uid: str, copy: Copy) -> Object:
        """What is there under the name of a copy, made if there was none."""
        namespace = self._options.namespace(number)
        copy.object["metadata"]["annotations"][marks.UID] = uid
        for _ in range(_TRIES):
            try:
                path = path_to(copy.kind.api, copy.kind.plural, namespace=namespace)
                return await self._kube.create(path, copy.object)
            except Conflict:
                if (there := await self._kube.get(self._path(number, copy))) is not None:
                    return there
                # It was deleted just now, or the counting of a quota was in the way.
            except ProviderRejected:
                # What is forbidden in a namespace that is going says so in words of its own.
                await self._spaces.check(number, uid)
                raise
        raise ProviderUnavailable(f"The {copy.kind.name} {copy.name} cannot be made just now.", provider=PROVIDER)

    async def _change(
        self, number: int, there: Object, image: dict[str, str], written: dict[str, str], uid: str
    ) -> None:
        """Give a Deployment that is there already the image, as long as it is as it was when it was read."""
        path = path_to("apps/v1", "deployments", namespace=self._options.namespace(number), name=raw.name(there))
        noted = {**written, marks.UID: uid}
        for _ in range(_TRIES):
            same = all(images_of(there).get(name) == location for name, location in image.items())
            if same and all(marks.notes_on(there).get(key) == value for key, value in noted.items()):
                return
            # What was read is ours if the namespace still is, and the patch holds for nothing else.
            await self._spaces.check(number, uid)
            body = [*same_object(there), *set_images(there, image), *set_annotations(there, noted)]
            try:
                await self._kube.patch(path, body, kind="json")
            except Conflict:
                found = await self._kube.get(path)
                if found is None:
                    raise SomebodyWasFaster(f"The Deployment {raw.called(there)} was deleted meanwhile.") from None
                there = found
            else:
                return
        raise ProviderUnavailable(f"Somebody keeps changing the Deployment {raw.called(there)}.", provider=PROVIDER)

    async def _deployments(self, number: int) -> list[Object]:
        path = path_to("apps/v1", "deployments", namespace=self._options.namespace(number))
        return (await self._kube.list(path))[0]

    def _preview(self, space: Object, deployments: list[Object], *, notes: Sequence[str] = ()) -> Preview:
        number = self._options.number_of(raw.name(space)) or 0
        by_name = {raw.name(one): one for one in deployments}
        services: dict[ServiceName, Previewed] = {}
        for service, wanted in self._options.services.items():
            address = self._options.address_of(service, number)
            one = by_name.get(wanted.workload)
            services[ServiceName(service)] = standing.shown(one, address=address, uid=raw.uid(space))
        going = marks.state(space) == marks.CLOSING
        return Preview(
            number=number,
            place=raw.name(space),
            identity=raw.uid(space),
            state=PreviewState.CLOSING if going else PreviewState.OPEN,
            services=services,
            until=marks.until(space),
            by=told(marks.notes_on(space).get(marks.BY, "")),
            notes=(*notes, *_why_it_stays(space)),
        )

    def _service(self, name: ServiceName) -> PreviewedOptions:
        found = self._options.services.get(name)
        if found is None:
            known = ", ".join(self._options.services)
            raise ProviderRejected(f"{name} has no previews; these have: {known}.", provider=PROVIDER)
        return found


def build(*, options: PreviewsOptions, kube: Kube) -> NamespacePreviews:
    """The previews that ``options`` describe. Reaches for nothing yet."""
    return NamespacePreviews(kube, options)


def _check(number: int) -> None:
    if not 0 < number <= LARGEST_NUMBER:
        raise ProviderRejected(f"{number} is no number of a pull request.", provider=PROVIDER)


def _set_image(one: Object, images: dict[str, str]) -> None:
    for container in raw.items(one, "spec", "template", "spec", "containers"):
        if container.get("name") in images:
            container["image"] = images[container["name"]]


def _why_it_stays(space: Object) -> list[str]:
    """The cluster's own words about a namespace that cannot be deleted."""
    return [
        told(raw.text(condition, "message"))
        for condition in raw.items(space, "status", "conditions")
        if marks.is_going(space) and raw.text(condition, "status") == "True" and raw.text(condition, "message")
    ]
