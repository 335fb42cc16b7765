"""Who else writes what we write: told by the cluster's own books, never guessed from what runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from integrations._shared.failures import told
from integrations._shared.kube import raw
from integrations._shared.kube.api import MANAGER
from integrations._shared.kube.patches import images_of
from integrations._shared.workloads import marks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from integrations._shared.kube.raw import Object

_TOOLS = (
    (
        "argocd",
        "Argo CD",
        "it puts its own image back at its next sync; change it in the repository that Argo CD reads",
    ),
    ("kustomize-controller", "Flux", "it puts its own image back within minutes; change it in the repository it reads"),
    ("helm-controller", "Flux", "it puts its own image back within minutes; change it in the repository it reads"),
    ("flux", "Flux", "it puts its own image back within minutes; change it in the repository it reads"),
    ("helm", "Helm", "the next helm upgrade puts the image of the chart's values back; set it there too"),
)
_SIGNS = (
    ("argocd.argoproj.io/tracking-id", "argocd"),
    ("kustomize.toolkit.fluxcd.io/name", "kustomize-controller"),
    ("helm.toolkit.fluxcd.io/name", "helm-controller"),
    ("meta.helm.sh/release-name", "helm"),
)


def owned_elsewhere(one: Object, containers: Sequence[str]) -> list[str]:
    """A sentence for each tool that owns these containers' images or the whole object, and what follows from that."""
    signs = {**raw.texts(one, "metadata", "labels"), **marks.of(one)}
    managers = [raw.text(entry, "manager") for entry in _writers_of_images(one, containers)]
    managers += [manager for sign, manager in _SIGNS if sign in signs]
    found = {}
    for manager in managers:
        for start, tool, consequence in _TOOLS:
            if manager.lower().startswith(start):
                found[tool] = f"The image of {raw.called(one)} is owned by {tool}: {consequence}."
                break
    if "Flux" in found:
        found.pop("Helm", None)  # it uses Helm's marks for what it installs
    return list(found.values())


def who_changed(one: Object, container: str | None = None) -> str:
    """Who else wrote the image of a container last, or our marks (None), and when, as ``kubectl-set at 12:03:04 UTC``.

    Empty if nobody is known.
    """
    entries = list(_writers_of_marks(one) if container is None else _writers_of_images(one, [container]))
    others = [entry for entry in entries if raw.text(entry, "manager") != MANAGER]
    return _who(max(others or entries, key=_when, default=None))


def who_set(one: Object) -> str:
    """Who wrote any of its images after us, and when, for where our marks are gone; empty if nobody is known."""
    entries = list(_writers_of_images(one, list(images_of(one))))
    ours = max((_when(entry) for entry in entries if raw.text(entry, "manager") == MANAGER), default="")
    others = [entry for entry in entries if raw.text(entry, "manager") != MANAGER and _when(entry) > ours]
    return _who(max(others, key=_when, default=None))


def _when(entry: Object) -> str:
    return raw.text(entry, "time")


def _who(entry: Object | None) -> str:
    if entry is None:
        return ""
    return f"{told(raw.text(entry, 'manager'))[:60] or 'somebody'}{moment(entry)}"


def moment(entry: Object) -> str:
    """When an entry of the cluster's own books was written, as `` at 12:03:04 UTC``; empty where that is no time."""
    when = _when(entry)
    return f" at {when[11:19]} UTC" if len(when) == 20 and when.endswith("Z") and when.isascii() else ""


def who_paused(one: Object) -> str:
    """Who paused it; empty if unknown."""
    for entry in raw.items(one, "metadata", "managedFields"):
        if raw.at(entry, "fieldsV1", "f:spec", "f:paused") is not None:
            return told(raw.text(entry, "manager"))[:60]
    return ""


def _writers_of_images(one: Object, containers: Sequence[str]) -> Iterator[Object]:
    for entry in raw.items(one, "metadata", "managedFields"):
        for kind in ("f:containers", "f:initContainers"):
            fields = raw.at(entry, "fieldsV1", "f:spec", "f:template", "f:spec", kind)
            if not isinstance(fields, dict):
                continue
            if not fields:  # of custom resources a list has one owner, whatever of it they changed
                yield entry
                break
            keys = [f'k:{{"name":"{name}"}}' for name in containers]
            if any(raw.at(fields, key, "f:image") is not None for key in keys):
                yield entry
                break


def _writers_of_marks(one: Object) -> Iterator[Object]:
    for entry in raw.items(one, "metadata", "managedFields"):
        if raw.at(entry, "fieldsV1", "f:metadata", "f:annotations", f"f:{marks.OPERATION}") is not None:
            yield entry
