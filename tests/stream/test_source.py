"""What may be a source, what each kind gives, and what is refused with a word on what to do."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import io
import os
import sqlite3
import tempfile
import threading
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import pytest
from starlette.datastructures import UploadFile

from echostream.exceptions import ClientGone, InvalidInput
from echostream.stream import loop
from echostream.stream.base import Source
from echostream.stream.reading import CHUNK_BYTES
from echostream.stream.sentinel import END, FLUSH
from echostream.stream.source import open_source
from echostream.stream.threads import SourceThreads
from support.intake import HandIntake
from support.settle import until


async def poured(thing: Any, intake: HandIntake | None = None, **options: Any) -> HandIntake:
    """All of `thing`, from its opening to its close."""
    intake = intake or HandIntake()
    source = open_source(thing, **options)
    try:
        await source.pour(intake)
    finally:
        await source.aclose()
    return intake


def numbers(upto: int = 10) -> Iterator[int]:
    yield from range(upto)


async def async_numbers(upto: int = 10) -> AsyncIterator[int]:
    for number in range(upto):
        yield number


class Again:
    """An iterable that is no iterator; each turn is a generator of its own."""

    def __init__(self) -> None:
        self.turns: list[str] = []

    def __iter__(self) -> Iterator[int]:
        try:
            yield from range(10)
        finally:
            self.turns.append(threading.current_thread().name)


class AgainAsync:
    def __aiter__(self) -> AsyncIterator[int]:
        return async_numbers()


class Nexts:
    """An async iterator that has nothing to close."""

    def __init__(self) -> None:
        self.next = -1

    def __aiter__(self) -> Nexts:
        return self

    async def __anext__(self) -> int:
        self.next += 1
        if self.next == 10:
            raise StopAsyncIteration
        return self.next


class AsyncCallable:
    async def __call__(self) -> list[int]:
        return list(range(10))


async def make_async() -> AsyncIterator[int]:
    await asyncio.sleep(0)
    return async_numbers()


async def make_sync() -> Iterator[int]:
    return numbers()


def start_async() -> Any:
    return make_async()


def make_iterator() -> Iterator[int]:
    return numbers()


def make_async_iterator() -> AsyncIterator[int]:
    return async_numbers()


KINDS: dict[str, Callable[[], Any]] = {
    "list": lambda: list(range(10)),
    "tuple": lambda: tuple(range(10)),
    "range": lambda: range(10),
    "deque": lambda: deque(range(10)),
    "set": lambda: set(range(10)),
    "frozenset": lambda: frozenset(range(10)),
    "keys": lambda: dict.fromkeys(range(10)).keys(),
    "values": lambda: dict(enumerate(range(10))).values(),
    "ordered": lambda: OrderedDict.fromkeys(range(10)).keys(),
    "generator": numbers,
    "iterator": lambda: iter(range(10)),
    "map": lambda: map(int, "0123456789"),
    "iterable": Again,
    "async generator": async_numbers,
    "async iterable": AgainAsync,
    "async iterator": Nexts,
    "generator function": lambda: numbers,
    "async generator function": lambda: async_numbers,
    "function": lambda: make_iterator,
    "function of an async iterator": lambda: make_async_iterator,
    "function of a coroutine": lambda: start_async,
    "async function of an async iterator": lambda: make_async,
    "async function of an iterator": lambda: make_sync,
    "partial": lambda: functools.partial(numbers, 10),
    "async partial": lambda: functools.partial(async_numbers, 10),
    "async callable": AsyncCallable,
    "class": lambda: Again,
    "method": lambda: Again().__iter__,
    "function of a list": lambda: lambda: list(range(10)),
}
ON_THE_LOOP = [
    *("list", "tuple", "range", "deque", "set", "frozenset", "keys", "values", "ordered"),
    *("async generator", "async iterable", "async iterator", "async generator function", "async partial"),
    "async function of an async iterator",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("window", [1, 3, 100])
async def test_every_kind_gives_all_its_items_in_order(kind: str, window: int):
    intake = await poured(KINDS[kind](), HandIntake(window))
    assert intake.items == list(range(10))
    assert intake.columns is None


@pytest.mark.parametrize("kind", ON_THE_LOOP)
async def test_what_cannot_block_needs_no_thread(kind: str):
    threads = SourceThreads(1)
    source = open_source(numbers, threads=threads)
    stalled = HandIntake(1, held=True)
    holding = asyncio.create_task(source.pour(stalled))
    await until(lambda: threads.statistics().open == 1)
    assert (await poured(KINDS[kind](), threads=threads)).items == list(range(10))
    stalled.release()
    await holding
    await source.aclose()


async def test_slices_in_memory_are_of_the_window_and_let_others_run():
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    class Unhurried(HandIntake):
        """Never full, so the source itself has to let go."""

        def take_all(self, items: Any) -> bool:
            super().take_all(items)
            assert len(items) <= 10
            self._unsettled = False
            return False

    task = asyncio.create_task(other())
    intake = await poured([*range(100)], Unhurried(10))
    assert intake.items == [*range(100)]
    assert intake.calls == 10
    assert turns >= 10
    task.cancel()


@pytest.mark.parametrize("kind", [list, iter])
async def test_a_flush_comes_where_it_was_made(kind: Callable[[list[Any]], Any]):
    intake = await poured(kind([0, FLUSH, 1, 2, FLUSH, FLUSH, 3]), HandIntake(100))
    assert intake.items == [0, 1, 2, 3]
    assert intake.flushed_at == [1, 3, 3]


async def test_a_flush_of_an_async_generator():
    async def some() -> AsyncIterator[Any]:
        yield 0
        yield FLUSH
        yield 1

    intake = await poured(some(), HandIntake(100))
    assert intake.items == [0, 1]
    assert intake.flushed_at == [1]


async def test_items_are_never_compared_to_find_a_flush():
    class Touchy:
        def __eq__(self, other: object) -> bool:
            raise AssertionError("compared")

        __hash__ = None  # type: ignore[assignment]

    async def some() -> AsyncIterator[Any]:
        for item in items:
            yield item

    queue: asyncio.Queue[Any] = asyncio.Queue()
    items = [Touchy(), FLUSH, Touchy()]
    for item in (*items, END):
        queue.put_nowait(item)
    for thing in (items, iter(items), some(), queue):
        intake = await poured(thing, HandIntake(100))
        assert [id(item) for item in intake.items] == [id(items[0]), id(items[2])]
        assert intake.flushed_at == [1]


def test_the_sentinels_say_their_names():
    assert repr([FLUSH, END]) == "[FLUSH, END]"


# --- async iterables


async def test_an_async_generator_runs_and_ends_in_the_task_that_pours():
    seen: list[Any] = []

    async def tasks() -> AsyncIterator[int]:
        seen.append(asyncio.current_task())
        try:
            yield 1
            yield 2
        finally:
            seen.append(asyncio.current_task())

    source = open_source(tasks())
    intake = HandIntake(1)
    intake.gone = True
    with pytest.raises(ClientGone):
        await source.pour(intake)
    assert len(seen) == 1
    await source.aclose()
    assert seen == [asyncio.current_task()] * 2
    await source.aclose()


async def test_an_error_of_an_async_generator_comes_after_its_items():
    async def failing() -> AsyncIterator[int]:
        yield 1
        raise LookupError("after one")

    intake = HandIntake(100)
    with pytest.raises(LookupError, match="after one"):
        await poured(failing(), intake)
    assert intake.items == [1]


async def test_an_async_generator_that_yields_when_it_is_closed():
    async def stubborn() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            yield 2

    source = open_source(stubborn())
    intake = HandIntake(1)
    intake.gone = True
    with pytest.raises(ClientGone):
        await source.pour(intake)
    with pytest.raises(RuntimeError, match="GeneratorExit"):
        await source.aclose()
    await source.aclose()


async def test_an_async_generator_that_swallows_a_cancellation_meets_the_end_at_its_next_item():
    waits = asyncio.Event()

    async def stubborn() -> AsyncIterator[int]:
        while True:
            yield 1
            with contextlib.suppress(asyncio.CancelledError):
                waits.set()
                await asyncio.get_running_loop().create_future()

    source = open_source(stubborn())
    intake = HandIntake(1)
    task = asyncio.create_task(source.pour(intake))
    await waits.wait()
    intake.gone = True
    task.cancel()
    with pytest.raises(ClientGone):
        await task
    await source.aclose()


@pytest.mark.parametrize("begun", [False, True])
async def test_a_generator_nobody_wanted_is_closed(begun: bool):
    ended: list[str] = []

    async def late() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            ended.append("async")

    def late_too() -> Iterator[int]:
        try:
            yield 1
        finally:
            ended.append("sync")

    first, second = late(), late_too()
    if begun:
        await anext(first)
        next(second)
    threads = SourceThreads(1)
    for thing in (first, second):
        source = open_source(thing, threads=threads)
        await source.aclose()
        await source.aclose()
    assert ended == (["async", "sync"] if begun else [])
    with pytest.raises(StopAsyncIteration):
        await anext(first)
    with pytest.raises(StopIteration):
        next(second)
    assert threads.statistics() == (0, 0, 0)


# --- queues


async def test_a_queue_until_its_end():
    queue: asyncio.Queue[Any] = asyncio.Queue()
    intake = HandIntake(3)
    source = open_source(queue)
    task = asyncio.create_task(source.pour(intake))
    queue.put_nowait("first")
    await until(lambda: intake.items == ["first"])  # waits for none behind it
    for item in (*range(7), FLUSH, "last", END, "after the end"):
        queue.put_nowait(item)
    await task
    await source.aclose()
    assert intake.items == ["first", *range(7), "last"]
    assert intake.flushed_at == [8]
    assert intake.calls <= 5
    assert queue.get_nowait() == "after the end"
    queue.task_done()
    await asyncio.wait_for(queue.join(), 1)


async def test_a_queue_is_given_in_slices_of_the_window():
    class Sliced(HandIntake):
        def take_all(self, items: Any) -> bool:
            assert len(items) <= 10
            return super().take_all(items)

    queue: asyncio.Queue[Any] = asyncio.Queue()
    for item in (*range(95), END):
        queue.put_nowait(item)
    intake = await poured(queue, Sliced(10))
    assert intake.items == [*range(95)]
    assert intake.calls == 10


async def test_an_item_of_a_queue_is_done_when_the_reader_has_room():
    queue: asyncio.Queue[Any] = asyncio.Queue()
    intake = HandIntake(1, held=True)
    source = open_source(queue)
    task = asyncio.create_task(source.pour(intake))
    queue.put_nowait(1)
    joining = asyncio.create_task(queue.join())
    await until(lambda: intake.settles)
    assert not joining.done()
    intake.release()
    await joining
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await source.aclose()
    queue.put_nowait(2)
    assert queue.get_nowait() == 2


async def test_what_a_failed_reader_took_from_a_queue_does_not_keep_join_waiting():
    queue: asyncio.Queue[Any] = asyncio.Queue()
    intake = HandIntake(10)
    intake.gone = True
    for item in (1, 2, END):
        queue.put_nowait(item)
    with pytest.raises(ClientGone):
        await poured(queue, intake)
    await asyncio.wait_for(queue.join(), 1)


class ShutDown(Exception):
    """What a queue raises that was shut down, before Python 3.13 has it."""


class Closable(asyncio.Queue[Any]):
    """A queue that can be shut down, as those of Python 3.13."""

    async def get(self) -> Any:
        if self.empty():
            raise ShutDown
        return await super().get()

    def shutdown(self) -> None:
        """`get` raises from now on when nothing is left."""


async def test_a_queue_that_is_shut_down_ends(monkeypatch: pytest.MonkeyPatch):
    queue: Any = asyncio.Queue()
    if not hasattr(asyncio, "QueueShutDown"):
        monkeypatch.setattr(loop, "_ShutDown", ShutDown)
        queue = Closable()
    queue.put_nowait(1)
    queue.shutdown()
    assert (await poured(queue)).items == [1]


# --- files


async def test_a_binary_file_in_chunks(tmp_path: Path):
    data = bytes(range(256)) * 1000
    (tmp_path / "data").write_bytes(data)
    for buffering in (-1, 0):
        file = (tmp_path / "data").open("rb", buffering=buffering)
        intake = await poured(file)
        assert b"".join(intake.items) == data
        assert max(map(len, intake.items)) == CHUNK_BYTES
        assert file.closed


async def test_a_pipe_gives_what_is_there():
    reading, writing = os.pipe()
    intake = HandIntake()
    source = open_source(os.fdopen(reading, "rb"))
    task = asyncio.create_task(source.pour(intake))
    with os.fdopen(writing, "wb", buffering=0) as pipe:
        pipe.write(b"one")
        await until(lambda: intake.items == [b"one"])
    await task
    await source.aclose()


async def test_a_text_file_by_lines(tmp_path: Path):
    (tmp_path / "text").write_text("é\ntwo\n\nlast")
    file = (tmp_path / "text").open()
    assert (await poured(file)).items == ["é\n", "two\n", "\n", "last"]
    assert file.closed


@pytest.mark.parametrize("text", [False, True])
async def test_a_wrapped_file(text: bool):
    with contextlib.closing(tempfile.NamedTemporaryFile("w+" if text else "wb+")) as file:
        file.write("one\ntwo\n" if text else b"one\ntwo\n")
        file.seek(0)
        assert (await poured(file)).items == (["one\n", "two\n"] if text else [b"one\ntwo\n"])
        assert file.closed


async def test_a_file_closes_also_when_nobody_wanted_it_or_the_reader_left():
    unread, left = io.BytesIO(b"x"), io.BytesIO(b"x")
    await open_source(unread).aclose()
    intake = HandIntake()
    intake.gone = True
    with pytest.raises(ClientGone):
        await poured(left, intake)
    assert unread.closed
    assert left.closed


async def test_a_file_in_non_blocking_mode_is_no_short_file():
    class Empty(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def read(self, size: int = -1) -> Any:
            return None

    with pytest.raises(BlockingIOError, match="blocking mode"):
        await poured(Empty())


# --- functions


async def test_nothing_is_called_before_it_is_poured():
    called: list[int] = []
    for make in (lambda: called.append(1) or [1], functools.partial(called.append, 1)):
        source = open_source(make)
        await source.aclose()
    assert called == []


async def test_a_function_is_called_on_the_sources_thread_and_its_result_used_there(tmp_path: Path):
    names: list[str] = []

    def rows() -> Iterator[int]:
        names.append(threading.current_thread().name)
        with contextlib.closing(sqlite3.connect(tmp_path / "db")) as db:
            db.execute("CREATE TABLE t (n)")
            db.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(10)])
            for (number,) in db.execute("SELECT n FROM t ORDER BY n"):
                yield number
        names.append(threading.current_thread().name)

    assert (await poured(rows)).items == list(range(10))
    (name,) = set(names)
    assert name.startswith("echostream-source-")


async def test_the_context_of_the_caller_is_seen():
    who = contextvars.ContextVar[str]("who")
    who.set("me")

    def tell() -> Iterator[str]:
        yield who.get()
        who.set("changed")

    async def tell_too() -> AsyncIterator[str]:
        yield who.get()

    assert (await poured(tell())).items == ["me"]
    assert (await poured(tell)).items == ["me"]
    assert (await poured(tell_too)).items == ["me"]
    assert who.get() == "me"


@pytest.mark.parametrize("error", [LookupError("no"), StopIteration(), asyncio.CancelledError()])
async def test_an_error_of_the_function(error: BaseException):
    def failing() -> list[int]:
        raise error

    with pytest.raises(LookupError if isinstance(error, LookupError) else RuntimeError) as raised:
        await poured(failing)
    assert error in (raised.value, raised.value.__cause__)


async def test_an_async_function_that_is_cancelled_leaves_nothing():
    awaited: list[bool] = []

    async def never() -> list[int]:
        awaited.append(True)
        return await asyncio.get_running_loop().create_future()

    def start() -> Any:
        return never()

    for make in (never, start):
        awaited.clear()
        source = open_source(make)
        task = asyncio.create_task(source.pour(HandIntake()))
        await until(lambda: awaited)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await source.aclose()


async def test_a_coroutine_that_nobody_came_to_await_is_closed():
    handing = threading.Event()

    async def never() -> list[int]:
        raise AssertionError("awaited")

    def make() -> Any:
        handing.wait(10)
        return never()  # a warning that it was never awaited would fail this test

    threads = SourceThreads(1)
    source = open_source(make, threads=threads)
    task = asyncio.create_task(source.pour(HandIntake()))
    await until(lambda: threads.statistics().open)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    handing.set()
    await source.aclose()


# --- refusals


async def coroutine() -> None:
    raise AssertionError("awaited")


class Response:
    def iter_content(self, size: int) -> Iterator[bytes]:
        yield b""

    def __iter__(self) -> Iterator[bytes]:
        return self.iter_content(128)


REFUSED: list[tuple[Any, str]] = [
    (None, "return"),
    ("text", "wrap it in a list"),
    (b"bytes", "wrap it in a list"),
    (bytearray(b"bytes"), "bytearray"),
    (memoryview(b"bytes"), "memoryview"),
    ({"a": 1}, "items()"),
    (MappingProxyType({"a": 1}), "items()"),
    (Path("file"), "open the file"),
    (Response(), "iter_content()"),
    (httpx.Response(200), "aiter_bytes() or iter_bytes()"),
    (UploadFile(io.BytesIO(b"x")), "async generator"),
    (42, "int is neither"),
    (object(), "object is neither"),
]


@pytest.mark.parametrize(("thing", "advice"), REFUSED, ids=lambda value: type(value).__name__)
async def test_what_nobody_can_have_meant_is_refused(thing: Any, advice: str):
    with pytest.raises(InvalidInput) as refused:
        open_source(thing)
    assert refused.value.field == "source"
    assert advice in refused.value.reason

    async def make_later() -> Any:
        return thing

    for make in (lambda: thing, make_later):
        with pytest.raises(InvalidInput) as refused:
            await poured(make)
        assert advice in refused.value.reason


async def test_a_coroutine_is_refused():
    made = coroutine()
    with pytest.raises(InvalidInput, match="the async function itself"):
        open_source(made)
    made.close()
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    with pytest.raises(InvalidInput, match="the async function itself"):
        open_source(future)


async def test_a_function_that_returns_a_function_is_refused():
    async def make_later() -> Any:
        return numbers

    for make in (lambda: numbers, make_later):
        with pytest.raises(InvalidInput, match="returned a function"):
            await poured(make)


def test_a_function_that_wants_arguments_is_refused():
    def wants(this: int) -> list[int]:
        return [this]

    with pytest.raises(InvalidInput, match="lambda"):
        open_source(wants)


@pytest.mark.parametrize(
    ("thing", "name"),
    [(numbers(), "numbers"), (make_async, "make_async"), ([1], "list"), (io.BytesIO(), "BytesIO"), (Again(), "Again")],
)
async def test_a_source_has_a_name(thing: Any, name: str):
    source: Source = open_source(thing)
    assert source.name == name
    await source.aclose()
    assert open_source([], name="orders").name == "orders"
