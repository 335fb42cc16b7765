"""Fixtures: the whole bot before a sandbox workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from office import open_office

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from office import Office


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as opened:
        yield opened
