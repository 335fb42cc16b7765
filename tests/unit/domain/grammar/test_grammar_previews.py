"""Previews as people say them: in any order, refused with what to write instead, completed word by word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.domain.errors import BadCommand
from bot.domain.grammar import ClosePreviewIntent, PreviewIntent, PreviewsIntent, hints, parse
from bot.domain.ids import ServiceName

if TYPE_CHECKING:
    from bot.domain.grammar import Vocabulary

CHECKOUT = ServiceName("checkout")


@pytest.mark.parametrize(
    "text",
    [
        "preview checkout v1.2 pr=123 for=3d",
        "pr=123 v1.2 preview checkout for=3d",
        "preview of checkout v1.2 pr=123 for=3d please",
        "action=preview service=checkout version=v1.2 pr=123 for=3d",
    ],
)
def test_the_words_come_in_any_order(text: str, vocabulary: Vocabulary) -> None:
    assert parse(text, vocabulary=vocabulary) == PreviewIntent(service=CHECKOUT, version="v1.2", number=123, keep="3d")


@pytest.mark.parametrize(
    "text", ["preview close checkout pr=7", "preview checkout --close pr=7", "preview checkout pr=7 close"]
)
def test_it_is_closed(text: str, vocabulary: Vocabulary) -> None:
    assert parse(text, vocabulary=vocabulary) == ClosePreviewIntent(service=CHECKOUT, number=7)


def test_they_are_listed(vocabulary: Vocabulary) -> None:
    assert parse("previews", vocabulary=vocabulary) == PreviewsIntent()


@pytest.mark.parametrize(
    ("text", "told", "hint"),
    [
        ("preview checkout v1.2", "Which pull request", "preview checkout v1.2 pr=123"),
        ("preview v1.2 pr=7", "Which service's preview?", "preview checkout v1.2 pr=7"),
        ("preview checkout pr=7", "Which version of checkout?", "preview checkout v1.2 pr=7"),
        ("preview close checkout", "Which pull request", "preview close checkout pr=123"),
        ("preview close checkout v1.2 pr=7", "a version says nothing", "Leave v1.2 out."),
        ("preview close checkout pr=7 for=2d", "What is closed is not kept.", "Leave for= out."),
        ("preview checkout v1.2 pr=seven", "is a number from 1 to 999999999", "pr=123"),
        ("preview checkout v1.2 pr=0", "is a number from 1 to 999999999", "pr=123"),
        ("preview checkout v1.2 pr=7 for=soon", "is no length of time", ""),
        ("preview checkout v1.2 staging pr=7", "takes no environment", ""),
        ("previews checkout", "takes no service", ""),
    ],
)
def test_what_is_missing_or_too_much_is_said(text: str, told: str, hint: str, vocabulary: Vocabulary) -> None:
    with pytest.raises(BadCommand) as caught:
        parse(text, vocabulary=vocabulary)
    assert told in caught.value.message
    assert hint in (caught.value.hint or "")


def test_its_options_belong_to_it_alone(vocabulary: Vocabulary) -> None:
    for text in ("checkout v1.2 staging pr=7", "rollback checkout staging for=3d", "status close"):
        with pytest.raises(BadCommand, match="preview"):
            parse(text, vocabulary=vocabulary)


def test_a_typing_error_is_put_right(vocabulary: Vocabulary) -> None:
    with pytest.raises(BadCommand) as caught:
        parse("previw checkout", vocabulary=vocabulary)
    assert "preview" in caught.value.suggestions


def test_it_is_completed(vocabulary: Vocabulary) -> None:
    versions = {CHECKOUT: ["v1.3", "v1.2"]}
    assert {"preview", "previews"} <= set(hints("prev", vocabulary=vocabulary, versions=versions))
    assert "checkout" in hints("preview ", vocabulary=vocabulary, versions=versions)
    after = hints("preview checkout ", vocabulary=vocabulary, versions=versions)
    assert {"v1.3", "pr=", "for=", "close"} <= set(after)
    assert "staging" not in after
