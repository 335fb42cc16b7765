"""What text and blocks look like as DOM, drawn by the page's own modules in the browser."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from playwright.async_api import Page

    Visit = Callable[..., Awaitable[Page]]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.asyncio(loop_scope="session"),
]

NAMES = """{ me: "U0ADA", zone: "Europe/London", bot: { id: "U0BOT", name: "Bot", bot: true },
    person: (id) => ({ U0ADA: { id: "U0ADA", name: "Ada" }, U0GRACE: { id: "U0GRACE", name: "Grace" } })[id],
    people: () => [], channels: () => [], channel: (id) => (id === "C1" ? { id, name: "deployments" } : undefined),
    group: (id) => (id === "S1" ? "deployers" : undefined) }"""

MRKDWN: dict[str, str] = {
    "*bold* _italic_ ~gone~ `code`": "<strong>bold</strong> <em>italic</em> <s>gone</s> <code>code</code>",
    "*_both_*": "<strong><em>both</em></strong>",
    "2*3*4 snake_case_name a~b~": "2*3*4 snake_case_name a~b~",
    "* not bold * and *open": "* not bold * and *open",
    "`*not bold* <@U0GRACE>`": "<code>*not bold* <@U0GRACE></code>",
    "a &lt; b &amp;&amp; c &gt; d": "a < b && c > d",
    "&amp;lt;": "&lt;",
    "<https://example.com/x?a=1&amp;b=2|*the* docs>": "[https://example.com/x?a=1&b=2](*the* docs)",
    "<https://example.com/>": "[https://example.com/](https://example.com/)",
    "see https://example.com/a_b_c. End": "see [https://example.com/a_b_c](https://example.com/a_b_c). End",
    "<javascript:alert(1)|x>": "<span>x</span>",
    "<data:text/html,hi|x>": "<span>x</span>",
    "<JaVaScRiPt:alert(1)>": "<span>JaVaScRiPt:alert(1)</span>",
    "<@U0GRACE> and <@U0ADA|ada>": "<span>@Grace</span> and <span>@Ada</span>",
    "<#C1> <#C9|other> <!subteam^S1> <!here>": (
        "[#](#deployments) <span>#other</span> <span>@deployers</span> <span>@here</span>"
    ),
    "<!date^1700000000^{date_num} {time}|then>": "<time>2023-11-14 22:13</time>",
    "<!date^1700000000^{date_long}^https://example.com/|x>": (
        "[https://example.com/](<time>Tuesday, 14 November 2023</time>)"
    ),
    "<!date^soon^{time}|later>": "later",
    ":rocket: :no_such_thing: 10:30:00": "<span>🚀</span> :no_such_thing: 10:30:00",
    "&gt; quoted\nplain": "<blockquote>quoted</blockquote>plain",
    ">>> all\nof it": "<blockquote>all<br>of it</blockquote>",
    "• one\n• *two*\nend": "<ul><li>one</li><li><strong>two</strong></li></ul>end",
    "3. three\n4. four": "<ol><li>three</li><li>four</li></ol>",
    "x\n```\na *b* &lt;c&gt;\n```\ny": "x<pre>a *b* <c></pre>y",
    "```unclosed": "```unclosed",
    "<b>html</b> <img src=x onerror=alert(1)>": "<b>html</b> <img src=x onerror=alert(1)>",
}

# Elements by name, text as it is: enough to tell one structure from another, without classes and wrappers.
OUTLINE = """(node) => { const show = (n) => {
    if (n.nodeType === 3) return n.data;
    const inner = [...n.childNodes].map(show).join("");
    if (n.nodeType === 11 || n.localName === "div") return inner;
    if (n.localName === "br") return "<br>";
    if (n.localName === "a") {
        const href = n.getAttribute("href");
        return href.includes("#") ? `[#](#${href.split("#")[1]})` : `[${href}](${inner})`;
    }
    return `<${n.localName}>${inner}</${n.localName}>`;
}; return show(node); }"""


async def outlines(page: Page, module: str, function: str, sources: list[Any], *more: str) -> list[str]:
    arguments = ", ".join(["source", *more])
    script = f"""async (sources) => {{ const module = await import("/page/{module}.js");
        return sources.map((source) => ({OUTLINE})(module.{function}({arguments}))); }}"""
    found: list[str] = await page.evaluate(script, sources)
    return found


async def test_mrkdwn(visit: Visit) -> None:
    page = await visit()
    drawn = await outlines(page, "mrkdwn", "mrkdwn", list(MRKDWN), NAMES)
    assert dict(zip(MRKDWN, drawn, strict=True)) == MRKDWN


async def test_mrkdwn_of_any_length_and_shape_stays_harmless_and_quick(visit: Visit) -> None:
    page = await visit()
    hostile = [
        "<img src=x onerror=window.hacked=1>",
        "<b onclick=window.hacked=1>x</b>",
        "<javascript:window.hacked=1|x> [x](javascript:window.hacked=1)",
        "*a " * 13_000,
        "`" * 20_000,
        "<" * 20_000,
        "_*~" * 10_000,
        ">" * 5_000,
        "```" * 9_999,
        ":" * 20_000,
        "https://" * 5_000,
        "\u202e right to left \u0000 \ud83d",
    ]
    script = f"""async (sources) => {{ const {{ mrkdwn }} = await import("/page/mrkdwn.js");
        const {{ markdown }} = await import("/page/markdown.js");
        const box = document.createElement("div"); const started = performance.now();
        for (const source of sources) {{ box.append(mrkdwn(source, {NAMES})); box.append(markdown(source)); }}
        document.body.append(box);
        const tags = ["IMG", "SCRIPT", "B", "IFRAME"];
        const unsafe = (a) => a.name.startsWith("on") || /^javascript:/i.test(a.value);
        const bad = [...box.querySelectorAll("*")]
            .filter((node) => tags.includes(node.tagName) || [...node.attributes].some(unsafe));
        return {{ bad: bad.length, took: performance.now() - started }}; }}"""
    found = await page.evaluate(script, hostile)
    assert found["bad"] == 0
    assert found["took"] < 5_000
    assert await page.evaluate("window.hacked") is None


async def test_markdown(visit: Visit) -> None:
    page = await visit()
    cases = {
        "# Title\ntext **bold** *it* ~~no~~ `x`": (
            "Titletext <strong>bold</strong> <em>it</em> <s>no</s> <code>x</code>"
        ),
        "- a\n- [x] b": "<ul><li>a</li><li>☑ b</li></ul>",
        "[docs](https://example.com/) ![i](javascript:alert(1))": (
            "[https://example.com/](docs) ![i](javascript:alert(1))"
        ),
        "[x](javascript:alert) <i>raw</i>": "<span>x</span> <i>raw</i>",
        "```py\na < b\n```": "<pre>a < b</pre>",
        "| a | b |\n|---|---|\n| 1 | 2 |": (
            "<table><thead><tr><th>a</th><th>b</th></tr></thead><tbody><tr><td>1</td><td>2</td></tr></tbody></table>"
        ),
        "> q": "<blockquote>q</blockquote>",
        "a\n\n---": "a<hr></hr>",
    }
    drawn = await outlines(page, "markdown", "markdown", list(cases))
    assert dict(zip(cases, drawn, strict=True)) == cases


def text(words: str) -> dict[str, str]:
    return {"type": "plain_text", "text": words}


def rich(words: str) -> dict[str, Any]:
    return {
        "type": "rich_text",
        "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": words}]}],
    }


BLOCKS: dict[str, tuple[dict[str, Any], str]] = {
    "header": ({"type": "header", "text": text("H :rocket:")}, "H 🚀"),
    "plan": (
        {
            "type": "plan",
            "title": "Rollout",
            "tasks": [
                {"task_id": "1", "title": "Plan", "status": "complete", "details": rich("fine")},
                {"task_id": "2", "title": "Shift", "status": "in_progress"},
                {"task_id": "3", "title": "Verify", "status": "error"},
                {"task_id": "4", "title": "Finish", "status": "pending"},
            ],
        },
        "Rollout1 of 4 donePlanDonefineShiftIn progressVerifyFailedFinishWaiting",
    ),
    "task_card": ({"type": "task_card", "task_id": "1", "title": "Alone", "status": "complete"}, "AloneDone"),
    "table": (
        {
            "type": "table",
            "rows": [[{"type": "raw_text", "text": "A"}], [rich("b")], [{"type": "raw_number", "value": 3}]],
        },
        "Ab3",
    ),
    "alert": ({"type": "alert", "level": "warning", "text": text("Mind")}, "WarningMind"),
    "rich_text": (
        {
            "type": "rich_text",
            "elements": [
                {
                    "type": "rich_text_list",
                    "style": "ordered",
                    "elements": [
                        {"type": "rich_text_section", "elements": [{"type": "user", "user_id": "U0GRACE"}]},
                        {
                            "type": "rich_text_section",
                            "elements": [{"type": "link", "url": "javascript:x", "text": "l"}],
                        },
                    ],
                },
                {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "p"}]},
            ],
        },
        "@Gracelp",
    ),
    "divider": ({"type": "divider"}, ""),
    "markdown": ({"type": "markdown", "text": "**m**"}, "m"),
    "unknown": (
        {"type": "carousel", "elements": []},
        "carousel blocks are not drawn here. Slack itself would show it.",
    ),
    "prototype": ({"type": "constructor"}, "constructor blocks are not drawn here. Slack itself would show it."),
}


async def test_blocks_in_words(visit: Visit) -> None:
    page = await visit()
    script = f"""async (blocks) => {{ const {{ drawBlock }} = await import("/page/block.js");
        return Object.fromEntries(Object.entries(blocks).map(([name, block]) =>
            [name, drawBlock(block, {{ names: {NAMES}, state: () => ({{}}) }}).textContent])); }}"""
    drawn = await page.evaluate(script, {name: block for name, (block, _) in BLOCKS.items()})
    assert drawn == {name: words for name, (_, words) in BLOCKS.items()}


INPUTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"type": "plain_text_input", "initial_value": "x", "multiline": True}, {"value": "x"}),
    ({"type": "number_input", "initial_value": "3"}, {"value": "3"}),
    ({"type": "email_text_input"}, {"value": None}),
    ({"type": "url_text_input"}, {"value": None}),
    ({"type": "datepicker", "initial_date": "2026-01-02"}, {"selected_date": "2026-01-02"}),
    ({"type": "timepicker", "initial_time": "09:30"}, {"selected_time": "09:30"}),
    ({"type": "datetimepicker", "initial_date_time": 1700000000}, {"selected_date_time": 1700000000}),
    ({"type": "users_select", "initial_user": "U0ADA"}, {"selected_user": "U0ADA"}),
    ({"type": "conversations_select"}, {"selected_conversation": None}),
    ({"type": "channels_select"}, {"selected_channel": None}),
    ({"type": "multi_channels_select"}, {"selected_channels": []}),
    ({"type": "multi_static_select", "options": []}, {"selected_options": []}),
    ({"type": "checkboxes", "options": [{"text": text("a"), "value": "a"}]}, {"selected_options": []}),
]


async def test_inputs_know_their_state(visit: Visit) -> None:
    page = await visit()
    script = f"""async (specs) => {{ const {{ drawBlock }} = await import("/page/block.js");
        const {{ Surface }} = await import("/page/surface.js");
        return specs.map((spec, index) => {{
            const surface = new Surface({{ container: {{}}, names: {NAMES}, perform: null }});
            const element = {{ ...spec, action_id: "a" }};
            const label = {{ type: "plain_text", text: "L" }};
            const node = drawBlock({{ type: "input", block_id: "b", label, element }}, surface);
            const field = node.querySelector("input, textarea");
            return [surface.values.b.a, field.type]; }}); }}"""
    drawn = await page.evaluate(script, [spec for spec, _ in INPUTS])
    assert [state for state, _ in drawn] == [{"type": spec["type"], **state} for spec, state in INPUTS]
    kinds = ["textarea", "text", "email", "url", "date", "time", "datetime-local"]
    assert [kind for _, kind in drawn][:7] == kinds, json.dumps(drawn)


async def test_a_moment_is_read_and_written_in_the_persons_zone(visit: Visit) -> None:
    page = await visit()
    script = f"""async () => {{ const {{ picker }} = await import("/page/picker.js");
        const {{ Surface }} = await import("/page/surface.js");
        const names = {{ ...{NAMES}, zone: "America/New_York" }};
        const surface = new Surface({{ container: {{}}, names, perform: null }});
        const spec = {{ type: "datetimepicker", action_id: "a", initial_date_time: 1700000000 }};
        const field = picker(spec, {{ surface, blockId: "b", inInput: true }}).querySelector("input");
        const shown = field.value;
        field.value = "2026-07-01T12:00"; field.dispatchEvent(new Event("change"));
        return [shown, surface.values.b.a.selected_date_time]; }}"""
    shown, chosen = await page.evaluate(script)
    assert shown == "2023-11-14T17:13"
    assert chosen == 1782921600, "noon in New York in summer is 16:00 UTC"
