"""What the catalog may say about local targets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from integrations.local import LocalImagesOptions, LocalTargetOptions


def test_defaults() -> None:
    options = LocalTargetOptions(root=Path("/srv/platform"))
    assert (options.instances, options.health_path, options.port, options.variables) == (2, "/health", None, {})


@pytest.mark.parametrize(
    "bad",
    [
        {"instances": 0},
        {"instances": 21},
        {"health_path": "health"},
        {"health_path": "/a b"},
        {"health_path": "/a\r\nHost: x"},
        {"start_timeout": 0},
        {"drain": -1},
        {"port": 70000},
        {"variables": {"PORT": "1"}},
        {"variables": {"1A": "1"}},
        {"variables": {"A=B": "1"}},
        {"variables": {"A": "\0"}},
        {"replicas": 2},
    ],
)
def test_bad_options_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LocalTargetOptions(root=Path("/srv/platform"), **bad)


def test_images_take_a_folder_only() -> None:
    with pytest.raises(ValidationError):
        LocalImagesOptions.model_validate({"folder": "/a", "path": "/b"})


def test_options_load_no_http_client_and_the_agent_no_pydantic() -> None:
    probe = "import sys, {module}; print([name for name in {unwanted!r} if name in sys.modules])"
    for module, unwanted in (
        ("integrations.local.options", ["aiohttp", "psutil"]),
        ("integrations.local.agent.server", ["pydantic", "psutil", "bot.domain.catalog"]),
        ("integrations.local.agent.__main__", ["aiohttp", "asyncio", "pydantic"]),
    ):
        code = probe.format(module=module, unwanted=unwanted)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]", module
