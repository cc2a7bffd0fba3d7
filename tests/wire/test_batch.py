"""Batches to publish: what is kept, and every way a line is refused, with its number."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echostream.event import Event
from echostream.exceptions import InvalidEvent, TooLarge
from echostream.wire import parse_batch
from support.wire import json_texts


def test_data_is_kept_byte_for_byte() -> None:
    body = b'{"data":{"z": 1.000, "a":\t[1E5] }}\n{"key":"k","event":"e","data":"te\\nxt"}\n{"data":null,"event":null}'
    assert parse_batch(body, topic="t") == [
        Event(data='{"z": 1.000, "a":\t[1E5] }', json=True, topic="t"),
        Event(data="te\nxt", event="e", key="k", topic="t"),
        Event(data="null", json=True, topic="t"),
    ]


def test_lines() -> None:
    body = b'\n \t\n{"data":1}\r\n\r\n{"data":2}'
    assert [event.data for event in parse_batch(body)] == ["1", "2"]


@settings(deadline=None)
@given(st.lists(json_texts().filter(lambda text: "\n" not in text and "\r" not in text), min_size=1, max_size=5))
def test_any_json(texts: list[str]) -> None:
    body = "\n".join(f'{{"data": {text}}}' for text in texts).encode()
    for event, text in zip(parse_batch(body), texts, strict=True):
        if text.startswith('"'):
            assert (event.json, event.data) == (False, json.loads(text))
        else:
            assert (event.json, event.data) == (True, text)


@pytest.mark.parametrize(
    ("line", "field", "reason"),
    [
        (b'{"dat":1}', "dat", "not known"),
        (b'{"data":1,"id":"k.1"}', "id", "not known"),
        (b'{"data":1,"end":true}', "end", "not known"),
        (b"{}", "data", "missing"),
        (b'{"event":"e"}', "data", "missing"),
        (b"[1]", "batch", "must be an object"),
        (b'"text"', "batch", "must be an object"),
        (b"null", "batch", "must be an object"),
        (b"nonsense", "batch", "not JSON"),
        (b'{"data":1', "batch", "not JSON"),
        (b'{"data":1}{"data":2}', "batch", "not JSON"),
        (b'{"data":NaN}', "batch", "not JSON"),
        (b'{"data":"a\x01"}', "batch", "not JSON"),
        (b'\xef\xbb\xbf{"data":1}', "batch", "not JSON"),
        (b'{"data":"\xff"}', "batch", "UTF-8"),
        (b'{"data":{"a":"\xed\xa0\x80"}}', "batch", "UTF-8"),
        (b'{"data":"\\ud800"}', "batch", "not JSON"),
        (b'{"data":1,"data":2}', "data", "given twice"),
        (b'{"data":{"data":1},"d\\u0061ta":2}', "data", "given twice"),
        (b'{"event":"a","data":1,"event":"a"}', "event", "given twice"),
        (b'{"data":1,"event":5}', "event", "Expected"),
        (b'{"data":1,"key":["a"]}', "key", "Expected"),
        (b'{"data":1,"event":"stream-end"}', "event", "reserved"),
        (b'{"data":1,"event":"a\\nid: 1"}', "event", "LF"),
        (b'{"data":1,"key":"a\\u0000"}', "key", "NUL"),
        (b'{"data":1e400}', "data", "not JSON"),
        (b'{"data":' + b"[" * 201 + b"]" * 201 + b"}", "data", "nested deeper than 200"),
        (b'{"data":' + b"[" * 50_000 + b"]" * 50_000 + b"}", "data", "nested deeper than 200"),
    ],
)
def test_a_bad_line_refuses_the_batch(line: bytes, field: str, reason: str) -> None:
    with pytest.raises(InvalidEvent, match=reason) as caught:
        parse_batch(b'{"data":1}\n\n' + line + b'\n{"data":2}\n')
    assert caught.value.field == field
    assert caught.value.line == 3
    assert "line 3" in str(caught.value)


def test_members_of_the_data_are_no_members_of_the_line() -> None:
    body = b'{"data":{"data":1,"data":2,"event":"x","d\\u0061ta":0},"event":"y"}'
    assert parse_batch(body)[0].data == '{"data":1,"data":2,"event":"x","d\\u0061ta":0}'


def test_depth_is_an_error_before_it_is_a_crash() -> None:
    refused = 0
    for depth in range(50, 1050, 10):  # two parsers with two limits, which the caller's own depth moves
        try:
            parse_batch(b'{"data":["data","data",' + b"[" * depth + b"]" * depth + b"]}")
        except InvalidEvent:
            refused += 1
    assert 0 < refused < 100


@pytest.mark.parametrize("body", [b"", b"\n", b" \r\n\t\n"])
def test_an_empty_batch_is_an_error(body: bytes) -> None:
    with pytest.raises(InvalidEvent, match="empty") as caught:
        parse_batch(body)
    assert caught.value.field == "batch"


def test_too_many() -> None:
    body = b'{"data":1}\n' * 3
    assert len(parse_batch(body, max_events=3)) == 3
    with pytest.raises(TooLarge) as caught:
        parse_batch(body, max_events=2)
    assert (caught.value.field, caught.value.size, caught.value.limit) == ("batch", 3, 2)


@settings(deadline=None)
@given(st.binary(max_size=60) | st.text(alphabet='{}[]":, \n\\udataeventkey01', max_size=60).map(str.encode))
def test_any_bytes_are_events_or_one_kind_of_error(body: bytes) -> None:
    try:
        assert parse_batch(body)
    except InvalidEvent:
        pass
