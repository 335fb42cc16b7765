"""Why pods do not come up, in plain words, from the pods themselves, their events and the end of their logs.

What is found here is told, and decides only where the catalog says so: a registry may come back by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bot.domain.errors import ProviderError
from integrations._shared.failures import told
from integrations._shared.kube import raw
from integrations._shared.kube.names import is_label, is_subdomain, path_to
from integrations._shared.kube.patches import template_images
from integrations._shared.redact import last_lines
from integrations._shared.workloads import image, marks
from integrations._shared.workloads.workload import ready

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from integrations._shared.kube.raw import Object
    from integrations._shared.workloads.workload import Workload

_PULL: Final = ("ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ImageInspectError", "ErrImageNeverPull",
                "RegistryUnavailable", "SignatureValidationFailed")  # fmt: skip
_CREATE: Final = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreCreateHookError",
                  "PreStartHookError", "PostStartHookError")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trouble:
    """One reason why pods do not come up."""

    sentence: str
    stuck: bool
    """Whether it seldom passes by itself."""


@dataclass(frozen=True, slots=True)
class _Found:
    words: str
    stuck: bool
    pod: Object
    container: str = ""
    crashed: str = ""
    """What the container said last, where the cluster kept it."""
    crashes: bool = False
    unready: bool = False


async def diagnose(workload: Workload, one: Object, *, log_lines: int) -> list[Trouble]:
    """What keeps the pods of the newest template from coming up; nothing when nothing is known.

    What we may not read is left out. Raises nothing.
    """
    try:
        pods = [pod for pod in await workload.pods(one) if _is_new(pod, one)]
    except ProviderError:
        return []
    found = [trouble for pod in pods if not ready(pod) and (trouble := _look(pod)) is not None]
    troubles: dict[str, Trouble] = {}
    for kind in dict.fromkeys((each.words, each.stuck) for each in found):
        alike = [each for each in found if (each.words, each.stuck) == kind]
        troubles[kind[0]] = await _told(workload, alike, of=len(pods), log_lines=log_lines)
    return sorted(troubles.values(), key=lambda trouble: not trouble.stuck)[:3]


def _is_new(pod: Object, one: Object) -> bool:
    """Whether a pod was made from the Deployment's template as it is now, as far as images tell."""
    has, wanted = template_images(pod), template_images(raw.at(one, "spec", "template"))
    if any(name in has and not image.same(has[name], wanted[name]) for name in wanted):
        return False
    left = marks.images(one)
    return all(image.same(has[name], left[name]) for name in left if name in has)


def _look(pod: Object) -> _Found | None:
    for condition in raw.items(pod, "status", "conditions"):
        if raw.text(condition, "type") == "PodScheduled" and raw.text(condition, "status") == "False":
            why = told(raw.text(condition, "message")) or "no node takes it"
            return _Found(f"finds no node to run on: {why}", True, pod)
    if raw.text(pod, "status", "phase") == "Failed":
        # Such as one that was evicted: it stays to be looked at, and another one takes its place.
        reason, said = told(raw.text(pod, "status", "reason")), told(raw.text(pod, "status", "message"))
        return _Found(f"ended: {': '.join(filter(None, (reason, said))) or 'no reason was given'}", False, pod)
    images: Mapping[str, str] = template_images(pod)
    unready: _Found | None = None
    for kind in ("initContainerStatuses", "containerStatuses"):
        for status in raw.items(pod, "status", kind):
            name = raw.text(status, "name")
            trouble = _container(pod, status, name, images.get(name, ""))
            if trouble is not None:
                return trouble
            running = raw.at(status, "state", "running") is not None
            if kind == "containerStatuses" and running and raw.at(status, "ready") is not True:
                unready = unready or _Found(f"runs {_safe(name)}, which is not ready", False, pod, name, unready=True)
    return unready


def _container(pod: Object, status: Object, name: str, wanted: str) -> _Found | None:
    reason = raw.text(status, "state", "waiting", "reason")
    said = told(raw.text(status, "state", "waiting", "message"))
    if reason in _PULL:
        why = f": {said}" if said else ""
        return _Found(f"cannot pull the image {image.shown(wanted)}{why}", True, pod, name)
    if reason in _CREATE:
        return _Found(f"cannot start {_safe(name)}: {said or reason}", True, pod, name)
    ended = raw.at(status, "state", "terminated") or raw.at(status, "lastState", "terminated")
    code = raw.count(ended, "exitCode")
    restarts = raw.count(status, "restartCount")
    over = raw.at(status, "state", "terminated") is not None
    if reason == "CrashLoopBackOff" or (code != 0 and (over or restarts > 0)):
        why = raw.text(ended, "reason")
        out = ", out of memory" if why == "OOMKilled" else ""
        words = f"crashes: {_safe(name)} ended with code {code}{out}"
        # Once it runs again, it may well come up now.
        stuck = reason == "CrashLoopBackOff" or over
        return _Found(words, stuck, pod, name, crashed=raw.text(ended, "message"), crashes=True)
    return None


async def _told(workload: Workload, alike: Sequence[_Found], *, of: int, log_lines: int) -> Trouble:
    first = alike[0]
    who = "The new pod" if of == 1 else f"{len(alike)} of {of} new pods"
    words = first.words
    if first.crashes and log_lines:
        lines = await _log(workload, first, log_lines)
        words += f". Its last words: {' | '.join(lines)}" if lines else ""
    elif first.unready:
        said = await _probe_said(workload, first)
        words = f"{words}: {said}" if said else words
    return Trouble(f"{who} {words}".rstrip(".") + ".", first.stuck)


async def _log(workload: Workload, found: _Found, lines: int) -> list[str]:
    """The end of what a crashed container wrote; from its own record where its log may not be read."""
    name = raw.name(found.pod)
    if is_subdomain(name) and is_label(found.container):
        path = path_to("v1", "pods", namespace=workload.namespace, name=name, subresource="log")
        for previous in ("true", "false"):
            query = {"container": found.container, "tailLines": str(lines), "limitBytes": "8192", "previous": previous}
            try:
                text = await workload.kube.text(path, query=query)
            except ProviderError:
                continue
            if text.strip():
                return last_lines(text, lines=lines)
    return last_lines(found.crashed, lines=lines)


async def _probe_said(workload: Workload, found: _Found) -> str:
    """What the node said last about the probes of a pod."""
    name = raw.name(found.pod)
    if not is_subdomain(name):
        return ""
    path = path_to("v1", "events", namespace=workload.namespace)
    field = f"involvedObject.kind=Pod,involvedObject.name={name}"
    try:
        events, _ = await workload.kube.list(path, field=field)
    except ProviderError:
        return ""
    said = [event for event in events if raw.text(event, "reason") == "Unhealthy"]
    newest = max(said, key=lambda event: raw.text(event, "lastTimestamp"), default=None)
    return told(raw.text(newest, "message"))


def _safe(container: str) -> str:
    return container if is_label(container) else "a container"
