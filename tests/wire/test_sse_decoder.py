"""The SSE decoder: the standard's examples and rules, whole, byte by byte, cut everywhere, with a tail."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echostream.exceptions import DecodeError
from echostream.wire import SseDecoder, SseMessage
from support.wire import OtherSseDecoder, decoded, pieces


def message(data: str, event: str = "message", id: str = "") -> SseMessage:
    return SseMessage(event, data, id)


# name: (stream, messages, last_event_id, retry)
CASES: dict[str, tuple[bytes, list[SseMessage], str, int | None]] = {
    # the examples of WHATWG HTML, 9.2.6
    "stock": (b"data: YHOO\ndata: +2\ndata: 10\n\n", [message("YHOO\n+2\n10")], "", None),
    "ids": (
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n",
        [message("first event", id="1"), message("second event")],  # the third has no blank line: not dispatched
        "",
        None,
    ),
    "empty data": (b"data\n\ndata\ndata\n\ndata:", [message(""), message("\n")], "", None),
    "one space": (b"data:test\n\ndata: test\n\n", [message("test"), message("test")], "", None),
    "types": (
        b"event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\ndata: 113411\n\n",
        [message("73857293", "add"), message("2153", "remove"), message("113411")],
        "",
        None,
    ),
    # the rules
    "bom": (b"\xef\xbb\xbfdata: a\n\n", [message("a")], "", None),
    "only one bom": (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", [message("b")], "", None),
    "bom later": (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [message("a")], "", None),
    "bom in data": (b"data:\xef\xbb\xbfa\n\n", [message("\ufeffa")], "", None),
    "cr": (b"data: a\rdata: b\r\rdata: c\r\r", [message("a\nb"), message("c")], "", None),
    "crlf": (b"data: a\r\ndata: b\r\n\r\n", [message("a\nb")], "", None),
    "lf then cr": (b"data: a\n\rdata: b\n\r", [message("a"), message("b")], "", None),
    "mixed": (b"data: a\rdata: b\ndata: c\r\n\ndata: d\r\n\r", [message("a\nb\nc"), message("d")], "", None),
    "no other ends": ("data: a\u2028b\x0bc\x85d\x1ce\n\n".encode(), [message("a\u2028b\x0bc\x85d\x1ce")], "", None),
    "comments": (b":\n:data: no\n: \n\ndata: a\n:\n\n", [message("a")], "", None),
    "no event without data": (b"event: x\n\ndata: a\n\n", [message("a")], "", None),
    "id without data": (b"id: 7\n\ndata: a\n\n", [message("a", id="7")], "7", None),
    "id not yet": (b"data: a\n\nid: 7\n", [message("a")], "", None),
    "id stays": (b"id: 7\ndata: a\n\ndata: b\n\n", [message("a", id="7"), message("b", id="7")], "7", None),
    "id with nul": (b"id: 7\ndata: a\n\nid: 8\0\ndata: b\n\n", [message("a", id="7"), message("b", id="7")], "7", None),
    "last id counts": (b"id: 1\nid: 2\ndata: a\n\n", [message("a", id="2")], "2", None),
    "last type counts": (b"event: x\nevent: y\ndata: a\n\n", [message("a", "y")], "", None),
    "type taken back": (b"event: x\nevent\ndata: a\n\n", [message("a")], "", None),
    "retry": (b"retry: 1500\n\n", [], "", 1500),
    "retry at once": (b"retry:0007\n", [], "", 7),
    "retry not digits": (b"retry: -5\nretry: 1_0\nretry: +1\nretry: 1.5\nretry:  5\n\n", [], "", None),
    "retry without digits": (b"retry:\nretry\nretry: \nretry: \xd9\xa1\n\n", [], "", None),
    "retry of an attacker": (b"retry: " + b"9" * 9000 + b"\n\n", [], "", 10**15),
    "unknown fields": (b"Data: a\ndata : b\n data: c\nfoo\nEVENT: x\ndata: d\n\n", [message("d")], "", None),
    "colons": (b"data: a: b\ndata::\n\n", [message("a: b\n:")], "", None),
    "spaces": (b"data:  a \ndata:\tb\n\n", [message(" a \n\tb")], "", None),
    "bad utf-8": (b"data: \xff\xe2\x82\ndata: \xe2\x82\xac\n\n", [message("\ufffd\ufffd\n\u20ac")], "", None),
    "nothing": (b"", [], "", None),
    "unfinished": (b"data: a\n", [], "", None),
    "unfinished line": (b"data: a\n\ndata: b\n\nda", [message("a"), message("b")], "", None),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("tail", [b"", b": tail", b"data: tail", b"id: tail\nevent: tail\n"])
def test_standard(name: str, tail: bytes) -> None:
    stream, messages, last_event_id, retry = CASES[name]
    if tail and stream and not stream.endswith((b"\n", b"\r")):
        stream += b"\n"
    whole = stream + tail
    for cuts in [(), *((cut,) for cut in range(1, len(whole))), range(1, len(whole))][:400]:
        decoder = SseDecoder()
        assert [found for piece in pieces(whole, *cuts) for found in decoder.feed(piece)] == messages
        assert decoder.last_event_id == last_event_id
        assert decoder.retry == retry


def test_an_event_is_given_with_its_last_byte() -> None:
    for end in (b"\n", b"\r", b"\r\n"):
        decoder = SseDecoder()
        assert decoder.feed(b"data: a" + end) == []
        assert decoder.feed(end[:1]) == [message("a")]  # the LF of a CRLF may never come
        assert decoder.feed(end[1:] + b"data: b" + end + end) == [message("b")]


def test_a_new_connection_keeps_the_id() -> None:
    decoder = SseDecoder(last_event_id="k.5")
    assert decoder.feed(b"data: a\n\n") == [message("a", id="k.5")]
    assert decoder.last_event_id == "k.5"


STREAMS = st.lists(
    st.sampled_from(
        [b"\r", b"\n", b"\r\n", b"\n\n", b"data", b"data:", b"data: ", b"event:", b"id:", b"id: 1", b"retry:",
         b":", b" ", b"\0", b"x", b"\xef\xbb\xbf", b"\xef", b"\xbb", b"\xe2\x82", b"\xac", b"\xf0\x9f", b"\x92\xa9",
         b"\xff", b"\xed\xa0\x80", "\u2028\x85\x0b".encode()]
    ) | st.binary(max_size=3),
    max_size=30,
).map(b"".join)  # fmt: skip


@settings(deadline=None, max_examples=150)
@given(STREAMS)
def test_agrees_with_another_decoder_and_with_itself_cut_at_every_byte(stream: bytes) -> None:
    other = OtherSseDecoder()
    expected = other.feed(stream) + other.finish()
    assert decoded(stream) == expected
    for cut in range(1, len(stream)):
        assert decoded(stream, cut) == expected
    assert decoded(stream, *range(1, len(stream))) == expected


@pytest.mark.parametrize("step", [1, 7, 10_000])
@pytest.mark.parametrize(
    "flood",
    [b"data: " + b"x" * 2000, b"data\n" * 400, b":" + b"x" * 2000, b"id: " + b"x" * 2000, b"data: xx\n" * 150],
    ids=["one line", "empty data lines", "comment", "id", "data lines"],
)
def test_an_event_without_end_is_refused(flood: bytes, step: int) -> None:
    decoder = SseDecoder(max_bytes=1000)
    stream = b"data: a\n\n" * 300 + flood
    found: list[SseMessage] = []

    def feed_all() -> None:
        for start in range(0, len(stream) + step, step):
            found.extend(decoder.feed(stream[start : start + step]))

    with pytest.raises(DecodeError, match="over 1000 bytes"):
        feed_all()
    assert found == [message("a")] * 300
    with pytest.raises(DecodeError):
        decoder.feed(b"\n\n")


def test_the_bound_is_for_what_is_unfinished() -> None:
    decoder = SseDecoder(max_bytes=20)
    for _ in range(100):
        assert decoder.feed(b": comment\ndata: 12345678901234\n\n") == [message("12345678901234")]
