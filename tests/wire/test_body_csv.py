"""CSV: byte for byte what the standard library writes, but for formulas; read back by its reader; bad rows told."""

from __future__ import annotations

import csv
import dataclasses
import decimal
import io
import pathlib
import sqlite3
import uuid
from collections import ChainMap, OrderedDict, defaultdict, namedtuple
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echostream.exceptions import InvalidItem, InvalidSetting
from echostream.wire import CsvBody, StreamEnd
from support.bodies import Color, Word, body_of, texts

CELLS = st.one_of(
    texts,
    texts,
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.decimals(),
    st.dates(),
    st.datetimes(timezones=st.sampled_from([None, UTC])),
    st.times(),
    st.timedeltas(),
    st.uuids(),
    st.sampled_from([Word("=a,b"), Word("a"), Color.RED, pathlib.PurePosixPath("a,b"), np.float32(0.1), np.int64(-3)]),
)


@st.composite
def tables(draw: st.DrawFn, cells: st.SearchStrategy[Any] = CELLS) -> list[Sequence[Any]]:
    """Rows of one width; columns of one kind, as tables have them, or of any."""
    width = draw(st.integers(1, 4))
    columns = [draw(st.sampled_from([cells, texts, st.integers(), st.none() | st.floats()])) for _ in range(width)]
    row = st.tuples(*columns)
    return draw(st.lists(row | row.map(list), min_size=1, max_size=12))


def written(rows: Sequence[Sequence[Any]], delimiter: str = ",") -> bytes:
    """What the standard library writes."""
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows(rows)
    return out.getvalue().encode()


def read(body: bytes, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(body.decode(), newline=""), delimiter=delimiter, strict=True))


def plain(cell: Any) -> str:
    if isinstance(cell, str):
        return str.__str__(cell)
    return "" if cell is None else str(cell)


def guarded(cell: Any) -> str:
    """By the words of the promise, one cell at a time."""
    text = plain(cell)
    if isinstance(cell, int | float | decimal.Decimal | None) or text[:1] not in tuple(
        "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
    ):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text if text.isascii() and "_" not in text and text == text.strip() else f"'{text}"


@settings(deadline=None, max_examples=400)
@given(tables(), st.lists(st.integers(0, 12), max_size=3), st.sampled_from([",", ";", "\t", "|"]))
def test_it_is_what_the_standard_library_writes(rows: list[Any], places: list[int], delimiter: str) -> None:
    body = CsvBody(guard=False, header=False, delimiter=delimiter)
    assert body_of(body, rows, places=places) == written(rows, delimiter)


@settings(deadline=None, max_examples=400)
@given(tables(), st.lists(st.integers(0, 12), max_size=3), st.sampled_from([",", ";", "\t", "|"]))
def test_it_is_read_back_with_its_guards(rows: list[Any], places: list[int], delimiter: str) -> None:
    body = body_of(CsvBody(header=False, delimiter=delimiter), rows, places=places)
    assert read(body, delimiter) == [[guarded(cell) for cell in row] for row in rows]


@settings(deadline=None, max_examples=100)
@given(tables(st.integers() | st.floats() | st.decimals() | st.dates() | st.text("abc é✓", min_size=1)))
def test_where_nothing_begins_a_formula_the_guard_changes_nothing(rows: list[Any]) -> None:
    safe = [[f"x{cell}" if isinstance(cell, str) else cell for cell in row] for row in rows]
    assert body_of(CsvBody(header=False), safe) == written(safe)


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("=1+1", "'=1+1"),
        ("+1+1", "'+1+1"),
        ("-1+1", "'-1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", '"\'\r=1"'),
        ("\n=1", '"\'\n=1"'),
        ("\uff1d1", "'\uff1d1"),
        ("\uff0b1", "'\uff0b1"),
        ("\uff0d1", "'\uff0d1"),
        ("\uff20a", "'\uff20a"),
        ("=a,b", '"\'=a,b"'),
        ('=HYPERLINK("x")', '"\'=HYPERLINK(""x"")"'),
        ("-", "'-"),
        ("+", "'+"),
        ("-5\n", '"\'-5\n"'),
        ("-5 ", "'-5 "),
        ("-1_0", "'-1_0"),
        ("-\u0665", "'-\u0665"),
        ("-5", "-5"),
        ("+1.5e3", "+1.5e3"),
        ("-.5", "-.5"),
        ("-5.", "-5."),
        ("+1E-7", "+1E-7"),
        ("-inf", "-inf"),
        ("a=1", "a=1"),
        (" =1", " =1"),
        ("'=1", "'=1"),
    ],
)
@pytest.mark.parametrize("among", ["x", "=x", ""])
def test_guard(text: str, sent: str, among: str) -> None:
    beside = {"x": "x", "=x": "'=x", "": ""}[among]
    assert CsvBody(header=False).encode([(1, text), (2, among)]) == f"1,{sent}\r\n2,{beside}\r\n".encode()
    assert CsvBody(header=False).encode([(1, among), (2, text)]) == f"1,{beside}\r\n2,{sent}\r\n".encode()
    assert CsvBody(header=False, guard=False).encode([(1, text)]) == written([(1, text)])


def test_a_tab_that_begins_a_cell_between_tabs() -> None:
    assert CsvBody(header=False, delimiter="\t").encode([("\tx", "y")]) == b'"\'\tx"\ty\r\n'


def test_numbers_are_not_touched() -> None:
    numbers = [-1, -1.5, decimal.Decimal("-1.50"), float("-inf"), -(10**30), True, np.float64(-2.5), np.int64(-7)]
    assert (
        CsvBody(header=False).encode([numbers])
        == b"-1,-1.5,-1.50,-inf,-1000000000000000000000000000000,True,-2.5,-7\r\n"
    )
    # Also next to a text that is guarded.
    assert CsvBody(header=False).encode([(-1,), ("-x",)]) == b"-1\r\n'-x\r\n"


def test_other_values() -> None:
    row = (
        datetime(2026, 1, 2, 3, 4, tzinfo=UTC), date(2026, 1, 2), time(3, 4), timedelta(days=1, seconds=1),
        uuid.UUID(int=1), None, pd.NaT, pd.NA, np.datetime64("NaT"), np.datetime64("2026-01-02"),
        pd.Timestamp(2026, 1, 2),
        Color.RED, Word("a"), 0.1 + 0.2,
    )  # fmt: skip
    expected = (
        '2026-01-02 03:04:00+00:00,2026-01-02,03:04:00,"1 day, 0:00:01",'
        "00000000-0000-0000-0000-000000000001,,,,,2026-01-02,2026-01-02 00:00:00,'=red,a,0.30000000000000004\r\n"
    )
    assert CsvBody(header=False).encode([row]).decode() == expected


def test_header() -> None:
    body = CsvBody(("a", "=b", "c,d"))
    assert body.encode([(1, 2, 3)]) == b'a,\'=b,"c,d"\r\n1,2,3\r\n'
    assert body.encode([(4, 5, 6)]) == b"4,5,6\r\n"
    assert body.finish() == b""
    assert body.control(StreamEnd(reason="finished")) == b""
    assert CsvBody(("a", "=b"), guard=False).finish() == b"a,=b\r\n"


def test_the_source_names_the_columns_unless_they_were_given() -> None:
    body = CsvBody()
    body.describe(["a", "b"])
    assert body_of(body, [(1, 2)]) == b"a,b\r\n1,2\r\n"
    body = CsvBody(["x", "y"])
    body.describe(["a", "b"])
    assert body_of(body, [(1, 2)]) == b"x,y\r\n1,2\r\n"
    body = CsvBody(header=False)
    body.describe(["a", "b"])
    assert body_of(body, [{"b": 2, "a": 1}]) == b"1,2\r\n"
    body = CsvBody()
    body.describe([])  # a cursor that knows none
    assert body_of(body, [(1, 2)]) == b"1,2\r\n"


def test_without_rows() -> None:
    assert CsvBody(["a", "b"]).finish() == b"a,b\r\n"
    body = CsvBody()
    body.describe(["a", "b"])
    assert body.finish() == b"a,b\r\n"
    assert body.finish() == b""
    assert CsvBody().finish() == b""
    assert CsvBody(["a"], header=False).finish() == b""


def test_the_media_type_says_whether_a_header_row_comes() -> None:
    base = "text/csv; charset=utf-8"
    assert CsvBody(["a"]).media_type == f"{base}; header=present"
    assert CsvBody(["a"], header=False).media_type == CsvBody(header=False).media_type == f"{base}; header=absent"
    body = CsvBody()
    assert body.media_type == base
    body.encode([(1,)])
    assert body.media_type == f"{base}; header=absent"
    body = CsvBody()
    body.encode([{"a": 1}])
    assert body.media_type == f"{base}; header=present"
    body = CsvBody()
    body.describe(["a"])
    assert body.media_type == f"{base}; header=present"


@dataclasses.dataclass
class Data:
    a: Any
    b: Any


class Struct(msgspec.Struct):
    a: Any
    b: Any


class Model(pydantic.BaseModel):
    a: Any
    b: Any


Named = namedtuple("Named", "a b")
Swapped = namedtuple("Swapped", "b a")


def sqlite_row(a: Any, b: Any) -> sqlite3.Row:
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    row = connection.execute("select ? as a, ? as b", (a, b)).fetchone()
    connection.close()
    return row


RECORDS = [
    lambda a, b: {"a": a, "b": b},
    lambda a, b: {"b": b, "a": a},
    lambda a, b: OrderedDict(a=a, b=b),
    lambda a, b: defaultdict(int, a=a, b=b),
    lambda a, b: ChainMap({"a": a}, {"b": b}),
    lambda a, b: MappingProxyType({"a": a, "b": b}),
    Data,
    Struct,
    lambda a, b: Model(a=a, b=b),
    Named,
    lambda a, b: Swapped(a=a, b=b),
    sqlite_row,
]


@pytest.mark.parametrize("record", RECORDS)
def test_records_are_put_in_the_order_of_the_columns(record: Any) -> None:
    rows = [record(1, "x"), record(None, "=y"), record(-3, "z,z")]
    expected = b'a,b\r\n1,x\r\n,\'=y\r\n-3,"z,z"\r\n'
    assert body_of(CsvBody(["a", "b"]), rows) == expected
    assert body_of(CsvBody(["a", "b"]), rows, places=[1, 2]) == expected
    assert body_of(CsvBody(["a", "b"]), [*rows, (4, 5), {"a": 6}]) == expected + b"4,5\r\n6,\r\n"


@pytest.mark.parametrize("record", [*RECORDS[2:4], *RECORDS[6:10], RECORDS[11], RECORDS[0]])
def test_the_first_record_names_the_columns(record: Any) -> None:
    assert body_of(CsvBody(), [record(1, 2), record(3, 4), (5, 6)]) == b"a,b\r\n1,2\r\n3,4\r\n5,6\r\n"


def test_records_of_one_column() -> None:
    for rows in ([{"a": 1}, {"a": None}, {}], [Data1(1), Data1(None), {}]):
        assert body_of(CsvBody(), rows) == b'a\r\n1\r\n""\r\n""\r\n'


@dataclasses.dataclass
class Data1:
    a: Any


def test_a_named_tuple_with_other_names_is_a_sequence() -> None:
    assert body_of(CsvBody(["first", "second"]), [Named(1, 2)]) == b"first,second\r\n1,2\r\n"


def test_missing_cells_of_a_mapping_are_empty() -> None:
    rows = [{"a": 1, "b": 2}, {"b": 3}, {}, {"a": 4}]
    assert body_of(CsvBody(), rows) == b"a,b\r\n1,2\r\n,3\r\n,\r\n4,\r\n"


def test_a_cell_alone_that_is_empty_is_quoted() -> None:
    rows = [("",), (None,), ("x",), (Word(""),), (pd.NA,)]
    assert body_of(CsvBody(["a"]), rows) == b'a\r\n""\r\n""\r\nx\r\n""\r\n""\r\n'


class Weird:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def __str__(self) -> str:
        raise self._error


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError


class Silent:
    pass


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((1,), "is a row of 1 cells, where the header has 2"),
        ((1, 2, 3), "is a row of 3 cells, where the header has 2"),
        ((), "is a row of 0 cells, where the header has 2"),
        ({"a": 1, "c": 2}, "has the cell 'c', which is no column; there are a, b"),
        ({"a": 1, "b": 2, "c": 3}, "has the cell 'c', which is no column"),
        ({1: 1, "b": 2}, "has the cell 1, which is no column"),
        (Swapped(a=[1], b=2), "in column 'a' is a value of type list"),
        ("ab", "is of type str, which is no row; yield a tuple, a list or a dict"),
        (b"ab", "is of type bytes, which is no row"),
        (5, "is of type int, which is no row"),
        (None, "is of type NoneType, which is no row"),
        ({1, 2}, "is of type set, which is no row"),
        (iter([1, 2]), "is of type list_iterator, which is no row"),
        ((1, b"x"), "in column 'b' is bytes; decode it to text first"),
        ((1, bytearray(b"x")), "in column 'b' is bytearray"),
        ((1, [1]), "in column 'b' is a value of type list, which is no single cell"),
        ((1, (1,)), "in column 'b' is a value of type tuple"),
        (({}, 1), "in column 'a' is a value of type dict"),
        ((1, {1}), "in column 'b' is a value of type set"),
        ((1, np.array([1])), "in column 'b' is a value of type ndarray"),
        ((1, Data(1, 2)), "in column 'b' is a value of type Data"),
        ((1, Model(a=1, b=2)), "in column 'b' is a value of type Model"),
        ((1, Silent()), "in column 'b' is a value of type Silent"),
        ((1, (x for x in "a")), "in column 'b' is a value of type generator"),
        ((1, "\ud800"), "in column 'b' cannot be written: its text is not valid Unicode (a lone surrogate)"),
        ((1, 10**5000), "in column 'b' cannot be written: ValueError: Exceeds the limit"),
        ((1, Weird(ZeroDivisionError("no"))), "is a value of type Weird that gives no text: ZeroDivisionError: no"),
        ((1, Weird(Mute())), "in column 'b' is a value of type Weird that gives no text: Mute"),
        ((1, Weird(RecursionError())), "is a value of type Weird that gives no text: it is nested too deep"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("before", [0, 1, 3])
def test_bad_rows_are_told(row: Any, reason: str, before: int) -> None:
    good = [(1, "x")] * before
    body = CsvBody(["a", "b"])
    with pytest.raises(InvalidItem) as caught:
        body.encode([*good, row, (1, "y"), 7])
    assert caught.value.item == before + 1
    assert reason in caught.value.reason
    # Nothing has changed: the header is still to come, and once.
    assert body_of(body, [*good, (2, "z")]) == b"a,b\r\n" + b"1,x\r\n" * before + b"2,z\r\n"


def test_the_first_of_the_bad_rows_is_told_whatever_its_column() -> None:
    with pytest.raises(InvalidItem, match="item 2: in column 3"):
        CsvBody().encode([(1, 2, 3), (1, 2, b"x"), (b"x", 2, 3), 7])


def test_what_a_str_raised_is_kept() -> None:
    error = ZeroDivisionError()
    with pytest.raises(InvalidItem) as caught:
        CsvBody().encode([(Weird(error),)])
    assert caught.value.__cause__ is error


def test_the_first_row_sets_the_width() -> None:
    body = CsvBody()
    body.encode([(1, 2)])
    with pytest.raises(InvalidItem, match="item 1: is a row of 3 cells, where the first row has 2"):
        body.encode([(1, 2, 3)])
    with pytest.raises(InvalidItem, match="item 2: names its cells, which the first row did not; give the columns"):
        body.encode([(1, 2), {"a": 1, "b": 2}])
    assert body.encode([range(2), Named(3, 4)]) == b"0,1\r\n3,4\r\n"


def test_a_failed_first_call_leaves_the_columns_open() -> None:
    body = CsvBody()
    with pytest.raises(InvalidItem, match="item 1: in column 'x'"):
        body.encode([{"x": b""}])
    assert body.encode([{"a": 1}]) == b"a\r\n1\r\n"


@pytest.mark.parametrize("row", [(), [], {}])
def test_rows_without_cells(row: Any) -> None:
    with pytest.raises(InvalidItem, match="item 1: "):
        CsvBody().encode([row])


class Liar(list[int]):
    def __len__(self) -> int:
        return 2


def test_a_row_that_lies_about_its_length() -> None:
    with pytest.raises(InvalidItem, match="another number of cells than its len"):
        CsvBody().encode([(1, 2), Liar([1])])


class Stop(BaseException):
    pass


class Stopping:
    def __str__(self) -> str:
        raise Stop


def test_what_is_no_error_passes_and_changes_nothing() -> None:
    body = CsvBody()
    with pytest.raises(Stop):
        body.encode([{"x": Stopping()}])
    assert body.encode([{"a": 1}]) == b"a\r\n1\r\n"


@pytest.mark.parametrize("columns", ["ab", [], ["a", 1], ["\ud800"], [None]])
def test_bad_columns(columns: Any) -> None:
    with pytest.raises(InvalidSetting, match="columns"):
        CsvBody(columns)
    if columns:
        with pytest.raises(InvalidItem):
            CsvBody().describe(columns)


@pytest.mark.parametrize("delimiter", ["", ",,", "a", "-", ".", '"', "\n", "\r", "\0", " ", "%", "'"])
def test_bad_delimiters(delimiter: str) -> None:
    with pytest.raises(InvalidSetting, match="delimiter"):
        CsvBody(delimiter=delimiter)


def test_a_template_never_reads_the_data() -> None:
    rows = [("%s", "%d", "%(a)s", "%%", "{0}", "\\n")]
    assert CsvBody(rows[0]).encode(rows) == b"%s,%d,%(a)s,%%,{0},\\n\r\n" * 2


def test_many_rows_at_once_are_the_same_as_one_by_one() -> None:
    rows = [
        (i, f"text {i}" if i % 10 else f"a, b {i}", -i / 3, None if i % 7 else "=x", "\n" if i % 11 == 0 else "")
        for i in range(1000)
    ]
    one = CsvBody()
    assert CsvBody().encode(rows) == b"".join(one.encode([row]) for row in rows)
