"""``may sa:incident …``: a service account is asked about by its name, and taken for nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.domain.errors import BadCommand
from bot.domain.grammar import MayIntent, parse, render
from bot.domain.ids import EnvironmentName, ServiceName
from bot.domain.policy.access import Action

if TYPE_CHECKING:
    from bot.domain.grammar import Vocabulary


@pytest.mark.parametrize(
    "text", ["may sa:incident-bot lock checkout production", "may lock production checkout sa:incident-bot?"]
)
def test_it_is_named_anywhere_after_may(text: str, vocabulary: Vocabulary) -> None:
    found = parse(text, vocabulary=vocabulary)
    assert found == MayIntent(
        action=Action.LOCK,
        account="incident-bot",
        service=ServiceName("checkout"),
        environment=EnvironmentName("production"),
    )
    assert parse(render(found, vocabulary=vocabulary), vocabulary=vocabulary) == found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("may sa: lock", "is no service account"),
        ("may SA:Incident lock", "is no service account"),
        ("may sa:<!channel> lock", "is no service account"),
        ("may sa:a sa:b lock", "rights|people|service accounts"),
        ("may sa:incident @U0GRACE7 lock", "people"),
    ],
)
def test_what_names_none_or_two_is_refused(text: str, says: str, vocabulary: Vocabulary) -> None:
    with pytest.raises(BadCommand, match=says):
        parse(text, vocabulary=vocabulary)


def test_only_may_takes_one(vocabulary: Vocabulary) -> None:
    with pytest.raises(BadCommand):
        parse("deploy sa:incident v1.2 staging", vocabulary=vocabulary)
