"""The real kubectl, as a person at a terminal beside the bot. It sends a token only over TLS."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

_BESIDE = Path(sys.executable).with_name("kubectl")
KUBECTL = str(_BESIDE) if _BESIDE.exists() else shutil.which("kubectl")
"""None where there is none."""


async def kubectl(config: Path, namespace: str, *words: str, within: float = 60.0) -> tuple[int, str]:
    """How it ends, and what it says; its cache is kept beside ``config``. Raises TimeoutError."""
    process = await asyncio.create_subprocess_exec(
        str(KUBECTL),
        *("--kubeconfig", str(config), "--namespace", namespace, "--cache-dir", str(config.parent / "cache"), *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(within):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, said.decode()
