"""A fake registry for each test, and the password of its user."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from integration.images.fake_oci import PASSWORD, FakeRegistry, fake
from integration.images.oci_subject import Clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with fake() as found:
        yield found


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_PASSWORD", PASSWORD)
