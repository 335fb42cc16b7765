"""Somebody's real cluster, named by TEST_KUBECONFIG: a namespace of its own for each test, which is gone afterwards.

Needs leave to make and delete namespaces, and everything inside of its own; asks for no nodes and no metrics. Whether
kubelets run there is told by a pod that gets a node or does not. Environment variables: docs/kubernetes.md.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bot.domain.errors import ProviderRejected, ProviderTimeout, ProviderUnavailable
from integrations._shared.kube.transport import Transport
from integrations._shared.workloads import image
from integrations.clusters.kubeconfig import build as kubeconfig
from integrations.clusters.options import KubeconfigOptions

from .hands import RealHands
from .playing import SCHEDULER, play
from .resources import BY_PATH
from .server import Call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from integrations._shared.kube.access import ClusterAccess
    from integrations._shared.kube.transport import Answer, Lines

    from .resources import Object

CONFIG = os.environ.get("TEST_KUBECONFIG", "")
PREFIX = "architect-test-"
EVERYWHERE = pytest.mark.parametrize(
    "where",
    [
        "fake",
        pytest.param(
            "cluster",
            marks=[
                pytest.mark.cluster,
                pytest.mark.long,
                pytest.mark.timeout(1500),
                pytest.mark.skipif(not CONFIG, reason="TEST_KUBECONFIG names no cluster"),
            ],
        ),
    ],
)
"""For tests of behaviour: on the stand-in always, and on a real cluster where one is named."""

_PAUSE = "registry.k8s.io/pause@sha256:"


def _images() -> list[str]:
    """Of TEST_IMAGES, or ours. Raises ValueError when they are not as the tests need them."""
    given = os.environ.get("TEST_IMAGES", "").split()
    if not given:
        return [
            f"{_PAUSE}9001185023633d17a2f98ff69b6ff2615b8ea02a825adffa40422f51dfdcde9d",
            f"{_PAUSE}7031c1b283388d2c2e09b57badb803c05ebed362dc88d84b480cc47f72a21097",
            f"{_PAUSE}ee6521f290b2168b6e0935a181d4cff9be1ac3f505666ef0e3c98fae8199917a",
            f"{_PAUSE}{'0' * 64}",
        ]
    if len(set(given)) != 4 or not all(image.digest_of(each) for each in given):
        raise ValueError("TEST_IMAGES must name four images by digest: three that run, and one that does not exist")
    return given


IMAGES = _images()
"""Three that run, and one that does not exist; pulled only where kubelets run."""

_RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
_DECIDE = 20.0
"""Seconds in which a scheduler finds a node, where there are any."""
_has_kubelets: dict[str, bool] = {}


def access() -> ClusterAccess:
    """By TEST_KUBECONFIG; commands that it may run for credentials are in TEST_EXEC, by name."""
    allowed = os.environ.get("TEST_EXEC", "").split()
    return kubeconfig(options=KubeconfigOptions(path=Path(CONFIG), exec=allowed), name="real")


@asynccontextmanager
async def namespace() -> AsyncIterator[tuple[RealHands, bool]]:
    """A new one, and whether kubelets run its pods; where none do, they are played while it lasts."""
    hands = RealHands(access(), f"{PREFIX}{secrets.token_hex(4)}")
    made = await hands.make("namespaces", {"metadata": {"name": hands.namespace}})
    player: asyncio.Task[None] | None = None
    try:
        kubelets = await _kubelets(hands)
        if not kubelets:
            player = asyncio.create_task(play(hands))
        yield hands, kubelets
    finally:
        if player is not None:
            player.cancel()
            await asyncio.gather(player, return_exceptions=True)
        await _leave(hands, made["metadata"]["uid"])
        await hands.close()


async def _leave(hands: RealHands, uid: str) -> None:
    """Have the namespace deleted, the very one that was made; also by a server that has trouble for a while."""
    for pause in (1, 5, 15, 30, 60):
        with suppress(ProviderUnavailable, ProviderTimeout):
            await hands.delete("namespaces", hands.namespace, uid=uid)
            return
        await asyncio.sleep(pause)
    await hands.delete("namespaces", hands.namespace, uid=uid)


async def _kubelets(hands: RealHands) -> bool:
    """Whether a pod is given a node. TEST_KUBELETS (``yes`` or ``no``) spares the look."""
    said = os.environ.get("TEST_KUBELETS", "")
    if said:
        return said == "yes"
    if CONFIG not in _has_kubelets:
        spec: Object = {"containers": [{"name": "web", "image": IMAGES[0]}]}
        fitted(spec, kubelets=True)
        pod = {"metadata": {"name": "is-there-a-node"}, "spec": spec}

        async def made() -> bool:  # a namespace's service account comes a moment after it
            with suppress(ProviderRejected):
                await hands.make("pods", pod)
            return await hands.find("pods", "is-there-a-node") is not None

        await hands.until(made)
        _has_kubelets[CONFIG] = await _is_placed(hands, "is-there-a-node")
        await hands.delete("pods", "is-there-a-node")
    return _has_kubelets[CONFIG]


async def _is_placed(hands: RealHands, name: str) -> bool:
    async def placed() -> Any:
        return (await hands.get("pods", name))["spec"].get("nodeName")

    try:
        async with asyncio.timeout(_DECIDE):
            await hands.until(placed)
    except TimeoutError:
        return False
    return True


def fitted(spec: Object, *, kubelets: bool) -> None:
    """Make a pod's spec fit for a strict namespace, or for nodes that are played; in place."""
    spec["terminationGracePeriodSeconds"] = 1
    if not kubelets:
        spec["schedulerName"] = SCHEDULER
        return
    spec["securityContext"] = {"runAsNonRoot": True, "runAsUser": 65535, "seccompProfile": {"type": "RuntimeDefault"}}
    for each in [*spec["containers"], *spec.get("initContainers", [])]:
        each["securityContext"] = _RESTRICTED


class Recorded(Transport):
    """The bot's own connection, which remembers what was asked: a real server keeps no log for tests."""

    def __init__(self, access: ClusterAccess) -> None:
        super().__init__(access, timeout=30.0)
        self.log: list[Call] = []

    async def send(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: object = None,
        kind: str = "application/json", **more: Any,
    ) -> Answer:  # fmt: skip
        self.log.append(_call(method, path, query or {}, body, kind))
        return await super().send(method, path, query=query, body=body, kind=kind, **more)

    @asynccontextmanager
    async def stream(self, path: str, *, query: Mapping[str, str], timeout: float) -> AsyncIterator[Lines]:
        self.log.append(_call("WATCH", path, query, None, ""))
        async with super().stream(path, query=query, timeout=timeout) as lines:
            yield lines


def _call(method: str, path: str, query: Mapping[str, str], body: object, kind: str) -> Call:
    parts = path.strip("/").split("/")
    group, version, rest = ("", parts[1], parts[2:]) if parts[0] == "api" else (parts[1], parts[2], parts[3:])
    if rest[0] == "namespaces" and len(rest) > 2:
        rest = rest[2:]
    plural, name, subresource = ([*rest, "", ""])[:3]
    verbs = {"GET": "get" if name else "list", "POST": "create", "PUT": "update"}
    found: Object = {"verb": verbs.get(method, method.lower()), "path": path, "query": dict(query)}
    is_known = (group, version, plural) in BY_PATH or "selfsubject" in plural
    assert is_known, f"nobody has said what {path} is"
    return Call(
        **found, content_type=kind if body is not None else "", user="", dry_run=query.get("dryRun") == "All",
        body=body, resource=plural, subresource=subresource,
    )  # fmt: skip
