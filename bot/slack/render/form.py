"""The deploy form: what the bare command opens.

The skeleton is sent at once, because a trigger lives three seconds; the form replaces it. Nothing here asks anybody
for services or versions: it is given what it shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from bot.domain.errors import BadCommand, NotAuthorized, NothingToDo, RevisionNotFound, UnknownEnvironment
from bot.slack.names import DEPLOY_FORM, LOADING_FORM, FormField
from bot.slack.render import blocks as b
from bot.slack.render import limits
from bot.slack.render.text import clean, plain, sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bot.domain.errors import RequestRefused

_TITLE = "Deploy"
_REASON = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class FormValues:
    """What is in the form; empty where nothing was chosen."""

    service: str = ""
    version: str = ""
    environment: str = ""
    reason: str = ""


def loading() -> dict[str, Any]:
    """The skeleton, without anything that has to be looked up."""
    return {
        "type": "modal",
        "callback_id": LOADING_FORM,
        "title": b.plain(_TITLE),
        "close": b.plain("Cancel"),
        "blocks": [b.section("● *Loading* services and environments…")],
    }


def unavailable(why: str) -> dict[str, Any]:
    """The skeleton when there is nothing to fill it with; ``why`` is a sentence, literal."""
    return {**loading(), "close": b.plain("Close"), "blocks": [{"type": "section", "text": b.plain(plain(why, 1_000))}]}


def form(
    environments: Sequence[str], *, values: FormValues | None = None, context: str = "", suggest_after: int = 0
) -> dict[str, Any]:
    """The form, filled with ``values``; at least one environment. ``context``, ≤ 3,000 characters, comes back."""
    given = values or FormValues()
    choices = _options(environments)
    chosen = next((option for option in choices if option["value"] == given.environment), None)
    environment: dict[str, Any] = {
        "type": "static_select",
        "action_id": FormField.ENVIRONMENT.action_id,
        "placeholder": b.plain("Where to"),
        "options": choices,
    }
    if chosen:
        environment["initial_option"] = chosen
    reason: dict[str, Any] = {
        "type": "plain_text_input",
        "action_id": FormField.REASON.action_id,
        "max_length": _REASON,
        "placeholder": b.plain("Why, for the people who read it later"),
    }
    if given.reason:
        reason["initial_value"] = plain(given.reason, _REASON)
    service = _suggest(FormField.SERVICE, "Choose a service", given.service, suggest_after)
    version = _suggest(FormField.VERSION, "Choose a version", given.version, suggest_after)
    return {
        "type": "modal",
        "callback_id": DEPLOY_FORM,
        "title": b.plain(_TITLE),
        "submit": b.plain("Deploy"),
        "close": b.plain("Cancel"),
        "private_metadata": context[: limits.METADATA],
        "blocks": [
            _input(FormField.SERVICE, "Service", service),
            _input(FormField.VERSION, "Version", version, hint="Type to search; the newest come first."),
            _input(FormField.ENVIRONMENT, "Environment", environment),
            _input(FormField.REASON, "Reason", reason, optional=True),
        ],
    }


def options(names: Iterable[str]) -> dict[str, Any]:
    """The answer to a typeahead; what is too long to come back whole is left out."""
    return {"options": _options(names)}


def submitted(view: Mapping[str, Any]) -> FormValues:
    """What somebody chose, read from the ``view`` of a submission or a typeahead; what is missing is empty."""
    state = view.get("state")
    values = state.get("values") if isinstance(state, Mapping) else None
    return FormValues(
        service=_read(values, FormField.SERVICE),
        version=_read(values, FormField.VERSION),
        environment=_read(values, FormField.ENVIRONMENT),
        reason=_read(values, FormField.REASON),
    )


def errors(refused: RequestRefused) -> dict[str, str]:
    """The refusal at the input that it is about, as ``response_action: errors`` wants it."""
    match refused:
        case UnknownEnvironment() | NotAuthorized():
            field = FormField.ENVIRONMENT
        case RevisionNotFound() | NothingToDo():
            field = FormField.VERSION
        case _:
            field = FormField.SERVICE
    text = sentence(refused.message)
    if isinstance(refused, BadCommand) and refused.suggestions:
        text += f" Did you mean {', '.join(refused.suggestions[:3])}?"
    if refused.hint:
        text += f" {sentence(refused.hint)}"
    return {field.value: plain(text, 300) or "This cannot be done."}


def _suggest(field: FormField, placeholder: str, value: str, after: int) -> dict[str, Any]:
    element: dict[str, Any] = {
        "type": "external_select",
        "action_id": field.action_id,
        "placeholder": b.plain(placeholder),
        "min_query_length": after,
    }
    if _fits(value):
        element["initial_option"] = _option(value)
    return element


def _options(names: Iterable[str]) -> list[dict[str, Any]]:
    found = (_option(name) for name in dict.fromkeys(names) if _fits(name))
    return list(islice(found, limits.OPTIONS))


def _fits(name: str) -> bool:
    return len(name) <= limits.OPTION_VALUE and bool(clean(name))


def _option(name: str) -> dict[str, Any]:
    return {"text": b.plain(plain(name, limits.OPTION_TEXT)), "value": name}


def _input(
    field: FormField, label: str, element: dict[str, Any], *, hint: str = "", optional: bool = False
) -> dict[str, Any]:
    block: dict[str, Any] = {
        "type": "input",
        "block_id": field.value,
        "label": b.plain(label),
        "element": element,
        "optional": optional,
    }
    if hint:
        block["hint"] = b.plain(hint)
    return block


def _read(values: object, field: FormField) -> str:
    block = values.get(field.value) if isinstance(values, Mapping) else None
    element = block.get(field.action_id) if isinstance(block, Mapping) else None
    if not isinstance(element, Mapping):
        return ""
    option = element.get("selected_option")
    value = option.get("value") if isinstance(option, Mapping) else element.get("value")
    return value if isinstance(value, str) else ""
