"""What buttons and forms carry comes back whole, and nothing else does."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.ids import DeploymentId
from bot.slack.names import SUBJECT_DIGITS, ActionId, ButtonValue, FormValue, IdValue, OrderValue
from bot.slack.render import limits

ORDER = OrderValue("checkout", "v1.2", "production", at=1_762_162_200.0, reason='the "fix"\nfor it', force=True)
BUTTON = ButtonValue(DeploymentId("d01j9x2abcfghjk"), 7, "5ab1ec7" + "0" * 9)
IDS = IdValue("l01lock", "checkout@production")
junk = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40) | st.lists(st.integers())
objects = st.dictionaries(st.sampled_from("dvsearfixbct"), junk)


@pytest.mark.parametrize("value", [ORDER, OrderValue("a", "b", "c"), BUTTON, ButtonValue(DeploymentId("d"), 1), IDS])
def test_values_come_back_whole(value: ButtonValue | OrderValue | IdValue) -> None:
    assert type(value).decode(value.encode()) == value
    assert len(value.encode()) < limits.BUTTON_VALUE
    form = FormValue(value, "C0DEPLOY", "1762162200.000100")
    assert FormValue.decode(form.encode(), type(value)) == form
    assert FormValue.decode(FormValue(value).encode(), type(value)) == FormValue(value)


def test_a_value_is_not_taken_for_one_of_another_kind() -> None:
    assert ButtonValue.decode(ORDER.encode()) is None
    assert OrderValue.decode(BUTTON.encode()) is None
    assert IdValue.decode(BUTTON.encode()) is None
    assert FormValue.decode(FormValue(IDS).encode(), ButtonValue) is None


@pytest.mark.parametrize(
    "raw",
    [
        None, 7, "", "[]", "null", "{}",
        '{"s":"a","v":"b"}', '{"s":"a","v":"b","e":""}', '{"s":"a","v":"b\\u0000","e":"c"}',
        '{"s":"a","v":"b","e":"c","a":true}', '{"s":"a","v":"b","e":"c","a":-1}', '{"s":"a","v":"b","e":"c","a":1e300}',
        '{"s":"a","v":"b","e":"c","a":NaN}', '{"s":"a","v":"b","e":"c","f":1}', '{"s":"a","v":"b","e":"c","r":7}',
        json.dumps({"s": "a" * 201, "v": "b", "e": "c"}), "[" * 1_900, "x" * 5_000,
    ],
)  # fmt: skip
def test_an_order_that_is_none_is_not_read(raw: object) -> None:
    assert OrderValue.decode(raw) is None


@pytest.mark.parametrize("subject", ["5ab1", "G" * SUBJECT_DIGITS, 7, ["0" * SUBJECT_DIGITS]])
def test_a_subject_is_so_many_digits_or_the_button_is_none(subject: object) -> None:
    assert ButtonValue.decode(json.dumps({"d": "d1", "v": 1, "s": subject})) is None


@pytest.mark.parametrize("raw", ['{"i":"../x"}', '{"i":"l1","x":"<!channel>"}', '{"i":7}', '{"x":"a"}'])
def test_an_id_that_is_none_is_not_read(raw: str) -> None:
    assert IdValue.decode(raw) is None


@given(st.text() | objects | objects.map(json.dumps))
def test_no_value_raises_and_what_is_read_can_be_written_again(raw: object) -> None:
    for kind in (ButtonValue, OrderValue, IdValue):
        value = kind.decode(raw)
        assert value is None or kind.decode(value.encode()) == value
        form = FormValue.decode(raw, kind)
        assert form is None or FormValue.decode(form.encode(), kind) == form


@given(st.text(), st.text(), st.text(), st.text())
def test_what_would_not_come_back_is_known_before_it_is_offered(one: str, two: str, three: str, why: str) -> None:
    order = OrderValue(one, two, three, reason=why)
    assert order.comes_back == (OrderValue.decode(order.encode()) == order)


def test_every_action_carries_what_its_name_says() -> None:
    assert ActionId.APPROVE.carries is ButtonValue
    assert ActionId.WAIT.carries is OrderValue
    assert ActionId.ASK_OVERRIDE.carries is OrderValue
    assert ActionId.AGREE.carries is IdValue
    assert {action.carries for action in ActionId if action.startswith(("lock.", "freeze."))} == {IdValue}
