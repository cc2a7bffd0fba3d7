"""NDJSON: each line read by json; the values of other libraries; described rows; the end line that nobody can forge."""

from __future__ import annotations

import dataclasses
import json
import math
import sqlite3
from collections import ChainMap, namedtuple
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echostream.event import Event
from echostream.exceptions import InvalidItem
from echostream.wire import NDJSON, JsonArrayBody, NdjsonBody, NdjsonDecoder, SseBody, StreamEnd, StreamError, envelope
from support.bodies import Color, MappedRow, Word, body_of, texts
from support.wire import events

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def read(body: bytes) -> list[Any]:
    return [json.loads(line) for line in NdjsonDecoder().feed(body)]


@settings(deadline=None, max_examples=200)
@given(st.lists(VALUES, max_size=8), st.lists(st.integers(0, 8), max_size=3), st.booleans())
def test_lines_are_read_by_json(items: list[Any], places: list[int], beats: bool) -> None:
    body = body_of(NdjsonBody(), items, places=places, beats=beats)
    assert read(body) == items
    if not beats:
        assert body.count(b"\n") == len(items)


@settings(deadline=None, max_examples=100)
@given(st.lists(events() | st.integers(), max_size=4))
def test_events_are_their_envelopes(items: list[Any]) -> None:
    lines = [envelope(item) if isinstance(item, Event) else str(item).encode() for item in items]
    assert body_of(NdjsonBody(), items) == b"".join(line + b"\n" for line in lines)
    assert body_of(JsonArrayBody(), items) == b"[" + b",".join(lines) + b"]"


class Level(IntEnum):
    LOW = 1


class Pence(int):
    pass


class Model(pydantic.BaseModel):
    name: str
    when: datetime
    price: Decimal


@dataclasses.dataclass
class Data:
    a: int


class Struct(msgspec.Struct):
    a: int


def sqlite_row() -> sqlite3.Row:
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    row = connection.execute("select 1 as a, 'x' as b").fetchone()
    connection.close()
    return row


KNOWN = [
    (Model(name="n", when=datetime(2026, 1, 2, tzinfo=UTC), price=Decimal("1.50")),
     {"name": "n", "when": "2026-01-02T00:00:00Z", "price": "1.50"}),
    (Data(1), {"a": 1}), (Struct(1), {"a": 1}), (sqlite_row(), {"a": 1, "b": "x"}), (ChainMap({"a": 1}), {"a": 1}),
    (pd.Series({"a": 1, "b": np.nan}), {"a": 1.0, "b": None}),
    (Word("a"), "a"), (Color.RED, "=red"), (Level.LOW, 1), (Pence(5), 5),
    (np.int64(3), 3), (np.float64(1.5), 1.5), (np.float32(0.5), 0.5), (np.bool_(True), True), (np.str_("x"), "x"),
    (np.float64("nan"), None), (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    (np.datetime64("2026-01-02"), "2026-01-02"),
    (np.datetime64("2026-01-02T03:04:05.123456789"), "2026-01-02T03:04:05.123456789"),
    (np.timedelta64(90, "s"), "PT90S"), (np.datetime64("NaT", "s"), None), (np.timedelta64("NaT", "s"), None),
    (pd.Timestamp("2026-01-02T03:04:05.123456789"), "2026-01-02T03:04:05.123456789"),
    (pd.Timedelta(seconds=90), "PT90S"), (timedelta(seconds=90), "PT90S"), (pd.NaT, None), (pd.NA, None),
    (math.nan, None), (math.inf, None), (10**30, 10**30), ({None: 1, True: 2, 3: 4}, {"null": 1, "true": 2, "3": 4}),
    (namedtuple("Row", "a b")(1, 2), [1, 2]), (MappedRow(1, "x"), {"a": 1, "b": "x"}),
]  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), KNOWN)
def test_known_values(value: Any, expected: Any) -> None:
    # At the top, within another value, and in every format that is made of JSON.
    assert read(NdjsonBody().encode([value, {"in": [value]}])) == [expected, {"in": [expected]}]
    assert json.loads(body_of(JsonArrayBody(), [value])) == [expected]
    if not isinstance(value, str):
        assert json.loads(SseBody().encode([value]).removeprefix(b"data: ")) == expected


def test_the_user_is_asked_before_us() -> None:
    def default(value: Any) -> Any:
        if isinstance(value, Fraction):
            return f"{value.numerator}/{value.denominator}"
        if isinstance(value, pd.Timestamp):
            return value.year
        if isinstance(value, np.int64):
            raise NotImplementedError
        if isinstance(value, ChainMap):
            return value
        raise TypeError(type(value))

    items = [Fraction(1, 3), pd.Timestamp(2026, 1, 2), pd.NA, np.int64(3), ChainMap({"a": Fraction(1, 2)})]
    assert read(NdjsonBody(default).encode(items)) == ["1/3", 2026, None, 3, {"a": "1/2"}]
    assert json.loads(body_of(JsonArrayBody(default), items)) == ["1/3", 2026, None, 3, {"a": "1/2"}]


def circular() -> list[Any]:
    items: list[Any] = []
    items.append(items)
    return items


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


def raising(error: Exception) -> Callable[[Any], Any]:
    def default(value: Any) -> Any:
        raise error

    return default


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError


class Endless:
    def __init__(self) -> None:
        self.a = self


BAD = [
    ("\ud800", "is not valid Unicode (a lone surrogate)"),
    ({"a": ["\udfff"]}, "is not valid Unicode (a lone surrogate)"),
    ({"\ud800": 1}, "is not valid Unicode (a lone surrogate)"),
    (circular(), "nested too deep, or holds itself"),
    (deep(), "nested too deep, or holds itself"),
    (10**5000, "is of type int and cannot be encoded: ValueError: Exceeds the limit"),
    (object(), "holds a value of type object, which has no JSON form; make it a dict, list or text"),
    ([{"a": {1j}}], "holds a value of type complex, which has no JSON form"),
    ({(1, 2): 3}, "type tuple"),
    (np.array(["2026-01-02"], dtype="M8[D]"), "holds a value of type ndarray"),
    (np.complex128(1), "holds a value of type complex128"),
    ((x for x in "a"), "holds a value of type generator"),
    (Event(data=None, end=True), "is an event without data, which only ends a topic"),
]


@pytest.mark.parametrize(("item", "reason"), BAD, ids=[reason for _, reason in BAD])
@pytest.mark.parametrize("make", [NdjsonBody, JsonArrayBody, SseBody])
@pytest.mark.parametrize("before", [0, 2])
def test_bad_items_are_told(item: Any, reason: str, make: Callable[[], Any], before: int) -> None:
    body = make()
    good = [{"n": 1}] * before
    with pytest.raises(InvalidItem) as caught:
        body.encode([*good, item, 1, object()])
    assert caught.value.item == before + 1
    assert reason in caught.value.reason
    # Nothing has changed.
    assert body_of(body, [*good, 2]) == body_of(make(), [*good, 2])


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("no"), Mute(), MemoryError(), RecursionError(), InvalidItem("own")]
)
def test_what_the_hook_raises_is_told(error: Exception) -> None:
    for body in (NdjsonBody(raising(error)), JsonArrayBody(raising(error))):
        with pytest.raises(InvalidItem) as caught:
            body.encode([1, object()])
        assert caught.value.item == 2
        assert caught.value.__cause__ is error or caught.value.reason == "own"


def test_a_hook_that_does_not_know_is_kept_as_the_cause() -> None:
    error = TypeError("no")
    with pytest.raises(InvalidItem, match="item 1: holds a value of type object") as caught:
        NdjsonBody(raising(error)).encode([object()])
    assert caught.value.__cause__ is error


def test_a_hook_without_end() -> None:
    with pytest.raises(InvalidItem, match="nested too deep"):
        NdjsonBody(lambda value: [object()]).encode([object()])


class Stop(BaseException):
    pass


def test_what_is_no_error_passes() -> None:
    def default(value: Any) -> Any:
        raise Stop

    body = JsonArrayBody(default)
    with pytest.raises(Stop):
        body.encode([1, object()])
    assert body_of(body, [1]) == b"[1]"


def test_raw_json_stays_on_its_line() -> None:
    assert NdjsonBody().encode([msgspec.Raw(b'{"a": 1.000}')]) == b'{"a": 1.000}\n'
    with pytest.raises(InvalidItem, match="item 2: holds raw JSON with a line break"):
        NdjsonBody().encode([1, {"a": msgspec.Raw(b"[1,\n2]")}])


@pytest.mark.parametrize(
    "columns", [["a", "b"], ['"', "\\"], ["", "\n"], ["\u2028", "\N{PILE OF POO}"], ["self", "c0"]]
)
def test_described_rows_are_objects(columns: list[str]) -> None:
    row = namedtuple("Row", "x y")
    items = [(1, [2]), [np.int64(3), None], row(4, pd.NA), {"own": 5}, 6]
    expected = [[1, [2]], [3, None], [4, None]]
    body = NdjsonBody()
    body.describe(columns)
    assert read(body.encode(items)) == [*(dict(zip(columns, cells, strict=True)) for cells in expected), {"own": 5}, 6]
    assert body.encode(items[:2]) + body.encode(items[2:]) == body.encode(items)
    array = JsonArrayBody()
    array.describe(columns)
    assert json.loads(body_of(array, items)) == read(body.encode(items))


def test_described_rows_of_another_length_are_told() -> None:
    body = NdjsonBody()
    body.describe(["a", "b"])
    for row, found in (((1,), 1), ([1, 2, 3], 3), ((), 0)):
        with pytest.raises(InvalidItem, match=f"item 2: is a row of {found} cells, where the source named 2"):
            body.encode([(1, 2), row, (1,)])


def test_two_columns_of_one_name_would_lose_a_value() -> None:
    for body in (NdjsonBody(), JsonArrayBody(), SseBody()):
        body.describe(["id", "a", "id"])
        with pytest.raises(InvalidItem, match="item 1: two columns are named 'id'"):
            body.encode([(1, 2, 3)])


def test_the_end_line() -> None:
    assert body_of(NdjsonBody(end_line=True), [1]) == b'1\n{"stream":"end","reason":"finished"}\n'
    assert body_of(NdjsonBody(end_line=True), []) == b'{"stream":"end","reason":"finished"}\n'
    assert body_of(NdjsonBody(), []) == b""


@pytest.mark.parametrize(
    "item",
    [
        {"stream": "end"},
        {"a": 1, "stream": "end"},
        {"stream": Color("=red"), "x": msgspec.Raw(b'"end"'), "stream ": 1} | {"stream": "end"},
        msgspec.Raw(b'{ "stream" : "end" }'),
    ],
)
def test_no_item_can_be_the_end_line(item: Any) -> None:
    with pytest.raises(InvalidItem, match='item 2: has a member "stream" that is "end"'):
        NdjsonBody(end_line=True).encode([{"stream": "stdout", "text": "end"}, item])
    assert NdjsonBody().encode([item])


def test_what_only_resembles_the_end_line_passes() -> None:
    items = [{"in": {"stream": "end"}}, {"stream": "ended"}, ["stream", "end"], '{"stream":"end"}', {"stream": ["end"]}]
    assert read(NdjsonBody(end_line=True).encode(items)) == items


def test_its_face() -> None:
    body = NdjsonBody()
    assert (body.name, body.media_type, body.by_item, body.heartbeat, body.tells_end) == (
        "ndjson", "application/x-ndjson", False, b"\n", False,
    )  # fmt: skip
    for control in (StreamEnd(reason="x"), StreamError(code="a", message="b")):
        assert body.control(control, id="k.1") == NDJSON.control(control, id="k.1")
