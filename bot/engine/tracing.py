"""Tells of each deployment's steps as spans of one trace, if anybody listens.

The trace outlives the process: all that it is told by comes from the deployment's id and its timeline. Decides nothing;
whatever goes wrong here, a deployment neither fails nor waits. No text leaves without its secrets taken out.
"""

from __future__ import annotations

import contextlib
import logging
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from bot.domain.errors import DeploymentArchitectError
from bot.domain.lifecycle import Phase
from bot.domain.redact import redact
from bot.engine.ends import EndKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bot.domain.deployment import Deployment
    from bot.domain.ids import DeploymentId
    from bot.ports.tracing import Span, Traces

T = TypeVar("T")

log = logging.getLogger(__name__)

_LONGEST = 500
"""Characters of a text in a tag."""
_UNTOLD = frozenset({"claim", "is a rollback"})
"""Steps of no deployment in particular, or of no interest."""
_WAITS = frozenset(
    {Phase.AWAITING_APPROVAL, Phase.SCHEDULED, Phase.HELD, Phase.QUEUED, Phase.PAUSED, Phase.NEEDS_ATTENTION}
)
_WRONG = frozenset({EndKind.FAILED, EndKind.ERRORED, EndKind.UNKNOWN})
_FAILED = frozenset({Phase.FAILED, Phase.ERRORED})

_around: ContextVar[Span | None] = ContextVar("the span that goes on", default=None)


@dataclass
class Findings:
    """What becomes known while something goes on."""

    tags: dict[str, str | int | float | bool] = field(default_factory=dict)
    error: str | None = None
    expected: bool = False
    """Whatever is raised is no error."""

    @contextlib.contextmanager
    def expecting(self, kind: type[Exception], outcome: str) -> Iterator[None]:
        """Within it an exception of that kind is an ordinary outcome."""
        try:
            yield
        except kind:
            self.expected = True
            self.tags["deployment.step.outcome"] = outcome
            raise

    def came_to(self, result: object) -> None:
        """Note how a step ended."""
        if isinstance(result, dict) and "kind" in result:
            self.tags["deployment.step.outcome"] = str(result["kind"])
            if result["kind"] in _WRONG:
                self.error = _told(str(result.get("note", "")) or str(result["kind"]))


@dataclass(kw_only=True, repr=False)
class Tracing:
    """Tells of deployments, or does nothing when there is nobody to be told."""

    traces: Traces | None = None

    @contextlib.contextmanager
    def step(self, deployment: DeploymentId, name: str) -> Iterator[Findings]:
        """A step of a deployment, while the block lasts. A step that a crash cut off is told when it runs again."""
        traces = self.traces
        if traces is None or name in _UNTOLD:
            yield Findings()
            return
        begin = traces.begin
        with _going_on(lambda: begin(deployment, name, tags={"deployment.id": deployment})) as findings:
            yield findings

    def close(self) -> None:
        """Send what is left, within two seconds, and tell no more."""
        if (traces := self.traces) is not None:
            _safely(traces.close)

    def seen(self, before: Deployment, after: Deployment) -> None:
        """Tell what a change of a deployment ended; to be called once for each change, by whoever wrote it."""
        if (traces := self.traces) is not None and before.phase is not after.phase:
            _safely(lambda: _tell(traces, before, after))


@contextlib.contextmanager
def asking(name: str, **tags: str | float | bool) -> Iterator[Findings]:
    """Something that the step under way asks of others, while the block lasts. Outside of a step that is told: nothing.

    Underscores in the tags' names stand for dots.
    """
    around = _around.get()
    if around is None:
        yield Findings()
        return
    named = {key.replace("_", "."): value for key, value in tags.items()}
    with _going_on(lambda: around.begin(name, tags=named)) as findings:
        yield findings


@contextlib.contextmanager
def _going_on(begin: Callable[[], Span]) -> Iterator[Findings]:
    findings = Findings()
    span = _safely(begin)
    if span is None:
        yield findings
        return
    token = _around.set(span)
    try:
        yield findings
    except Exception as error:
        if not findings.expected:
            # What a library says in an error may hold anything; what we say is for people.
            said = error.message if isinstance(error, DeploymentArchitectError) else ""
            findings.error = _told(said or type(error).__name__)
        raise
    except BaseException:
        findings.tags["deployment.step.outcome"] = "interrupted"
        raise
    finally:
        _around.reset(token)
        _safely(lambda: span.end(tags=findings.tags, error=findings.error))


def _tell(traces: Traces, before: Deployment, after: Deployment) -> None:
    if before.phase in _WAITS or before.phase is Phase.ROLLING_BACK:
        back = before.phase is Phase.ROLLING_BACK
        traces.past(
            after.id,
            before.phase.words,
            began=before.since,
            ended=max(before.since, after.since),
            tags={"deployment.id": after.id, "deployment.step.outcome": after.phase.value},
            error=_told(after.note) if back and after.phase is not Phase.ROLLED_BACK else None,
        )
    if after.phase.final and not before.phase.final:
        error = _told(after.note or after.phase.words) if after.phase in _FAILED else None
        traces.whole(
            after.id,
            began=after.requested_at,
            ended=max(after.requested_at, after.since),
            tags=_tags(after, error),
            error=error,
            taking_back=after.rollback_of,
        )


def _tags(deployment: Deployment, error: str | None) -> dict[str, str | int | float | bool]:
    """What is known of a deployment that is over."""
    phase, release = deployment.phase, deployment.release
    status = "success" if phase is Phase.SUCCEEDED else "failed" if phase in _FAILED else phase.value
    place = f"{deployment.service} {release.version} to {deployment.environment}"
    tags: dict[str, str | int | float | bool] = {
        "service.name": deployment.service,
        "service.version": _told(release.version),
        "environment": deployment.environment,
        "deployment.id": deployment.id,
        "deployment.name": _told(f"#{deployment.number} {place}"),
        "deployment.environment.name": deployment.environment,
        "deployment.status": status,
        "deployment.phase": phase.value,
        "deployment.strategy": deployment.strategy,
        "deployment.rollback": deployment.is_rollback,
        "deployment.attempts": deployment.attempt,
    }
    if error is not None:
        tags |= {"error.message": error, "error.type": phase.value}
    return tags


def _told(text: str) -> str:
    """Text as it may leave the process."""
    text = redact(text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _safely(do: Callable[[], T]) -> T | None:
    try:
        return do()
    except Exception:
        log.exception("a span could not be told")
        return None
