"""The cells of CSV (RFC 4180): rows to bytes, quoted where they must be, and harmless in a spreadsheet.

Most of a table needs neither quotes nor a guard, and looking at each cell costs more than
writing it. So the cells of one column are looked at together: their types first, since no number
holds a comma; then their texts, joined, with searches that run at the speed of memory. Only a
column where such a search hits is looked at cell by cell. Then one template formats all rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from itertools import chain
from types import NoneType
from typing import Any
from uuid import UUID

from ...exceptions import InvalidItem
from .culprit import why
from .records import BINARY, is_missing, is_missing_kind, is_record

__all__ = ["Cells"]

# What str() gives for these holds no delimiter that we allow, no quote and no line end.
_PLAIN: frozenset[type] = frozenset({int, float, bool, Decimal, date, datetime, time, UUID})
_KNOWN: frozenset[type] = _PLAIN | {str, NoneType}

# A spreadsheet takes a cell that begins so for a formula, which can run programs and send the
# table away (OWASP, "CSV Injection"). The last four are the full-width forms, which some take too.
_MARKS = ("=", "+", "-", "@", "\t", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_BEGINS_FORMULA = frozenset({*_MARKS, "\r", "\n"})

# Dropped by some where a cell begins, a BOM by all where the body does: then what is behind them begins it.
_DROPPED = "\ufeff\0"

# Possessive throughout: a cell of a million digits and a letter must not be read a million times.
_is_number = re.compile(r"(?ai)[+-]?(?:(?:\d++(?:\.\d*+)?|\.\d++)(?:e[+-]?\d++)?|inf(?:inity)?|nan)").fullmatch


class Cells:
    """Writes rows that all have the same number of cells.

    `guard` puts `'` before a text that begins a formula, unless the text is a number: a spreadsheet
    then shows it as it is. `delimiter` is one of comma, semicolon, TAB and `|`.
    """

    __slots__ = ("_delimiter", "_formula", "_marks", "_suspect")

    def __init__(self, *, delimiter: str, guard: bool) -> None:
        self._delimiter = delimiter
        self._formula = _BEGINS_FORMULA if guard else frozenset[str]()
        self._suspect = _BEGINS_FORMULA.union(_DROPPED) if guard else frozenset[str]()
        self._marks = (*_MARKS, *_DROPPED) if guard else ()

    def lines(self, rows: Sequence[Sequence[Any]], width: int, names: Sequence[str] | None) -> bytes:
        """The rows, each `width` cells long. Raises `InvalidItem`, which names the column."""
        flat = tuple(chain.from_iterable(rows))
        if len(flat) != width * len(rows):
            raise InvalidItem("gives another number of cells than its len() says")
        changed: list[Any] | None = None
        for place in range(width):
            column = flat[place::width]
            try:
                fit = self._fit(column, alone=width == 1)
            except InvalidItem as error:
                raise InvalidItem(f"{_called(place, names)} {error.reason}") from error.__cause__
            if fit is not column:
                changed = changed or list(flat)
                changed[place::width] = fit
        line = self._delimiter.join(["%s"] * width) + "\r\n"
        try:
            return (line * len(rows) % (tuple(changed) if changed else flat)).encode()
        except ValueError:  # a lone surrogate, or an int of more than 4,300 digits
            for place, cell in enumerate(flat):
                _check_text(cell, _called(place % width, names))
            raise

    def _fit(self, column: Sequence[Any], *, alone: bool) -> Sequence[Any]:
        """The cells of a column as the template may take them; the same object when nothing is to change."""
        kinds = set(map(type, column))
        if kinds <= _PLAIN:
            return column
        if not kinds <= _KNOWN:
            writers = {kind: _writer(kind) for kind in kinds - _KNOWN}
            column = [writers[type(cell)](cell) if type(cell) in writers else cell for cell in column]
            kinds = set(map(type, column))
        if NoneType in kinds:
            column = ["" if cell is None else cell for cell in column]
        if str in kinds:
            texts = column if kinds <= {str, NoneType} else [cell for cell in column if type(cell) is str]
            if self._has_trouble(texts):
                column = self._cell_by_cell(column)
        if alone and "" in column:
            # Nothing at all on a line is no row to most readers.
            column = ['""' if cell == "" else cell for cell in column]
        return column

    def _has_trouble(self, texts: Sequence[str]) -> bool:
        """Whether some text may need quotes or the guard."""
        joined = "\n".join(texts)
        if '"' in joined or self._delimiter in joined or "\r" in joined or joined.count("\n") >= len(texts):
            return True
        # The search for one character is many times faster than that for two, and mostly enough.
        return any(mark in joined and (joined.startswith(mark) or f"\n{mark}" in joined) for mark in self._marks)

    def _cell_by_cell(self, column: Sequence[Any]) -> list[Any]:
        suspect, delimiter = self._suspect, self._delimiter
        return [
            self._quoted(cell)
            if type(cell) is str
            and (cell[:1] in suspect or '"' in cell or delimiter in cell or "\n" in cell or "\r" in cell)
            else cell
            for cell in column
        ]

    def _quoted(self, text: str) -> str:
        if text.lstrip(_DROPPED)[:1] in self._formula and not _is_number(text):
            text = f"'{text}"
        if '"' in text or self._delimiter in text or "\n" in text or "\r" in text:
            return '"' + text.replace('"', '""') + '"'
        return text


def _writer(kind: type[Any]) -> Callable[[Any], str | None]:
    """What makes text of a value of this type, None for no value. Raises `InvalidItem` for what is no cell."""
    if issubclass(kind, str):
        return str.__str__  # what csv.writer writes: str() of an Enum of texts is its name
    if issubclass(kind, BINARY):
        raise InvalidItem(f"is {kind.__name__}; decode it to text first")
    if is_missing_kind(kind):
        return _text
    # A type without a text of its own would leave the address of an object in the table.
    if is_record(kind) or kind.__str__ is object.__str__ or issubclass(kind, Collection):
        raise InvalidItem(
            f"is a value of type {kind.__name__}, which is no single cell; make it text, or several cells"
        )
    return _text


def _text(value: Any) -> str | None:
    if is_missing(value):
        return None
    try:
        return str.__str__(str(value))
    except Exception as error:
        raise InvalidItem(f"is a value of type {type(value).__name__} that gives no text: {why(error)}") from error


def _check_text(cell: object, called: str) -> None:
    try:
        str(cell).encode()
    except ValueError as error:
        raise InvalidItem(f"{called} cannot be written: {why(error)}") from error


def _called(place: int, names: Sequence[str] | None) -> str:
    return f"in column {names[place]!r}" if names else f"in column {place + 1}"
