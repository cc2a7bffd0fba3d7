"""Envelopes and batches are read back as the events they were made of; control events too."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echostream.event import Event
from echostream.exceptions import DecodeError
from echostream.wire import (
    NDJSON,
    SSE,
    Control,
    SseDecoder,
    StreamAt,
    StreamEnd,
    StreamError,
    StreamGap,
    StreamOpen,
    batch_line,
    envelope,
    parse_batch,
    parse_control,
    parse_envelope,
)
from support.wire import events


def as_carried(event: Event, **changes: Any) -> Event:
    """What is left of an event on one line: JSON without its line breaks, a JSON string as text, no `retry`."""
    assert event.data is not None
    if event.json:
        value = json.loads(event.data)
        if isinstance(value, str):
            changes |= {"data": value, "json": False}
        else:
            changes["data"] = json.dumps(value)
    return msgspec.structs.replace(event, retry=None, **changes)


def normal(event: Event) -> Event:
    """JSON data in one spelling, to compare."""
    assert event.data is not None
    return msgspec.structs.replace(event, data=json.dumps(json.loads(event.data))) if event.json else event


@settings(deadline=None, max_examples=150)
@given(events())
def test_envelope(event: Event) -> None:
    assert normal(parse_envelope(envelope(event))) == as_carried(event)


@settings(deadline=None, max_examples=100)
@given(st.lists(events(), min_size=1, max_size=5))
def test_batch(items: list[Event]) -> None:
    body = b"".join(map(batch_line, items))
    assert body.count(b"\n") == len(items)
    expected = [as_carried(item, id=None, topic="t", time=None) for item in items]
    assert list(map(normal, parse_batch(body, topic="t"))) == expected


def test_unknown_members_of_an_envelope_are_passed_over() -> None:
    assert parse_envelope('{"data":{"a": 1.0},"more":[1],"id":"k.1"}') == Event(data='{"a": 1.0}', json=True, id="k.1")


@pytest.mark.parametrize(
    "line",
    ["", "1", "[]", "{}", '{"id":"k.1"}', '{"data":1', '{"data":1,"id":5}', '{"data":1,"event":"stream-x"}',
     '{"data":1,"time":"now"}', '{"data":1,"key":"a\\nb"}', b'{"data":"\xff"}', '{"data":"\\ud800"}', "[" * 5000],
)  # fmt: skip
def test_what_is_no_envelope(line: str | bytes) -> None:
    with pytest.raises(DecodeError):
        parse_envelope(line)


@pytest.mark.parametrize(
    "control",
    [
        StreamOpen(stream="s", epoch="k", from_="k.1", resume="live"),
        StreamAt(),
        StreamGap(after="k.1", oldest="k.5", dropped=None, reason="trimmed"),
        StreamError(code="c", message="m"),
        StreamEnd(reason="drain"),
    ],
    ids=lambda control: control.word,
)
def test_control(control: Control) -> None:
    message = SseDecoder().feed(SSE.control(control, id="k.1"))[0]
    assert parse_control(message.event.removeprefix("stream-"), json.loads(message.data)) == control
    line = json.loads(NDJSON.control(control, id="k.1"))
    word = line.pop("stream")
    line["stream"] = line.pop("stream_id", None)
    assert parse_control(word, line) == control


def test_control_of_another_version() -> None:
    assert parse_control("changed", {"at": "k.1"}) is None
    assert parse_control("end", {"reason": "drain", "more": 1}) == StreamEnd(reason="drain")
    for told in ({}, None, [], {"reason": 5}, "text"):
        with pytest.raises(DecodeError, match="stream-end"):
            parse_control("end", told)
