"""NDJSON, the JSON array and text: exact bytes, read by the standard library's json, cut everywhere."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echostream.event import Event
from echostream.exceptions import DecodeError
from echostream.wire import (
    ENVELOPE_FORMATS,
    FORMATS,
    JSON_ARRAY,
    NDJSON,
    TEXT,
    Control,
    Encoder,
    LastLine,
    NdjsonDecoder,
    StreamAt,
    StreamEnd,
    StreamGap,
    StreamOpen,
)
from support.wire import events, pieces


def read(stream: bytes, *cuts: int) -> list[bytes]:
    decoder = NdjsonDecoder()
    return [line for piece in pieces(stream, *cuts) for line in decoder.feed(piece)]


def expected_envelope(event: Event) -> list[object]:
    assert event.data is not None
    data = json.loads(event.data) if event.json else event.data
    return [event.id, event.topic, event.event, data, event.key]


def carried(envelope: dict[str, object]) -> list[object]:
    assert list(envelope) == ["id", "topic", "event", "data", "time", "key"]
    return [envelope[name] for name in ("id", "topic", "event", "data", "key")]


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        (
            StreamOpen(stream="s1", epoch="k", from_="k.3", resume="live"),
            b'{"stream":"open","id":"k.3","retry":2000,"stream_id":"s1","epoch":"k","from":"k.3","resume":"live"}\n',
        ),
        (StreamAt(), b'{"stream":"at","id":"k.3","retry":2000}\n'),
        (
            StreamGap(after="a", oldest="b", dropped=None, reason="trimmed"),
            b'{"stream":"gap","id":"k.3","retry":2000,"after":"a","oldest":"b","dropped":null,"reason":"trimmed"}\n',
        ),
        (StreamEnd(reason="drain"), b'{"stream":"end","id":"k.3","retry":2000,"reason":"drain"}\n'),
    ],
)
def test_control(control: Control, expected: bytes) -> None:
    assert NDJSON.control(control, id="k.3", retry=2000) == expected
    assert NDJSON.control(control) == expected.replace(b'"id":"k.3","retry":2000,', b"").replace(
        b',"id":"k.3","retry":2000', b""
    )


@settings(deadline=None, max_examples=150)
@given(st.lists(events() | st.sampled_from([StreamAt(), StreamEnd(reason="x"), b"\n"]), max_size=5))
def test_ndjson_is_read_by_json(items: list[Event | Control | bytes]) -> None:
    parts = [
        NDJSON.event(item) if isinstance(item, Event) else NDJSON.control(item) if isinstance(item, Control) else item
        for item in items
    ]
    stream = b"".join(parts)
    assert all(part.count(b"\n") == 1 and b"\r" not in part for part in parts)
    lines = read(stream)
    for cut in range(1, len(stream), max(1, len(stream) // 50)):
        assert read(stream, cut) == lines
    assert read(stream, *range(1, len(stream))) == lines
    kept = [item for item in items if not isinstance(item, bytes)]
    for line, item in zip(lines, kept, strict=True):
        parsed = json.loads(line)
        # Only control events have the member `stream`, whatever an event's data looks like.
        assert ("stream" in parsed) == isinstance(item, Control)
        if isinstance(item, Event):
            assert carried(parsed) == expected_envelope(item)


@settings(deadline=None, max_examples=100)
@given(st.lists(events(), max_size=4))
def test_a_json_array_is_read_by_json(items: list[Event]) -> None:
    whole = JSON_ARRAY.opening + JSON_ARRAY.separator.join(map(JSON_ARRAY.event, items)) + JSON_ARRAY.closing
    assert [carried(envelope) for envelope in json.loads(whole)] == [expected_envelope(item) for item in items]
    assert JSON_ARRAY.control(StreamEnd(reason="x")) == b""


def test_text() -> None:
    assert TEXT.event(Event(data="a\r\nb")) == b"a\r\nb\n"
    assert TEXT.event(Event.from_json('{"a": 1.0}')) == b'{"a": 1.0}\n'
    assert TEXT.control(StreamEnd(reason="x"), id="k.1", retry=1) == b""


@pytest.mark.parametrize("encoder", [*FORMATS, *ENVELOPE_FORMATS], ids=repr)
def test_numbers_and_order_survive_in_every_format(encoder: Encoder) -> None:
    text = '{"z": 1.000, "a": -0, "b": 1E+2, "a": 123456789012345678901234567890}'
    assert text.encode() in encoder.event(Event.from_json(text))


@pytest.mark.parametrize(
    ("stream", "lines", "last"),
    [
        (b"", [], None),
        (b"\n\r\n\n", [], None),
        (b"1\n2\r\n\n3\n", [b"1", b"2", b"3"], None),
        (b'1\n{"a":', [b"1"], LastLine(b'{"a":', parses=False)),
        (b'1\n{"a":2}', [b"1"], LastLine(b'{"a":2}', parses=True)),
        (b"1\r", [], LastLine(b"1", parses=True)),
        (b"1\n\r", [b"1"], None),
        (b'"a\xe2\x80\xa8b\x85"\n', [b'"a\xe2\x80\xa8b\x85"'], None),
        (b'"\xff"', [], LastLine(b'"\xff"', parses=False)),
        (b"[" * 5000, [], LastLine(b"[" * 5000, parses=False)),
    ],
)
def test_decoder(stream: bytes, lines: list[bytes], last: LastLine | None) -> None:
    for cuts in [(), *((cut,) for cut in range(1, min(len(stream), 50))), range(1, len(stream))]:
        decoder = NdjsonDecoder()
        assert [line for piece in pieces(stream, *cuts) for line in decoder.feed(piece)] == lines
        assert decoder.finish() == last
        assert decoder.finish() is None


@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_a_line_without_end_is_refused(step: int) -> None:
    decoder = NdjsonDecoder(max_bytes=100)
    stream = b"1\n" * 200 + b"x" * 101 + b"\n2\n"
    found: list[bytes] = []

    def feed_all() -> None:
        for start in range(0, len(stream) + step, step):
            found.extend(decoder.feed(stream[start : start + step]))

    with pytest.raises(DecodeError, match="over 100 bytes"):
        feed_all()
    assert found == [b"1"] * 200
