"""Everything that can go wrong, by who can mend it.

    DeploymentArchitectError
      ConfigurationError        the operator can mend it: catalog, settings, missing extra
      RequestRefused            the person who asked can act on it; shown to them, never an alert
        BadCommand  UnknownService  UnknownEnvironment  RevisionNotFound  UnknownDeployment
        NotAuthorized  IdentityUnknown  NothingToDo  NoRollback  InvalidTransition  SomebodyWasFaster
        Blocked  ChecksSayNo
      ProviderError             a system that we talk to: .retryable .retry_after
        ProviderUnavailable  ProviderRejected  ProviderTimeout  OutcomeUnknown
      StoreError                our own database did not answer

A class's docstring is its default text.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.policy.gates import GateResult


class DeploymentArchitectError(Exception):
    """Something went wrong."""

    def __init__(self, message: str | None = None) -> None:
        self.message = message or inspect.getdoc(type(self)) or "Something went wrong."
        super().__init__(self.message)

    def __reduce__(self) -> tuple[object, ...]:
        """Errors outlive the process in the workflows' journal, whatever their constructors take."""
        return _revive, (type(self), self.args, self.__dict__)

    @property
    def code(self) -> str:
        """A stable name for logs and for the API."""
        name = type(self).__name__
        return "".join("_" + c.lower() if c.isupper() and i else c.lower() for i, c in enumerate(name))


class ConfigurationError(DeploymentArchitectError):
    """The configuration cannot be used."""


class RequestRefused(DeploymentArchitectError):
    """This cannot be done."""

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        """What the person can do next, one sentence."""


class BadCommand(RequestRefused):
    """The command could not be read."""

    def __init__(
        self,
        message: str,
        *,
        token: str | None = None,
        suggestions: Sequence[str] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.token = token
        """The word that could not be read, as typed."""
        self.suggestions = tuple(suggestions)
        """At most three nearest readings."""


class UnknownService(BadCommand):
    """There is no such service."""


class UnknownEnvironment(BadCommand):
    """There is no such environment."""


class RevisionNotFound(BadCommand):
    """There is no such version."""


class UnknownDeployment(RequestRefused):
    """There is no such deployment."""


class NotAuthorized(RequestRefused):
    """You may not do that."""


class IdentityUnknown(NotAuthorized):
    """Who you are cannot be told right now, so the answer is no."""


class Blocked(RequestRefused):
    """Something keeps this deployment from going on: a lock, a freeze, a window or the order of environments."""

    def __init__(self, message: str, *, gates: Sequence[GateResult], hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.gates = tuple(gates)
        """Those that stop it, in order."""


class ChecksSayNo(RequestRefused):
    """A check does not pass, so it does not go on."""


class NothingToDo(RequestRefused):
    """That is already so."""


class NoRollback(RequestRefused):
    """There is nothing to roll back to."""


class InvalidTransition(RequestRefused):
    """The deployment is not in a state in which this can be done."""


class SomebodyWasFaster(RequestRefused):
    """Somebody else has already done that."""


class ProviderError(DeploymentArchitectError):
    """A system that the deployment needs gave an error."""

    def __init__(
        self,
        message: str | None = None,
        *,
        provider: str,
        retryable: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.provider = provider
        self.retryable = retryable
        self.retry_after = retry_after
        """Seconds that the provider asked us to wait, if it said so."""


class ProviderUnavailable(ProviderError):
    """A system that the deployment needs cannot be reached."""

    def __init__(self, message: str | None = None, *, provider: str, retry_after: float | None = None) -> None:
        super().__init__(message, provider=provider, retryable=True, retry_after=retry_after)


class ProviderRejected(ProviderError):
    """A system that the deployment needs refused the request; nothing was changed."""

    def __init__(self, message: str | None = None, *, provider: str) -> None:
        super().__init__(message, provider=provider)


class ProviderTimeout(ProviderError):
    """A system that the deployment needs did not answer in time."""

    def __init__(self, message: str | None = None, *, provider: str) -> None:
        super().__init__(message, provider=provider, retryable=True)


class OutcomeUnknown(ProviderError):
    """It cannot be told whether the change was made; a person must look."""


class StoreError(DeploymentArchitectError):
    """The bot's own database does not answer; nothing was changed."""


def _revive(kind: type[DeploymentArchitectError], args: tuple[object, ...], state: dict[str, object]) -> Exception:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error
