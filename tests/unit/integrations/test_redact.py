"""Secrets in other people's logs."""

from __future__ import annotations

import time

import pytest

from integrations._shared.redact import last_lines, redact


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("DB_PASSWORD=hunter2 failed", "hunter2"),
        ("password: 'hunter2'", "hunter2"),
        ('{"api_key": "hunter2", "a": 1}', "hunter2"),
        ("Authorization: Bearer abc.def-ghi", "abc.def-ghi"),
        ("sent with bearer abcdefgh1234", "abcdefgh1234"),
        ("postgres://shop:hunter2@db/orders refused", "hunter2"),
        ("postgres://:hunter2@db/orders refused", "hunter2"),
        ("token xoxb-1234567890-abc is revoked", "xoxb-1234567890-abc"),
        ("AKIAABCDEFGHIJKLMNOP", "AKIAABCDEFGHIJKLMNOP"),
        ("ghp_abcdefghijklmnopqrstuvwxyz012345", "ghp_abcdefghijklmnopqrstuvwxyz012345"),
        ("--client-secret=hunter2", "hunter2"),
        ("SECRET_TOKEN = hunter2", "hunter2"),
    ],
)
def test_secrets_are_hidden(text: str, secret: str) -> None:
    assert secret not in redact(text)
    assert "[hidden]" in redact(text)


@pytest.mark.parametrize(
    "text", ["connection to db:5432 refused", "GET /health 200 in 3 ms", "http://127.0.0.1:8080/a@b", "a = 1; b: 2"]
)
def test_plain_words_stay(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    "piece", ["token", "token_", "-a", "a.b+", "eyJaaaaaaaa-", "secret=", "a://", "a://b:", "bearer "]
)
def test_time_is_in_proportion_to_the_text(piece: str) -> None:
    began = time.process_time()
    redact(piece * (100_000 // len(piece)))
    assert time.process_time() - began < 1


def test_control_characters_go() -> None:
    assert redact("\x1b[31mred\x1b[0m\a") == "red"


def test_only_the_last_lines_and_not_too_wide() -> None:
    text = "\n".join(f"line {number}" for number in range(20)) + "\n\n" + "x" * 500 + "\n"
    found = last_lines(text, lines=3, width=50)
    assert found[:2] == ["line 18", "line 19"]
    assert len(found[2]) == 50
    assert last_lines("") == []
