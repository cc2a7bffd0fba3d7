"""Subscribing across cuts, refusals and silences, against answers that are written here."""

from __future__ import annotations

import sys
from itertools import islice

import pytest

from echostream.client import Backoff, subscribe
from echostream.client.lines import NdjsonLines
from echostream.event import Event
from echostream.exceptions import DecodeError, InvalidInput, RequestRefused
from echostream.wire import NDJSON, SSE_ENVELOPE, Control, StreamAt, StreamEnd, StreamError, StreamGap, StreamOpen
from support.scripted import CUT, Answer, Held, problem, scripted, sse

GONE = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
OPEN = StreamOpen(stream="s", epoch="k", from_="k.0", resume="live")
QUICK = {"first": 0.01, "cap": 0.05}
ENCODERS = {"sse": SSE_ENVELOPE, "ndjson": NDJSON}


def event(number: int) -> Event:
    return Event.from_json(f'{{"n": {number}.0}}', id=f"k.{number}", topic="t", event="e", time=1000 * number)


BOTH = pytest.mark.parametrize("format", ["sse", "ndjson"])


def stream(format: str, *items: Event | Control, tail: bytes = b"", cut: bool = True, position: str = "k.0") -> bytes:
    encoder = ENCODERS[format]
    body = b"".join(
        encoder.event(item) if isinstance(item, Event) else encoder.control(item, id=position, retry=0)
        for item in items
    )
    return sse(body + tail, cut=cut, media_type=encoder.media_type)


@BOTH
def test_it_continues_after_every_cut(format: str) -> None:
    tails = {"sse": b'id: k.9\ndata: {"data"', "ndjson": b'{"id":"k.9","data":1}'}
    heard: list[Control] = []
    answers: list[Answer] = [
        CUT,
        stream(format, OPEN),  # cut before the first event: the position is told
        stream(format, OPEN, event(1), event(2), tail=tails[format]),  # in the middle of an event
        problem("503 Service Unavailable", "draining", "later"),
        stream(format, event(3), StreamEnd(reason="drain"), cut=False, position="k.3"),
        stream(format, StreamGap(after="k.3", oldest="k.7", dropped=3, reason="trimmed"), event(7), position="k.6"),
        stream(format, StreamAt(), position="k.8"),
        GONE,
    ]
    with scripted(*answers) as server:
        url = f"{server.url}/stream?topic=t"
        found = list(
            subscribe(url, since="earliest", format=format, on_control=heard.append, backoff=Backoff(**QUICK)),
        )
    assert found == [event(1), event(2), event(3), event(7)]
    ids = [request.headers.get("last-event-id") for request in server.requests]
    assert ids == [None, None, "k.0", "k.2", "k.2", "k.3", "k.7", "k.8"]
    envelope = "&envelope=1" if format == "sse" else ""
    targets = [request.target for request in server.requests]
    assert targets == [f"/stream?topic=t&since=earliest{envelope}"] * 2 + [f"/stream?topic=t{envelope}"] * 6
    accept = f"{ENCODERS[format].media_type}, application/problem+json"
    assert {request.headers["accept"] for request in server.requests} == {accept}
    assert [control.word for control in heard] == ["open", "open", "end", "gap", "at"]


@BOTH
def test_a_finished_stream_ends(format: str) -> None:
    with scripted(stream(format, event(1), StreamEnd(reason="finished"))) as server:
        assert list(subscribe(f"{server.url}/topics/t", format=format)) == [event(1)]


@BOTH
def test_silence_is_a_cut(format: str) -> None:
    why: list[str] = []
    with scripted(Held(stream(format, event(1))), GONE) as server:
        found = subscribe(
            f"{server.url}/topics/t", format=format, read_timeout=0.2, backoff=Backoff(**QUICK),
            on_retry=lambda reason, _: why.append(reason),
        )  # fmt: skip
        assert list(found) == [event(1)]
    assert len(why) == 1
    assert "timed out" in why[0].lower() or "timeout" in why[0].lower()


def test_the_reason_of_each_wait_is_told() -> None:
    why: list[str] = []
    answers: list[Answer] = [
        stream("sse", StreamError(code="log-unavailable", message="the disk is away"), cut=False),
        problem("429 Too Many Requests", "too-many", "slow down"),
        stream("sse", StreamEnd(reason="deadline"), cut=False),
        stream("sse", cut=False),
        GONE,
    ]
    with scripted(*answers) as server:
        list(subscribe(server.url, backoff=Backoff(**QUICK), on_retry=lambda reason, _: why.append(reason)))
    assert why == [
        "the disk is away (log-unavailable)",
        "slow down (429, too-many)",
        "the stream ended (deadline)",
        "the stream ended",
    ]


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (problem("400 Bad Request", "invalid-since", "since: nonsense"), RequestRefused, "since: nonsense"),
        (sse(b"<html>", media_type="text/html"), DecodeError, "text/html"),
        (sse(b"data: hello\n\n"), DecodeError, "no envelope"),
        (sse(b"event: stream-end\ndata: x\n\n"), DecodeError, "no JSON object"),
        (sse(b"event: stream-end\ndata: {}\n\n"), DecodeError, "stream-end"),
    ],
)
def test_what_will_not_change_is_raised(answer: bytes, error: type[Exception], says: str) -> None:
    with scripted(answer) as server, pytest.raises(error, match=says):
        list(subscribe(f"{server.url}/topics/t"))


def test_what_a_newer_hub_says_is_passed_over() -> None:
    body = b'event: stream-changed\nid: k.1\ndata: {"topics":[]}\n\n' + SSE_ENVELOPE.event(event(2))
    with scripted(sse(body), GONE) as server:
        assert list(subscribe(server.url, backoff=Backoff(**QUICK))) == [event(2)]


def test_an_id_of_the_callers_choice_and_leaving_early() -> None:
    with scripted(stream("sse", event(6), event(7))) as server:
        events = subscribe(server.url, last_event_id="k.5", since="latest", headers={"authorization": "x"})
        assert list(islice(events, 1)) == [event(6)]
        events.close()
    assert server.requests[0].headers["last-event-id"] == "k.5"
    assert server.requests[0].headers["authorization"] == "x"
    assert "since" not in server.requests[0].target


def test_bad_arguments_are_said_at_once() -> None:
    with pytest.raises(InvalidInput, match="url"):
        subscribe("nonsense")
    with pytest.raises(InvalidInput, match="last_event_id"):
        subscribe("http://127.0.0.1:1", last_event_id="a\nb")
    with pytest.raises(InvalidInput, match="since"):
        subscribe("http://127.0.0.1:1", since="\udcff")


def test_a_delay_that_no_clock_holds() -> None:
    lines = NdjsonLines("")
    lines.feed(b'{"stream":"at","retry":1' + b"0" * 400 + b"}\n")
    assert lines.retry == 10**12


@pytest.mark.parametrize("bad", [b"\x01", b"\xc3\xa4", b"a\x7f"])
def test_an_id_that_no_header_can_carry_is_not_tried_for_ever(bad: bytes) -> None:
    with scripted(sse(b"id: " + bad + b'\ndata: {"data":1}\n\n')) as server:
        with pytest.raises(DecodeError, match="last id"):
            list(subscribe(server.url, backoff=Backoff(**QUICK)))


def test_httpx_will_do_and_its_absence_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx2", None)
    with scripted(stream("sse", event(1)), CUT, GONE) as server:
        assert list(subscribe(server.url, backoff=Backoff(**QUICK))) == [event(1)]
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "echostream\[client\]"'):
        subscribe("http://127.0.0.1:1")
