"""The rows of CSV: all that names its cells, in the order of the columns; and rows that are wrong, told with why."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections import ChainMap, OrderedDict, defaultdict, namedtuple
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pydantic
import pytest

from echostream.exceptions import InvalidItem
from echostream.wire import CsvBody
from support.bodies import MappedRow, Word, body_of


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
    MappedRow,
]


@pytest.mark.parametrize("record", RECORDS)
def test_records_are_put_in_the_order_of_the_columns(record: Any) -> None:
    rows = [record(1, "x"), record(None, "=y"), record(-3, "z,z")]
    expected = b'a,b\r\n1,x\r\n,\'=y\r\n-3,"z,z"\r\n'
    assert body_of(CsvBody(["a", "b"]), rows) == expected
    assert body_of(CsvBody(["a", "b"]), rows, places=[1, 2]) == expected
    assert body_of(CsvBody(["a", "b"]), [*rows, (4, 5), {"a": 6}]) == expected + b"4,5\r\n6,\r\n"


@pytest.mark.parametrize("record", [*RECORDS[2:4], *RECORDS[6:10], *RECORDS[11:], RECORDS[0]])
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


def test_a_named_tuple_of_fewer_cells_is_told() -> None:
    for rows in ([Named(1, 2)], [{"a": 1}, Named(1, 2)]):
        with pytest.raises(InvalidItem, match="is a row of 2 cells, where the header has 3"):
            CsvBody(["a", "b", "c"]).encode(rows)


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


class Counting:
    asked = 0

    def __str__(self) -> str:
        self.asked += 1
        return "-x, y"


def test_good_rows_are_looked_at_once() -> None:
    """Of all types, with quotes and guards: none of it is a case for the slow way."""
    cells = [Counting() for _ in range(6)]
    rows = [(cells[0], "a"), (cells[1], 5), (cells[2], "-b"), (cells[3], None), (cells[4], "c,d"), (cells[5], -0.5)]
    assert CsvBody().encode(rows).count(b'"\'-x, y",') == 6
    assert [cell.asked for cell in cells] == [1] * 6


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
