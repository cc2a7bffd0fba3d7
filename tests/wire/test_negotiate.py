"""Negotiation: RFC 9110, section 12.5.1."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostream.exceptions import InvalidInput, NotAcceptable
from echostream.wire import FORMATS, JSON_ARRAY, SSE, SSE_ENVELOPE, TEXT, by_name, negotiate

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "name"),
    [
        (None, "sse"),
        ("", "sse"),
        (" , ,", "sse"),
        ("nonsense", "sse"),
        ("*/*", "sse"),
        ("text/html", "sse"),
        ("text/html;q=0.1", "sse"),
        (BROWSER, "sse"),
        ("text/event-stream", "sse"),
        ("TEXT/Event-Stream", "sse"),
        ("text/event-stream;charset=utf-8", "sse"),
        ("text/event-stream, application/problem+json", "sse"),
        ("application/x-ndjson", "ndjson"),
        ("application/ndjson", "ndjson"),
        ("application/jsonl", "ndjson"),
        ("application/x-jsonlines", "ndjson"),
        ("application/json", "json"),
        ("text/plain", "text"),
        ("application/*", "ndjson"),
        ("text/*", "sse"),
        # weights
        ("text/event-stream;q=0.5, application/json", "json"),
        ("text/event-stream;q=0.5, application/json;q=0.501", "json"),
        ("text/plain;q=0.9, application/json;q=0.9", "json"),
        ("text/plain ; Q=0.2 , application/json ;\tq=0.1", "text"),
        ("text/html, application/json;q=0.5", "json"),
        ("text/html;level=1;q=1, text/plain;q=0.1", "text"),
        # specificity
        ("*/*, text/event-stream;q=0", "ndjson"),
        ("text/*;q=0, */*;q=0.1", "ndjson"),
        ("text/*;q=0.1, text/plain;q=0.9, */*;q=0.2", "text"),
        ("text/event-stream;q=0, text/event-stream;charset=utf-8", "sse"),
        ("application/ndjson;q=0, */*;q=0.5, text/*;q=0", "json"),
        # weights that are none: taken, but after everything else
        ("text/event-stream;q=high, text/plain;q=0.01", "text"),
        ("text/event-stream;q=-1, text/plain;q=0.01", "text"),
        ("text/event-stream;q=2, text/plain;q=0.01", "text"),
        ("text/event-stream;q=1e9, text/plain;q=0.01", "text"),
        ("text/event-stream;q=nan", "sse"),
        ("text/event-stream;q=0.0000", "sse"),
        ("text/event-stream;q=", "sse"),
        # quoted strings hide commas and semicolons
        ('application/json;a="x, text/plain;q=1";q=0.1, text/plain;q=0.2', "text"),
        ('application/json;a="\\", text/plain"', "json"),
        # what is no media range is passed over
        ("*/json, application", "sse"),
        (";", "sse"),
        (";text/plain, application/json", "json"),
        ("te xt/plain, application/json", "json"),
    ],
)
def test_chosen(accept: str | None, name: str) -> None:
    assert negotiate(accept, FORMATS).name == name


@pytest.mark.parametrize(
    "accept", ["image/png", "*/*;q=0", "text/event-stream;q=0", "text/html;q=0", "text/plain;q=0.000"]
)
def test_nothing_fits(accept: str) -> None:
    with pytest.raises(NotAcceptable) as caught:
        negotiate(accept, FORMATS)
    assert caught.value.asked == accept
    assert caught.value.offered == ("text/event-stream", "application/x-ndjson", "application/json", "text/plain")


def test_only_what_is_offered() -> None:
    assert negotiate("*/*", (JSON_ARRAY, TEXT)) is JSON_ARRAY
    assert negotiate(None, (SSE_ENVELOPE, TEXT)) is SSE_ENVELOPE
    with pytest.raises(NotAcceptable):
        negotiate("text/event-stream", (JSON_ARRAY,))


def test_the_header_is_bounded() -> None:
    assert negotiate("*/*" + " " * 4093, FORMATS) is SSE
    with pytest.raises(InvalidInput, match="4096") as caught:
        negotiate("*/*" + " " * 4094, FORMATS)
    assert caught.value.field == "Accept"


@pytest.mark.parametrize("piece", ['"', '"\\', "a/b;", ";q=", '"",', ",", "*/*,", 'a/b;x="'])
def test_no_header_takes_long(piece: str) -> None:
    started = time.perf_counter()
    try:
        negotiate((piece * 4096)[:4096], FORMATS)
    except NotAcceptable:
        pass
    assert time.perf_counter() - started < 0.5  # measured under 10 ms


@given(st.text(alphabet='*/text,plain;q=01." \\', max_size=60))
def test_any_header_has_an_answer(accept: str) -> None:
    try:
        assert negotiate(accept, FORMATS) in FORMATS
    except NotAcceptable:
        pass


def test_by_name() -> None:
    assert [by_name(encoder.name, FORMATS) for encoder in FORMATS] == list(FORMATS)
    assert by_name("sse", (SSE_ENVELOPE,)) is SSE_ENVELOPE
    for name in ("xml", "", "SSE", "x" * 5000):
        with pytest.raises(InvalidInput, match="offered are sse, ndjson, json, text") as caught:
            by_name(name, FORMATS)
        assert caught.value.field == "format"
        assert len(str(caught.value)) < 150
