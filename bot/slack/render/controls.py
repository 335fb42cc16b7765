"""The buttons of locks, freezes, exceptions and refused orders. Whether the presser may is decided when they press."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.domain.actor import ActorKind
from bot.slack.names import ActionId, IdValue, OrderValue
from bot.slack.render import blocks as b
from bot.slack.render.gates import lock_line
from bot.slack.render.text import name_plain, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.actor import Actor
    from bot.domain.policy.freeze import Freeze
    from bot.domain.policy.lock import StickyLock
    from bot.domain.policy.override import Override
    from bot.domain.policy.scope import Scope

    Block = b.Block

_KEPT = "2 h"


def wait(order: OrderValue, *, label: str) -> list[dict[str, Any]]:
    """*Queue behind it* or *Run when it opens*: the same order once more, and it waits."""
    if not order.comes_back:
        return []
    place = _ordered(order)
    return [
        b.button(
            label, action_id=ActionId.WAIT, value=order, spoken=f"{label}: {plain(order.version, 30)} of {place}",
            style="primary",
        )
    ]  # fmt: skip


def ask_override(order: OrderValue) -> list[dict[str, Any]]:
    """*Request override*; a form asks for the reason."""
    if not order.comes_back:
        return []
    spoken = f"Request an override for {plain(order.version, 30)} of {_ordered(order)}"
    return [b.button("Request override", action_id=ActionId.ASK_OVERRIDE, value=order, spoken=spoken)]


def ask_owner(lock: StickyLock, *, about: str = "") -> list[dict[str, Any]]:
    """*Ask Grace* about their lock. ``about`` is what waits for it, such as the id of a deployment."""
    if lock.owner.kind is not ActorKind.PERSON:
        return []
    owner = name_plain(lock.owner, 30)
    spoken = f"Ask {owner} about the lock of {_scope(lock.scope)}"
    return [b.button(f"Ask {owner}", action_id=ActionId.ASK_OWNER, value=_id(lock.id, about), spoken=spoken)]


def take_over(lock: StickyLock, *, about: str = "") -> list[dict[str, Any]]:
    """*Take over*; a form asks for the reason and says whom it is told."""
    spoken = f"Take over the lock of {_scope(lock.scope)} from {name_plain(lock.owner, 30)}"
    value = _id(lock.id, about)
    return [b.button("Take over", action_id=ActionId.TAKE_OVER, value=value, spoken=spoken, style="danger")]


def unlock(lock_id: str, scope: str, *, owner: Actor | None = None) -> dict[str, Any]:
    """*Unlock*. ``scope`` is in words, literal."""
    place = plain(scope, 60)
    of = f" of {name_plain(owner, 30)}" if owner else ""
    return b.button(
        "Unlock",
        action_id=ActionId.UNLOCK,
        value=_id(lock_id),
        spoken=f"Unlock {place}",
        ask=b.confirm(
            f"Unlock {place}?",
            f"The lock{of} ends now. What it held goes on, or can be started.",
            yes="Unlock",
            no="Keep the lock",
            danger=False,
        ),
    )


def keep(lock_id: str, scope: str) -> dict[str, Any]:
    """*Keep 2 h*."""
    spoken = f"Keep the lock of {plain(scope, 40)} for {_KEPT} more"
    return b.button(f"Keep {_KEPT}", action_id=ActionId.KEEP, value=_id(lock_id), spoken=spoken)


def unfreeze(freeze_id: str, scope: str) -> dict[str, Any]:
    """*Lift the freeze*. ``scope`` is in words, literal."""
    place = plain(scope, 60)
    return b.button(
        "Lift the freeze",
        action_id=ActionId.UNFREEZE,
        value=_id(freeze_id),
        spoken=f"Lift the freeze of {place}",
        ask=b.confirm(
            f"Lift the freeze of {place}?",
            "Deployments may go forward there again, also for everybody else. What was held is listed, to be started "
            "one by one.",
            yes="Lift it",
            no="Keep it frozen",
            danger=True,
        ),
    )


def agree(override_id: str, what: str, *, asker: str, about: str = "") -> dict[str, Any]:
    """*Agree* to an exception that somebody else asks for. ``what`` and ``asker`` are literal."""
    return b.button(
        "Agree",
        action_id=ActionId.AGREE,
        value=_id(override_id, about),
        spoken=f"Agree to the override for {plain(what, 50)}",
        style="primary",
        ask=b.confirm(
            "Agree to this override?",
            f"{plain(asker, 40)} asks for it. With your word one deployment of exactly this passes freezes and closed "
            "windows, once. Both of you are on record.",
            yes="Agree",
            no="Not now",
            danger=True,
        ),
    )


def review(override_id: str, *, about: str = "") -> dict[str, Any]:
    """*Reviewed*: somebody has looked at broken glass afterwards."""
    return b.button(
        "Reviewed",
        action_id=ActionId.REVIEW,
        value=_id(override_id, about),
        spoken="Mark the broken glass as reviewed",
        ask=b.confirm(
            "Mark it as reviewed?",
            "You say on record that you have looked at what was passed, and why.",
            yes="Reviewed",
            no="Not yet",
            danger=False,
        ),
    )


def of_lock(lock: StickyLock, viewer: Actor | None, *, about: str = "") -> list[dict[str, Any]]:
    """What somebody who is held by this lock can do about it; its owner can take it away."""
    if viewer is not None and lock.owner.same_as(viewer):
        return [unlock(lock.id, lock.scope.words, owner=lock.owner)]
    return [*ask_owner(lock, about=about), *take_over(lock, about=about)]


def of_locks(locks: Sequence[StickyLock], viewer: Actor | None, *, about: str = "", most: int = 3) -> list[Block]:
    """A row of buttons for each of several locks, below the line that tells of it: no row has two of one action."""
    content: list[Block] = []
    for lock in locks[:most]:
        content += [b.section(lock_line(lock)), b.actions(of_lock(lock, viewer, about=about))]
    if len(locks) > most:
        content.append(b.context(f"… and {len(locks) - most} more."))
    return content


def of_override(override: Override) -> dict[str, Any]:
    """*Reviewed* for broken glass, carrying the deployment that used it."""
    return review(override.id, about=override.used_by or "")


def of_freeze(freeze: Freeze) -> dict[str, Any]:
    """*Lift the freeze*."""
    return unfreeze(freeze.id, freeze.scope.words)


def _id(identifier: str, extra: str = "") -> IdValue:
    value = IdValue(identifier, extra)
    return value if value.comes_back else IdValue(identifier)


def _ordered(order: OrderValue) -> str:
    return f"{plain(order.service, 30)} in {plain(order.environment, 30)}"


def _scope(scope: Scope) -> str:
    return plain(scope.words, 40)
