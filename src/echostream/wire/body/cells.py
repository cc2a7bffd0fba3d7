"""The cells of CSV (RFC 4180): rows to bytes, quoted where they must be, and harmless in a spreadsheet.

Most of a table needs neither quotes nor a guard, and looking at each cell costs more than
writing it. So the cells of one column are looked at together: their types first, since no number
holds a comma; then their texts, joined, with searches that run at the speed of memory and say
which few cells need more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from itertools import chain
from types import NoneType
from typing import Any, cast
from uuid import UUID

import msgspec

from ...exceptions import InvalidItem
from .culprit import why
from .records import BINARY, is_missing, is_missing_kind, is_record

__all__ = ["Cells"]

# What str() gives for these holds no delimiter that we allow, no quote and no line end.
_PLAIN: frozenset[type] = frozenset({int, float, bool, Decimal, date, datetime, time, UUID})
_KNOWN: frozenset[type] = _PLAIN | {str, NoneType}
_NUMBERS: frozenset[type] = frozenset({int, float, NoneType})
_TEXTS: frozenset[type] = frozenset({str, NoneType})

# A spreadsheet takes a cell that begins so for a formula, which can run programs and send the
# table away (OWASP, "CSV Injection"). The last four are the full-width forms, which some take too.
_MARKS = ("=", "+", "-", "@", "\t", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_BEGINS_FORMULA = frozenset({*_MARKS, "\r", "\n"})

# Dropped by some where a cell begins, a BOM by all where the body does: then what is behind them begins it.
_DROPPED = "\ufeff\0"

_encode = msgspec.json.Encoder().encode

# Possessive throughout: a cell of a million digits and a letter must not be read a million times.
_is_number = re.compile(r"(?ai)[+-]?(?:(?:\d++(?:\.\d*+)?|\.\d++)(?:e[+-]?\d++)?|inf(?:inity)?|nan)").fullmatch


class Cells:
    """Writes rows that all have the same number of cells.

    `guard` puts `'` before a text that begins a formula, unless the text is a number: a spreadsheet
    then shows it as it is. `delimiter` is one of comma, semicolon, TAB and `|`.
    """

    __slots__ = ("_delimiter", "_formula", "_marks")

    def __init__(self, *, delimiter: str, guard: bool) -> None:
        self._delimiter = delimiter
        self._formula = _BEGINS_FORMULA if guard else frozenset[str]()
        self._marks = (*_MARKS, *_DROPPED) if guard else ()

    def lines(self, rows: Sequence[Sequence[Any]], width: int, names: Sequence[str] | None) -> bytes:
        """The rows, each `width` cells long. Raises `InvalidItem`, which names the column."""
        flat = tuple(chain.from_iterable(rows))
        if len(flat) != width * len(rows):
            raise InvalidItem("gives another number of cells than its len() says")
        try:
            columns = [self._column(flat[at::width], _called(at, names), alone=width == 1) for at in range(width)]
            lines = map(self._delimiter.join, zip(*columns, strict=True))
            return ("\r\n".join(lines) + "\r\n").encode()
        except InvalidItem:
            raise
        except ValueError:  # a lone surrogate, or an int of more than 4,300 digits
            for place, cell in enumerate(flat):
                _check_text(cell, _called(place % width, names))
            raise

    def _column(self, column: Sequence[Any], called: str, *, alone: bool) -> Sequence[str]:
        try:
            texts = self._texts(column)
        except InvalidItem as error:
            raise InvalidItem(f"{called} {error.reason}") from error.__cause__
        if alone and "" in texts:
            # Nothing at all on a line is no row to most readers.
            return ['""' if text == "" else text for text in texts]
        return texts

    def _texts(self, column: Sequence[Any]) -> Sequence[str]:
        """The cells of a column as they stand in the body."""
        kinds = set(map(type, column))
        if kinds <= _TEXTS:
            return self._mended(column if NoneType not in kinds else ["" if cell is None else cell for cell in column])
        if kinds <= _NUMBERS and (numbers := _numbers(column, column.count(None))) is not None:
            return numbers
        if kinds <= _PLAIN:
            return list(map(str, column))
        return self._cell_by_cell(column, {kind: _writer(kind) for kind in kinds - _KNOWN})

    def _mended(self, texts: Sequence[str]) -> Sequence[str]:
        """Texts with quotes and guard where they are needed; the same object when that is nowhere."""
        joined = "\n" + "\n".join(texts)
        if joined.count("\n") > len(texts):
            return list(map(self._quoted, texts))
        # The search for one character is many times faster than that for two, and mostly enough.
        needles = [needle for needle in ('"', self._delimiter, "\r") if needle in joined]
        needles += [f"\n{mark}" for mark in self._marks if mark in joined]
        if not needles:
            return texts
        wanted = {at for needle in needles for at in _places(needle, joined)}
        mended = list(texts)
        for at in wanted:
            mended[at] = self._quoted(mended[at])
        return mended

    def _cell_by_cell(self, column: Sequence[Any], writers: dict[type, Callable[[Any], str | None]]) -> list[str]:
        texts: list[str] = []
        for cell in column:
            kind = cast("type[Any]", type(cell))
            value = writers[kind](cell) if kind in writers else cell
            if value is None:
                texts.append("")
            else:
                texts.append(self._quoted(value) if type(value) is str else str(value))
        return texts

    def _quoted(self, text: str) -> str:
        if text.lstrip(_DROPPED)[:1] in self._formula and not _is_number(text):
            text = f"'{text}"
        if '"' in text or self._delimiter in text or "\n" in text or "\r" in text:
            return '"' + text.replace('"', '""') + '"'
        return text


def _numbers(column: Sequence[Any], nones: int) -> list[str] | None:
    """The numbers of a column as `str` gives them, in a quarter of its time; None where it would give others.

    msgspec writes floats several times faster than `repr`, with the same digits. It differs in
    exponents, also in where they begin (from 0.0001 downward), and makes null of NaN and infinity.
    """
    try:
        text = _encode(column)[1:-1].decode()
    except OverflowError:  # an int of more than 64 bits
        return None
    if "e" in text or "0.0000" in text or text.count("n") != nones:
        return None
    return (text.replace("null", "") if nones else text).split(",")


def _places(needle: str, joined: str) -> Iterator[int]:
    """Which lines of `joined` hold `needle`; it begins with a line end, and the first line is 0."""
    line, counted, at = -1, 0, joined.find(needle)
    while at >= 0:
        line += joined.count("\n", counted, at + 1)
        yield line
        counted = at + 1
        end = joined.find("\n", counted)
        at = -1 if end < 0 else joined.find(needle, end)


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
