"""A stand-in for a cluster in a process of its own, so that only what asks it is measured.

``python -m bench.cluster FOLDER HOW_MANY PACE`` writes a kubeconfig, says ``ready`` and answers each line that it is
sent with the calls that were made since the line before, by verb.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))


async def serve(folder: Path, how_many: int, pace: float) -> None:
    """Until its standard input ends."""
    from kube.deployments import DeploymentController
    from kube.manifests import deployment
    from kube.server import KubeServer

    async with KubeServer.running(tls=True) as server:
        server.kubeconfig(folder)
        controller = DeploymentController(server, pace=0.005, second=0.05)
        for number in range(how_many):
            server.add("deployments", "shop", deployment(f"s{number}", {"web": "r/web:1"}))
        controller.settle(5000)
        controller.pace = pace
        controller.start()
        loop = asyncio.get_running_loop()
        print("ready", flush=True)
        counted = len(server.log)
        while await loop.run_in_executor(None, sys.stdin.readline):
            calls = Counter(call.verb for call in server.log[counted:])
            counted = len(server.log)
            print(json.dumps(calls), flush=True)
        await controller.stop()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
