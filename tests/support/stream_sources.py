"""Sources that go wrong, each in its own way, on the loop and on a thread; and a probe that sees what became."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["ASYNC", "CHUNK", "SYNC", "Probe", "Wish"]

NOTES = os.environ.get("STREAM_NOTES")
"""A file for what is to be known after the server has ended."""

CHUNK = 10_000
"""Bytes of a large item."""


@dataclass
class Probe:
    """What became of one source. Times are those of the machine's monotonic clock, which all processes share."""

    name: str = ""
    begun: bool = False
    made: int = 0
    size: int = 0
    swallowed: int = 0
    closed: bool = False
    closing: float | None = None
    told: float | None = None
    reason: str | None = None
    first_byte: float | None = None
    released: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watch(self) -> Iterator[None]:
        self.begun = True
        try:
            yield
        finally:
            self.closing = time.monotonic()
            self.closed = True
            self.note("closed")

    def make(self, item: Any) -> Any:
        self.made += 1
        self.size += len(item) if isinstance(item, str | bytes) else 1
        return item

    def note(self, word: str) -> None:
        if NOTES is not None:
            with Path(NOTES).open("a") as file:
                file.write(f"{word} {self.name}\n")

    @property
    def figures(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "released"}


@dataclass
class Wish:
    """What a source is to be like: `item` makes its nth, `at` is where it goes wrong, `pause` lies between two."""

    item: Callable[[int], Any]
    at: int = 1
    pause: float = 0.0


# --- on the loop


async def whole(probe: Probe, wish: Wish) -> AsyncIterator[Any]:
    with probe.watch():
        for number in range(1, wish.at + 1):
            yield probe.make(wish.item(number))
            await asyncio.sleep(wish.pause)


async def unencodable(probe: Probe, wish: Wish) -> AsyncIterator[Any]:
    with probe.watch():
        for number in itertools.count(1):
            yield probe.make(object() if number == wish.at else wish.item(number))


async def raises(probe: Probe, wish: Wish) -> AsyncIterator[Any]:
    with probe.watch():
        for number in range(1, wish.at):
            yield probe.make(wish.item(number))
        raise LookupError("the secret reason")


async def silent(probe: Probe, wish: Wish) -> AsyncIterator[Any]:
    with probe.watch():
        await asyncio.get_running_loop().create_future()
        yield


async def endless(probe: Probe, wish: Wish) -> AsyncIterator[Any]:
    with probe.watch():
        for number in itertools.count(1):
            yield probe.make(wish.item(number))
            if wish.pause:
                await asyncio.sleep(wish.pause)


async def stubborn(probe: Probe, wish: Wish) -> AsyncIterator[Any]:
    """Swallows every cancellation, until it is released."""
    with probe.watch():
        yield probe.make(wish.item(1))
        while not probe.released.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                probe.swallowed += 1


async def lingering(probe: Probe, wish: Wish) -> AsyncIterator[Any]:
    """Yields in its `finally`."""
    with probe.watch():
        try:
            for number in range(1, wish.at + 1):
                yield probe.make(wish.item(number))
            await asyncio.get_running_loop().create_future()
        finally:
            probe.swallowed += 1
            yield probe.make(wish.item(0))


async def blocking(probe: Probe, wish: Wish) -> AsyncIterator[Any]:
    """Blocks the loop it runs on before each item."""
    with probe.watch():
        for number in range(1, wish.at + 1):
            time.sleep(wish.pause)
            yield probe.make(wish.item(number))


# --- on a thread


def sync_whole(probe: Probe, wish: Wish) -> Iterator[Any]:
    with probe.watch():
        for number in range(1, wish.at + 1):
            yield probe.make(wish.item(number))
            time.sleep(wish.pause)


def sync_unencodable(probe: Probe, wish: Wish) -> Iterator[Any]:
    with probe.watch():
        for number in itertools.count(1):
            yield probe.make(object() if number == wish.at else wish.item(number))


def sync_raises(probe: Probe, wish: Wish) -> Iterator[Any]:
    with probe.watch():
        for number in range(1, wish.at):
            yield probe.make(wish.item(number))
        raise LookupError("the secret reason")


def sync_silent(probe: Probe, wish: Wish) -> Iterator[Any]:
    """`next()` returns when it is released; nothing can wake it before."""
    with probe.watch():
        probe.released.wait()
        yield from ()


def sync_endless(probe: Probe, wish: Wish) -> Iterator[Any]:
    with probe.watch():
        for number in itertools.count(1):
            yield probe.make(wish.item(number))
            if wish.pause:
                time.sleep(wish.pause)


def sync_stubborn(probe: Probe, wish: Wish) -> Iterator[Any]:
    """Swallows `close()`, until it is released."""
    with probe.watch():
        for number in itertools.count(1):
            try:
                yield probe.make(wish.item(number))
                time.sleep(wish.pause)
            except GeneratorExit:
                probe.swallowed += 1
                if probe.released.is_set():
                    return


def sync_lingering(probe: Probe, wish: Wish) -> Iterator[Any]:
    """Yields in its `finally`."""
    with probe.watch():
        try:
            for number in itertools.count(1):
                yield probe.make(wish.item(number))
                time.sleep(wish.pause)
        finally:
            probe.swallowed += 1
            yield probe.make(wish.item(0))


def sync_blocking(probe: Probe, wish: Wish) -> Iterator[Any]:
    """Blocks its thread before its last item until it is released."""
    with probe.watch():
        for number in range(1, wish.at + 1):
            if number == wish.at:
                probe.released.wait()
            yield probe.make(wish.item(number))


_KINDS = ("whole", "unencodable", "raises", "silent", "endless", "stubborn", "lingering", "blocking")
ASYNC: dict[str, Callable[[Probe, Wish], Any]] = {name: globals()[name] for name in _KINDS}
SYNC: dict[str, Callable[[Probe, Wish], Any]] = {name: globals()[f"sync_{name}"] for name in _KINDS}
