"""What the script grammar accepts, and how it refuses: position, reason, nearest right word."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.sandbox.script.grammar import parse
from bot.sandbox.script.lines import (
    ANYONE,
    PLACES,
    STATES,
    AnyLine,
    Click,
    Command,
    Direct,
    Expect,
    Fault,
    KillBot,
    Mention,
    OpenHome,
    Remember,
    Script,
    Sleep,
    StartBot,
    Submit,
    Wait,
)
from bot.sandbox.script.problems import Problem, ScriptError

PEOPLE = ("ada", "grace", "linus")


def read(text: str) -> tuple[AnyLine, ...]:
    return parse(text, name="a.script", people=PEOPLE).lines


def one(line: str) -> AnyLine:
    """The line alone, after a person's line so that wait and expect may stand."""
    lines = read(f"@ada opens home\n{line}")
    assert len(lines) == 2
    return lines[1]


def refusals(text: str) -> tuple[Problem, ...]:
    with pytest.raises(ScriptError) as caught:
        read(text)
    return caught.value.problems


def refusal(line: str) -> str:
    """How the line alone is refused, without file and line number."""
    problems = refusals(f"@ada opens home\n{line}")
    assert len(problems) == 1
    return str(problems[0]).removeprefix("a.script:2:")


def command(line: str) -> tuple[str, str, str, str]:
    found = one(line)
    assert isinstance(found, Command)
    return found.who, found.channel, found.command, found.text


class TestEveryLineForm:
    def test_command_goes_to_the_default_channel(self) -> None:
        assert command("@ada /deploy checkout v1.2 staging") == (
            "ada",
            "deployments",
            "/deploy",
            "checkout v1.2 staging",
        )

    def test_command_in_a_channel(self) -> None:
        assert command("@grace #deploy-admin /deploy status") == ("grace", "deploy-admin", "/deploy", "status")

    def test_bare_command(self) -> None:
        assert command("@ada /deploy") == ("ada", "deployments", "/deploy", "")

    def test_mention(self) -> None:
        assert one('@ada mention "status checkout"') == Mention(
            2, 1, '@ada mention "status checkout"', "ada", "status checkout", in_thread=False
        )

    def test_mention_in_thread(self) -> None:
        found = one('@ada mention "abort" in thread')
        assert isinstance(found, Mention)
        assert found.in_thread

    def test_click(self) -> None:
        assert one('@linus click "Roll back to v1.1"') == Click(
            2, 1, '@linus click "Roll back to v1.1"', "linus", "Roll back to v1.1", cancel=False
        )

    def test_click_cancelled(self) -> None:
        found = one('@linus click "Abort" cancel')
        assert isinstance(found, Click)
        assert found.cancel

    def test_click_of_an_old_button(self) -> None:
        remembered = one('@ada remembers "Hold" in thread')
        assert remembered == Remember(2, 1, '@ada remembers "Hold" in thread', "ada", "Hold", "thread")
        found = one('@ada click old "Hold"')
        assert isinstance(found, Click)
        assert (found.label, found.old, found.place) == ("Hold", True, None)

    def test_people_click_together(self) -> None:
        found = one('@ada @linus click "Hold" in channel')
        assert isinstance(found, Click)
        assert (found.who, found.others, found.place) == ("ada", ("linus",), "channel")

    def test_expect_for_anyone(self) -> None:
        found = one('expect "too late" in ephemeral for anyone')
        assert isinstance(found, Expect)
        assert found.who == ANYONE

    def test_submit_keeps_texts_and_the_spelling_of_numbers(self) -> None:
        found = one('@ada submit {"Service": "checkout", "weight": 10, "ratio": 0.50, "note": "a # b"}')
        assert isinstance(found, Submit)
        assert found.values == {"Service": "checkout", "weight": "10", "ratio": "0.50", "note": "a # b"}

    def test_submit_of_an_untouched_form(self) -> None:
        found = one("@ada submit {}")
        assert isinstance(found, Submit)
        assert found.values == {}

    def test_home(self) -> None:
        assert one("@ada opens home") == OpenHome(2, 1, "@ada opens home", "ada")

    @pytest.mark.parametrize("state", STATES)
    def test_wait(self, state: str) -> None:
        assert one(f"wait {state}") == Wait(2, 1, f"wait {state}", state, None)

    @pytest.mark.parametrize(
        ("word", "seconds"), [("30s", 30.0), ("1500ms", 1.5), ("2m", 120.0), ("0.5s", 0.5), ("60m", 3600.0)]
    )
    def test_durations(self, word: str, seconds: float) -> None:
        found = one(f"wait paused within {word}")
        assert isinstance(found, Wait)
        assert found.within == pytest.approx(seconds)

    def test_expect(self) -> None:
        assert one('expect "v1.2"') == Expect(2, 1, 'expect "v1.2"', "v1.2", None, absent=False)

    @pytest.mark.parametrize("place", PLACES)
    def test_expect_in_a_place(self, place: str) -> None:
        found = one(f'expect "v1.2" in {place}')
        assert isinstance(found, Expect)
        assert found.place == place

    def test_expect_of_somebody_else(self) -> None:
        found = one('expect "v1.2" in dm for @ada')
        assert isinstance(found, Expect)
        assert (found.place, found.who) == ("dm", "ada")
        anywhere = one('expect "v1.2" for @ada')
        assert isinstance(anywhere, Expect)
        assert (anywhere.place, anywhere.who) == (None, "ada")

    @pytest.mark.parametrize(
        ("line", "place", "cancel"),
        [
            ('@ada click "x"', None, False),
            ('@ada click "x" cancel', None, True),
            ('@ada click "x" in dm', "dm", False),
            ('@ada click "x" in home cancel', "home", True),
        ],
    )
    def test_click_in_a_place(self, line: str, place: str | None, cancel: bool) -> None:
        found = one(line)
        assert isinstance(found, Click)
        assert (found.label, found.place, found.cancel) == ("x", place, cancel)

    def test_a_direct_message(self) -> None:
        assert one('@ada dm "status"') == Direct(2, 1, '@ada dm "status"', "ada", "status")

    def test_expect_no(self) -> None:
        found = one('expect no "error"')
        assert isinstance(found, Expect)
        assert (found.text, found.absent, found.place) == ("error", True, None)

    def test_the_bot(self) -> None:
        assert isinstance(one("kill bot"), KillBot)
        assert isinstance(one("start bot"), StartBot)

    @pytest.mark.parametrize(
        ("line", "name", "seconds"),
        [
            ("fault slack 429 for 5s", "429", 5.0),
            ("fault slack down for 10s", "down", 10.0),
            ("fault socket drop", "socket drop", None),
            ("fault metrics down for 9s", "metrics down", 9.0),
            ("fault duplicate deliveries for 10s", "duplicate deliveries", 10.0),
        ],
    )
    def test_faults(self, line: str, name: str, seconds: float | None) -> None:
        assert one(line) == Fault(2, 1, line, name, seconds)  # type: ignore[arg-type]  # a parametrized Literal

    def test_sleep(self) -> None:
        assert one("sleep 2s") == Sleep(2, 1, "sleep 2s", 2.0)


class TestSpaceCommentsAndQuotes:
    def test_any_white_space_separates_words(self) -> None:
        assert command("\t @ada\u00a0\u3000#general\t\t/deploy \u2003 status\u00a0 ") == (
            "ada",
            "general",
            "/deploy",
            "status",
        )

    def test_white_space_inside_a_command_stays(self) -> None:
        assert command("@ada /deploy a \t b  c")[3] == "a \t b  c"

    def test_every_newline_ends_a_line_and_only_newlines_do(self) -> None:
        lines = read("\ufeff@ada /deploy a\r\n@ada /deploy b\r@ada /deploy c\n\n@ada /deploy d\u2028e")
        assert [(line.number, line.text) for line in lines if isinstance(line, Command)] == [
            (1, "a"),
            (2, "b"),
            (3, "c"),
            (5, "d\u2028e"),
        ]

    def test_comments(self) -> None:
        assert read("# all\n   # of it\n@ada opens home # greet\n\n#\n") == (OpenHome(3, 1, "@ada opens home", "ada"),)
        assert one("wait succeeded #soon") == Wait(2, 1, "wait succeeded", "succeeded", None)

    def test_a_hash_inside_a_word_is_no_comment(self) -> None:
        assert command("@ada /deploy checkout#3 staging")[3] == "checkout#3 staging"

    def test_a_comment_ends_a_command_unless_quoted(self) -> None:
        assert command('@ada /deploy checkout reason="fix # 12" # why')[3] == 'checkout reason="fix # 12"'
        assert command("@ada /deploy checkout reason=“fix # 12” # why")[3] == "checkout reason=“fix # 12”"

    def test_a_quote_without_partner_is_an_ordinary_character(self) -> None:
        assert command('@ada /deploy 5" disk # note')[3] == '5" disk'

    def test_a_channel_only_right_after_the_person(self) -> None:
        assert command("@ada #general /deploy")[1] == "general"
        assert command("@ada /deploy #general")[3] == ""
        assert refusal("@ada # general /deploy") == (
            "6: what @ada does is missing: /deploy, mention, dm, click, remembers, submit or opens"
        )

    @pytest.mark.parametrize("text", ["“Go”", "„Go“", "«Go»", '“Go"', '"Go”', "＂Go＂"])
    def test_smart_quotes_are_quotes(self, text: str) -> None:
        found = one(f"@ada click {text} cancel")
        assert isinstance(found, Click)
        assert found.label == "Go"

    def test_smart_quotes_may_stand_inside_straight_ones(self) -> None:
        found = one('expect "he said “no”" in thread')
        assert isinstance(found, Expect)
        assert found.text == "he said “no”"

    def test_escapes(self) -> None:
        found = one(r'@ada mention "say \"hi\" \\ twice\nplease \d # all"')
        assert isinstance(found, Mention)
        assert found.text == 'say "hi" \\ twice\nplease \\d # all'

    def test_smart_quotes_in_a_form(self) -> None:
        found = one("@ada submit {“service”: “checkout”}  # typed on a phone")
        assert isinstance(found, Submit)
        assert found.values == {"service": "checkout"}

    def test_smart_quotes_as_part_of_a_value(self) -> None:
        found = one('@ada submit {"reason": "the “big” one"}')
        assert isinstance(found, Submit)
        assert found.values == {"reason": "the “big” one"}

    def test_hostile_command_text_passes_verbatim(self) -> None:
        text = "\u202echeckout 🚀 <@U0ADA> `rm -rf` " + "x" * 10_000
        assert command(f"@ada /deploy {text}")[3] == text


class TestRefusals:
    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("wait suceeded", "6: 'suceeded' is no state; did you mean succeeded?"),
            ("wait rolledback", "6: 'rolledback' is no state; did you mean rolled_back?"),
            ("wait", "5: the state to wait for is missing"),
            (
                "wait succeeded whitin 5s",
                "16: 'whitin' cannot stand here (only `within 30s` or the end of the line); did you mean within?",
            ),
            (
                "wait succeeded within 30",
                "23: '30' is no duration (a number and ms, s or m); did you mean 30s?",
            ),
            (
                "wait succeeded within 5sec",
                "23: '5sec' is no duration (a number and ms, s or m); did you mean 5s?",
            ),
            ("wait succeeded within", "22: how long to wait is missing, as in 2s (ms, s or m)"),
            ("sleep 0s", "7: '0s' is not allowed: more than 0 and at most 60m"),
            ("sleep 61m", "7: '61m' is not allowed: more than 0 and at most 60m"),
            ("sleep 1,5s", "7: '1,5s' is no duration (a number and ms, s or m); did you mean 1.5s?"),
            ("sleep 2 s", "7: '2' is no duration (a number and ms, s or m); did you mean 2s?"),
            ("sleep 2s now", "10: the line should end before 'now'"),
            (
                "@adda /deploy x",
                "1: '@adda' is nobody here (there is @ada, @grace or @linus); did you mean @ada?",
            ),
            (
                "@ada  /delpoy x",
                (
                    "7: '/delpoy' is nothing that a person does here "
                    "(/deploy, mention, dm, click, remembers, submit or opens); did you mean /deploy?"
                ),
            ),
            (
                '@ada clik "x"',
                (
                    "6: 'clik' is nothing that a person does here "
                    "(/deploy, mention, dm, click, remembers, submit or opens); did you mean click?"
                ),
            ),
            ("/deploy checkout", "1: a person comes before a command, as in @ada /deploy …"),
            (
                "ada /deploy checkout",
                (
                    "1: 'ada' begins no line (a line begins with @who, wait, expect, kill, start, fault or sleep)"
                    "; did you mean @ada?"
                ),
            ),
            (
                "expct “x”",
                (
                    "1: 'expct' begins no line (a line begins with @who, wait, expect, kill, start, fault or sleep)"
                    "; did you mean expect?"
                ),
            ),
            ('@ada #general click "x"', "6: only a command takes a channel, click takes none"),
            ('@ada click "x', "12: the quotation is never closed"),
            (
                "@ada click Abort",
                "12: the button's label in double quotes is expected here, found 'Abort', as in \"…\"",
            ),
            ('@ada click ""', "12: the button's label is empty"),
            ('@ada click "x"cancel', "15: white space is missing after the quotation"),
            (
                '@ada click "x" cancle',
                "16: 'cancle' cannot stand here (only `in PLACE`, cancel or the end of the line); did you mean cancel?",
            ),
            (
                "@ada opens hom",
                "12: 'hom' cannot be opened (only home); did you mean home?",
            ),
            ("@ada submit service", '13: a JSON object is expected here, as in {"field": "value"}'),
            ('@ada submit {"a": }', "19: bad JSON: Expecting value"),
            ('@ada submit {"a": true}', "13: the field 'a' is neither a text nor a number"),
            ('@ada submit {"a": NaN}', "13: the field 'a' is neither a text nor a number"),
            ('@ada submit {"a": {}}', "13: the field 'a' is neither a text nor a number"),
            ('@ada submit {"a": "1", "a": "2"}', "13: the field 'a' is given twice"),
            ('@ada submit {"a": "\\ud800"}', "13: half a surrogate pair is no character"),
            ('@ada submit {"a": "1"} now', "24: the line should end before 'now'"),
            (
                'expect "x" in chanel',
                "15: 'chanel' is no place (channel, thread, dm, ephemeral, home or modal); did you mean channel?",
            ),
            (
                'expect "x" in dm fro @ada',
                "18: 'fro' cannot stand here (only `for @who|anyone` or the end of the line); did you mean for?",
            ),
            ('expect "x" for @bob', "16: '@bob' is nobody here (there is @ada, @grace, @linus or anyone)"),
            ('expect "x" for', "15: a person is missing"),
            ('expect "x" in', "14: the place is missing: channel, thread, dm, ephemeral, home or modal"),
            ("expect", '7: the expected text is missing, as in expect "…"'),
            (
                'expect not "x"',
                "8: 'not' cannot stand here (a text in double quotes, or no \"…\"); did you mean no?",
            ),
            ('expect no "x" in home', '15: expect no "…" looks everywhere: the line ends after the text'),
            ("kill bto", "6: 'bto' cannot stand after kill (only bot); did you mean bot?"),
            ("start", "6: bot is missing after start"),
            (
                "fault slak down for 1s",
                "7: 'slak' is no fault (slack, socket, duplicate or metrics); did you mean slack?",
            ),
            ("fault metrics 429 for 1s", "15: '429' cannot stand after metrics (only down)"),
            ('@ada @ada click "Abort"', "6: @ada has two hands, and presses a button once"),
            ("@ada @linus opens home", "13: 'opens' is nothing that people do together"),
            ('@ada @linus click "Abort" cancel', "1: people who click together neither cancel nor press an old button"),
            ('@ada click old "Abort" cancel', "24: the line should end before 'cancel'"),
            (
                '@ada remembers "Abort" cancel',
                "24: 'cancel' cannot stand here (only `in PLACE` or the end of the line)",
            ),
            ("fault slack 492 for 1s", "13: '492' cannot stand here (only 429 or down); did you mean 429?"),
            ("fault slack down 5s", "18: '5s' cannot stand here (only for and a duration)"),
            ("fault socket drop for 5s", "19: the line should end before 'for'"),
        ],
    )
    def test_position_reason_and_the_nearest_right_word(self, line: str, said: str) -> None:
        assert refusal(line) == said

    def test_every_bad_line_is_named_at_once(self) -> None:
        problems = refusals("@ada /deploy checkout v1.2 staging\nwait succeded\n@bob opens home\n\nsleep 3\n")
        assert [(p.line, p.column, p.meant) for p in problems] == [(2, 6, "succeeded"), (3, 1, None), (5, 7, "3s")]

    def test_the_error_reads_as_its_problems(self) -> None:
        with pytest.raises(ScriptError) as caught:
            read("sleep 3\nkill cat\n")
        assert str(caught.value) == (
            "a.script:1:7: '3' is no duration (a number and ms, s or m); did you mean 3s?\n"
            "a.script:2:6: 'cat' cannot stand after kill (only bot)"
        )

    @pytest.mark.parametrize("line", ["wait succeeded", 'expect "x"'])
    def test_nobody_has_done_anything(self, line: str) -> None:
        problems = refusals(f"sleep 1s\n{line}\n@ada opens home")
        assert [(p.line, p.column) for p in problems] == [(2, 1)]
        assert "nobody has done anything yet" in problems[0].message

    def test_a_bad_first_line_is_not_reported_twice(self) -> None:
        assert len(refusals("@bob opens home\nwait succeeded")) == 1

    @pytest.mark.parametrize("text", ["", "\n\n", "  # nothing\n"])
    def test_an_empty_script(self, text: str) -> None:
        assert [str(p) for p in refusals(text)] == ["a.script:1:1: the script is empty, there is nothing to play"]

    def test_deep_and_broken_input(self) -> None:
        assert "bad JSON" in refusal('@ada submit {"a": ' + "[" * 100_000)
        assert "half a surrogate pair" in refusal("@ada /deploy \udcff")
        assert len(refusal("x" * 50_000)) < 300

    def test_no_people(self) -> None:
        with pytest.raises(ScriptError, match="nobody here"):
            parse("@ada opens home", name="a", people=())


_PIECES = st.sampled_from(
    [
        *("@ada", "@grace", "@bob", "#general", "#", "/deploy", "/", "mention", "click", "submit", "opens", "home"),
        *("in", "thread", "wait", "expect", "no", "kill", "start", "bot", "fault", "slack", "429", "down", "for"),
        *("socket", "drop", "duplicate", "deliveries", "sleep", "within", "succeeded", "rolled_back", "2s", "5"),
        *('"a b"', "“a”", '"', "”", "\\", '{"a": "b"}', '{"a": 1', "{", "}", "cancel", "\ud800", "\x00", "\ufeff"),
        *(" ", " ", " ", "\t", "\u00a0", "\n", "\r\n", "\r", "\u2028", "\x85"),
    ]
)
_TEXTS = st.one_of(st.text(), st.lists(st.one_of(_PIECES, st.text(max_size=3)), max_size=40).map("".join))


def fuzzed(text: str) -> tuple[list[tuple[int, int]], Script | None]:
    try:
        script = parse(text, name="fuzz", people=PEOPLE)
    except ScriptError as error:
        problems = error.problems
    else:
        return [(line.number, line.column) for line in script.lines], script
    assert problems
    assert len({problem.line for problem in problems}) == len(problems)
    for problem in problems:
        assert str(problem).isprintable()
    return [(problem.line, problem.column) for problem in problems], None


@given(_TEXTS)
@example("")
@example("\ufeff\ufeff@ada opens home")
@example('@ada submit {"a": 1e999}')
@example('@ada submit {"a": ' + "9" * 5000 + "}")
def test_any_text_is_a_script_or_refused_with_valid_positions(text: str) -> None:
    lines = re.split(r"\r\n|\n|\r", text.removeprefix("\ufeff"))
    positions, script = fuzzed(text)
    if script is not None:
        assert script.lines
        for line in script.lines:
            assert lines[line.number - 1].lstrip().startswith(line.source)
            line.source.encode()
    assert positions == sorted(positions)
    for number, column in positions:
        assert 1 <= number <= len(lines)
        assert 1 <= column <= len(lines[number - 1]) + 1


_WORDS = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs"], exclude_characters='#"“”„‟«»＂'), min_size=1
)
_SPACE = st.sampled_from([" ", "\t", "  ", "\u00a0", " \t "])


@given(st.lists(_WORDS, min_size=1), _SPACE, st.sampled_from(["", "  # why", "\t#"]))
def test_a_command_keeps_its_text_whatever_it_says(words: list[str], space: str, comment: str) -> None:
    text = space.join(words)
    assert command(f"@ada{space}/deploy{space}{text}{comment}")[3] == text


@given(st.dictionaries(_WORDS, st.text(st.characters(exclude_categories=["Cs"]))))
def test_a_form_keeps_its_values(values: dict[str, str]) -> None:
    found = one(f"@ada submit {json.dumps(values, ensure_ascii=False)}")
    assert isinstance(found, Submit)
    assert found.values == values


def test_a_number_sign_before_a_digit_names_a_deployment() -> None:
    script = parse("@ada /deploy abort #42  # the one before\n", name="x", people=("ada",))
    [line] = script.lines
    assert "abort #42" in repr(line)
    assert "the one before" not in repr(line)
