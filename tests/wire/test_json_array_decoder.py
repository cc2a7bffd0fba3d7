"""The decoder of JSON arrays: cut everywhere, held against json and msgspec, given what is broken."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echostream.event import MAX_JSON_DEPTH
from echostream.exceptions import DecodeError
from echostream.wire import JsonArrayDecoder
from support.wire import json_texts, pieces

SPACE = st.text(" \t\r\n", max_size=2)


@st.composite
def arrays(draw: st.DrawFn) -> bytes:
    """An array with white space wherever it may stand."""
    elements = draw(st.lists(json_texts() | st.sampled_from(["-0.0", "1E+2", "[]", "{}", '"\\\\"', "[[[[[[[1]]]]]]]"])))
    spaced = [draw(SPACE) + element + draw(SPACE) for element in elements]
    return f"{draw(SPACE)}[{','.join(spaced) or draw(SPACE)}]{draw(SPACE)}".encode()


def read(body: bytes, *cuts: int) -> list[bytes]:
    decoder = JsonArrayDecoder()
    found = [element for piece in pieces(body, *cuts) for element in decoder.feed(piece)]
    decoder.finish()
    return found


def expected(body: bytes) -> list[bytes] | None:
    """By another way: msgspec's own reading of the whole array, which leaves UTF-8 out. None for what is no array."""
    try:
        body.decode()
        return [bytes(element) for element in msgspec.json.decode(body, type=list[msgspec.Raw])]
    except (ValueError, msgspec.MsgspecError):
        return None


@settings(deadline=None, max_examples=200)
@given(arrays(), st.lists(st.integers(0, 300), max_size=4))
def test_elements(body: bytes, cuts: list[int]) -> None:
    whole = expected(body)
    assert read(body, *(cut for cut in cuts if cut < len(body))) == whole
    assert read(body, *range(1, len(body))) == whole
    assert [json.loads(element) for element in read(body)] == json.loads(body)


@settings(deadline=None, max_examples=400)
@given(arrays(), st.data())
def test_what_is_broken_is_refused_as_the_whole_would_be(body: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(body)))
    put = data.draw(
        st.sampled_from([b"", b",", b'"', b"[", b"]", b"{", b"}", b"\\", b"1", b"x", b"\xff", b" ", b"\n", b":"])
    )
    broken = body[:place] + put + body[place + data.draw(st.integers(0, 2)) :]
    cuts = data.draw(st.lists(st.integers(0, len(broken)), max_size=3))
    try:
        found = read(broken, *cuts)
    except DecodeError:
        found = None
    assert found == expected(broken)


@settings(deadline=None, max_examples=100)
@given(arrays())
def test_a_cut_body_is_an_error(body: bytes) -> None:
    for end in range(len(body.rstrip())):
        decoder = JsonArrayDecoder()
        decoder.feed(body[:end])
        with pytest.raises(DecodeError, match="the body was cut"):
            decoder.finish()


@pytest.mark.parametrize(
    ("body", "given"),
    [
        (b'[1, 2 ,"a]" ,[1,[2]],{"b":{}} ]', {b"1": 2, b"2": 5, b'"a]"': 10, b"[1,[2]]": 19, b'{"b":{}}': 28}),
        (b"[true,null]", {b"true": 5, b"null": 10}),
        (b'["\\"","\\\\"]', {b'"\\""': 4, b'"\\\\"': 9}),
    ],
)  # fmt: skip
def test_an_element_is_given_with_its_last_byte(body: bytes, given: dict[bytes, int]) -> None:
    """But for numbers and words: only the byte behind them says that they have ended."""
    decoder = JsonArrayDecoder()
    found = {element: place for place in range(len(body)) for element in decoder.feed(body[place : place + 1])}
    assert found == given


def test_heartbeats_are_skipped() -> None:
    assert read(b"\n\n[\n\n1\n\n,\n\n2\n\n]\n\n") == [b"1", b"2"]
    decoder = JsonArrayDecoder()
    assert decoder.feed(b"\n") == decoder.feed(b"") == []


@pytest.mark.parametrize(
    ("body", "before", "error"),
    [
        (b"1", [], r"no JSON array: b'1' where \[ was to come"),
        (b'{"a":1}', [], r"b'{' where \[ was to come"),
        (b"\xef\xbb\xbf[]", [], r"where \[ was to come"),
        (b"[1,]", [b"1"], r"b'\]' where a value was to come"),
        (b"[,1]", [], r"b',' where a value or \] was to come"),
        (b"[1,,2]", [b"1"], r"b',' where a value was to come"),
        (b"[1 2]", [b"1"], r"b'2' where , or \] was to come"),
        (b'["a""b"]', [b'"a"'], "b'\"' where , or"),
        (b"[1}", [b"1"], r"b'}' where , or \] was to come"),
        (b"[1]]", [b"1"], r"b'\]' where nothing more was to come"),
        (b"[1][2]", [b"1"], r"b'\[' where nothing more was to come"),
        (b"[] x", [], r"b'x' where nothing more was to come"),
        (b"[1,2,tru,4]", [b"1", b"2"], "an element of the array is no JSON: "),
        (b"[1,01]", [b"1"], "is no JSON: "),
        (b"[1,NaN]", [b"1"], "b'N' where a value was to come"),
        (b'[1,{"a":1]]', [b"1"], "is no JSON: "),
        (b"[1,[2},3,[4}]", [b"1"], "is no JSON: "),
        (b'[1,"\xff",2]', [b"1"], "is no JSON: "),
        (b'[1,{"\xed\xa0\x80":2}]', [b"1"], "is no JSON: "),
        (b'[1,"\\x"]', [b"1"], "is no JSON: "),
        (b'[1,"\n"]', [b"1"], "is no JSON: "),
        (b"[1," + b"[" * (MAX_JSON_DEPTH + 1), [b"1"], f"nested deeper than {MAX_JSON_DEPTH}"),
        (b"[1," + b'{"a":' * (MAX_JSON_DEPTH + 1), [b"1"], f"nested deeper than {MAX_JSON_DEPTH}"),
    ],
)
@pytest.mark.parametrize("step", [1, 3, 10_000])
def test_what_is_wrong_is_told_after_what_was_right(body: bytes, before: list[bytes], error: str, step: int) -> None:
    decoder = JsonArrayDecoder()
    found: list[bytes] = []

    def feed_all() -> None:
        for start in range(0, len(body) + step, step):
            found.extend(decoder.feed(body[start : start + step]))
        decoder.finish()

    with pytest.raises(DecodeError, match=error):
        feed_all()
    assert found == before
    # It stays so.
    for again in (lambda: decoder.feed(b"1"), decoder.finish):
        with pytest.raises(DecodeError, match=error):
            again()


def test_the_deepest_that_is_allowed() -> None:
    element = b"[" * MAX_JSON_DEPTH + b"]" * MAX_JSON_DEPTH
    assert read(b"[%s,%s]" % (element, element)) == [element, element]


@pytest.mark.parametrize(
    "element", [b'"%s"' % (b"x" * 99), b"1" * 101, b"[%s]" % (b"1" * 99), b'{"a":"%s' % (b"\\n" * 99)]
)
@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_an_element_over_its_bound_is_refused(element: bytes, step: int) -> None:
    body = b"[1," + b"[2], " * 200 + element + b", 3]"
    found: list[bytes] = []
    decoder = JsonArrayDecoder(max_bytes=100)

    def feed_all() -> None:
        for start in range(0, len(body) + step, step):
            found.extend(decoder.feed(body[start : start + step]))

    with pytest.raises(DecodeError, match="an element of the array is over 100 bytes"):
        feed_all()
    assert found == [b"1"] + [b"[2]"] * 200
    assert read(b'["%s"]' % (b"x" * 98)) == [b'"%s"' % (b"x" * 98)]


@pytest.mark.parametrize(
    "body",
    [
        b'["' + b"\\n" * 500_000 + b'"]',
        b'[{"a":"' + b"x" * 1_000_000 + b'"}]',
        b"[" + b"[[],{}]," * 100_000 + b"1]",
        b"[" + b'["]",' * 150 + b'"' + b"x" * 500_000 + b'"' + b"]" * 150 + b"]",
        b"[[" + b"[[[[[[1]]]]]]," * 50_000 + b"1]]",
        b"[" + b" " * 1_000_000 + b"]",
    ],
    ids=["escapes", "a long string", "many small", "one in many", "one with many", "white space"],
)
@pytest.mark.parametrize("step", [100, 1_000_000])
def test_large_bodies_are_read_in_time(body: bytes, step: int) -> None:
    """Each within the time limit of a test many times over, whatever the pieces: nothing is read again and again."""
    decoder = JsonArrayDecoder()
    found: list[Any] = []
    for start in range(0, len(body), step):
        found += decoder.feed(body[start : start + step])
    decoder.finish()
    assert b",".join(found) == body[1:-1].strip()
