"""An open and migrated database of each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.store.deployments import StoredDeployments
from bot.store.engine import Database
from bot.store.migrations import migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with await Database.open(database_url) as opened:
        await migrate(opened)
        yield opened


@pytest.fixture
def deployments(database: Database) -> StoredDeployments:
    return StoredDeployments(database)
