"""A rollout as people see it: what may be pressed, what each button carries, what is said of checks, what is drawn."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from rollout_scenes import (
    BAD,
    ERRORS,
    GOOD,
    at,
    counted,
    points,
    progression,
    question,
    read,
    rollout,
    rollout_scenes,
    seen,
)
from slack_scenes import GRACE, P

from bot.domain.actor import Actor
from bot.domain.analysis.check import Check, Kind
from bot.domain.analysis.countdown import CountdownState
from bot.domain.deployment import Request
from bot.domain.grammar import PromoteIntent, Vocabulary, parse
from bot.domain.ids import DeploymentId
from bot.domain.metric import Track
from bot.domain.strategy.moves import Abort, Cause
from bot.domain.strategy.plan import PlannedStep
from bot.domain.view import Overview
from bot.slack.names import ActionId, ButtonValue
from bot.slack.render import answers
from bot.slack.render.buttons import buttons
from bot.slack.render.checks import check_lines
from bot.slack.render.deployment import root, spoken, status
from bot.slack.render.home import home
from bot.slack.render.notes import notes
from bot.slack.render.picture import picture
from bot.slack.render.steps import steps

if TYPE_CHECKING:
    from bot.domain.progression import Looks
    from bot.domain.view import DeploymentView

SCENES = rollout_scenes()
_PROMOTING = {ActionId.PROMOTE, ActionId.PROMOTE_FULL}
_COUNTING = {ActionId.CANCEL_COUNTDOWN, ActionId.SNOOZE, ActionId.ROLL_BACK_NOW}


def labels(view: DeploymentView) -> list[str]:
    return [one["text"]["text"] for one in buttons(view)]


def value(view: DeploymentView, label: str) -> ButtonValue:
    found = next(one for one in buttons(view) if one["text"]["text"] == label)
    read_back = ButtonValue.decode(found["value"])
    assert read_back is not None
    return read_back


def card(view: DeploymentView) -> str:
    return "\n".join(
        block["text"]["text"] for block in root(view).blocks if block["type"] == "section" and "text" in block
    )


def note(view: DeploymentView, key: str) -> Any:
    return next(one for one in notes(view) if one.key == key)


def test_each_button_carries_the_step_that_its_presser_saw_and_the_weight_it_names() -> None:
    asks = SCENES["rollout.asks"]
    assert labels(asks) == ["Promote to 50 %", "Promote to 100 %", "Hold", "Abort"]
    number = asks.deployment.version
    assert value(asks, "Promote to 50 %") == ButtonValue(asks.deployment.id, number, step=0, to=50)
    assert value(asks, "Promote to 100 %") == ButtonValue(asks.deployment.id, number, step=0, to=100)
    assert value(asks, "Hold") == ButtonValue(asks.deployment.id, number, step=0)
    assert value(SCENES["rollout.asks_last"], "Promote to 100 %").step == 1
    assert value(SCENES["rollout.held"], "Resume").step == 0


@pytest.mark.parametrize("name", sorted(SCENES))
def test_promote_is_offered_only_where_it_would_be_obeyed(name: str) -> None:
    view = SCENES[name]
    offered = {one["action_id"] for one in buttons(view)} & _PROMOTING
    asked = view.deployment.progression.question if view.deployment.progression else None
    assert bool(offered) == bool(asked and not asked.refused)
    for thread in notes(view):
        ids = {
            one["action_id"]
            for block in thread.message.blocks
            for one in block.get("elements", ())
            if "action_id" in one
        }
        assert ids & _PROMOTING <= offered


@pytest.mark.parametrize("state", list(CountdownState))
@pytest.mark.parametrize("phase", [P.DEPLOYING, P.SUCCEEDED, P.FAILED, P.ROLLED_BACK])
def test_a_countdown_can_be_stopped_only_while_it_runs(state: CountdownState, phase: P) -> None:
    view = rollout(phase, progression(looks=BAD), countdown=counted(state))
    offered = {one["action_id"] for one in buttons(view)} & _COUNTING
    runs = state is CountdownState.RUNNING and phase in {P.DEPLOYING, P.SUCCEEDED}
    assert offered == (_COUNTING if runs else set())


def test_nothing_can_be_pressed_while_a_word_is_obeyed_or_once_it_is_taken_back() -> None:
    asked = replace(SCENES["rollout.asks"].deployment, request=Request(actor=GRACE, at=at(10)))
    assert buttons(replace(SCENES["rollout.asks"], deployment=asked)) == []
    going = progression()
    position = replace(going.position, abort=Abort(cause=Cause.CHECKS, why="errors."))
    assert labels(rollout(P.DEPLOYING, replace(going, position=position))) == ["Abort"]


def test_a_refused_question_says_how_to_force_it_in_words_that_are_understood() -> None:
    refused = SCENES["rollout.refused"]
    assert labels(refused) == ["Hold", "Abort"]
    command = "/deploy promote #42 force reason=…"
    for text in (card(refused), note(refused, "decide.0").message.blocks[0]["text"]["text"]):
        assert text.count("errors fails. Who may resolve can force it") == 1
        assert text.count("8.2 %") == 1, "the number is with its check and nowhere else"
        assert f"`{command}`" in text
    words = Vocabulary(services=(), environments=(), homes={}, strategies=())
    said = parse(command.removeprefix("/deploy "), vocabulary=words)
    assert said == PromoteIntent(deployment=42, force=True, reason="…")


def test_a_countdown_is_the_headline_and_only_what_stops_or_hastens_it_is_offered() -> None:
    for name in ("rollout.countdown", "rollout.countdown_snoozed", "bake.countdown"):
        view = SCENES[name]
        assert status(view).startswith("! *Automatic rollback* at <!date^")
        assert card(view).count("Automatic rollback") == 1
        assert spoken(view).startswith("checkout to staging: automatic rollback at <!date^")
        assert labels(view)[:3] == ["Roll back now", "Cancel auto-rollback", "Snooze 10 min"]
        assert labels(view)[3:] == (["Abort"] if name.startswith("rollout") else [])
    stopping = SCENES["rollout.countdown"]
    asked = replace(stopping.deployment, request=Request(actor=GRACE, at=at(10)))
    assert status(replace(stopping, deployment=asked)).startswith("● *Deploying*"), "somebody stops it already"


def test_while_it_is_taken_back_the_headline_says_that() -> None:
    fired = rollout(P.DEPLOYING, progression(looks=BAD), countdown=counted(CountdownState.FIRED, by=GRACE))
    assert status(fired).startswith("↺ *Automatic rollback* now, as Grace Hopper says – errors: 8.2 %")
    assert card(fired).count("Automatic rollback") == 1
    assert spoken(fired).startswith("checkout to staging: automatic rollback, step")


def test_what_has_tripped_says_when_there_is_no_number_any_more() -> None:
    silent = seen(ERRORS, [0.05, 0.081, 0.082, None])
    [line] = [line for line in check_lines(rollout(P.DEPLOYING, progression(looks=(silent,)))) if "*errors*" in line]
    assert line.startswith("✗ *errors* – Tripped: by now no data: connection refused · limit 2 %")


def test_what_failed_is_told_once_on_the_last_card() -> None:
    assert card(SCENES["rollout.failed"]).count("8.2 % of 240 samples") == 1
    assert status(SCENES["rollout.failed"]).count("8.2 % of 240 samples") == 1
    assert "↺ *Automatic rollback* – its time was up." in card(SCENES["rollout.failed"])


def test_the_countdowns_note_says_when_its_numbers_were_and_that_the_card_has_newer_ones() -> None:
    text = note(SCENES["rollout.countdown"], next(iter(_countdowns("rollout.countdown")))).message.blocks[0]
    assert "; the card has the newest numbers." in text["text"]["text"]
    assert "looked at" not in text["text"]["text"]


def green(**changes: Any) -> DeploymentView:
    """Green is up beside blue and has no traffic yet."""
    going = progression(looks=())
    reached = replace(going.steps[0], weight=0, **changes)
    asked = replace(question(), weight=0, options=(100,))
    going = replace(going, position=replace(going.position, weight=0), question=asked, steps=(reached,))
    shown = rollout(P.PAUSED, going)
    return replace(shown, steps=(PlannedStep(weight=0, bake=5.0, approval=True), PlannedStep(weight=100, bake=15.0)))


def test_what_has_no_traffic_yet_is_switched_to_and_not_promoted() -> None:
    view = green()
    assert labels(view) == ["Switch all traffic", "Hold", "Abort"]
    assert value(view, "Switch all traffic") == replace(value(view, "Hold"), to=100)
    [press, hold, _] = buttons(view)
    assert press["accessibility_label"] == "Switch all traffic of checkout in staging to v1.2"
    assert press["confirm"]["title"]["text"] == "Switch all traffic to #42?"
    assert press["confirm"]["text"]["text"].endswith("What runs now is kept ready to switch back to.")
    assert hold["accessibility_label"] == "Hold v1.2 of checkout in staging before it gets any traffic"
    shown = card(view)
    assert "*Rollout* – step 1 of 2, no traffic yet · since" in shown
    assert "*Waits for a decision* – switch all traffic to it? ·" in shown
    assert "○ *errors* – looked at as soon as it gets traffic" in shown
    assert "0 %" not in shown.replace("100 %", "")
    assert ", no traffic yet, waits for a decision" in spoken(view)
    asked = note(view, "decide.0").message.blocks[0]["text"]["text"]
    assert "to staging gets no traffic yet. Switch all traffic to it? <@U0ADA>, please say by" in asked


def test_a_switch_is_told_as_one() -> None:
    view = green(left=at(10), by=GRACE, asked=True)
    progressed = view.deployment.progression
    assert progressed is not None
    after = replace(progressed.steps[0], step=1, weight=100, at=at(10), left=None, by=None, asked=False)
    going = replace(progressed, question=None, steps=(progressed.steps[0], after))
    going = replace(going, position=replace(going.position, step=1, weight=100))
    view = replace(view, deployment=replace(view.deployment, progression=going, phase=P.DEPLOYING))
    said = {one.key: one.message.text for one in notes(view)}
    asked = "○ A decision was asked for: #42 checkout v1.2 to staging before the switch"
    assert said["decide.0"] == f"{asked} – all traffic was switched by Grace Hopper."
    assert said["step.0"] == "✓ All traffic is switched to v1.2 by Grace Hopper."
    assert "step 2 of 2, all of the traffic" in card(view)


def _countdowns(scene: str) -> list[str]:
    return [one.key for one in notes(SCENES[scene]) if one.key.startswith("countdown.")]


def test_the_card_tells_step_weight_and_every_check_with_limit_baseline_samples_and_age() -> None:
    view = SCENES["rollout.second_step"]
    assert "*Rollout* – step 2 of 3, 50 % of the traffic" in card(view)
    assert "step 2 of 3, 50 %" in next(step.detail for step in steps(view) if step.key == "deploy")
    assert "50 % of the traffic" in spoken(view)
    line = next(line for line in check_lines(view) if "*errors*" in line)
    assert line.startswith(
        "✓ *errors* – Pass: 1 % · limit 2 % · stable 0.9 %, so at most 1.9 % · 240 samples · 2 s old at <!date^"
    )
    bad = next(line for line in check_lines(SCENES["rollout.refused"]) if "*errors*" in line)
    assert bad.startswith(
        "✗ *errors* – Tripped: 8.2 % · limit 2 % · stable 0.9 %, so at most 1.9 % · 240 samples · "
        "2 of the last 3 looks failed · 2 s old"
    )


def test_what_cannot_tell_says_why_and_what_fails_comes_first() -> None:
    doubtful = check_lines(SCENES["rollout.doubtful"])
    assert doubtful[0].startswith("? *errors* – Cannot tell: only 12 of the 20 samples that it takes · limit 2 %")
    assert doubtful[1].startswith("? *orders* – Cannot tell, and need not: no data: connection refused")
    assert check_lines(SCENES["rollout.refused"])[0].startswith("✗ *errors*")
    assert check_lines(SCENES["rollout.forced"])[0].startswith(
        "! *errors* – Waived by Grace Hopper (The errors are a bot's)"
    )
    many = check_lines(SCENES["rollout.many_checks"])
    assert many[-1] == "… and 5 more checks"


def test_what_failed_before_the_deployment_is_said_to_be_ignored() -> None:
    before = read(0.09, -5, 2_000.0)
    alone = replace(ERRORS, against_stable=None)
    going = replace(progression(looks=(seen(alone, [0.085], before=before),)), before={"errors": before})
    line = check_lines(rollout(P.DEPLOYING, going, checks=(alone,)))[0]
    assert line.startswith("– *errors* – Ignored (pre-existing): 8.5 % · limit 2 % · before 9 %")


def test_each_finished_step_is_told_once_with_its_numbers() -> None:
    passed = note(SCENES["rollout.second_step"], "step.0")
    assert passed.message.text == (
        "✓ Step 1 of 3 passed at 20 %: errors 1 % (limit 2 %), latency 121 ms (limit 250 ms). Promoted by Ada Lovelace."
    )
    assert passed.picture is None, "it is with the question that was asked there"
    assert not passed.live
    unasked = SCENES["rollout.second_step"]
    going = unasked.deployment.progression
    assert going is not None
    by_itself = (replace(going.steps[0], asked=False, by=None), going.steps[1])
    shown = replace(unasked, deployment=replace(unasked.deployment, progression=replace(going, steps=by_itself)))
    assert note(shown, "step.0").picture is not None
    assert "Promoted" not in note(shown, "step.0").message.text
    forced = note(SCENES["rollout.forced"], "step.0").message.text
    assert forced.startswith("! Step 1 of 3 left at 20 % although errors does not pass")
    assert "Forced by Grace Hopper: The errors are a bot's." in forced
    elsewhere = [one.key for one in notes(SCENES["rollout.elsewhere"])]
    assert "elsewhere.1" in elsewhere
    assert "step.0" not in elsewhere


def test_a_question_that_is_over_is_edited_and_never_posted_late() -> None:
    over = note(SCENES["rollout.answered"], "decide.0")
    assert over.settled
    assert over.live
    assert over.picture is None
    assert "promoted to 50 % by Ada Lovelace" in over.message.text
    asks = note(SCENES["rollout.asks"], "decide.0")
    assert not asks.settled
    assert asks.picture is not None


def test_the_thread_is_not_edited_for_every_number_but_for_what_can_be_done() -> None:
    def digest(name: str, key: str, looks: tuple[Looks, ...], **changes: object) -> str:
        shown = SCENES[name]
        assert shown.deployment.progression is not None
        going = replace(shown.deployment.progression, looks=looks)
        made = replace(shown.deployment, progression=going, **changes)  # type: ignore[arg-type]  # its own names
        return str(note(replace(shown, deployment=made), key).message.digest)

    key, other = "countdown.20251103093240", (seen(ERRORS, [0.06, 0.07, 0.09]), *BAD[1:])
    assert digest("rollout.countdown", key, BAD) == digest("rollout.countdown", key, other)
    snoozed = counted(deadline=at(750), snoozes=1)
    assert digest("rollout.countdown", key, BAD) != digest("rollout.countdown", key, BAD, countdown=snoozed)
    assert digest("rollout.asks", "decide.0", GOOD) == digest("rollout.asks", "decide.0", BAD)
    asks, refused = (note(SCENES[name], "decide.0").message.digest for name in ("rollout.asks", "rollout.refused"))
    assert asks != refused
    card = {root(replace(SCENES["rollout.asks"], deployment=replace(
        SCENES["rollout.asks"].deployment, progression=progression(looks=looks, question=question())
    ))).digest for looks in (GOOD, BAD)}  # fmt: skip
    assert len(card) == 2, "there the numbers stay true"


def test_people_are_reminded_once_and_then_others_in_the_channel() -> None:
    keys = [one.key for one in notes(SCENES["rollout.asks_in_vain"])]
    assert keys == ["decide.0", "decide.0.nudge", "decide.0.escalated"]
    assert note(SCENES["rollout.asks_in_vain"], "decide.0.escalated").broadcast


def test_pictures_go_with_the_countdown_and_with_what_came_of_it() -> None:
    key = "countdown.20251103093240"
    assert note(SCENES["rollout.countdown"], key).picture is not None
    assert note(SCENES["rollout.failed"], "failed").picture is not None
    assert note(SCENES["bake.fired"], "rolled_back").picture is not None
    assert note(SCENES["rollout.failed"], key).settled
    assert not note(SCENES["bake.paged"], key).settled, "somebody must decide, so it is told however late"
    assert note(SCENES["rollout.aborted"], "aborted").picture is None


def test_a_picture_shows_both_tracks_the_limit_what_was_before_and_every_step() -> None:
    drawn = picture(rollout(P.DEPLOYING, progression(1, looks=BAD), readings={
        "errors": {Track.CANARY: points([*[0.01] * 12, 0.08]), Track.STABLE: points([0.009] * 13)},
    }))  # fmt: skip
    assert drawn is not None
    assert [one.label for one in drawn.series] == ["v1.2", "v1.1 (stable)", "before: 0.7 %"]
    assert [value for _, value in drawn.series[2].points] == [pytest.approx(0.7)] * 2
    assert [(one.label, one.value) for one in drawn.limits] == [("limit 2 %", 2.0)]
    assert [one.label for one in drawn.spans] == ["20 % of traffic", "50 % of traffic"]
    assert drawn.spans[0].end == drawn.spans[1].begin == at(300)
    assert drawn.unit == "%"
    for fact in ("last 8 %", "between 1 % and 8 %", "limit 2 %", "20 % from 09:31:10 UTC", "8.2 % of 240 samples"):
        assert fact in drawn.alt


def test_without_any_number_there_is_no_picture() -> None:
    assert picture(rollout(P.DEPLOYING, progression(), readings={})) is None
    nothing = {"errors": {Track.CANARY: points([None, None])}}
    assert picture(rollout(P.DEPLOYING, progression(), readings=nothing)) is None
    assert picture(rollout(P.DEPLOYING, None)) is None


def test_a_limit_of_zero_is_drawn_too() -> None:
    check = replace(ERRORS, limit=0.0)
    drawn = picture(rollout(P.DEPLOYING, progression(), checks=(check,)))
    assert drawn is not None
    assert drawn.limits[0].value == 0.0


def test_the_home_tab_and_the_list_tell_the_step_and_what_people_are_asked() -> None:
    asks, fails = SCENES["rollout.asks"], SCENES["rollout.countdown"]
    shown = str(home(Overview(running=[asks], placements=[], attention=[asks.deployment.id], at=at(0)))["blocks"])
    assert "Needs attention" in shown
    assert "promote to 50 % or 100 %?" in shown
    assert "'Promote to 50 %'" in shown
    assert "*Automatic rollback* at" in str(home(Overview(running=[fails], placements=[], at=at(0)))["blocks"])
    assert "step 1 of 3, 20 %" in str(answers.statuses("Under way", [asks]).blocks)


HOSTILE = ["<!channel>", "*bold* `code` ~x~", "a\nb\n> c", "\u202egnp", "\ud800", "x" * 5_000, "&<>" * 900, ":tada:"]


@pytest.mark.parametrize("bad", HOSTILE)
def test_hostile_names_and_sentences_stay_text(bad: str) -> None:
    actor = Actor(workspace="T0SANDBOX", id=bad, name=bad)
    hostile = Check(name=f"x{bad}", source=bad, query="q", unit=bad, limit=1.0)
    share = replace(ERRORS, name=f"y{bad}", kind=Kind.SHARE)
    looks = (seen(hostile, [5.0, 6.0, 7.0], stable=1.0), seen(share, [None]))
    going = progression(1, looks, why=bad, question=replace(question(1), refused=bad, why=bad))
    position = replace(going.position, approved_by=actor)
    steps_ = tuple(replace(one, by=actor, judgements=tuple(x.last for x in looks if x.last)) for one in going.steps)
    view = rollout(
        P.PAUSED, replace(going, position=position, steps=steps_), checks=(hostile, share),
        countdown=counted(CountdownState.CANCELLED, why=bad, by=actor, barred=bad), reminded=True, escalated=True,
    )  # fmt: skip
    whole = json.dumps([root(view).blocks, *(one.message.blocks for one in notes(view))], ensure_ascii=False)
    assert "<!channel>" not in whole
    assert "\u202e" not in whole
    assert "\ud800" not in whole
    drawn = picture(replace(view, readings={hostile.name: {Track.CANARY: points([1.0, 2.0])}}))
    assert drawn is not None
    drawn.alt.encode()


@pytest.mark.parametrize(
    "entries",
    [
        {"n": True}, {"n": -1}, {"n": "0"}, {"n": 1.5}, {"n": 2**70}, {"n": [0]},
        {"n": 0, "t": 0}, {"n": 0, "t": False}, {"n": 0, "t": "50"}, {"n": 0, "t": -50}, {"n": 0, "t": {}},
    ],
)  # fmt: skip
def test_a_step_or_a_weight_that_is_none_makes_the_button_none(entries: dict[str, object]) -> None:
    assert ButtonValue.decode(json.dumps({"d": "d1", "v": 1, **entries})) is None


def test_a_step_comes_back_whole_the_first_one_too() -> None:
    for made in (ButtonValue(DeploymentId("d1"), 3, step=0, to=50), ButtonValue(DeploymentId("d1"), 3, step=4)):
        assert ButtonValue.decode(made.encode()) == made
    assert {action.carries for action in (*_PROMOTING, *_COUNTING, ActionId.HOLD, ActionId.RESUME)} == {ButtonValue}
