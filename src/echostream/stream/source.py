"""What may be a source, and how each is opened.

async iterable, asyncio.Queue           on the loop, in the task that pours
list, tuple, range, deque, set, views   on the loop, in slices: nothing in memory blocks
cursor, frame, file, other iterable     on a thread of its own, from the first `next` to `close`
function without parameters             called when the source is opened: an async one on the
                                        loop, any other on the thread, so that what it makes is
                                        used on the thread that made it
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import AsyncIterable, Callable
from typing import Any, cast

from ..exceptions import InvalidInput
from .base import Intake, Source
from .loop import AsyncSource, MemorySource, QueueSource
from .reading import is_readable, refuse, refuse_made
from .thread import ThreadSource
from .threads import SOURCE_THREADS, SourceThreads

__all__ = ["open_source"]

_EMPTY: dict[str, str] = {}
_VIEWS = (type(_EMPTY.keys()), type(_EMPTY.values()), type(_EMPTY.items()))
_IN_MEMORY: tuple[type[Any], ...] = (list, tuple, range, deque, set, frozenset, *_VIEWS)


def open_source(thing: Any, *, threads: SourceThreads | None = None, name: str | None = None) -> Source:
    """Make a source of `thing`. Nothing runs before it is poured.

    `threads`: those for a synchronous source; by default the process's. `name`: what it is called
    in messages to the people who run the program. Raises `InvalidInput` for what cannot be a
    source, saying what to do.
    """
    refuse(thing)
    name = name or _name_of(thing)
    if isinstance(thing, AsyncIterable):
        return AsyncSource(cast("AsyncIterable[Any]", thing), name)
    if isinstance(thing, asyncio.Queue):
        return QueueSource(cast("asyncio.Queue[Any]", thing), name)
    if isinstance(thing, _IN_MEMORY):
        return MemorySource(cast("list[Any]", thing), name)
    threads = threads or SOURCE_THREADS
    if is_readable(thing):
        return ThreadSource(thing, name, threads=threads)
    _check_signature(thing)
    return _MadeSource(thing, name, threads)


class _MadeSource:
    """A source that a function makes, once it is wanted."""

    def __init__(self, make: Callable[[], Any], name: str, threads: SourceThreads) -> None:
        self.name = name
        self._make = make
        self._threads = threads
        self._source: Source | None = None

    async def pour(self, into: Intake) -> None:
        """Call the function, and pour what it makes. Raises what that raises, and `InvalidInput`."""
        make = self._make
        if inspect.iscoroutinefunction(make) or inspect.isasyncgenfunction(make):
            made = make()
        else:
            source = self._source = ThreadSource(make, self.name, threads=self._threads, call=True)
            await source.pour(into)
            made, source.handed = source.handed, None
            if made is None:
                return
        if inspect.isawaitable(made):
            made = await made
        refuse_made(made)
        self._source = open_source(made, threads=self._threads, name=self.name)
        await self._source.pour(into)

    async def aclose(self) -> None:
        """Close what was made. Raises what that raises."""
        if self._source is not None:
            await self._source.aclose()


def _check_signature(make: Callable[..., Any]) -> None:
    try:
        inspect.signature(make).bind()
    except TypeError:
        raise InvalidInput(
            "source",
            f"{_name_of(make)} is a function that wants arguments; bind them: lambda: {_name_of(make)}(...). "
            "What is given a Writer is an `async def` of one parameter",
        ) from None
    except ValueError:  # a built-in one that does not say
        pass


def _name_of(thing: Any) -> str:
    name = getattr(thing, "__qualname__", None)
    return name if isinstance(name, str) else type(thing).__qualname__
