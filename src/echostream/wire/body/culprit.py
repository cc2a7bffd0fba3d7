"""Which item it was: formats encode many at once, where an error does not say that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...exceptions import InvalidInput, InvalidItem

__all__ = ["all_or_none", "why"]


def all_or_none(encode: Callable[[Sequence[Any]], bytes], items: Sequence[Any], *, joint: bytes = b"") -> bytes:
    """`encode(items)`, and when that raises, each item by itself, put together with `joint`.

    So the common case is one call, and an error costs as much again. `encode` may run the
    code of users (a hook, a `__str__`), which may raise anything.

    Raises `InvalidItem` for the first item that cannot be encoded; `item` counts from 1.
    """
    try:
        return encode(items)
    except Exception as error:  # noqa: BLE001 (users' code; told as an InvalidItem)
        if len(items) == 1:
            raise _blamed(items[0], 1, error) from _cause(error)
    parts: list[bytes] = []
    for number, item in enumerate(items, 1):
        try:
            parts.append(encode([item]))
        except Exception as error:  # noqa: BLE001 (the same)
            raise _blamed(item, number, error) from _cause(error)
    return joint.join(parts)


def _blamed(item: object, number: int, error: Exception) -> InvalidItem:
    if isinstance(error, InvalidInput):
        # An InvalidEvent names the field, an InvalidItem nothing that its reason does not.
        reason = error.reason if isinstance(error, InvalidItem) else str(error)
        return InvalidItem(reason, item=number)
    return InvalidItem(f"is of type {type(item).__name__} and cannot be encoded: {why(error)}", item=number)


def _cause(error: Exception) -> BaseException | None:
    return error.__cause__ if isinstance(error, InvalidItem) else error


def why(error: Exception) -> str:
    """An error in words, whatever it is."""
    if isinstance(error, UnicodeEncodeError):
        return "its text is not valid Unicode (a lone surrogate)"
    if isinstance(error, RecursionError):
        return "it is nested too deep, or holds itself"
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 (an exception of users, with a __str__ of its own)
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
