"""Records: what calls its values by names, whichever library it comes from. Nothing is imported to know them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, cast

from ...exceptions import InvalidItem

__all__ = ["BINARY", "SEQUENCES", "as_mapping", "field_names", "is_missing", "is_missing_kind", "is_record", "unique"]


# Typed so that a check of a value against them leaves it Any.
SEQUENCES: tuple[type, ...] = (tuple, list)
BINARY: tuple[type, ...] = (bytes, bytearray, memoryview)


def field_names(kind: type) -> tuple[str, ...] | None:
    """The fields of a dataclass, a msgspec Struct or an attrs class; None for another type."""
    described: Any = kind
    if is_dataclass(described):
        return tuple(field.name for field in fields(described))
    names = getattr(described, "__struct_fields__", None)
    if names is None and (attributes := getattr(described, "__attrs_attrs__", None)) is not None:
        names = [attribute.name for attribute in attributes]
    return None if names is None else tuple(names)


def is_record(kind: type) -> bool:
    """Whether values of this type are records, other than mappings."""
    return field_names(kind) is not None or callable(getattr(kind, "model_dump", None))


def as_mapping(value: object, dump: Callable[[Any], Any]) -> Mapping[Any, Any] | None:
    """A record as a mapping; None for what is no record. `dump` turns a model of pydantic into a dict.

    Known are mappings, models of pydantic, dataclasses, Structs, attrs classes, rows with `keys()`
    (sqlite3.Row, asyncpg.Record) and rows with `_mapping` (SQLAlchemy). Raises `InvalidItem` for a row that has
    two values of one name.
    """
    if isinstance(value, Mapping):
        return cast("Mapping[Any, Any]", value)
    kind: type[Any] = type(value)
    if callable(getattr(kind, "model_dump", None)):
        return dump(value)
    names = field_names(kind)
    if names is not None:
        return {name: getattr(value, name) for name in names}
    row: Any = value
    if hasattr(kind, "_mapping"):
        row = row._mapping  # public in SQLAlchemy: the underscore keeps it apart from columns
        kind = cast("type[Any]", type(row))
    if callable(getattr(kind, "keys", None)) and hasattr(kind, "__getitem__"):
        keys = unique(row.keys())
        return {key: row[key] for key in keys}
    return None


def unique(names: Iterable[str]) -> tuple[str, ...]:
    """The names. Raises `InvalidItem` when one stands twice: one of the two values would be lost."""
    found = tuple(names)
    if len(set(found)) < len(found):
        twice = next(name for place, name in enumerate(found) if name in found[:place])
        raise InvalidItem(f"two columns are named {twice!r}; give them different names")
    return found


def is_missing(value: object) -> bool:
    """Whether it is pandas' NA or NaT, or numpy's NaT: no value."""
    kind = type(value)
    if is_missing_kind(kind):
        return True
    return kind.__module__ == "numpy" and kind.__name__ in ("datetime64", "timedelta64") and str(value) == "NaT"


def is_missing_kind(kind: type) -> bool:
    """Whether it is the type of pandas' NA or NaT, which are all that their types have."""
    return kind.__name__ in ("NAType", "NaTType") and kind.__module__.startswith("pandas.")
