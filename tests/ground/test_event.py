"""Event: what can be made is what every format can carry."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostream.event import MAX_JSON_DEPTH, Event, json_error
from echostream.exceptions import InvalidEvent


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((field, f"a{char}b") for field in ("event", "id", "key") for char in "\r\n\0"),
        ("event", "stream-open"),
        ("event", "x" * 257),
        ("key", "ä" * 129),
        ("data", "\ud800"),
        ("event", "\udfff"),
        ("retry", -1),
        ("retry", 2**31),
        ("retry", 1.5),
        ("retry", True),
        ("retry", "1\ndata: forged"),
        ("time", 1.5),
        ("data", None),
    ],
)
def test_a_field_that_breaks_a_rule_is_named_and_never_repaired(field: str, value: Any):
    with pytest.raises(InvalidEvent) as caught:
        Event(**{"data": "x", field: value})
    assert caught.value.field == field


def test_an_event_that_only_ends_needs_no_data():
    assert Event(data=None, end=True).data is None


def test_an_event_cannot_be_changed():
    with pytest.raises(AttributeError):
        Event(data="x").data = "y"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("value", "data", "json"),
    [
        ("text", "text", False),
        ({"a": 1}, '{"a":1}', True),
        ([1, "ä"], '[1,"ä"]', True),
        (None, "null", True),
        (True, "true", True),
        (1.5, "1.5", True),
    ],
)
def test_python_values(value: Any, data: str, json: bool):
    event = Event.of(value)
    assert (event.data, event.json) == (data, json)


def test_a_value_without_a_json_form_is_refused():
    with pytest.raises(InvalidEvent, match="no JSON form"):
        Event.of(object())


@pytest.mark.parametrize("text", ['{"b": 1.10, "a": 1e2}', " [ 1 ]\n", "123456789012345678901234567890", '"\\u00e4"'])
def test_json_is_kept_byte_for_byte(text: str):
    assert Event.from_json(text).data == text


@pytest.mark.parametrize("text", ["", "{", "[1,]", "NaN", "01", "{'a': 1}", "1 2", '"\n"', "tru"])
def test_what_is_not_json_is_refused(text: str):
    with pytest.raises(InvalidEvent, match="not JSON"):
        Event.from_json(text)


def test_json_is_checked_however_the_event_is_made():
    with pytest.raises(InvalidEvent, match="not JSON"):
        Event(data='1}\n{"stream":"end"', json=True)


@pytest.mark.parametrize(
    ("text", "json"), [('{"a": 1}', True), ("12", True), ("plain", False), ("{", False), ("", False)]
)
def test_what_people_type_is_json_when_it_can_be(text: str, json: bool):
    event = Event.read(text, event="e")
    assert (event.data, event.json, event.event) == (text, json, "e")


def test_a_log_stamps_a_copy():
    event = Event(data="x", event="e", key="k")
    stamped = event.stamped(id="a.1", topic="t", time=5)
    assert (stamped.id, stamped.topic, stamped.time, stamped.data, stamped.event, stamped.key) == (
        "a.1",
        "t",
        5,
        "x",
        "e",
        "k",
    )
    assert (event.id, event.topic, event.time) == (None, None, None)


@pytest.mark.parametrize("pair", ["[]", '{"a":}'])
def test_depth_is_bounded_alike_everywhere(pair: str):
    def nested(depth: int) -> str:
        opening, closing = pair[:-1], pair[-1]
        return opening * depth + "1" + closing * depth

    assert json_error(nested(MAX_JSON_DEPTH)) is None
    for depth in (MAX_JSON_DEPTH + 1, 100_000):
        assert json_error(nested(depth)) == f"nested deeper than {MAX_JSON_DEPTH}"


def test_brackets_beside_each_other_or_in_strings_are_not_depth():
    assert json_error("[" + ",".join(["[]"] * 1000) + "]") is None
    assert json_error('["' + "[" * 1000 + '\\"{"]') is None


@given(st.text(alphabet='[]{}"\\a,:1 ', max_size=2000))
def test_looking_at_depth_never_fails(text: str):
    json_error(text * 5)


def test_size_counts_bytes():
    assert Event(data="ä", event="e", key="k", topic="t").size == 5
