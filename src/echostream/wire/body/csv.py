"""A body of CSV (RFC 4180): a header row, then a row for each item."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter, itemgetter, methodcaller
from typing import Any, cast

from ...exceptions import InvalidItem, InvalidSetting
from ..control import Control
from .cells import Cells
from .culprit import all_or_none
from .records import BINARY, SEQUENCES, as_mapping, field_names

__all__ = ["CsvBody"]

_DELIMITERS = (",", ";", "\t", "|")

_dump = methodcaller("model_dump")
_is_plain = frozenset(SEQUENCES).issuperset


class CsvBody:
    """Items are rows: sequences of cells; or mappings, dataclasses, Structs, models: what names its cells.

    The columns are `columns`, else what the source calls them, else what the first row calls its
    cells. All rows have the same number of cells; a row that names its cells may leave some out,
    which are then empty, as None is. `header`: whether the columns are the first row.

    `guard` puts `'` before a text that a spreadsheet would take for a formula: it begins with
    `=`, `+`, `-`, `@`, TAB, CR or LF, also behind a BOM or NUL, and is no number. Turn it off for readers that
    are programs.
    Raises `InvalidSetting` for columns that are no list of texts, and for a delimiter other than
    comma, semicolon, TAB and `|`.
    """

    name = "csv"
    by_item = False
    heartbeat = b""
    tells_end = False

    def __init__(
        self,
        columns: Sequence[str] | None = None,
        *,
        guard: bool = True,
        header: bool = True,
        delimiter: str = ",",
    ) -> None:
        if delimiter not in _DELIMITERS:
            raise InvalidSetting("delimiter", f"must be a comma, a semicolon, a TAB or |, not {delimiter!r}")
        self._cells = Cells(delimiter=delimiter, guard=guard)
        self._wants_header = header
        self._columns: tuple[str, ...] | None = None
        self._width = 0  # not known yet
        self._header = b""  # to be sent before the next row
        if columns is not None:
            try:
                self._name(columns)
            except InvalidItem as error:
                raise InvalidSetting("columns", error.reason) from None

    def __repr__(self) -> str:
        return f"CsvBody({self._columns})"

    @property
    def media_type(self) -> str:
        """Says whether a header row comes (RFC 4180, section 3), as soon as that is known."""
        base = "text/csv; charset=utf-8"
        if self._width == 0 and self._wants_header:
            return base
        return f"{base}; header={'present' if self._wants_header and self._columns else 'absent'}"

    def describe(self, columns: Sequence[str]) -> None:
        """The columns, unless they were given. Raises `InvalidItem` for names that are not text."""
        if self._columns is None and columns:
            self._name(columns)

    def encode(self, items: Sequence[Any]) -> bytes:
        """The rows, the header row before the first. Raises `InvalidItem`, and then nothing has changed."""
        before = self._columns, self._width, self._header
        try:
            return all_or_none(self._rows, items)
        except BaseException:
            self._columns, self._width, self._header = before
            raise

    def finish(self) -> bytes:
        """The header row when no row came, so that a reader still learns the columns."""
        header, self._header = self._header, b""
        return header

    def control(self, control: Control, *, id: str | None = None) -> bytes:  # noqa: ARG002 (the protocol)
        """Nothing: every line is a row."""
        return b""

    def _name(self, columns: Sequence[str]) -> None:
        names = tuple(columns)
        if isinstance(columns, str) or not names or set(map(type, names)) != {str}:
            raise InvalidItem(f"columns must be a list of texts, not {columns!r}")
        if self._wants_header:
            self._header = self._cells.lines([names], len(names), None)
        self._columns, self._width = names, len(names)

    def _rows(self, items: Sequence[Any]) -> bytes:
        rows = items
        if not _is_plain(map(type, items)):
            if not self._width and (names := _names_of(items[0])):
                self._name(names)
            rows = _cells_of(items, self._columns)
        width = self._width or len(rows[0])
        if set(map(len, rows)) != {width}:
            found = next(len(row) for row in rows if len(row) != width)
            against = "header" if self._columns else "first row"
            raise InvalidItem(f"is a row of {found} cells, where the {against} has {width}")
        if not width:
            raise InvalidItem("is a row without cells")
        body = self._header + self._cells.lines(rows, width, self._columns)
        self._width, self._header = width, b""
        return body


def _names_of(row: Any) -> tuple[str, ...] | None:
    """What a row calls its cells, when it names them."""
    if isinstance(row, SEQUENCES):
        return getattr(row, "_fields", None)
    found = as_mapping(row, _dump)
    return None if found is None else tuple(found)


def _cells_of(rows: Sequence[Any], columns: tuple[str, ...] | None) -> list[Sequence[Any]]:
    """The cells of each row, in the order of the columns."""
    if columns is None:
        return [_unnamed(row) for row in rows]
    kinds = set(map(type, rows))
    if len(kinds) == 1 and len(columns) > 1:
        # Most tables have rows of one type that name all their cells: they need no look at each.
        kind = kinds.pop()
        if kind is dict and set(map(len, rows)) == {len(columns)}:
            try:
                return list(map(itemgetter(*columns), rows))
            except KeyError:
                pass
        elif set(field_names(kind) or ()) == set(columns):
            return list(map(attrgetter(*columns), rows))
    known = frozenset(columns)
    return [_named(row, columns, known) for row in rows]


def _unnamed(row: Any) -> Sequence[Any]:
    if isinstance(row, SEQUENCES):
        return row
    if as_mapping(row, _dump) is not None:
        raise InvalidItem("names its cells, which the first row did not; give the columns")
    if isinstance(row, (str, *BINARY)) or not isinstance(row, Sequence):
        raise InvalidItem(f"is of type {type(row).__name__}, which is no row; yield a tuple, a list or a dict")
    return tuple(cast("Sequence[Any]", row))


def _named(row: Any, columns: tuple[str, ...], known: frozenset[str]) -> Sequence[Any]:
    if isinstance(row, SEQUENCES):
        names = getattr(row, "_fields", columns)
        # A named tuple that has our names in another order is put in ours; else its order is what counts.
        if names == columns or len(names) != len(columns) or not known.issuperset(names):
            return row
        return [row[names.index(column)] for column in columns]
    record = as_mapping(row, _dump)
    if record is None:
        return _unnamed(row)
    unknown = record.keys() - known
    if unknown:
        raise InvalidItem(f"has the cell {min(map(repr, unknown))}, which is no column; there are {', '.join(columns)}")
    return [record.get(column) for column in columns]
