"""A bot that dies in the middle of opening a preview: the next one finishes it, and tells once. Real processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from integration.images.fake_oci import NAME, fake
from integration.previews.preview_world import world as a_cluster
from world import World, catalog, until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.timeout(180), pytest.mark.long]

ADDRESS = "https://checkout-pr-7.preview.example.com"
PREVIEWS = """\
clusters:
  main: {{ type: kubeconfig, path: "{kubeconfig}" }}
previews:
  shop:
    type: kubernetes
    cluster: main
    template: shop-template
    namespaces: shop-pr-{{number}}
    address: https://{{service}}-pr-{{number}}.preview.example.com
    services:
      checkout: {{ workload: checkout, container: web }}
"""


@pytest.mark.parametrize("where", ["/api/v1/namespaces", "/namespaces/shop-pr-7/services", "/shop-pr-7/deployments"])
async def test_what_a_bot_died_over_is_finished_by_the_next(where: str, tmp_path: Path) -> None:
    async with a_cluster(alive=True) as here, fake() as registry:
        images = f"{{ type: oci, repository: {registry.address}/{NAME}, insecure: true }}"
        text = catalog().replace("{ type: local, folder: artifacts/checkout }", images)
        text += PREVIEWS.format(kubeconfig=here.server.kubeconfig(tmp_path))
        world = await World.open(tmp_path / "world", text=text, runs=None)
        try:
            bot = await world.start()
            # The cluster refuses this one thing until the bot is dead: so far it comes, and no further.
            here.server.faults.refuse(503, verb="create", path=where, times=1_000_000)
            await world.command("ada", "preview checkout v1.2 pr=7")

            async def refused() -> bool:
                return any(call.verb == "create" and call.path.endswith(where) for call in here.server.log)

            await until(refused, what=f"a bot that tries to create {where}")
            await bot.kill()
            assert not any(ADDRESS in message.text for message in world.messages())
            here.server.faults._refusals.clear()
            await world.start()

            async def told() -> bool:
                return any(ADDRESS in message.text for message in world.messages())

            await until(told, what="the address in the thread")
            [root] = [message for message in world.messages() if not message.is_reply]
            assert "opens the preview of #7: checkout v1.2" in root.text
            assert all(message.thread_ts == root.ts for message in world.messages() if message.is_reply)
            assert world.told_twice() == []
            verdict = await world.audit()
            assert verdict.ok
            assert here.numbers() == ["shop-pr-7", "shop-pr-99"]
            made = here.server.get("deployments", "shop-pr-7", "checkout")
            assert made["status"]["readyReplicas"] == made["spec"]["replicas"]
        finally:
            await world.close()
