"""Reading: how a synchronous source is read and closed, on the thread that does it; and what is refused."""

from __future__ import annotations

import asyncio
import inspect
import io
import os
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, cast

from ..exceptions import InvalidInput
from .tables import Desk, is_one_way, is_table, rows_of, table_closer

__all__ = [
    "CHUNK_BYTES",
    "Reading",
    "begin_reading",
    "close_unread",
    "is_read_once",
    "is_readable",
    "refuse",
    "refuse_made",
    "runs_on_loop",
]

CHUNK_BYTES = 64 * 1024
"""The most bytes of a binary file in one item."""


class Reading(NamedTuple):
    """A source that is being read. With `batches`, `items` gives sequences of items."""

    items: Iterator[Any]
    close: Callable[[], object] | None
    batches: bool = False


def begin_reading(thing: Any, desk: Desk) -> Reading:
    """Begin to read; on the thread that will go on with it. Raises what `thing` raises."""
    if is_table(thing):
        return Reading(rows_of(thing, desk), table_closer(thing), batches=True)
    if _is_file(thing):
        return Reading(iter(thing) if _is_text(thing) else _chunks(thing), _close_of(thing))
    iterator = iter(thing)
    return Reading(iterator, _close_of(iterator))


def close_unread(thing: Any) -> None:
    """Close what was handed over open and never read: a generator, a cursor, a file. Raises what closing raises."""
    if is_table(thing):
        close = table_closer(thing)
    else:
        close = _close_of(thing) if isinstance(thing, Iterator) or _is_file(thing) else None
    if close is not None:
        close()


def is_read_once(thing: Any) -> bool:
    """Whether a second reading would find it empty: an iterator, a cursor, a file."""
    return isinstance(thing, Iterator | AsyncIterator) or is_one_way(thing) or _is_file(thing)


def is_readable(thing: Any) -> bool:
    """Whether `begin_reading` knows what to do with it."""
    return isinstance(thing, Iterable) or is_table(thing) or _is_file(thing)


def runs_on_loop(thing: Any) -> bool:
    """Whether it belongs on the loop: it is asynchronous."""
    return isinstance(thing, AsyncIterable | asyncio.Queue) or inspect.isawaitable(thing)


def refuse(thing: Any) -> None:
    """Raise `InvalidInput` for what could be read, but would not be what anybody meant, and for what cannot be."""
    kind = cast("type[Any]", type(thing))
    if thing is None:
        reason = "is None; does the function that makes it return it?"
    elif isinstance(thing, str):
        reason = "a str would be sent character by character; wrap it in a list"
    elif isinstance(thing, bytes | bytearray | memoryview):
        reason = f"{kind.__name__} would be sent number by number; wrap it in a list"
    elif isinstance(thing, Mapping):
        reason = "a mapping would be sent as its keys alone; wrap it in a list, or give its items()"
    elif inspect.isawaitable(thing):
        reason = "is a coroutine or a future; give the async function itself, or await it first"
    elif isinstance(thing, os.PathLike):
        reason = "is a path; open the file and give that"
    elif ways := [f"{way}()" for way in _WAYS_OF_RESPONSES if hasattr(kind, way)]:
        reason = f"is a response; give what its {' or '.join(ways)} returns"
    elif not runs_on_loop(thing) and inspect.iscoroutinefunction(getattr(thing, "read", None)):
        reason = f"the read() of {kind.__qualname__} is asynchronous; give an async generator of what it reads"
    elif not callable(thing) and not runs_on_loop(thing) and not is_readable(thing):
        reason = f"{kind.__qualname__} is neither iterable nor a cursor, a frame, a file, a queue or a function"
    else:
        return
    raise InvalidInput("source", reason)


def refuse_made(thing: Any) -> None:
    """Raise `InvalidInput` for what a function that makes the source should not return: as `refuse`, or a function."""
    refuse(thing)
    if not runs_on_loop(thing) and not is_readable(thing):
        raise InvalidInput("source", "the function that makes it returned a function; return what that makes")


_WAYS_OF_RESPONSES = ("aiter_bytes", "iter_bytes", "iter_content")


def _close_of(thing: Any) -> Callable[[], object] | None:
    close = getattr(thing, "close", None)
    return close if callable(close) else None


def _is_file(thing: Any) -> bool:
    if isinstance(thing, io.IOBase):
        return True
    # What wraps a file without being of its class: tempfile's, mmap, urllib3's.
    return not isinstance(thing, type) and callable(getattr(thing, "read", None)) and hasattr(thing, "close")


def _is_text(file: Any) -> bool:
    return isinstance(file, io.TextIOBase) or (not isinstance(file, io.IOBase) and hasattr(file, "encoding"))


def _chunks(file: Any) -> Iterator[Any]:
    read = getattr(file, "read1", None) or file.read
    while chunk := read(CHUNK_BYTES):
        yield chunk
    if chunk is None:
        raise BlockingIOError("the file is in non-blocking mode and has nothing now; open it in blocking mode")
