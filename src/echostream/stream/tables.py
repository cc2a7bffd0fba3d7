"""Tables: DB-API cursors, pandas, polars and Arrow. Their rows come in batches of plain tuples.

Frames are known by the module and name of their class, so none of these libraries is imported
here. A cell is a plain Python value: None where the table has none (NULL, NA, NaT, and pandas'
NaN, which is how pandas says it). Times are to the microsecond, as `datetime` has them. An index
of pandas is no column; `frame.reset_index()` makes one of it.
"""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, cast

from ..exceptions import InvalidInput

__all__ = ["Desk", "is_one_way", "is_table", "rows_of", "table_closer"]

POLARS_CHUNK = 4096
"""Rows of a lazy query that polars makes at a time."""

MOST_ROWS = 65_536
"""The most rows that a cursor is asked for at once, however large the window."""


class Desk(Protocol):
    """What reading a table needs to know, and has to tell."""

    def room(self) -> int:
        """How many rows may come next; at least one."""
        ...

    def describe(self, columns: Sequence[str]) -> None:
        """Name the columns; before the first row."""
        ...


Rows = Iterator[Sequence[Any]]


def is_table(thing: Any) -> bool:
    """Whether it is something whose rows `rows_of` gives."""
    return _frame_reader(thing) is not None or _is_cursor(thing)


def is_one_way(thing: Any) -> bool:
    """Whether its rows are gone once they were read: a cursor, a reader of record batches."""
    if _frame_reader(thing) is None:
        return _is_cursor(thing)
    return hasattr(thing.__class__, "read_next_batch")


def rows_of(table: Any, desk: Desk) -> Rows:
    """The rows of a table, in batches that fit the desk.

    Raises what the table raises, and `InvalidInput` for a cursor without rows or of another thread.
    """
    return (_frame_reader(table) or _cursor_rows)(table, desk)


def table_closer(table: Any) -> Callable[[], object] | None:
    """What closes it; None where there is nothing to close."""
    if _frame_reader(table) is not None:
        return table.close if hasattr(table.__class__, "read_next_batch") else None
    # DuckDB's `execute` returns the connection itself, which others may be using.
    return None if hasattr(table, "cursor") or not hasattr(table, "close") else lambda: _close_cursor(table)


# --- cursors


def _is_cursor(thing: Any) -> bool:
    return not isinstance(thing, type) and hasattr(thing, "fetchmany") and hasattr(thing, "description")


def _cursor_rows(cursor: Any, desk: Desk) -> Rows:
    size = 1  # the first row early; doubled, the calls for all others cost nothing
    while True:
        try:
            rows: Sequence[Any] = cursor.fetchmany(min(size, desk.room()))
        except Exception as error:
            if _is_of_another_thread(error):
                raise InvalidInput(
                    "source",
                    "this cursor can only be used on the thread that made it; give a function that connects, executes "
                    "and returns the cursor: it is called on the source's own thread",
                ) from error
            raise
        if size == 1:  # some drivers know the columns only now
            if cursor.description is None:
                raise InvalidInput("source", "the cursor has no rows: execute a query that returns some")
            if not rows or _is_row(rows[0]):
                desk.describe([str(column[0]) for column in cursor.description])
        if not rows:
            return
        handed, rows = [rows if type(rows[0]) is tuple else [_as_tuple(row) for row in rows]], ()
        yield handed.pop()  # kept here, they would stay in memory while the reader is behind
        size = min(size * 2, MOST_ROWS)


def _close_cursor(cursor: Any) -> None:
    try:
        cursor.close()
    except Exception as error:
        if not _is_of_another_thread(error):  # reading it has said so already
            raise


def _is_of_another_thread(error: Exception) -> bool:
    return type(error).__name__ == "ProgrammingError" and "same thread" in str(error)


def _is_row(row: Any) -> bool:
    """Not so what a row factory may make as well: one cell alone, an object."""
    if hasattr(row, "cursor_description"):  # pyodbc's, which is no registered sequence
        return True
    return isinstance(row, Sequence | Mapping) and not isinstance(row, str | bytes)


def _as_tuple(row: Any) -> Any:
    if isinstance(row, Mapping):
        return tuple(cast("Mapping[Any, Any]", row).values())
    return tuple(row) if _is_row(row) else row


# --- frames


def _pandas_rows(frame: Any, desk: Desk) -> Rows:
    desk.describe([str(name) for name in frame.columns])
    at = 0
    while at < len(frame):
        part = frame.iloc[at : at + desk.room()]
        yield list(zip(*(_pandas_cells(part.iloc[:, column]) for column in range(part.shape[1])), strict=True))
        at += len(part)


def _pandas_cells(column: Any) -> list[Any]:
    cells = column.tolist()
    missing = column.isna()
    if missing.any():
        return [None if none else _plain(cell) for cell, none in zip(cells, missing.tolist(), strict=True)]
    return cells if column.dtype.kind in "biuf" else [_plain(cell) for cell in cells]


def _polars_rows(frame: Any, desk: Desk) -> Rows:
    desk.describe(frame.columns)
    yield from _polars_slices(frame, desk)


def _lazy_polars_rows(query: Any, desk: Desk) -> Rows:
    desk.describe(query.collect_schema().names())
    # In batches the result is never whole in memory; an older polars has no such thing.
    in_batches = getattr(query, "collect_batches", None)
    for frame in (query.collect(),) if in_batches is None else in_batches(chunk_size=POLARS_CHUNK):
        yield from _polars_slices(frame, desk)


def _polars_slices(frame: Any, desk: Desk) -> Rows:
    at = 0
    while at < frame.height:
        rows = frame.slice(at, desk.room()).rows()
        yield rows
        at += len(rows)


def _arrow_table_rows(table: Any, desk: Desk) -> Rows:
    desk.describe(table.schema.names)
    return _arrow_rows(table.to_batches(), desk)


def _arrow_batch_rows(batch: Any, desk: Desk) -> Rows:
    desk.describe(batch.schema.names)
    return _arrow_rows((batch,), desk)


def _arrow_reader_rows(reader: Any, desk: Desk) -> Rows:
    desk.describe(reader.schema.names)
    return _arrow_rows(reader, desk)


def _arrow_rows(batches: Iterable[Any], desk: Desk) -> Rows:
    for batch in batches:
        at = 0
        while at < batch.num_rows:
            part = batch.slice(at, desk.room())
            yield list(zip(*(_arrow_cells(column) for column in part.columns), strict=True))
            at += part.num_rows


def _arrow_cells(column: Any) -> list[Any]:
    cells = column.to_pylist()
    # Of nanoseconds Arrow makes pandas' types, where pandas is installed.
    return [_plain(cell) for cell in cells] if "[ns" in str(column.type) else cells


_FRAMES: dict[tuple[str, str], Callable[[Any, Desk], Rows]] = {
    ("pandas", "DataFrame"): _pandas_rows,
    ("polars", "DataFrame"): _polars_rows,
    ("polars", "LazyFrame"): _lazy_polars_rows,
    ("pyarrow", "Table"): _arrow_table_rows,
    ("pyarrow", "RecordBatch"): _arrow_batch_rows,
    ("pyarrow", "RecordBatchReader"): _arrow_reader_rows,
}


def _frame_reader(thing: Any) -> Callable[[Any, Desk], Rows] | None:
    for base in type(thing).__mro__:  # a subclass (geopandas ...) is read as what it is based on
        reader = _FRAMES.get((base.__module__.partition(".")[0], base.__name__))
        if reader is not None:
            return reader
    return None


# --- cells

_PLAIN = frozenset(
    {str, int, float, bool, bytes, type(None), dt.datetime, dt.date, dt.time, dt.timedelta} | {decimal.Decimal}
)


def _plain(cell: Any) -> Any:
    """The Python value that a cell of pandas or numpy stands for."""
    kind = cast("type[Any]", type(cell))
    if kind in _PLAIN:
        return cell
    if kind is dict:
        return {key: _plain(value) for key, value in cell.items()}
    if kind is list:
        return [_plain(value) for value in cell]
    if kind is tuple:
        return tuple(_plain(value) for value in cell)
    family = kind.__module__.partition(".")[0]
    if family == "numpy":
        if cell.dtype.kind in "mM":  # finer than a microsecond, numpy gives a bare number
            cell = cell.astype(f"{cell.dtype.kind}8[us]")
        return _plain(cell.tolist())
    if family != "pandas":
        return cell
    if kind.__name__ in ("NaTType", "NAType"):
        return None
    if kind.__name__ == "Timestamp":
        return cell.to_pydatetime(warn=False)
    return cell.to_pytimedelta() if kind.__name__ == "Timedelta" else str(cell)  # a period, an interval
