"""One look at whether a release serves in good health: readiness, and the health path where pods may be asked for it.

Asked is always a pod of the Deployment itself, through the API server, by a path that cannot leave it: what a catalog
or an annotation says can lead to no other host, and no redirect is followed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bot.domain.errors import ProviderError, ProviderRejected
from bot.domain.rollout import Health
from integrations._shared.kube import raw
from integrations._shared.kube.errors import PROVIDER
from integrations._shared.kube.names import is_http_path, is_subdomain, path_to
from integrations._shared.workloads import image, marks
from integrations._shared.workloads.workload import ready, replicas, runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.catalog import HealthCheck
    from bot.domain.release import Release
    from integrations._shared.kube.raw import Object
    from integrations._shared.workloads.running import Look


def asked_at(one: Object, container: str, *, port: int | None, path: str) -> marks.Probe | None:
    """Where pods have to be asked beside their readiness; None when readiness says it all.

    The Deployment's own word comes first, then the catalog's. Raises `ProviderRejected` for what no pod can be asked.
    """
    wanted = marks.probe(one) or (marks.Probe(path, port) if port is not None else None)
    if wanted is None:
        return None
    if not is_http_path(wanted.path):
        raise ProviderRejected(f"No pod can be asked for the health path {wanted.path[:80]!r}.", provider=PROVIDER)
    spec = next(
        (
            each
            for each in raw.items(one, "spec", "template", "spec", "containers")
            if raw.text(each, "name") == container
        ),
        None,
    )
    readiness = raw.at(spec, "readinessProbe", "httpGet")
    at = _number(spec, raw.at(readiness, "port"))
    if wanted.port in (None, at) and raw.text(readiness, "path") == wanted.path and not raw.at(readiness, "host"):
        return None  # the node asks for the very same
    number = wanted.port or port or _port(spec, at)
    if number is None:
        raise ProviderRejected(
            f"{raw.called(one)} does not say at which port health is asked for; write it before the path, as in "
            f":8080{wanted.path}, or give probe_port.",
            provider=PROVIDER,
        )
    return marks.Probe(wanted.path, number)


async def health(looks: Sequence[Look], release: Release, check: HealthCheck, *, port: int | None) -> Health:
    """One look at the pods of all Deployments. Raises `ProviderError`."""
    healthy, instances, wrong = 0, 0, ""
    for each in looks:
        instances += replicas(each.one)
        mine = [pod for pod in each.pods if runs(pod, each.container) == release.artifact.digest]
        up = [pod for pod in mine if ready(pod)]
        probe = asked_at(each.one, each.container, port=port, path=check.path)
        said = [None if probe is None else _ask(each, pod, probe, check.timeout) for pod in up]
        answers = await asyncio.gather(*(one for one in said if one is not None))
        bad = [answer for answer in answers if answer]
        healthy += len(up) - len(bad)
        if not wrong:
            wrong = _wrong(each, mine, up, bad, release)
    if not instances:
        wrong = "It is scaled to zero, so nothing can prove its health."
    # What another image is asked for is not this release, however many instances of it there should be.
    asked = all(image.digest_of(each.asked) == release.artifact.digest for each in looks)
    return Health(
        healthy=min(healthy, instances), instances=instances, message=wrong, none_wanted=not instances and asked
    )


def _wrong(each: Look, mine: Sequence[Object], up: Sequence[Object], bad: Sequence[str], release: Release) -> str:
    wanted, name = replicas(each.one), each.workload.name
    if bad:
        return bad[0]
    if not mine and wanted:
        return f"No pod of {name} runs {release.version}."
    if len(up) < wanted:
        return f"{len(up)} of {wanted} pods of {name} are ready with {release.version}."
    return ""


async def _ask(each: Look, pod: Object, probe: marks.Probe, timeout: float) -> str:
    """What is wrong with the answer of a pod; empty when it is well."""
    name = raw.name(pod)
    if not is_subdomain(name) or probe.port is None:
        return "A pod has a name that cannot be asked."
    # Its name was checked above: nothing in it can lead elsewhere.
    place = path_to("v1", "pods", namespace=each.workload.namespace, name=name)
    try:
        status = await each.workload.kube.ask(f"{place}:{probe.port}/proxy{probe.path}", timeout=timeout)
    except ProviderError as error:
        return f"{name} cannot be asked for {probe.path}: {error.message}"
    hint = ", or we lack get on pods/proxy" if status == 403 else ""
    return "" if 200 <= status < 300 else f"{name} answers {probe.path} with {status}{hint}."


def _number(container: object, port: object) -> int | None:
    """A port by its number or its name."""
    if isinstance(port, int):
        return port
    named = (each for each in raw.items(container, "ports") if raw.text(each, "name") == port)
    return next((raw.count(each, "containerPort") or None for each in named), None)


def _port(container: object, readiness: int | None) -> int | None:
    if readiness is not None:
        return readiness
    ports = raw.items(container, "ports")
    numbers = [raw.count(each, "containerPort") for each in ports if raw.text(each, "protocol") in ("", "TCP")]
    return numbers[0] if len(numbers) == 1 and numbers[0] else None
