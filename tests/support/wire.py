"""What the wire tests share: nasty events, streams cut everywhere, and a decoder from another project."""

from __future__ import annotations

import codecs
import itertools
import json
from collections.abc import Iterator
from typing import Any

from httpx_sse._decoders import SSEDecoder, SSELineDecoder
from hypothesis import strategies as st

from echostream.event import MAX_RETRY, MAX_TIME, Event
from echostream.wire import SseDecoder, SseMessage

__all__ = ["OtherSseDecoder", "decoded", "events", "json_texts", "pieces", "plain"]


class OtherSseDecoder:
    """httpx-sse 0.4's decoder, held to WHATWG where it is known to leave it. Its ways, all of them:

    1. A BOM before the first line is kept, so the first field is lost. Taken off here (9.2.5 decodes as UTF-8
       with BOM).
    2. A blank line gives an event without data when an `event`, `id` or `retry` was seen, ever after
       in the case of `id`. Dropped here, by whether a `data` field was seen (9.2.6: "if the data buffer is empty").
    3. CR as the last character waits for what follows. Given at once here, as line ends are in 9.2.5.
    4. `retry` takes whatever `int()` takes (`-5`, `1_0`). Not compared.

    Everything else (fields, line ends, the colon, the space, NUL, comments) is its own.
    """

    def __init__(self) -> None:
        self._text = codecs.getincrementaldecoder("utf-8")("replace")
        self._lines = SSELineDecoder()
        self._fields = SSEDecoder()
        self._first = True
        self._has_data = False

    def feed(self, data: bytes) -> list[SseMessage]:
        text = self._text.decode(data)
        if text and self._first:
            self._first = False
            text = text.removeprefix("\ufeff")
        messages: list[SseMessage] = []
        for line in self._lines.decode(text) if text else []:
            self._line(line, messages)
        return messages

    def finish(self) -> list[SseMessage]:
        messages: list[SseMessage] = []
        if self._lines.trailing_cr:
            for line in self._lines.flush():
                self._line(line, messages)
        return messages

    def _line(self, line: str, messages: list[SseMessage]) -> None:
        self._has_data = self._has_data or line == "data" or line.startswith("data:")
        found = self._fields.decode(line)
        if line:
            return
        if found is not None and self._has_data:
            messages.append(SseMessage(found.event, found.data, found.id))
        self._has_data = False


def decoded(stream: bytes, *cuts: int) -> list[SseMessage]:
    """What our decoder makes of the stream, fed in pieces."""
    decoder = SseDecoder()
    return [message for piece in pieces(stream, *cuts) for message in decoder.feed(piece)]


def pieces(stream: bytes, *cuts: int) -> Iterator[bytes]:
    """The stream cut at these places."""
    edges = [0, *sorted(cuts), len(stream)]
    for start, end in itertools.pairwise(edges):
        yield stream[start:end]


def plain(data: str) -> str:
    """Text as SSE can carry it: its only line end is LF."""
    return data.replace("\r\n", "\n").replace("\r", "\n")


# Everything that some parser somewhere takes for a line end or a field, next to any other text.
_NASTY = st.sampled_from(
    ["\r", "\n", "\r\n", "\n\n", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1e", "\0", "\ufeff", " ", ":",
     "data", "data: ", "event: stream-end", "id: ", "retry: 0", "stream-",
     '"', "\\", "}", '"stream":"end"', "\N{PILE OF POO}"]
)  # fmt: skip
_CHARACTERS = st.characters(exclude_categories=["Cs"])
_TEXTS = st.lists(_NASTY | st.text(_CHARACTERS, max_size=5), max_size=8).map("".join)


def _name(text: str) -> str | None:
    for char in "\r\n\0":
        text = text.replace(char, "")
    while text.startswith("stream-"):
        text = text.removeprefix("stream-")
    return text[:60]


_NAMES = st.none() | _TEXTS.map(_name)

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def json_texts(draw: st.DrawFn) -> str:
    """JSON as people write it: with or without indentation, escapes and odd numbers."""
    text = json.dumps(draw(_VALUES), indent=draw(st.sampled_from([None, 0, 2])), ensure_ascii=draw(st.booleans()))
    return text.replace("\n", draw(st.sampled_from(["\n", "\r\n", "\r", "\n\n\t "])))


@st.composite
def events(draw: st.DrawFn) -> Event:
    """Any event that can be made, with data."""
    fields: dict[str, Any] = {
        "event": draw(_NAMES),
        "id": draw(_NAMES),
        "key": draw(_NAMES),
        "topic": draw(st.none() | st.sampled_from(["a", "a/b", "d\u2028"])),
        "retry": draw(st.none() | st.integers(0, MAX_RETRY)),
        "time": draw(st.none() | st.integers(0, MAX_TIME)),
    }
    if draw(st.booleans()):
        return Event.from_json(draw(json_texts()), **fields)
    return Event(data=draw(_TEXTS), **fields)
