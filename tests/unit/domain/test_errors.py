"""Every error says something, has a stable code, and survives the journal."""

from __future__ import annotations

import pickle

import pytest

from bot.domain import errors
from bot.domain.errors import BadCommand, Blocked, DeploymentArchitectError, ProviderError
from bot.domain.policy.gates import GateResult, Verdict


def tree(kind: type[DeploymentArchitectError]) -> list[type[DeploymentArchitectError]]:
    return [kind, *(deeper for child in kind.__subclasses__() for deeper in tree(child))]


ALL = [kind for kind in tree(DeploymentArchitectError) if kind.__module__ == errors.__name__]


def one(kind: type[DeploymentArchitectError]) -> DeploymentArchitectError:
    if issubclass(kind, ProviderError):
        return kind("It is away.", provider="local")  # type: ignore[call-arg]
    if issubclass(kind, BadCommand):
        return kind("What?", token="x", suggestions=["y"], hint="Say y.")
    if issubclass(kind, Blocked):
        closed = GateResult(name="freeze", verdict=Verdict.BLOCK, sentence="It is frozen.")
        return kind("It is frozen.", gates=[closed], hint="Wait.")
    return kind("No.")


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_it_comes_back_from_the_journal_as_it_was(kind: type[DeploymentArchitectError]) -> None:
    error = one(kind)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (again.message, str(again), vars(again)) == (error.message, str(error), vars(error))


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_the_tree_in_the_docstring_names_it(kind: type[DeploymentArchitectError]) -> None:
    assert kind.__name__ in (errors.__doc__ or "")
    assert one(kind).code.islower()


def test_a_class_says_something_by_itself() -> None:
    assert errors.NotAuthorized().message == "You may not do that."
    assert errors.NotAuthorized().code == "not_authorized"
