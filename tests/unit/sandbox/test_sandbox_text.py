"""Text on its way in (escaping, mentions) and on its way to somebody's eyes (markup taken off)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.sandbox.composer import mark_up, rich_text, unescape
from bot.sandbox.reading import mrkdwn
from bot.sandbox.workspace import Workspace

WS = Workspace()


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("checkout v1.2", "checkout v1.2"),
        ("a < b & c > d", "a &lt; b &amp; c &gt; d"),
        ("@grace", "<@U0GRACE|grace>"),
        ("@Grace Hopper, please", "<@U0GRACE|grace>, please"),
        ("<@U0GRACE>", "<@U0GRACE|grace>"),
        ("<@U0NOBODY>", "&lt;@U0NOBODY&gt;"),
        ("#deployments", "<#C0DEPLOY|deployments>"),
        ("#nowhere @nobody", "#nowhere @nobody"),
        ("mail ada@sandbox.example", "mail ada@sandbox.example"),
        ("https://ci.example/1?a=1&b=2", "<https://ci.example/1?a=1&amp;b=2>"),
        ("<!subteam^S0DEPLOY>", "<!subteam^S0DEPLOY>"),
        ("<!channel>", "&lt;!channel&gt;"),
        ("&amp; stays", "&amp; stays"),
    ],
)
def test_what_a_slash_command_carries(typed: str, sent: str) -> None:
    assert mark_up(WS, typed, labels=True) == sent


@given(st.text())
def test_marking_up_twice_changes_nothing_and_leaves_no_raw_brackets(text: str) -> None:
    once = mark_up(WS, text, labels=False)
    assert mark_up(WS, once, labels=False) == once


@given(st.text(alphabet=st.characters(blacklist_characters="@#<>&", blacklist_categories=["Cs"])))
def test_rich_text_says_the_same(text: str) -> None:
    marked = mark_up(WS, text, labels=False)
    (block,) = rich_text(marked, "b")
    elements = block["elements"][0]["elements"]
    assert "".join(e.get("text") or e.get("url", "") for e in elements) == unescape(text)


@pytest.mark.parametrize(
    ("marked", "read"),
    [
        ("*bold* _it_ ~gone~ `code`", "bold it gone code"),
        ("*_both_*", "both"),
        ("2 * 3 * 4 and a_b_c", "2 * 3 * 4 and a_b_c"),
        ("`*not bold*`", "*not bold*"),
        ("```\nx = *1*\n```", "x = *1*"),
        ("<@U0ADA> in <#C0DEPLOY|old-name>", "@Ada Lovelace in #deployments"),
        ("<https://a.example|the run> &amp; <https://b.example>", "the run & https://b.example"),
        ("<!subteam^S0RELEASE> <!here>", "@release-managers @here"),
        ("<!date^1700000000^{date} at {time}|14 Nov 22:13 UTC>", "14 Nov 22:13 UTC"),
        ("&lt;@U0ADA&gt;", "<@U0ADA>"),
    ],
)
def test_what_a_person_reads(marked: str, read: str) -> None:
    assert mrkdwn(WS, marked) == read
