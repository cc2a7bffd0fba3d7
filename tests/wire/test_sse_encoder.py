"""The SSE encoder: its exact bytes, and its output read by a decoder from another project."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echostream.event import Event
from echostream.wire import (
    SSE,
    SSE_ENVELOPE,
    Control,
    SseDecoder,
    SseEncoder,
    SseMessage,
    StreamAt,
    StreamEnd,
    StreamError,
    StreamGap,
    StreamOpen,
    time_text,
)
from support.wire import OtherSseDecoder, decoded, events, plain

CONTROLS: list[tuple[Control, bytes]] = [
    (
        StreamOpen(stream="s1", epoch="k", from_="k.3", resume="gap"),
        b'event: stream-open\nid: k.3\nretry: 2000\ndata: {"stream":"s1","epoch":"k","from":"k.3","resume":"gap"}\n\n',
    ),
    (StreamAt(), b"event: stream-at\nid: k.3\nretry: 2000\ndata: {}\n\n"),
    (
        StreamGap(after="a", oldest="b", dropped=7, reason="reset"),
        b'event: stream-gap\nid: k.3\nretry: 2000\ndata: {"after":"a","oldest":"b","dropped":7,"reason":"reset"}\n\n',
    ),
    (
        StreamError(code="x", message="a\r\nb"),
        b'event: stream-error\nid: k.3\nretry: 2000\ndata: {"code":"x","message":"a\\r\\nb"}\n\n',
    ),
    (StreamEnd(reason="drain"), b'event: stream-end\nid: k.3\nretry: 2000\ndata: {"reason":"drain"}\n\n'),
]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (Event(data="a"), b"data: a\n\n"),
        (Event(data=""), b"data: \n\n"),
        (Event(data=" a"), b"data:  a\n\n"),
        (Event(data="a\nb\rc\r\nd\n"), b"data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"),
        (Event(data="a\u2028b\x0bc\x85"), "data: a\u2028b\x0bc\x85\n\n".encode()),
        (Event(data="a", event="e", id="k.1", retry=5), b"event: e\nid: k.1\nretry: 5\ndata: a\n\n"),
        (Event.from_json('{"a": 1.00}'), b'data: {"a": 1.00}\n\n'),
        (Event.from_json("[1,\r\n 2]"), b"data: [1,\ndata:  2]\n\n"),
    ],
)
def test_plain(event: Event, expected: bytes) -> None:
    assert SSE.event(event) == expected


def test_envelope() -> None:
    event = Event.from_json(
        '{\n  "b": 1.00,\r\n  "a": [1E5,\n 12345678901234567890],\n  "a": "x  y\\n"\n}',
        event="e", id="k.1", topic="t/a", key="c", time=1_767_323_045_078,
    )  # fmt: skip
    assert SSE_ENVELOPE.event(event) == (
        b'event: e\nid: k.1\ndata: {"id":"k.1","topic":"t/a","event":"e",'
        b'"data":{"b": 1.00,"a": [1E5,12345678901234567890],"a": "x  y\\n"},'
        b'"time":"2026-01-02T03:04:05.078Z","key":"c"}\n\n'
    )
    assert SSE_ENVELOPE.event(Event(data='a"\nb')) == (
        b'data: {"id":null,"topic":null,"event":null,"data":"a\\"\\nb","time":null,"key":null}\n\n'
    )


def test_time() -> None:
    assert time_text(0) == "1970-01-01T00:00:00.000Z"
    assert time_text(253_402_300_799_999) == "9999-12-31T23:59:59.999Z"


@pytest.mark.parametrize(("control", "expected"), CONTROLS, ids=[control.word for control, _ in CONTROLS])
@pytest.mark.parametrize("encoder", [SSE, SSE_ENVELOPE], ids=["data", "envelope"])
def test_control(encoder: SseEncoder, control: Control, expected: bytes) -> None:
    assert encoder.control(control, id="k.3", retry=2000) == expected
    short = encoder.control(control)
    assert short == expected.replace(b"id: k.3\nretry: 2000\n", b"")
    assert decoded(short)[0].event == f"stream-{control.word}"


def test_a_heartbeat_means_nothing() -> None:
    decoder = SseDecoder()
    assert decoder.feed(SSE.event(Event(data="a", id="k.1")) + SSE.heartbeat * 3) == [SseMessage("message", "a", "k.1")]
    assert decoder.last_event_id == "k.1"


ITEMS = st.lists(events() | st.sampled_from([control for control, _ in CONTROLS]) | st.just(b":\n\n"), max_size=6)


@settings(deadline=None, max_examples=150)
@given(ITEMS, st.booleans())
def test_another_decoder_reads_what_was_sent(items: list[Event | Control | bytes], envelope: bool) -> None:
    encoder = SSE_ENVELOPE if envelope else SSE
    stream, expected, last_id = b"", [], ""
    for number, item in enumerate(items):
        if isinstance(item, bytes):
            stream += item
        elif isinstance(item, Control):
            stream += encoder.control(item, id=f"k.{number}")
            last_id = f"k.{number}"
            expected.append((f"stream-{item.word}", None, last_id))
        else:
            stream += encoder.event(item)
            last_id = last_id if item.id is None else item.id
            expected.append((item.event or "message", item, last_id))
    other = OtherSseDecoder()
    found = other.feed(stream) + other.finish()
    assert [(one.event, one.last_event_id) for one in found] == [(event, last) for event, _, last in expected]
    for one, (_, item, _) in zip(found, expected, strict=True):
        if isinstance(item, Event):
            assert_carries(one.data, item, envelope=envelope)
    assert decoded(stream) == found
    for cut in range(1, len(stream), max(1, len(stream) // 50)):
        assert decoded(stream, cut) == found


def assert_carries(data: str, event: Event, *, envelope: bool) -> None:
    assert event.data is not None
    if not envelope:
        assert data == plain(event.data)
        return
    found = json.loads(data)
    assert list(found) == ["id", "topic", "event", "data", "time", "key"]
    assert (found["id"], found["topic"], found["event"], found["key"]) == (
        event.id,
        event.topic,
        event.event,
        event.key,
    )
    assert found["data"] == (json.loads(event.data) if event.json else event.data)
