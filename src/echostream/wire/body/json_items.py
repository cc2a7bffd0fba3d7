"""JSON out of whatever people yield: many items at once, by msgspec."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from functools import lru_cache, partial
from itertools import starmap
from operator import methodcaller
from typing import Any, cast

import msgspec

from ...event import Event
from ...exceptions import InvalidItem
from ..envelope import envelope
from .records import SEQUENCES, as_mapping, is_missing, unique

__all__ = ["Default", "JsonItems"]

Default = Callable[[Any], Any]
"""Asked for a value that JSON does not know: gives another value, or raises TypeError."""

# By alias: those names are made for the wire, and FastAPI's other answers have them.
_dump = methodcaller("model_dump", mode="json", by_alias=True)


class JsonItems:
    """What the formats made of JSON share: the values they know, and rows whose cells have names.

    `default` is asked for values that JSON does not know; it gives another value, or raises
    TypeError when it does not know either, as that of `json.dumps`. Without it and after it,
    models of pydantic, mappings, numbers of numpy and times of pandas are known. NaN and the
    infinities are null, as browsers write them. An `Event` is its envelope.
    """

    def __init__(self, default: Default | None = None) -> None:
        # Not a method of ours: that would be a cycle for the garbage collector in each response.
        self._encoder = msgspec.json.Encoder(enc_hook=partial(_known, default))
        self._columns: tuple[str, ...] | None = None

    def describe(self, columns: Sequence[str]) -> None:
        """Rows that are tuples or lists are objects from here on."""
        self._columns = tuple(columns)

    def lines(self, items: Sequence[Any]) -> bytes:
        """Each item on a line. Raises whatever an item or `default` raises; so do the others."""
        body = self._encoder.encode_lines(self._values(items))
        # JSON has no line break but within `msgspec.Raw`, which goes out as it is.
        if body.count(b"\n") != len(items):
            raise InvalidItem("holds raw JSON with a line break, and an item is one line; take it out")
        return body

    def members(self, items: Sequence[Any]) -> bytes:
        """The items as an array's members, without its brackets."""
        return self._encoder.encode(self._values(items))[1:-1]

    def one(self, item: Any) -> bytes:
        """One item."""
        return self._encoder.encode(self._values([item])[0])

    def _values(self, items: Sequence[Any]) -> list[Any]:
        """What msgspec is to encode. To it an `Event` is a struct of many fields, and a row an array."""
        kinds = set(map(type, items))
        values: list[Any] = cast("list[Any]", items) if type(items) is list else list(items)
        if any(issubclass(kind, Event) for kind in kinds):
            values = [_whole(item) if isinstance(item, Event) else item for item in values]
        if self._columns is None:
            return values
        make = _row_maker(self._columns)
        width = len(self._columns)
        if kinds <= set(SEQUENCES) and set(map(len, values)) == {width}:
            return list(starmap(make, values))
        return [make(*_sized(item, width)) if isinstance(item, SEQUENCES) else item for item in values]


def _whole(event: Event) -> msgspec.Raw:
    if event.data is None:
        raise InvalidItem("is an event without data, which only ends a topic; end the source instead")
    return msgspec.Raw(envelope(event))


def _sized(row: Sequence[Any], width: int) -> Sequence[Any]:
    if len(row) != width:
        raise InvalidItem(f"is a row of {len(row)} cells, where the source named {width}")
    return row


@lru_cache(maxsize=64)
def _row_maker(columns: tuple[str, ...]) -> Callable[..., Any]:
    """What makes a row's cells an object: a Struct, which takes a third of the time of a dict.

    Kept, since a class is dear to make and to free. Raises `InvalidItem` for a name that stands twice.
    """
    unique(columns)
    fields = [(f"c{place}", object) for place in range(len(columns))]
    names = dict(zip((name for name, _ in fields), columns, strict=True))
    try:
        return msgspec.defstruct("Row", fields, rename=names, gc=False)
    except ValueError:  # a name with a quote, a backslash or a control character
        return lambda *cells: dict(zip(columns, cells, strict=True))


def _known(default: Default | None, value: Any) -> Any:
    """msgspec's hook: another value for one that JSON does not know."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()  # the key of a dict
    if isinstance(value, str):
        return str.__str__(value)  # msgspec takes the very types of JSON alone, not those made of them
    if isinstance(value, int | float):
        return int(value) if isinstance(value, int) else float(value)
    refused: Exception | None = None
    if default is not None:
        try:
            found = default(value)
        except (TypeError, NotImplementedError) as error:
            refused = error
        else:
            if found is not value:
                return found
    if is_missing(value):
        return None
    found = _of_others(value)
    if found is value:
        raise InvalidItem(
            f"holds a value of type {type(value).__name__}, which has no JSON form; make it a dict, list or text"
        ) from refused
    return found


def _of_others(value: Any) -> Any:
    """Values of other libraries as values that msgspec knows; the same value when it is none."""
    if isinstance(value, datetime | date | time):  # pandas, pendulum: subclasses that msgspec does not take
        return value.isoformat()
    if isinstance(value, timedelta):
        return timedelta(days=value.days, seconds=value.seconds, microseconds=value.microseconds)
    if type(value).__module__.partition(".")[0] == "numpy":
        return _of_numpy(value)
    record = as_mapping(value, _dump)
    return value if record is None else dict(record)


def _of_numpy(value: Any) -> Any:
    kind: str | None = getattr(getattr(value, "dtype", None), "kind", None)
    if kind in ("M", "m"):
        if value.ndim:
            return value
        # item() of a time that counts nanoseconds would be a bare number.
        return str(value) if kind == "M" else value.astype("timedelta64[us]").item()
    if kind is None or kind not in "biufSUO":
        return value
    found = value.tolist()
    return value if type(found) is type(value) else found
