"""Changes to a Rollout: first what it is to be, in one patch of its template and marks, then the word to go on.

The word is read off the status every time it is given: repeated, or given after somebody else has given it, it changes
nothing, and no step is left out.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, TypeAlias

from bot.domain.errors import ProviderError, ProviderUnavailable
from bot.domain.rollout import Handle
from integrations._shared.kube import patches, raw
from integrations._shared.kube.api import Conflict
from integrations._shared.kube.errors import PROVIDER
from integrations._shared.workloads import marks
from integrations._shared.workloads.judging import set_elsewhere
from integrations.argo_rollouts import books, steps

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.domain.ids import OperationId
    from integrations._shared.kube.patches import Operation
    from integrations._shared.kube.raw import Object
    from integrations._shared.workloads.workload import Workload
    from integrations.argo_rollouts.books import Entry
    from integrations.argo_rollouts.workload import RolloutWorkload

_Change: TypeAlias = "tuple[Object, dict[str, object]]"
_ROUNDS = 6
_TAKEN_UP_WITHIN = 15.0


async def change(
    workload: RolloutWorkload, entry: Entry, build: Callable[[Workload, Object], list[Operation]]
) -> Handle:
    """Make the change that ``build`` makes of what holds the template, once, with ``entry`` in its books."""
    wait, last = 0.05, None
    for _ in range(_ROUNDS):
        _, holder, found = await workload.both()
        if books.find(found, entry.operation) is not None:
            return Handle(operation=entry.operation, generation=f"{raw.uid(found)}:0")
        value = books.written(found, entry)
        # The marks are added first, so there are annotations to add this one to.
        noted = {"op": "add", "path": patches.pointer("metadata", "annotations", books.GOALS), "value": value}
        try:
            answer = await holder.kube.patch(holder.path, [*build(holder, found), noted], kind="json")
        except ProviderError as error:
            if not isinstance(error, Conflict) and not error.retryable:
                raise
            last = error
            await asyncio.sleep(error.retry_after or wait * random.uniform(0.7, 1.3))  # noqa: S311 - jitter
            wait *= 2
            continue
        return Handle(operation=entry.operation, generation=f"{raw.uid(answer)}:{raw.version(answer) or 0}")
    assert last is not None
    if isinstance(last, Conflict):
        raise ProviderUnavailable(f"{workload.name} is being changed by others all the time.", provider=PROVIDER)
    raise last


def note(holder: Object, operation: OperationId, cause: str) -> list[Operation]:
    """A patch that changes no template, only who has brought it where it is."""
    now = patches.images_of(holder)
    written = marks.written(
        holder,
        operation=operation,
        cause=f"{cause} ({operation})",
        version=marks.version(holder) or "",
        digest=marks.of(holder).get(marks.DIGEST, "")[:128],
        before=marks.previous(holder),
        after=now,
    )
    return [*patches.same_object(holder), *patches.set_annotations(holder, written)]


def unsaid(one: Object, holder: Object, operation: OperationId) -> bool:
    """Whether ``operation`` was to let it go on, and of it there is the mark alone: it still rests where it did.

    What has brought a template needs no word for that, so it is never unsaid. Nor is what an analysis keeps that could
    not tell: people are to be asked about that, whether the word was given or not.
    """
    entries = books.read(holder)
    mine = books.find(holder, operation)
    at = entries.index(mine) if mine is not None else 0
    if mine is None or at == 0 or entries[at - 1].digest != mine.digest:
        return False
    return _is_of(holder, operation) and steps.release_patch(one, mine.goal) is not None


async def let_go_on(workload: RolloutWorkload, goal: int, operation: OperationId) -> None:
    """Let it go on to ``goal`` if it rests before that now, and is as ``operation`` left it.

    Past an analysis that could not tell only when the same was wanted before: who wants it again knows of it.
    Raises `ProviderUnavailable` when it cannot be told where it rests.
    """
    _, holder = await taken_up(workload, operation)
    again = books.wanted_before(holder, operation)
    await _write(workload, lambda one: steps.release_patch(one, goal, again=again), operation)


async def promote_fully(workload: RolloutWorkload, operation: OperationId) -> None:
    """Let it leave out all steps, once its controller has taken up the template that ``operation`` left there.

    Raises `ProviderUnavailable` when that does not happen: what is written before is forgotten.
    """
    await taken_up(workload, operation)
    await _write(workload, lambda found: None if steps.stable(found) else {"promoteFull": True}, operation)


async def taken_up(workload: RolloutWorkload, operation: OperationId) -> tuple[Object, Object]:
    """The Rollout and what holds its template, once its status is about what it is now: until then nobody can tell
    where it rests, and no word is heard.

    At once when it is no more what ``operation`` left there, or is paused by hand, which says so itself. Raises
    `ProviderUnavailable` when its controller does not come round.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + _TAKEN_UP_WITHIN
    while True:
        one, _, holder = await workload.both()
        if steps.taken_up(one, holder) or raw.at(one, "spec", "paused") is True or not _is_of(holder, operation):
            return one, holder
        if loop.time() > until:
            raise ProviderUnavailable(
                f"Argo Rollouts has not taken up the change of {workload.name} within {_TAKEN_UP_WITHIN:g} s; does its "
                "controller run?",
                provider=PROVIDER,
            )
        await asyncio.sleep(0.25)


async def resume(workload: RolloutWorkload, operation: OperationId) -> None:
    """End a pause by hand, once what ``operation`` puts back stands there: while it lasts no traffic comes back.

    Whoever made it kept a release from going on, and that one is not asked for any more.
    """

    async def wanted() -> _Change | None:
        one, _, holder = await workload.both()
        if raw.at(one, "spec", "paused") is not True or not _is_of(holder, operation):
            return None
        return one, {"spec": {"paused": False}}

    await _as_seen(workload, workload.path, wanted)


async def abort(workload: RolloutWorkload) -> None:
    """Send all traffic to the stable release, unless the newest is stable or this was done.

    Waits a while until a switch that was made is undone: with the template of before put back in the midst of it, the
    way back would be a switch too, and rest before it.
    """

    def word(one: Object) -> dict[str, object] | None:
        return None if steps.stable(one) or raw.at(one, "status", "abort") is True else {"abort": True}

    await _write(workload, word)
    loop = asyncio.get_running_loop()
    until = loop.time() + _TAKEN_UP_WITHIN
    while True:
        if not steps.switching_back(await workload.there()) or loop.time() > until:
            return
        await asyncio.sleep(0.25)


async def retry(workload: RolloutWorkload) -> None:
    """Have what was aborted begin anew; the same template as before would not. Nothing is written twice."""
    await _write(workload, steps.retry_patch)


def _is_of(holder: Object, operation: OperationId) -> bool:
    """Whether nobody has changed the template since ``operation``: a word of ours is not for what others brought."""
    return marks.operation(holder) == operation and not set_elsewhere(holder, operation)


async def _write(
    workload: RolloutWorkload,
    word: Callable[[Object], dict[str, object] | None],
    operation: OperationId | None = None,
) -> None:
    """Write the ``word`` that a look at the Rollout asks for, into the status that was looked at and no other.

    With ``operation``, only while the template is the one that it left there.
    """

    async def wanted() -> _Change | None:
        if operation is None:
            one = await workload.there()
        else:
            one, _, holder = await workload.both()
            if not _is_of(holder, operation):
                return None
        status = word(one)
        return None if status is None else (one, {"status": status})

    await _as_seen(workload, workload.status_path, wanted)


async def _as_seen(workload: RolloutWorkload, path: str, wanted: Callable[[], Awaitable[_Change | None]]) -> None:
    """Write at ``path`` what a look at the Rollout asks for, to the very object that was looked at; None: nothing."""
    for _ in range(_ROUNDS):
        change = await wanted()
        if change is None:
            return
        one, body = change
        version = raw.text(one, "metadata", "resourceVersion")
        try:
            await workload.kube.patch(path, {"metadata": {"resourceVersion": version}, **body}, kind="merge")
        except Conflict:
            await asyncio.sleep(0.05 * random.uniform(1.0, 3.0))  # noqa: S311 - jitter
            continue
        return
    raise ProviderUnavailable(f"{workload.name} is being changed by others all the time.", provider=PROVIDER)
