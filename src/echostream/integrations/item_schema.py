"""The JSON Schema of a stream's items, for OpenAPI documents (3.2, section "Sequential Media Types")."""

from __future__ import annotations

from typing import Any, cast

import msgspec

__all__ = ["event_schema", "item_schema"]


def item_schema(item: Any) -> dict[str, Any]:
    """The schema of a type: a pydantic model or anything pydantic knows, or a `msgspec.Struct`.

    Self-contained: what it refers to is written in place, and where a type contains itself,
    anything is allowed.
    """
    if isinstance(item, type) and issubclass(item, msgspec.Struct):
        schema = msgspec.json.schema(item)
    else:
        from pydantic import TypeAdapter

        adapter = TypeAdapter(cast("Any", item))
        schema = adapter.json_schema(mode="serialization")
    # References begin at the root of the document that the schema is put into, so none may be left.
    return cast("dict[str, Any]", _inlined(schema, schema.get("$defs", {}), ()))


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


def _inlined(schema: Any, definitions: dict[str, Any], within: tuple[str, ...]) -> Any:
    if isinstance(schema, list):
        return [_inlined(part, definitions, within) for part in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    parts = cast("dict[str, Any]", schema)
    reference = parts.get("$ref")
    if isinstance(reference, str):
        name = reference.rpartition("/")[2]
        if name in within or name not in definitions:
            return {}
        rest = {key: value for key, value in parts.items() if key != "$ref"}
        return {**_inlined(definitions[name], definitions, (*within, name)), **rest}
    return {key: _inlined(value, definitions, within) for key, value in parts.items() if key != "$defs"}
