"""What docs/audit.md says that anybody can do with an export, done."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from store_samples import store

from bot.domain.lifecycle import Phase
from bot.store.audit import StoredAudit

if TYPE_CHECKING:
    from bot.store.deployments import StoredDeployments
    from bot.store.engine import Database

PAGE = Path(__file__).parents[3] / "docs" / "audit.md"


async def test_the_program_on_the_page_checks_an_export(database: Database, deployments: StoredDeployments) -> None:
    await store(deployments, Phase.QUEUED, Phase.DEPLOYING, reason='"é" \\ 日本')
    audit = StoredAudit(database)
    exported = "".join([piece async for piece in audit.export(format="jsonl")])
    [program] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)

    def check(text: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", program], input=text, capture_output=True, text=True, check=False)

    done = await asyncio.to_thread(check, exported)
    assert (done.returncode, done.stdout.strip()) == (0, (await audit.head()).hash)
    changed = await asyncio.to_thread(check, exported.replace('"queued"', '"failed"', 1))
    assert "row 2" in changed.stderr
