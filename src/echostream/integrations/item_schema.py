"""The JSON Schema of a stream's items, for OpenAPI documents (3.2, section "Sequential Media Types").

A schema made by pydantic or msgspec refers to its definitions from the root of its own document. Put into
another one those references would lead nowhere, so each is replaced by what it refers to: the
outer ones first. A type within itself has no end, and types that refer to each other crosswise
have as many ends as there are ways through them, so some references are left open: anything is
allowed there, and the title says what it would be.
"""

from __future__ import annotations

from collections import deque
from typing import Any, cast, get_args

import msgspec

__all__ = ["MOST_DEFINITIONS", "event_schema", "item_schema"]

MOST_DEFINITIONS = 200
"""How many references are replaced. The next ones are left open."""


def item_schema(item: Any) -> dict[str, Any]:
    """The schema of a type, self-contained. Raises whatever pydantic or msgspec raises for what they do not know.

    pydantic is asked (models, dataclasses, unions, lists of them ...); msgspec for a type with a
    `msgspec.Struct` in it, and where there is no pydantic.
    """
    schema = _schema_of(item)
    return _inlined({key: value for key, value in schema.items() if key != "$defs"}, schema.get("$defs", {}))


def event_schema(item: Any = None) -> dict[str, Any]:
    """The schema of a server-sent event whose data is `item` as JSON; None: text."""
    data: dict[str, Any] = {"type": "string"}
    if item is not None:
        data |= {"contentMediaType": "application/json", "contentSchema": item_schema(item)}
    properties = {
        "data": data,
        "event": {"type": "string"},
        "id": {"type": "string"},
        "retry": {"type": "integer", "minimum": 0},
    }
    return {"type": "object", "properties": properties, "required": ["data"]}


def _schema_of(item: Any) -> dict[str, Any]:
    if not _has_struct(item):
        try:
            from pydantic import TypeAdapter
        except ModuleNotFoundError:
            pass
        else:
            return TypeAdapter(item).json_schema(mode="serialization")
    return msgspec.json.schema(item)


def _has_struct(item: Any) -> bool:
    if isinstance(item, type) and issubclass(item, msgspec.Struct):
        return True
    return any(_has_struct(part) for part in get_args(item))


def _inlined(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A copy with the definitions in place, level by level: near the root everything is there."""
    root: dict[str, Any] = {}
    left = MOST_DEFINITIONS
    # What is to be copied, to where, and the definitions that it stands in.
    waiting: deque[tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]] = deque([(schema, root, ())])
    while waiting:
        part, copy, within = waiting.popleft()
        reference = part.get("$ref")
        if isinstance(reference, str):
            name = reference.rpartition("/")[2]
            copy.update({key: value for key, value in part.items() if key != "$ref"})
            if name not in definitions or name in within or not left:
                copy.setdefault("title", name)
                continue
            left -= 1
            part, within = {**definitions[name], **copy}, (*within, name)
        for key, value in part.items():
            if key != "discriminator" or not {"oneOf", "anyOf"} & part.keys():  # it names definitions: none is left
                copy[key] = _copied(value, waiting, within)
    return root


def _copied(value: Any, waiting: deque[Any], within: tuple[str, ...]) -> Any:
    if isinstance(value, list):
        return [_copied(part, waiting, within) for part in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    copy: dict[str, Any] = {}
    waiting.append((value, copy, within))
    return copy
