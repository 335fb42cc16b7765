"""Previews as people see them: links, times in the reader's zone, buttons that come back, and nothing that pings."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.domain.actor import Actor
from bot.domain.ids import OperationId, ServiceName
from bot.domain.notice import Notice, NoticeKind
from bot.domain.release import Artifact, Release
from bot.ports.previews import Preview, Previewed, PreviewState
from bot.slack.names import ActionId, IdValue
from bot.slack.render import previews
from bot.slack.render.notices import notice

UNTIL = datetime(2026, 11, 26, 12, tzinfo=UTC)
CHECKOUT, PAYMENTS = ServiceName("checkout"), ServiceName("payments")
ADDRESS = "https://checkout-pr-7.preview.example.com"


def preview(**given: Any) -> Preview:
    ready = Previewed(address=ADDRESS, version="v1.2", operation=OperationId("one"), ready=True)
    other = Previewed(address="https://payments-pr-7.preview.example.com", message="0 of 1 ready <!channel>")
    found = {"number": 7, "place": "shop-pr-7", "identity": "u-1", "until": UNTIL, "by": "Ada <@U1>"}
    return Preview(**{**found, "services": {CHECKOUT: ready, PAYMENTS: other}, **given})


def test_a_list_has_addresses_times_and_close_buttons() -> None:
    message = previews.listed([preview(), preview(number=8, identity="u-2", state=PreviewState.CLOSING)])
    text = json.dumps(message.blocks, ensure_ascii=False)
    assert f"<{ADDRESS}>" in text
    assert "v1.2: ready" in text
    assert "as in the template: 0 of 1 ready" in text
    assert f"<!date^{int(UNTIL.timestamp())}^" in text
    assert "<!channel>" not in text
    assert "<@U1>" not in text
    [button] = [block["accessory"] for block in message.blocks if "accessory" in block]
    assert button["action_id"] == ActionId.CLOSE_PREVIEW
    assert IdValue.decode(button["value"]) == IdValue("u-1", "checkout:7")
    assert button["confirm"]["style"] == "danger"
    assert "is being deleted" in text


def test_the_button_names_a_service_that_was_brought_there() -> None:
    [one] = [preview()]
    turned = preview(services=dict(reversed(list(one.services.items()))))
    [button] = [block["accessory"] for block in previews.listed([turned]).blocks if "accessory" in block]
    assert "checkout:7" in button["value"]


def test_no_previews_and_very_many() -> None:
    assert "preview service version pr=123 opens one" in previews.listed([]).text
    many = previews.listed([preview(number=number, identity=f"u-{number}") for number in range(1, 60)])
    assert len(many.blocks) < 50
    assert "… and 44 more." in json.dumps(many.blocks, ensure_ascii=False)


@pytest.mark.parametrize(
    "text", ["javascript:alert(1)", "https://a|<!channel>", "https://a b", "x", "", "https://" + "a" * 600]
)
def test_only_plain_addresses_become_links(text: str) -> None:
    assert previews.address(text) == ""


def test_what_is_begun_says_until_when() -> None:
    release = Release(service=CHECKOUT, version="v1.2", artifact=Artifact(digest="sha256:1", location="r@sha256:1"))
    message = previews.begun(release, 7, UNTIL)
    assert "26 Nov 2026, 12:00 UTC" in message.text
    assert "<!date^" in json.dumps(message.blocks)


def test_a_notice_has_the_address_and_the_end() -> None:
    ada = Actor(workspace="T1", id="U0ADA", name="ada")
    told = Notice(
        key="preview:1:ended",
        to="channel:#deployments",
        kind=NoticeKind.PREVIEW_READY,
        at=UNTIL,
        by=ada,
        sentence="checkout v1.2 in the preview of #7 is up.",
        facts={"address": ADDRESS, "until": UNTIL.isoformat(), "thread": "preview:1:asked"},
    )
    text = json.dumps(notice(told).blocks, ensure_ascii=False)
    assert f"<{ADDRESS}>" in text
    assert "Preview ready" in text
    assert "<!date^" in text
    assert "rich_text" not in text


def test_what_is_to_be_put_on_the_pull_request_is_shown_as_it_is_or_not_at_all() -> None:
    """A comment that was cut would be a broken table, and a mark of Slack's in it must do nothing."""
    ada = Actor(workspace="T1", id="U0ADA", name="ada")

    def blocks(comment: str) -> list[dict[str, Any]]:
        facts = {"address": ADDRESS, "comment": comment}
        kind = NoticeKind.PREVIEW_READY
        told = Notice(key="k", to="channel:#d", kind=kind, at=UNTIL, by=ada, sentence="It is up.", facts=facts)
        return notice(told).blocks

    written = f"**Preview of #7**\n\n| service |\n|---|\n| <!channel> {ADDRESS} |\n"
    *_, says, last = blocks(written)
    assert "pull request" in json.dumps(says)
    assert last["elements"] == [{"type": "rich_text_preformatted", "elements": [{"type": "text", "text": written}]}]
    assert "rich_text" not in json.dumps(blocks("| x |\n" * 1_000))
