"""The progressive JSON array: valid whole, never valid cut; heartbeats anywhere; read by ijson as it comes."""

from __future__ import annotations

import json
from typing import Any

import ijson
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echostream.exceptions import InvalidItem
from echostream.wire import JsonArrayBody, JsonArrayDecoder, StreamEnd
from support.bodies import Chunks, body_of
from support.wire import json_texts

VALUES = json_texts().map(lambda text: msgspec.json.decode(text, strict=False))


@settings(deadline=None, max_examples=200)
@given(st.lists(VALUES, max_size=6), st.lists(st.integers(0, 6), max_size=3), st.booleans())
def test_it_is_read_whole_and_never_cut(items: list[Any], places: list[int], beats: bool) -> None:
    body = body_of(JsonArrayBody(), items, places=places, beats=beats)
    assert json.loads(body) == items
    decoder = JsonArrayDecoder()
    assert [json.loads(element) for element in decoder.feed(body)] == items
    decoder.finish()
    for end in range(len(body.rstrip())):
        with pytest.raises(ValueError, match=r"."):
            json.loads(body[:end])


def test_bytes() -> None:
    body = JsonArrayBody()
    assert body.encode([1, "a"]) == b'[1,"a"'
    assert body.encode([{"b": None}]) == b',{"b":null}'
    assert body.finish() == b"]"
    assert JsonArrayBody().finish() == b"[]"


def test_an_item_that_fails_leaves_the_bracket_to_come() -> None:
    body = JsonArrayBody()
    with pytest.raises(InvalidItem, match="item 2"):
        body.encode([1, object()])
    assert body.encode([1]) + body.finish() == b"[1]"


def test_a_hook_that_fails_only_once() -> None:
    errors = [ZeroDivisionError()]

    def default(value: Any) -> Any:
        if errors:
            raise errors.pop()
        return "known"

    assert body_of(JsonArrayBody(default), [1, object(), 2]) == b'[1,"known",2]'


def test_the_items_are_read_by_ijson_as_they_come() -> None:
    items = [{"n": number, "text": "x" * 50} for number in range(100)]
    body = body_of(JsonArrayBody(), items, places=range(100), beats=True)
    file = Chunks(body, 64)
    found: list[Any] = []
    lag: list[int] = []
    for item in ijson.items(file, "item", buf_size=64):
        found.append(item)
        lag.append(file.given - body.index(b'"n":%d,' % item["n"]))
    assert found == items
    assert max(lag) < 300, "an item came long after its bytes"


def test_a_cut_array_is_an_error_to_ijson() -> None:
    body = body_of(JsonArrayBody(), list(range(100)))
    with pytest.raises(ijson.IncompleteJSONError):
        list(ijson.items(Chunks(body[:-1], 64), "item"))


def test_its_face() -> None:
    body = JsonArrayBody()
    assert (body.name, body.media_type, body.by_item, body.tells_end) == ("json", "application/json", False, False)
    assert not body.heartbeat.strip(b" \t\r\n")
    assert body.heartbeat
    assert body.control(StreamEnd(reason="x"), id="k.1") == b""
