"""A JSON array to its elements, incrementally: an element is given when its end is sure, and not before.

The scan looks only for where elements end. It steps over whole strings, and over everything that is
no bracket, with patterns that run in C, and between two pieces it keeps no more than a depth and
whether it stands in a string. Whether an element is JSON is asked of msgspec, for all the elements
of a piece at once. That is sound: an element as the scan sees it is a string, a run without commas
and brackets, or something that closes as many brackets as it opens, so two that are wrong cannot
make one that is right.
"""

from __future__ import annotations

import re
from enum import Enum

import msgspec

from ..event import MAX_JSON_DEPTH
from ..exceptions import DecodeError

__all__ = ["MAX_ELEMENT_BYTES", "JsonArrayDecoder"]

MAX_ELEMENT_BYTES = 16 * 1024 * 1024

_QUOTE, _BACKSLASH = b'"\\'
_SPACE = rb"[ \t\r\n]*+"
_STRING = rb'[^"\\]*+(?:\\.[^"\\]*+)*+'
_QUIET = rb'[^"\[\]{}]*+(?:"' + _STRING + rb'"[^"\[\]{}]*+)*+'
_SCALAR = rb'[^ \t\r\n,"\[\]{}]*+'
_space, _string, _quiet, _scalar = (re.compile(pattern, re.DOTALL) for pattern in (_SPACE, _STRING, _QUIET, _SCALAR))


def _within(levels: int) -> bytes:
    """What may stand within an element's brackets, as a pattern for so many levels of brackets in them."""
    if levels == 0:
        return _QUIET
    return _QUIET + rb"(?:[{\[]" + _within(levels - 1) + rb"[}\]]" + _QUIET + rb")*+"


# A whole element and the comma behind it, when it is nested as most are: one match instead of a step for each bracket.
_whole = re.compile(
    _SPACE + rb"([{\[]" + _within(3) + rb'[}\]]|"' + _STRING + rb'"|' + _SCALAR + rb")" + _SPACE + rb",", re.DOTALL
)
_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode


class _At(Enum):
    """Where the next byte stands; the value is what may stand there."""

    START = "["
    FIRST = "a value or ]"
    ELEMENT = "a value"
    AFTER = ", or ]"
    END = "nothing more"
    SCALAR = "a number or a word"
    STRING = "a string"
    ESCAPE = "an escape"
    NESTED = "more of the element"


_VALUES = {
    ord('"'): _At.STRING, ord("{"): _At.NESTED, ord("["): _At.NESTED,
    **dict.fromkeys(b"-0123456789tfn", _At.SCALAR),
}  # fmt: skip
_TURNS: dict[_At, dict[int, _At]] = {
    _At.START: {ord("["): _At.FIRST},
    _At.FIRST: {ord("]"): _At.END, **_VALUES},
    _At.ELEMENT: _VALUES,
    _At.AFTER: {ord(","): _At.ELEMENT, ord("]"): _At.END},
    _At.END: {},
}
"""Outside of elements, where a byte leads."""


class JsonArrayDecoder:
    """Feed it the body's bytes in any pieces; it gives whole elements, as the bytes that they are.

    White space between elements is skipped, so heartbeats are. `max_bytes` bounds one element,
    `MAX_JSON_DEPTH` its brackets. A number or a word is given with the byte behind it.
    """

    __slots__ = ("_at", "_depth", "_error", "_held", "_max_bytes", "_part")

    def __init__(self, *, max_bytes: int = MAX_ELEMENT_BYTES) -> None:
        self._max_bytes = max_bytes
        self._at = _At.START
        self._depth = 0
        self._part: list[bytes] = []
        self._held = 0
        self._error: DecodeError | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """The elements that these bytes complete.

        Raises `DecodeError` for what is no JSON array, for an element over `max_bytes` or nested too
        deep, and for anything behind the array; elements before it are given first.
        """
        if self._error is not None:
            raise self._error
        found: list[bytes] = []
        try:
            self._scan(data, found)
        except DecodeError as error:
            self._fail(error)
        found = self._checked(found)
        if self._error is not None and not found:
            raise self._error
        return found

    def finish(self) -> None:
        """The body has ended. Raises `DecodeError` when the array has not, or something was wrong before."""
        if self._error is not None:
            raise self._error
        if self._at is not _At.END:
            raise DecodeError(f"the body was cut: it ended where {self._at.value} was to come")

    def _scan(self, data: bytes, found: list[bytes]) -> None:
        place = start = 0
        while place < len(data):
            if self._at in _TURNS:
                start = self._whole_ones(data, place, found)
                place = self._turn(data, start)
            else:
                place = self._step(data, place)
                if self._at is _At.AFTER:
                    self._hold(data[start:place])
                    found.append(b"".join(self._part))
                    self._part.clear()
                    self._held = 0
        if self._at not in _TURNS:
            self._hold(data[start:])

    def _whole_ones(self, data: bytes, place: int, found: list[bytes]) -> int:
        """Take the elements that stand here whole, and the white space."""
        if self._at is _At.FIRST or self._at is _At.ELEMENT:
            while (match := _whole.match(data, place)) is not None and match.end(1) > match.start(1):
                if match.end(1) - match.start(1) > self._max_bytes:
                    raise self._overflow()
                found.append(match[1])
                place = match.end()
                self._at = _At.ELEMENT
        return _past(_space, data, place)

    def _turn(self, data: bytes, place: int) -> int:
        """The byte here, outside of elements, leads somewhere."""
        if place == len(data):
            return place
        turn = _TURNS[self._at].get(data[place])
        if turn is None:
            raise DecodeError(f"no JSON array: {data[place : place + 1]!r} where {self._at.value} was to come")
        self._at = turn
        self._depth = 1 if turn is _At.NESTED else 0
        return place + 1

    def _step(self, data: bytes, place: int) -> int:
        """On within an element, to its end or to where the state changes."""
        if self._at is _At.ESCAPE:
            self._at = _At.STRING
            return place + 1
        if self._at is _At.SCALAR:
            place = _past(_scalar, data, place)
            if place < len(data):
                self._at = _At.AFTER
            return place
        if self._at is _At.NESTED:
            return self._nested(data, place)
        place = _past(_string, data, place)
        if place == len(data):
            return place
        # A quote, or a backslash that is the last byte here.
        self._at = _At.ESCAPE if data[place] == _BACKSLASH else _At.NESTED if self._depth else _At.AFTER
        return place + 1

    def _nested(self, data: bytes, place: int) -> int:
        """To the end of the element, or of what came of it, or into a string that is not whole."""
        while (place := _past(_quiet, data, place)) < len(data):
            byte = data[place]
            place += 1
            if byte == _QUOTE:
                self._at = _At.STRING
                break
            self._depth += 1 if byte in b"[{" else -1
            if self._depth == 0:
                self._at = _At.AFTER
                break
            if self._depth > MAX_JSON_DEPTH:
                raise DecodeError(f"an element of the array is nested deeper than {MAX_JSON_DEPTH}")
        return place

    def _hold(self, part: bytes) -> None:
        self._part.append(part)
        self._held += len(part)
        if self._held > self._max_bytes:
            raise self._overflow()

    def _overflow(self) -> DecodeError:
        return DecodeError(f"an element of the array is over {self._max_bytes} bytes")

    def _checked(self, found: list[bytes]) -> list[bytes]:
        """The elements before the first that is no JSON."""
        if _wrong(b",".join(found)) is None:
            return found
        for place, element in enumerate(found):
            wrong = _wrong(element)
            if wrong is not None:
                self._fail(DecodeError(f"an element of the array is no JSON: {wrong}"))
                return found[:place]
        return found

    def _fail(self, error: DecodeError) -> None:
        self._error = error
        self._part.clear()


def _past(pattern: re.Pattern[bytes], data: bytes, place: int) -> int:
    match = pattern.match(data, place)
    return place if match is None else match.end()


def _wrong(elements: bytes) -> str | None:
    try:
        _elements(b"[%s]" % elements)
        if not elements.isascii():
            elements.decode()  # msgspec leaves this out for what it hands on raw
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        return str(error)
    return None
