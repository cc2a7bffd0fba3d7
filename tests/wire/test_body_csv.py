"""CSV: byte for byte what the standard library writes, but for formulas; read back by its reader; bad rows told."""

from __future__ import annotations

import csv
import decimal
import io
import pathlib
import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
import pandas as pd
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
    begins = text.lstrip("\ufeff\0")[:1]
    if isinstance(cell, int | float | decimal.Decimal | None) or begins not in tuple(
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
        ("\ufeff=1", "'\ufeff=1"),
        ("\0=1", "'\0=1"),
        ("\0\ufeff-5", "'\0\ufeff-5"),
        ("\ufeffid", "\ufeffid"),
        ("\ufeff", "\ufeff"),
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


@pytest.mark.parametrize(
    "text", ["-" + "1" * 1_000_000 + "x", "-1." + "1" * 1_000_000 + "x", "+1e" + "1" * 1_000_000 + "x"]
)
def test_a_long_number_that_is_none_is_read_once(text: str) -> None:
    assert CsvBody(header=False).encode([(text, 1)]) == f"'{text},1\r\n".encode()


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
        uuid.UUID(int=1), None, pd.NaT, pd.NA, np.datetime64("NaT", "s"), np.datetime64("2026-01-02"),
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
