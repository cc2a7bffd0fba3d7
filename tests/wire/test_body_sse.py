"""Server-sent events of a response's own: read by our decoder and by another project's, heartbeats between them."""

from __future__ import annotations

import json
from typing import Any

import httpx
import httpx_sse
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echostream.event import Event
from echostream.exceptions import InvalidItem, InvalidSetting
from echostream.wire import SSE, SseBody, SseDecoder, StreamEnd, StreamError
from support.bodies import Color, Word, body_of, texts
from support.wire import OtherSseDecoder, decoded, events, plain

VALUES = (
    st.none() | st.booleans() | st.integers() | st.lists(texts, max_size=2) | st.dictionaries(texts, texts, max_size=2)
)


@settings(deadline=None, max_examples=200)
@given(st.lists(events() | texts | VALUES, max_size=5), st.lists(st.integers(0, 5), max_size=2), st.booleans())
def test_events_are_read(items: list[Any], places: list[int], beats: bool) -> None:
    items = [item for item in items if not (isinstance(item, Event) and (item.id or "").endswith(".end"))]
    body = body_of(SseBody(2), items, places=places, beats=beats)
    messages = decoded(body)
    other = OtherSseDecoder()
    assert [*other.feed(body), *other.finish()] == messages
    assert len(messages) == len(items)
    for item, message in zip(items, messages, strict=True):
        if isinstance(item, Event):
            assert (message.event, message.data) == (item.event or "message", plain(item.data or ""))
        elif isinstance(item, str):
            assert (message.event, message.data) == ("message", plain(item))
        else:
            assert json.loads(message.data) == item


def test_an_event_is_the_encoders_and_its_value_as_event_of_makes_it() -> None:
    items = [Event.of({"a": 1}, event="e", id="k.1", retry=5), "a\nb", {"a": [1.5, None]}, 5, None, True]
    assert body_of(SseBody(), items) == b"".join(SSE.event(Event.of(item)) for item in items)


def test_texts_of_other_types() -> None:
    assert body_of(SseBody(), [Word("a"), Color.RED]) == b"data: a\n\ndata: =red\n\n"


def test_raw_json_with_line_breaks_stays_one_event() -> None:
    assert decoded(SseBody().encode([Event.from_json('{"a":\r\n\r\n1}'), 2]))[0].data == '{"a":\n\n1}'


def test_retry_stands_before_the_first_and_once() -> None:
    body = SseBody(1.5)
    assert body.encode(["a"]) == b"retry: 1500\n\ndata: a\n\n"
    assert body.encode(["b"]) == b"data: b\n\n"
    assert body.finish() == b""
    decoder = SseDecoder()
    decoder.feed(SseBody(0.25).encode(["a"]))
    assert decoder.retry == 250
    # A stream that fails before its first event tells it too.
    body = SseBody(1)
    end = StreamEnd(reason="deadline")
    assert body.control(end) == b"retry: 1000\n\n" + SSE.control(end)
    assert body.encode(["b"]) == b"data: b\n\n"
    assert SseBody().encode(["a"]) == b"data: a\n\n"


@pytest.mark.parametrize("retry", [-1, float("nan"), float("inf"), 1e10])
def test_a_retry_that_no_browser_can_keep(retry: float) -> None:
    with pytest.raises(InvalidSetting, match="retry"):
        SseBody(retry)


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (Event(data="x", id="k.1.end"), "has the id 'k.1.end'; one that ends in '.end' tells the reader"),
        (Event(data="x", id=".end"), "has the id '.end'"),
        (Event(data=None, end=True), "is an event without data"),
        (b"x", "is of type bytes, which an event cannot carry; decode it to text first"),
        (bytearray(b"x"), "is of type bytearray"),
        (memoryview(b"x"), "is of type memoryview"),
        ("\ud800", "data: is not valid Unicode (a lone surrogate)"),
        (Word("\ud800"), "data: is not valid Unicode"),
        ({1j}, "holds a value of type complex"),
    ],
)
def test_bad_items_are_told(item: Any, reason: str) -> None:
    body = SseBody(1)
    with pytest.raises(InvalidItem) as caught:
        body.encode(["a", item, b"x"])
    assert caught.value.item == 2
    assert reason in caught.value.reason
    assert body.encode(["a"]) == b"retry: 1000\n\ndata: a\n\n"


def test_ids_that_only_resemble_the_reserved_ones() -> None:
    assert b"id: k.endless\n" in SseBody().encode([Event(data="x", id="k.endless")])


def test_described_rows_are_objects() -> None:
    body = SseBody()
    body.describe(["a", "b"])
    assert body.encode([(1, "x")]) == b'data: {"a":1,"b":"x"}\n\n'


def test_it_is_read_by_httpx_sse_as_it_comes() -> None:
    body = SseBody(3)
    steps = [body.encode([{"n": number}]) + body.heartbeat for number in range(20)]
    steps.append(body.control(StreamError(code="failed", message="m"), id="k.2.end"))
    sent = 0

    def stream() -> Any:
        nonlocal sent
        for step in steps:
            sent += 1
            yield step[:5]
            yield step[5:]

    response = httpx.Response(200, headers={"Content-Type": body.media_type}, content=stream())
    seen = 0
    for event in httpx_sse.EventSource(response).iter_sse():
        if not event.data:
            continue  # httpx-sse gives an event for a `retry` that stands alone
        assert sent - seen <= 2, "an event came long after its bytes"
        if seen < 20:
            assert event.json() == {"n": seen}
        seen += 1
    assert seen == 21
    assert (event.event, event.id) == ("stream-error", "k.2.end")


def test_its_face() -> None:
    body = SseBody()
    assert (body.name, body.media_type, body.by_item, body.heartbeat, body.tells_end) == (
        "sse", "text/event-stream; charset=utf-8", True, b":\n\n", True,
    )  # fmt: skip
    assert body.control(StreamEnd(reason="x"), id="k.1") == SSE.control(StreamEnd(reason="x"), id="k.1")
