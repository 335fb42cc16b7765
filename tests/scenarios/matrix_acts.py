"""Every way to use a right: how it is prepared, what is said or pressed, and what shows that it took effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matrix_canary import (
    counting,
    failing,
    goes_on_again,
    held_still,
    is_held,
    paused,
    was_called_off,
    was_forced,
    was_put_off,
    was_taken_back,
    went_on,
    went_up,
)
from matrix_rows import REASON, ROLLS, SECOND, STUCK, WAITS
from matrix_ways import (
    Act,
    Happened,
    Prepare,
    asked_override,
    at_home,
    broke,
    broken,
    form,
    form_of,
    frozen,
    goes_on,
    held,
    kept,
    locked,
    moment,
    nothing,
    ordered,
    pressed,
    queued,
    recorded,
    resolved,
    rolls_back,
    row,
    runs_there,
    scheduled,
    shown,
    stuck,
    to_review,
    waiting,
)

from bot.domain.actor import Door
from bot.domain.grammar.verbs import Verb
from bot.domain.policy.access import Action
from bot.slack import names
from bot.slack.names import ActionId

if TYPE_CHECKING:
    from collections.abc import Sequence

DOORS = (Door.COMMAND, Door.MENTION, Door.BUTTON, Door.FORM, Door.HOME)

_MINE = "SELECT 1 FROM locks WHERE scope = :scope AND ended_at IS NULL AND body LIKE :like"
_ENDED = "SELECT 1 FROM {table} WHERE id = :id AND ended_at IS NOT NULL"


def _said(
    name: str, right: Action, verb: Verb, words: str, prepare: Prepare, happened: Happened, **more: Any
) -> list[Act]:
    """The same words as a command and as a mention."""
    quick = more.pop("quick", False)
    more |= {"right": right, "by": verb, "words": words, "prepare": prepare, "happened": happened}
    return [
        Act(name=name, door=Door.COMMAND, quick=quick, **more),
        Act(name=name, door=Door.MENTION, **more),
    ]


def _both(name: str, right: Action, action: ActionId, prepare: Prepare, happened: Happened, **more: Any) -> list[Act]:
    """The same button below a card and on the Home tab."""
    quick = more.pop("quick", False)
    more |= {"right": right, "by": action, "happened": happened}
    return [
        Act(name=name, door=Door.BUTTON, prepare=pressed(prepare, action), quick=quick, **more),
        Act(name=name, door=Door.HOME, prepare=at_home(prepare, action, SECOND), **more),
    ]


def _button(name: str, right: Action, action: ActionId, prepare: Prepare, happened: Happened, **more: Any) -> Act:
    return Act(name=name, right=right, door=Door.BUTTON, by=action, prepare=prepare, happened=happened, **more)


def _sent(name: str, right: Action, callback: str, prepare: Prepare, happened: Happened, **more: Any) -> Act:
    return Act(name=name, right=right, door=Door.FORM, by=callback, prepare=prepare, happened=happened, **more)


_BLOCKED = f"{WAITS} v1.2 {{e}}"
"""An order that a lock or a freeze stops; the answer has buttons."""
_GLASS = f"break-glass {STUCK} v1.0 {{e}} {REASON} confirm={STUCK}"

PLAIN: Sequence[Act] = (
    *_said("order", Action.DEPLOY, Verb.DEPLOY, f"{WAITS} v1.2 {{e}}", nothing(), ordered),
    *_said("start", Action.DEPLOY, Verb.START, "start #{n}", held, goes_on),
    *_both("start", Action.DEPLOY, ActionId.START, held, goes_on),
    _button("wait", Action.DEPLOY, ActionId.WAIT, pressed(locked, ActionId.WAIT, _BLOCKED), ordered, quick=True),
    _sent("order", Action.DEPLOY, names.DEPLOY_FORM, form_of("", names.DEPLOY_FORM), ordered, quick=True,
          fields={"service": WAITS, "version": "v1.2", "environment": "{e}"}),
    *_said("roll back", Action.ROLLBACK, Verb.ROLLBACK, f"rollback {STUCK} {{e}}", nothing(), rolls_back,
           service=STUCK),
    _button("roll back", Action.ROLLBACK, ActionId.ROLL_BACK, pressed(runs_there, ActionId.ROLL_BACK), rolls_back,
            service=STUCK),
    *_both("put back", Action.ROLLBACK, ActionId.PUT_BACK, stuck, resolved, service=STUCK),
    *_said("abort", Action.ABORT, Verb.ABORT, "abort #{n}", waiting(), moment("aborted"),
           also=(Action.APPROVE, Action.ROLLBACK)),
    *_both("abort", Action.ABORT, ActionId.ABORT, waiting(), moment("aborted"),
           also=(Action.APPROVE, Action.ROLLBACK)),
    *_both("retry", Action.RESOLVE, ActionId.RETRY, stuck, resolved, service=STUCK, quick=True),
    *_both("mark", Action.RESOLVE, ActionId.MARK_SUCCEEDED, stuck, resolved, service=STUCK),
    *_said("approve", Action.APPROVE, Verb.APPROVE, "approve #{n}", waiting(STUCK), moment("queued"), service=STUCK),
    *_said("reject", Action.APPROVE, Verb.REJECT, f"reject #{{n}} {REASON}", waiting(), moment("rejected")),
    *_both("approve", Action.APPROVE, ActionId.APPROVE, waiting(STUCK), moment("queued"), service=STUCK, quick=True),
    *_both("reject", Action.APPROVE, ActionId.REJECT, waiting(), shown(names.REJECT_FORM)),
    _sent("reject", Action.APPROVE, names.REJECT_FORM,
          form(pressed(waiting(), ActionId.REJECT), names.REJECT_FORM), moment("rejected"), quick=True,
          fields={"reason": "not like this"}),
    *_said("lock", Action.LOCK, Verb.LOCK, f"lock {WAITS} {{e}} {REASON}", nothing(), row(_MINE), quick=True),
    _button("take over", Action.LOCK, ActionId.TAKE_OVER, pressed(locked, ActionId.TAKE_OVER, _BLOCKED),
            shown(names.TAKE_OVER_FORM)),
    _sent("take over", Action.LOCK, names.TAKE_OVER_FORM,
          form(pressed(locked, ActionId.TAKE_OVER, _BLOCKED), names.TAKE_OVER_FORM), row(_MINE),
          fields={"reason": "I need it"}),
    _button("ask the owner", Action.LOCK, ActionId.ASK_OWNER, pressed(locked, ActionId.ASK_OWNER, _BLOCKED),
            row("SELECT 1 FROM notices WHERE key LIKE 'lock_asked:' || :id || ':' || :who || ':%'"),
            also=(Action.DEPLOY, Action.ROLLBACK), says="may not deploy anything"),
    *_said("unlock", Action.UNLOCK, Verb.UNLOCK, f"unlock {WAITS} {{e}}", locked, row(_ENDED.format(table="locks"))),
    _button("unlock", Action.UNLOCK, ActionId.UNLOCK, pressed(locked, ActionId.UNLOCK, "locks"),
            row(_ENDED.format(table="locks"))),
    Act(name="unlock", right=Action.UNLOCK, door=Door.HOME, by=ActionId.UNLOCK,
        prepare=at_home(locked, ActionId.UNLOCK), happened=row(_ENDED.format(table="locks")), quick=True),
    _sent("ask for an override", Action.DEPLOY, names.OVERRIDE_FORM,
          form(pressed(frozen, ActionId.ASK_OVERRIDE, _BLOCKED), names.OVERRIDE_FORM),
          row("SELECT 1 FROM overrides WHERE kind = 'freeze' AND body LIKE :like"), quick=True,
          fields={"reason": "it cannot wait"}),
    _button("agree", Action.OVERRIDE_FREEZE, ActionId.AGREE, asked_override,
            row("SELECT 1 FROM overrides WHERE id = :id AND body LIKE :like"), quick=True),
    *_said("break the glass", Action.BREAK_GLASS, Verb.BREAK_GLASS, _GLASS, nothing(), broke, service=STUCK,
           needs=(Action.DEPLOY,)),
    _sent("break the glass", Action.BREAK_GLASS, names.BREAK_GLASS_FORM,
          form_of(f"break-glass {STUCK} v1.0 {{e}}", names.BREAK_GLASS_FORM), broke, service=STUCK,
          needs=(Action.DEPLOY,), fields={"reason": "it burns", "confirm": STUCK}),
    _button("review", Action.BREAK_GLASS, ActionId.REVIEW, to_review,
            row("SELECT 1 FROM overrides WHERE id = :id AND reviewed_at IS NOT NULL AND body LIKE :like"),
            service=STUCK, also=(Action.CONFIGURE,), says="may not review broken glass for"),
    Act(name="review", right=Action.BREAK_GLASS, door=Door.HOME, by=ActionId.REVIEW,
        prepare=at_home(broken, ActionId.REVIEW, SECOND),
        happened=row("SELECT 1 FROM overrides WHERE id = :id AND reviewed_at IS NOT NULL AND body LIKE :like"),
        service=STUCK, also=(Action.CONFIGURE,), says="may not review broken glass for"),
    *_said("run next", Action.RUN_NEXT, Verb.RUN_NEXT, f"run-next #{{n}} {REASON}", queued, recorded("run_next"),
           service=STUCK),
    *_said("move", Action.SCHEDULE, Verb.SCHEDULE, 'schedule #{n} at="in 5h"', scheduled,
           row("SELECT 1 FROM schedules WHERE deployment_id = :id AND version > 1")),
    *_said("freeze", Action.CONFIGURE, Verb.FREEZE, f"freeze {WAITS} {{e}} {REASON}", nothing(),
           row("SELECT 1 FROM freezes WHERE scope = :scope AND ended_at IS NULL AND body LIKE :like")),
    *_said("unfreeze", Action.CONFIGURE, Verb.UNFREEZE, f"unfreeze {WAITS} {{e}}", frozen,
           row(_ENDED.format(table="freezes"))),
    _button("lift", Action.CONFIGURE, ActionId.UNFREEZE, pressed(frozen, ActionId.UNFREEZE, "locks"),
            row(_ENDED.format(table="freezes"))),
    Act(name="lift", right=Action.CONFIGURE, door=Door.HOME, by=ActionId.UNFREEZE,
        prepare=at_home(frozen, ActionId.UNFREEZE), happened=row(_ENDED.format(table="freezes"))),
)  # fmt: skip

ROLLOUT: Sequence[Act] = (
    *_said("promote", Action.PROMOTE, Verb.PROMOTE, "promote #{n}", paused, went_on, service=ROLLS),
    *_both("promote", Action.PROMOTE, ActionId.PROMOTE, paused, went_on, service=ROLLS),
    *_said("hold", Action.PROMOTE, Verb.HOLD, "hold #{n}", paused, is_held, service=ROLLS),
    *_both("hold", Action.PROMOTE, ActionId.HOLD, paused, is_held, service=ROLLS),
    *_said("resume", Action.PROMOTE, Verb.RESUME, "resume #{n}", held_still, goes_on_again, service=ROLLS),
    *_both("resume", Action.PROMOTE, ActionId.RESUME, held_still, goes_on_again, service=ROLLS),
    *_both("promote fully", Action.PROMOTE, ActionId.PROMOTE_FULL, paused, went_up, service=ROLLS),
)  # fmt: skip
"""About a rollout of several steps that asks people whether it goes on."""
COUNTDOWN: Sequence[Act] = (
    *_both("snooze", Action.ROLLBACK, ActionId.SNOOZE, counting, was_put_off, service=ROLLS),
    *_both("roll back now", Action.ROLLBACK, ActionId.ROLL_BACK_NOW, counting, was_taken_back, service=ROLLS),
    *_both("cancel", Action.ROLLBACK, ActionId.CANCEL_COUNTDOWN, counting, was_called_off, service=ROLLS, quick=True),
    *_said("force", Action.PROMOTE, Verb.PROMOTE, f"promote #{{n}} force {REASON}", failing, was_forced,
           service=ROLLS, needs=(Action.RESOLVE,)),
)  # fmt: skip
"""About one whose check fails."""
ACTS = (*PLAIN, *ROLLOUT, *COUNTDOWN)

_LASTS = "SELECT 1 FROM locks WHERE id = :id AND body LIKE '%kept_until%' AND body NOT LIKE '%kept_until\": null%'"
KEEP = _button("keep", Action.LOCK, ActionId.KEEP, kept, row(_LASTS))
"""Takes no right, and only the lock's owner may."""
NO_DOOR = {
    (Action.PROMOTE, Door.FORM),
    (Action.ROLLBACK, Door.FORM),
    (Action.ABORT, Door.FORM),
    (Action.RESOLVE, Door.COMMAND),
    (Action.RESOLVE, Door.MENTION),
    (Action.RESOLVE, Door.FORM),
    (Action.LOCK, Door.HOME),
    (Action.UNLOCK, Door.FORM),
    (Action.OVERRIDE_FREEZE, Door.COMMAND),
    (Action.OVERRIDE_FREEZE, Door.MENTION),
    (Action.OVERRIDE_FREEZE, Door.FORM),
    (Action.OVERRIDE_FREEZE, Door.HOME),
    (Action.RUN_NEXT, Door.BUTTON),
    (Action.RUN_NEXT, Door.FORM),
    (Action.RUN_NEXT, Door.HOME),
    (Action.SCHEDULE, Door.BUTTON),
    (Action.SCHEDULE, Door.FORM),
    (Action.SCHEDULE, Door.HOME),
    (Action.CONFIGURE, Door.FORM),
}
"""Where there is no way to use a right."""
ELSEWHERE = {
    ActionId.KEEP: "only the owner may, which takes no right: test_only_its_owner_keeps_a_lock",
    ActionId.ASK_OVERRIDE: "only opens the form, where the right is asked for",
    ActionId.CLOSE_PREVIEW: "takes a cluster: test_only_who_may_deploy_a_service_has_previews_of_it",
    Verb.PREVIEW: "takes a cluster: test_only_who_may_deploy_a_service_has_previews_of_it",
}
CHANGES_NOTHING = {
    Verb.STATUS,
    Verb.HISTORY,
    Verb.QUEUE,
    Verb.WHERE,
    Verb.LOCKS,
    Verb.MAY,
    Verb.DIFF,
    Verb.STATS,
    Verb.PREVIEWS,
    Verb.HELP,
}
