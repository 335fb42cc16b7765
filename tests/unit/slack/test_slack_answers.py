"""What answers say, what buttons carry, what the form brings back."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_scenes import ADA, CHECKOUT, GRACE, STAGING, START, deployment, queue, release, scenes, view

from bot.domain.deployment import Resolution
from bot.domain.errors import BadCommand, NotAuthorized, ProviderUnavailable, RevisionNotFound, UnknownEnvironment
from bot.domain.grammar.help import usage
from bot.domain.grammar.vocabulary import Vocabulary
from bot.domain.history import Placement
from bot.domain.ids import DeploymentId, LockScope
from bot.domain.lifecycle import Phase
from bot.domain.rollout import Plan
from bot.domain.view import Overview
from bot.sandbox import blocks as sandbox
from bot.slack.names import RESOLUTIONS, ActionId, ButtonValue, FormField
from bot.slack.render import answers, form, limits
from bot.slack.render.buttons import buttons
from bot.slack.render.deployment import root
from bot.slack.render.home import home
from bot.slack.render.limits import fit, size
from bot.slack.render.notes import notes
from bot.slack.render.placed import placed
from bot.slack.render.plans import dry_run
from bot.slack.render.text import duration

FORM = form.form(["staging", "production"], values=form.FormValues(service="checkout", environment="production"))


def labels(name: str) -> list[str]:
    return [button["text"]["text"] for button in buttons(scenes()[name])]


@pytest.mark.parametrize(
    ("scene", "expected"),
    [
        ("queued", ["Abort"]),
        ("deploying", ["Abort"]),
        ("deploying.abort_asked", []),
        ("succeeded", ["Roll back to v1.1"]),
        ("succeeded.first", []),
        ("succeeded.replaced_since", []),
        ("rolled_back", []),
        ("failed", []),
        ("needs_attention", ["Retry", "Mark succeeded", "Roll back", "Abort"]),
        ("needs_attention.first", ["Retry", "Mark succeeded", "Abort"]),
        ("needs_attention.retry_asked", []),
    ],
)
def test_only_what_would_be_obeyed_can_be_pressed(scene: str, expected: list[str]) -> None:
    assert labels(scene) == expected


def test_every_button_asks_first_and_names_service_and_environment() -> None:
    for shown in scenes().values():
        for button in buttons(shown):
            if button["action_id"] == ActionId.REJECT:  # opens a form
                assert "checkout in staging" in button["accessibility_label"]
                continue
            assert button["confirm"]["confirm"]["text"] != button["confirm"]["deny"]["text"]
            assert "checkout in staging" in button["accessibility_label"] + button["confirm"]["title"]["text"]


def test_the_rollback_dialog_says_what_changes_who_deployed_it_and_how_long_it_was_healthy() -> None:
    [button] = buttons(view(Phase.SUCCEEDED))
    assert button["confirm"]["text"]["text"] == (
        "checkout in staging changes from v1.2 to v1.1 (76312e317631). "
        "v1.1 was deployed by Grace Hopper and was healthy for 3 d."
    )


def test_the_same_view_has_the_same_digest_and_metadata_is_no_part_of_it() -> None:
    one, other = view(Phase.DEPLOYING), view(Phase.DEPLOYING)
    assert root(one).digest == root(other).digest
    assert root(replace(one, deployment=one.deployment.touch())).digest == root(one).digest
    assert root(view(Phase.VERIFYING)).digest != root(one).digest
    metadata = root(one).metadata["event_payload"]
    assert metadata["deployment_id"] == one.deployment.id
    assert metadata["number"] == 42
    assert metadata["phase"] == "deploying"
    assert metadata["view"] == one.deployment.view


def test_the_thread_is_told_only_what_must_be_noticed() -> None:
    keys = {phase: [note.key for note in notes(view(phase))] for phase in Phase}
    assert {phase for phase, found in keys.items() if not found} == {
        Phase.REQUESTED, Phase.QUEUED, Phase.DEPLOYING, Phase.PAUSED, Phase.VERIFYING,
    }  # fmt: skip
    assert keys[Phase.ROLLED_BACK] == ["succeeded", "rolled_back"]
    assert [note.broadcast for note in notes(view(Phase.FAILED))] == [False]
    assert [note.broadcast for note in notes(view(Phase.FAILED, protected=True))] == [True]
    assert [note.broadcast for note in notes(view(Phase.ABORTED, protected=True))] == [False]


def test_button_values_come_back_whole_and_nothing_else_does() -> None:
    value = ButtonValue(DeploymentId("d01j9x2abcfghjk"), 7)
    assert ButtonValue.decode(value.encode()) == value
    for raw in (None, 7, "", "{}", "[]", "null", '{"d":"x"}', '{"d":1,"v":1}', '{"d":"x","v":true}', '{"d":"x","v":0}',
                '{"d":"../x","v":1}', '{"d":"x","v":"1"}', "[" * 1_900, "x" * 5_000):  # fmt: skip
        assert ButtonValue.decode(raw) is None


@given(st.text() | st.none() | st.integers())
def test_no_button_value_raises(raw: object) -> None:
    ButtonValue.decode(raw)


def test_every_resolution_has_its_button() -> None:
    assert set(RESOLUTIONS.values()) == set(Resolution)
    assert ActionId.ROLL_BACK not in RESOLUTIONS


def test_a_refusal_names_the_nearest_and_the_next_step() -> None:
    error = BadCommand("There is no service 'chekout'.", token="chekout", suggestions=["checkout"], hint="Try it again")
    text = answers.refused(error).text
    assert text == "There is no service 'chekout'. Did you mean checkout? Try it again."
    assert "Not allowed" in str(answers.refused(NotAuthorized("You may not.")).blocks)


def test_errors_of_others_say_when_to_come_back_and_the_unknown_only_a_reference() -> None:
    error = ProviderUnavailable("It does not answer.", provider="registry", retry_after=30.0)
    assert "for 30 s" in answers.failure(error, reference="ab12").text
    assert "ab12" in answers.unexpected("ab12").text


def test_history_tells_date_author_version_outcome_and_duration() -> None:
    text = str(answers.history(CHECKOUT, STAGING, [deployment(Phase.SUCCEEDED), deployment(Phase.FAILED)]).blocks)
    assert "#42 v1.2" in text
    assert "succeeded in 2 m 8 s" in text
    assert "Ada Lovelace" in text
    assert "3 Nov 2025" in text
    many = answers.history(CHECKOUT, None, [deployment(Phase.SUCCEEDED)] * 60)
    assert limits.problems(many.text, many.blocks) == []
    assert "Older ones" in str(many.blocks)


def test_help_shows_each_command_with_an_example_and_nothing_of_it_is_taken_for_markup() -> None:
    places = {"checkout": ("staging",)}
    vocabulary = Vocabulary(services=("checkout",), environments=("staging",), homes=places)
    for command in ("", "/deploy"):
        shown = answers.help_(usage(vocabulary, allowed=None, command=command))
        assert limits.problems(shown.text, shown.blocks) == []
        assert "*/deploy &lt;service&gt; &lt;version&gt; &lt;environment&gt;" in str(shown.blocks)
        assert "/deploy checkout v1.2 staging" in str(shown.blocks)


def test_a_notice_shows_its_detail_word_for_word() -> None:
    shown = answers.notice("The catalog cannot be used", "config.yaml:3:5\n  *x* <!channel>")
    assert shown.text == "The catalog cannot be used."
    assert shown.blocks[1]["elements"][0]["elements"][0]["text"] == "config.yaml:3:5\n  *x* <!channel>"


def test_help_about_what_one_may_not_says_so() -> None:
    shown = answers.help_([])
    assert "takes a right that you do not have" in shown.text
    assert shown.text in str(shown.blocks)


def test_the_queue_tells_holder_order_and_wait() -> None:
    shown = answers.queue(LockScope("staging"), queue().holder, [view(Phase.QUEUED)])
    assert "#40" in shown.text
    assert "1. #42" in str(shown.blocks)
    assert "4 m 12 s" in str(shown.blocks)
    assert "the lock is free, 0 waiting" in answers.queue(LockScope("staging"), None, []).text


def test_the_queue_tells_whom_a_gate_holds() -> None:
    shown = answers.queue(LockScope("staging"), None, [view(Phase.QUEUED), view(Phase.HELD)])
    assert "the lock is free, 2 waiting" in shown.text
    assert "1. #42" in str(shown.blocks)
    assert "2. #42" not in str(shown.blocks)
    assert "‖ #42" in str(shown.blocks)
    assert "held: " in str(shown.blocks)
    assert "Nobody waits" not in str(shown.blocks)


def test_home_puts_what_needs_somebody_first_and_then_the_viewers_own() -> None:
    def numbered(number: int, phase: Phase) -> object:
        return replace(view(phase), deployment=deployment(phase, number=number, requester=GRACE if number % 2 else ADA))

    running_now = [numbered(1, Phase.DEPLOYING), numbered(2, Phase.QUEUED), numbered(3, Phase.NEEDS_ATTENTION)]
    place = Placement(
        service=CHECKOUT, environment=STAGING, release=release("v1.1"), since=START, deployment=None, by=ADA
    )
    overview = Overview(running=running_now, placements=[place], at=START + timedelta(hours=1))  # type: ignore[arg-type]  # a list of views
    shown = str(home(overview, viewer=ADA)["blocks"])
    assert shown.index("*#3") < shown.index("*#2") < shown.index("*#1")
    assert "requested by you" in shown
    assert "checkout: *v1.1*" in shown
    assert sandbox.view_faults(home(Overview(running=[], placements=[], at=START))) == []


def test_what_was_found_without_a_version_is_called_by_its_digest_once() -> None:
    found = replace(release("v1.1"), version=release("v1.1").short_digest)
    line = placed(Placement(service=CHECKOUT, environment=STAGING, release=found, since=START, deployment=None, by=ADA))
    assert line.startswith(f"checkout: *{found.short_digest}* since ")
    tried = dry_run("checkout", "staging", found, Plan(current=None))
    assert f"Dry run of {found.short_digest} for checkout" in tried.text
    assert str(tried.blocks).count(found.short_digest) == 1


def test_the_form_is_one_that_slack_takes_and_prefilled() -> None:
    assert sandbox.view_faults(FORM) == []
    assert sandbox.view_faults(form.loading()) == []
    assert sandbox.view_faults(form.unavailable("The catalog cannot be read.")) == []
    elements = {block["block_id"]: block["element"] for block in FORM["blocks"]}
    assert elements["service"]["initial_option"]["value"] == "checkout"
    assert "initial_option" not in elements["version"]
    assert elements["environment"]["initial_option"]["value"] == "production"


def test_what_was_chosen_is_read_back_and_rubbish_is_empty() -> None:
    state = {
        "service": {"form.service": {"type": "external_select", "selected_option": {"value": "checkout"}}},
        "version": {"form.version": {"type": "external_select", "selected_option": None}},
        "environment": {"form.environment": {"type": "static_select", "selected_option": {"value": "staging"}}},
        "reason": {"form.reason": {"type": "plain_text_input", "value": None}},
    }
    values = form.submitted({"state": {"values": state}})
    assert values == form.FormValues(service="checkout", environment="staging")
    for view_ in ({}, {"state": None}, {"state": {"values": []}}, {"state": {"values": {"service": 1}}}):
        assert form.submitted(view_) == form.FormValues()


def test_a_refusal_stands_at_the_input_that_it_is_about() -> None:
    assert form.errors(RevisionNotFound("No v9.", suggestions=["v1.2"])) == {"version": "No v9. Did you mean v1.2?"}
    assert list(form.errors(UnknownEnvironment("No."))) == [FormField.ENVIRONMENT.value]
    assert list(form.errors(BadCommand("No."))) == [FormField.SERVICE.value]


def test_too_much_is_cut_to_the_budget_and_keeps_the_last_block() -> None:
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "&amp;" * 599}} for _ in range(60)]
    last = {"type": "context", "elements": [{"type": "mrkdwn", "text": "#42"}]}
    fitted = fit([*blocks[:49], last])
    assert size(fitted) <= limits.MESSAGE
    assert fitted[-1] == last
    assert limits.problems("x", fitted) == []
    assert limits.problems("", blocks) != []
    assert json.dumps(blocks[0])  # the input is left as it was


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.01, "0.1 s"),
        (0.42, "0.4 s"),
        (1, "1 s"),
        (9.97, "10 s"),
        (59.6, "1 m"),
        (252, "4 m 12 s"),
        (3_600, "1 h"),
        (11_100, "3 h 5 m"),
        (259_200, "3 d"),
        (198_000, "2 d 7 h"),
    ],
)
def test_durations_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words
