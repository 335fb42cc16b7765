"""The stand-in in a process of its own, as if it were somebody's cluster: ``python -m kube.serve FOLDER`` in tests/.

Writes FOLDER/kubeconfig, says ``ready``, and answers each line that it is sent with the namespaces that are left; it
ends with its standard input. ``--without kubelets`` (or argo, flagger, several by commas) leaves those out. Its time is
that of clocks. Its nodes run images by what a container's spec says, as real ones do, not by words in their names.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from aiohttp import ClientConnectionResetError

from kube.argo import ArgoController
from kube.deployments import DeploymentController
from kube.flagger import FlaggerController
from kube.kubelet import Kubelet
from kube.resources import RESOURCES, Object
from kube.server import KubeServer

PARTS = ("kubelets", "argo", "flagger")
LEAVE: list[Object] = [
    {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["create", "delete"]},
    *(
        {"apiGroups": [each.group], "resources": [each.plural, *(f"{each.plural}/{sub}" for sub in each.subresources)],
         "verbs": ["*"]}
        for each in RESOURCES
        if each.namespaced
    ),
]  # fmt: skip
"""What whoever runs the tests may do, and no more: make and delete namespaces, and work inside of them."""


class Node(Kubelet):
    """One that knows no words in names."""

    _fate = ""

    def behaviour(self, image: str) -> str:
        return self._fate or ("missing" if image.endswith("0" * 64) else super().behaviour(image))

    def _schedule(self, pod: Object) -> None:
        self._fate = "huge" if any(_fate(each) == "huge" for each in pod["spec"]["containers"]) else ""
        super()._schedule(pod)
        self._fate = ""

    def _container(self, pod: Object, spec: Object, old: Object, now: str) -> Object:
        self._fate = _fate(spec)
        try:
            return super()._container(pod, spec, old, now)
        finally:
            self._fate = ""


class NoNode(Kubelet):
    """Pods stay where they are made."""

    def tick(self) -> bool:
        return False


def _fate(container: Object) -> str:
    """How it fares whatever its image is; empty when nothing is wrong with it."""
    if container.get("args") == ["-v"]:
        return "crash"
    if container.get("envFrom"):
        return "noconfig"
    if container.get("resources", {}).get("requests", {}).get("memory", "").endswith("Pi"):
        return "huge"
    return "unready" if "tcpSocket" in container.get("readinessProbe", {}) else ""


async def serve(folder: Path, without: list[str]) -> None:
    """Until its standard input ends."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(KubeServer.running(tls=True))
        controller = DeploymentController(server, pace=0.01, second=1.0)
        nodes = NoNode if "kubelets" in without else Node
        controller.kubelet = nodes(server, controller.clock).setup()
        await stack.enter_async_context(controller)
        if "argo" not in without:
            await stack.enter_async_context(ArgoController(server, controller, pace=0.02))
        if "flagger" not in without:
            await stack.enter_async_context(FlaggerController(server, controller, pace=0.2))
        server.allow("tester", LEAVE, user="tester")
        server.kubeconfig(folder, token="tester")
        print("ready", flush=True)
        loop = asyncio.get_running_loop()
        while await loop.run_in_executor(None, sys.stdin.readline):
            spaces = [each["metadata"]["name"] for each in server.all("namespaces")]
            print(json.dumps(spaces), flush=True)


def _matters(record: logging.LogRecord) -> bool:
    """Whoever watches goes when a test is over; that is no trouble of the server's."""
    return record.exc_info is None or not isinstance(record.exc_info[1], ClientConnectionResetError)


def main() -> None:
    asked = argparse.ArgumentParser(prog="python -m kube.serve", description=(__doc__ or "").partition("\n")[0])
    asked.add_argument("folder", type=Path, help="where the kubeconfig is written")
    asked.add_argument("--without", type=lambda text: text.split(","), default=[], help=f"some of {', '.join(PARTS)}")
    given = asked.parse_args()
    if unknown := [each for each in given.without if each not in PARTS]:
        asked.error(f"--without knows {', '.join(PARTS)}, not {', '.join(unknown)}")
    logging.getLogger("aiohttp.server").addFilter(_matters)
    asyncio.run(serve(given.folder, given.without))


if __name__ == "__main__":
    main()
