"""Cursors and frames: their columns, their rows as plain tuples, in batches, on one thread."""

from __future__ import annotations

import asyncio
import datetime as dt
import decimal
import sqlite3
import subprocess
import sys
import threading
from collections import namedtuple
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from polars.io.plugins import register_io_source

from echostream.exceptions import ClientGone, InvalidInput
from echostream.stream.source import open_source
from support.intake import HandIntake
from support.settle import until


async def poured(thing: Any, intake: HandIntake | None = None) -> HandIntake:
    intake = intake or HandIntake(4)
    source = open_source(thing)
    try:
        await source.pour(intake)
    finally:
        await source.aclose()
    return intake


class Owner(sqlite3.Cursor):
    """A cursor that takes its connection with it: nobody else closes that, and Python 3.13 warns."""

    def close(self) -> None:
        super().close()
        self.connection.close()


def select(sql: str, **functions: Callable[..., Any]) -> Callable[[], sqlite3.Cursor]:
    """A function that connects and executes."""

    def make() -> sqlite3.Cursor:
        db = sqlite3.connect(":memory:")
        for name, function in functions.items():
            db.create_function(name, -1, function)
        return db.cursor(Owner).execute(sql)

    return make


COUNT = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {}) SELECT {} FROM c"


# --- cursors


@pytest.mark.parametrize("window", [1, 3, 1000])
async def test_a_cursor_made_by_a_function(window: int):
    intake = await poured(select(COUNT.format(100, "n, 'row ' || n AS name, NULL")), HandIntake(window))
    assert intake.columns == ["n", "name", "NULL"]
    assert intake.items == [(n, f"row {n}", None) for n in range(1, 101)]


async def test_a_cursor_is_used_and_closed_on_one_thread():
    used: set[int] = set()
    made: list[sqlite3.Cursor] = []
    intake = HandIntake(5)

    def watch(number: int) -> int:
        used.add(threading.get_ident())
        return number

    def make() -> sqlite3.Cursor:
        made.append(select(COUNT.format(20, "watch(n)"), watch=watch)())
        return made[0]

    await poured(make, intake)
    assert len(used) == 1
    assert threading.get_ident() not in used
    with pytest.raises(sqlite3.ProgrammingError, match=r"closed|thread"):
        made[0].fetchone()


async def test_the_first_row_does_not_wait_for_the_second():
    go_on = threading.Event()

    def wait(number: int) -> int:
        # SQLite computes a row ahead of the one that it gives
        if number == 3:
            go_on.wait(30)
        return number

    intake = HandIntake(1000)
    source = open_source(select(COUNT.format(10, "wait(n)"), wait=wait))
    task = asyncio.create_task(source.pour(intake))
    await until(lambda: intake.items == [(1,)])
    go_on.set()
    await task
    await source.aclose()
    assert len(intake.items) == 10


async def test_rows_are_fetched_many_at_a_time_but_no_further_than_the_window():
    asked: list[int] = []

    class Asked(Owner):
        def fetchmany(self, size: int | None = 1) -> list[Any]:
            asked.append(size or 0)
            return super().fetchmany(size)

    def make() -> sqlite3.Cursor:
        return sqlite3.connect(":memory:").cursor(Asked).execute(COUNT.format(5000, "n"))

    intake = await poured(make, HandIntake(100))
    assert len(intake.items) == 5000
    assert asked[:3] == [1, 2, 4]
    assert max(asked) == 100
    assert len(asked) < 2 * (5000 / 100) + 10


@pytest.mark.parametrize("window", [1, 7, 100])
async def test_a_stalled_reader_stalls_the_cursor(window: int):
    made: list[int] = []
    intake = HandIntake(window, held=True)
    source = open_source(select(COUNT.format(100_000, "watch(n)"), watch=lambda n: made.append(n) or n))
    task = asyncio.create_task(source.pour(intake))
    await until(lambda: intake.settles)
    for _ in range(20):
        await asyncio.sleep(0.0005)
        assert len(made) <= window + 1  # SQLite itself is a row ahead
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await source.aclose()
    assert len(made) <= window + 1


async def test_a_cursor_of_another_thread_is_told_what_to_do():
    db = sqlite3.connect(":memory:")
    source = open_source(db.execute("SELECT 1"))
    with pytest.raises(InvalidInput, match="give a function that connects"):
        await source.pour(HandIntake())
    await source.aclose()  # it cannot be closed here either, which would say the same again
    db.close()


async def test_a_cursor_nobody_wanted_is_closed_where_it_was_made():
    db = sqlite3.connect(":memory:")
    cursor = db.execute("SELECT 1")
    await open_source(cursor).aclose()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        cursor.fetchone()
    db.close()


async def test_a_cursor_of_a_shared_connection():
    db = sqlite3.connect(":memory:", check_same_thread=False)
    assert (await poured(db.execute("SELECT 1 AS one"))).items == [(1,)]
    db.close()


async def test_no_rows():
    intake = await poured(select("SELECT 1 AS one WHERE 0"))
    assert (intake.columns, intake.items) == (["one"], [])


@pytest.mark.parametrize("sql", ["CREATE TABLE t (n)", ""])
async def test_a_cursor_without_a_result(sql: str):
    with pytest.raises(InvalidInput, match="execute a query"):
        await poured(select(sql))


async def test_an_error_in_a_later_row_comes_after_those_before_it():
    def fail(number: int) -> int:
        return 1 // (number - 6)

    intake = HandIntake(100)
    with pytest.raises(sqlite3.OperationalError):
        await poured(select(COUNT.format(10, "fail(n)"), fail=fail), intake)
    assert intake.columns == ["fail(n)"]
    assert 1 <= len(intake.items) < 6  # what the driver had gathered for the same call, it did not give


Pair = namedtuple("Pair", "a b")

FACTORIES: dict[str, tuple[Any, Any]] = {
    "Row": (sqlite3.Row, (1, 2)),
    "dict": (lambda cursor, row: dict(zip([c[0] for c in cursor.description], row, strict=True)), (1, 2)),
    "list": (lambda cursor, row: list(row), (1, 2)),
    "namedtuple": (lambda cursor, row: Pair(*row), (1, 2)),
    "cell": (lambda cursor, row: f"{row[0]}", "1"),
    "number": (lambda cursor, row: row[0], 1),
}


@pytest.mark.parametrize("kind", FACTORIES)
async def test_rows_of_a_factory(kind: str):
    factory, expected = FACTORIES[kind]

    def make() -> sqlite3.Cursor:
        db = sqlite3.connect(":memory:")
        db.row_factory = factory
        return db.cursor(Owner).execute("SELECT 1 AS a, 2 AS b")

    intake = await poured(make)
    assert intake.items == [expected]
    assert type(intake.items[0]) is type(expected)
    assert intake.columns == (["a", "b"] if isinstance(expected, tuple) else None)


async def test_a_connection_that_is_its_own_cursor_stays_open():
    db = duckdb.connect()
    intake = await poured(db.execute("SELECT range AS n, 'x' AS x FROM range(100)"))
    assert intake.columns == ["n", "x"]
    assert intake.items == [(n, "x") for n in range(100)]
    assert db.execute("SELECT 1").fetchall() == [(1,)]
    db.close()


# --- frames

MOMENT = dt.datetime(2024, 2, 29, 12, 30, 15, 123456)  # noqa: DTZ001  as tables have them
UTC = dt.UTC
CELLS: dict[str, tuple[Any, list[Any]]] = {
    "int": ([1, 2], [1, 2]),
    "float": ([1.5, float("nan")], [1.5, None]),
    "bool": ([True, False], [True, False]),
    "text": (["x", None], ["x", None]),
    "integer with NA": (pd.array([1, None], dtype="Int64"), [1, None]),
    "flag with NA": (pd.array([True, None], dtype="boolean"), [True, None]),
    "moment": (pd.to_datetime([MOMENT, None]), [MOMENT, None]),
    "nanoseconds": (pd.Series(pd.to_datetime([MOMENT, MOMENT])).astype("datetime64[ns]"), [MOMENT, MOMENT]),
    "zone": (pd.to_datetime([MOMENT, None]).tz_localize("UTC"), [MOMENT.replace(tzinfo=UTC), None]),
    "span": (pd.to_timedelta([1, None], unit="s"), [dt.timedelta(seconds=1), None]),
    "category": (pd.Categorical(["x", None]), ["x", None]),
    "period": (pd.period_range("2024-01", periods=2, freq="M"), ["2024-01", "2024-02"]),
    "object": ([decimal.Decimal("1.0"), {1}], [decimal.Decimal("1.0"), {1}]),
    "numpy in object": (pd.Series([np.int64(1), np.array([1.5, 2])], dtype=object), [1, [1.5, 2]]),
    "pandas in object": (pd.Series([pd.Timestamp(MOMENT), pd.NaT], dtype=object), [MOMENT, None]),
    "numpy's moment in object": (
        pd.Series([np.datetime64(MOMENT, "ns"), np.timedelta64(1, "s")], dtype=object),
        [MOMENT, dt.timedelta(seconds=1)],
    ),
    "nested": (
        pd.Series([[pd.Timestamp(MOMENT)], {"a": (pd.Timedelta(seconds=1),)}], dtype=object),
        [[MOMENT], {"a": (dt.timedelta(seconds=1),)}],
    ),
    "arrow": (pd.Series(pa.array([[1, 2], None]), dtype=pd.ArrowDtype(pa.list_(pa.int64()))), [[1, 2], None]),
}


@pytest.mark.parametrize("kind", CELLS)
async def test_cells_of_pandas(kind: str):
    given, expected = CELLS[kind]
    intake = await poured(pd.DataFrame({kind: given, "close": [1, 2]}))
    assert intake.columns == [kind, "close"]
    assert intake.items == [(expected[0], 1), (expected[1], 2)]
    assert [type(row[0]) for row in intake.items] == [type(cell) for cell in expected]


def frames(count: int) -> Iterator[Any]:
    numbers, names = list(range(count)), [f"row {n}" for n in range(count)]
    table = pa.table({"n": pa.array(numbers, pa.int64()), "name": pa.array(names, pa.string())})
    yield pd.DataFrame({"n": pd.Series(numbers, dtype="int64"), "name": pd.Series(names, dtype=object)})
    yield pl.DataFrame({"n": numbers, "name": names}, schema={"n": pl.Int64, "name": pl.String})
    yield pl.DataFrame({"n": numbers, "name": names}, schema={"n": pl.Int64, "name": pl.String}).lazy()
    yield table
    yield pa.RecordBatch.from_pydict({"n": table["n"].combine_chunks(), "name": table["name"].combine_chunks()})
    yield pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=17))
    yield pa.concat_tables([table.slice(0, 5), table.slice(5)])


@pytest.mark.parametrize("count", [0, 1, 50])
@pytest.mark.parametrize("window", [1, 8, 1000])
async def test_frames_give_their_rows_in_slices_of_the_window(count: int, window: int):
    class Sliced(HandIntake):
        def take_all(self, items: Any) -> bool:
            assert len(items) <= window
            return super().take_all(items)

    for frame in frames(count):
        intake = await poured(frame, Sliced(window))
        assert intake.columns == ["n", "name"]
        assert intake.items == [(n, f"row {n}") for n in range(count)]
        assert all(type(row) is tuple and type(row[0]) is int for row in intake.items)
        assert (await poured(lambda frame=frame: frame)).columns == ["n", "name"]


async def test_a_subclass_of_a_frame():
    class Mine(pd.DataFrame):
        pass

    assert (await poured(Mine({"n": [1]}))).items == [(1,)]


async def test_columns_without_a_good_name():
    intake = await poured(pd.DataFrame([[1, 2, 3]], columns=pd.Index(["a", "a", 7], dtype=object)))
    assert (intake.columns, intake.items) == (["a", "a", "7"], [(1, 2, 3)])


async def test_cells_of_polars():
    frame = pl.DataFrame(
        {"t": [MOMENT, None], "d": [decimal.Decimal("1.50"), None], "s": [{"a": 1}, None], "l": [[1], None]}
    )
    for thing in (frame, frame.lazy()):
        rows = (await poured(thing)).items
        assert rows == [(MOMENT, decimal.Decimal("1.50"), {"a": 1}, [1]), (None, None, None, None)]


async def test_cells_of_arrow():
    moments = pa.array([MOMENT, None], pa.timestamp("ns"))
    table = pa.table(
        {
            "ns": moments,
            "zone": pa.array([MOMENT, None], pa.timestamp("ns", "UTC")),
            "us": pa.array([MOMENT, None], pa.timestamp("us")),
            "span": pa.array([1_000_000_000, None], pa.duration("ns")),
            "list": pa.array([[MOMENT], None], pa.list_(pa.timestamp("ns"))),
            "dictionary": pa.array(["x", None]).dictionary_encode(),
            "nan": pa.array([1.5, None]),
        }
    )
    intake = await poured(table)
    second = dt.timedelta(seconds=1)
    assert intake.items == [
        (MOMENT, MOMENT.replace(tzinfo=UTC), MOMENT, second, [MOMENT], "x", 1.5),
        (None,) * 7,
    ]
    assert [type(cell) for cell in intake.items[0][:4]] == [dt.datetime, dt.datetime, dt.datetime, dt.timedelta]
    assert type(intake.items[0][4][0]) is dt.datetime


async def test_a_lazy_query_that_fails():
    query = pl.LazyFrame({"a": ["x"]}).select(pl.col("a").cast(pl.Int64))
    intake = HandIntake()
    with pytest.raises(pl.exceptions.InvalidOperationError):
        await poured(query, intake)
    assert intake.items == []


async def test_a_lazy_query_is_never_whole_in_memory():
    made: list[int] = []

    def endless(*_: Any) -> Iterator[pl.DataFrame]:
        while True:
            made.append(1000)
            yield pl.DataFrame({"n": range(1000)})

    intake = HandIntake(100, held=True)
    source = open_source(register_io_source(endless, schema={"n": pl.Int64}))
    task = asyncio.create_task(source.pour(intake))
    await until(lambda: len(intake.items) == 100)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await source.aclose()


async def test_a_reader_of_batches_that_fails_is_closed():
    closed: list[bool] = []

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            yield pa.RecordBatch.from_pydict({"n": [1, 2, 3]})
            raise LookupError("no more")
        finally:
            closed.append(True)

    intake = HandIntake(2)
    with pytest.raises(LookupError, match="no more"):
        await poured(pa.RecordBatchReader.from_batches(pa.schema({"n": pa.int64()}), batches()), intake)
    assert intake.items == [(1,), (2,), (3,)]
    assert closed == [True]


async def test_a_reader_that_was_left_is_let_go_on_its_thread():
    ended: list[str] = []

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            while True:
                yield pa.RecordBatch.from_pydict({"n": [1, 2, 3]})
        finally:
            ended.append(threading.current_thread().name)

    intake = HandIntake(2)
    intake.gone = True
    with pytest.raises(ClientGone):
        await poured(lambda: pa.RecordBatchReader.from_batches(pa.schema({"n": pa.int64()}), batches()), intake)
    (name,) = ended
    assert name.startswith("echostream-source-")


def test_none_of_them_is_imported_by_us():
    code = (
        "import sys, echostream.stream as s; s.open_source(print);"
        "print(sorted({'pandas', 'polars', 'pyarrow', 'numpy', 'sqlite3'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout == "[]\n"
