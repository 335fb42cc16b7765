"""Fixtures: a bot that is asked over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from house import open_house

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from house import House


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as opened:
        yield opened
