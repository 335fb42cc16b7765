"""How long ago something was reads like what a person would say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.domain.ago import ago

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "just now"),
        (0.4, "just now"),
        (1, "1 s ago"),
        (89, "89 s ago"),
        (90, "2 min ago"),
        (5_000, "83 min ago"),
        (5_400, "2 h ago"),
        (172_000, "48 h ago"),
        (172_800, "2 d ago"),
    ],
)
def test_it_reads_like_what_a_person_would_say(seconds: float, words: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == words
