"""The end of synchronous sources: on their own thread, whatever they do, whenever the loop lets go of them."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvloop

from echostream.exceptions import ClientGone
from echostream.stream import thread as thread_module
from echostream.stream.source import open_source
from echostream.stream.thread import ThreadSource
from echostream.stream.threads import SourceThreads
from support.intake import HandIntake
from support.settle import until

LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.fixture(autouse=True)
def never_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that waits for room is woken, not found by its own look at the loop."""
    monkeypatch.setattr(thread_module, "LOOK_EVERY", 50.0)


@pytest.fixture
def threads() -> SourceThreads:
    return SourceThreads(8)


class Watched:
    """An endless iterator that knows on which threads it was used, and whether it is in `next`."""

    def __init__(self) -> None:
        self.threads: set[int] = set()
        self.made = 0
        self.closed = threading.Event()
        self.waits_at: int | None = None
        self.waiting = threading.Event()
        self.go_on = threading.Event()

    def __iter__(self) -> Watched:
        self.threads.add(threading.get_ident())
        return self

    def __next__(self) -> int:
        self.threads.add(threading.get_ident())
        if self.made == self.waits_at:
            self.waiting.set()
            self.go_on.wait(50)
        self.made += 1
        return self.made

    def close(self) -> None:
        assert not self.closed.is_set(), "closed twice"
        self.threads.add(threading.get_ident())
        self.closed.set()


async def cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_cancelled_while_it_waits_for_an_item(threads: SourceThreads):
    watched = Watched()
    watched.waits_at = 2
    source, intake = open_source(watched, threads=threads), HandIntake(10)
    task = asyncio.create_task(source.pour(intake))
    await until(lambda: intake.items == [1, 2] and watched.waiting.is_set())
    await cancelled(task)
    closing = asyncio.create_task(source.aclose())
    for _ in range(20):
        await asyncio.sleep(0.0005)
    assert not closing.done()
    assert not watched.closed.is_set()
    watched.go_on.set()
    await closing
    assert watched.closed.is_set()
    assert intake.items == [1, 2]
    assert watched.made == 3
    assert len(watched.threads) == 1
    assert threading.get_ident() not in watched.threads
    assert threads.statistics().open == 0


async def test_cancelled_while_the_reader_stalls(threads: SourceThreads):
    watched = Watched()
    source, intake = open_source(watched, threads=threads), HandIntake(3, held=True)
    task = asyncio.create_task(source.pour(intake))
    await until(lambda: intake.settles and watched.made == 3)
    await cancelled(task)
    assert await asyncio.to_thread(watched.closed.wait, 10)
    await source.aclose()
    await source.aclose()
    assert len(watched.threads) == 1
    assert threads.statistics().open == 0


async def test_cancelled_before_the_first_item_was_asked_for(threads: SourceThreads):
    go_on = threading.Event()
    watched = Watched()

    def make() -> Watched:
        go_on.wait(50)
        return watched

    source = open_source(make, threads=threads)
    task = asyncio.create_task(source.pour(HandIntake()))
    await until(lambda: threads.statistics().open)
    await cancelled(task)
    go_on.set()
    await source.aclose()
    assert watched.made == 0
    assert watched.closed.is_set()


async def test_cancelled_at_any_turn(threads: SourceThreads):
    """Wherever the cancellation falls, the source is closed once, on its thread."""
    for turns in range(60):
        watched = Watched()
        source, intake = open_source(watched, threads=threads), HandIntake(2)
        task = asyncio.create_task(source.pour(intake))
        for _ in range(turns):
            await asyncio.sleep(0)
        await cancelled(task)
        await source.aclose()
        assert watched.closed.is_set()
        assert intake.items == list(range(1, len(intake.items) + 1))
        assert len(watched.threads) == 1
    assert threads.statistics() == (0, 0, 0)


async def test_closed_at_its_end_before_anyone_asks():
    closed = threading.Event()

    class Some:
        def __init__(self) -> None:
            self.items = iter([1, 2])

        def __iter__(self) -> Some:
            return self

        def __next__(self) -> int:
            return next(self.items)

        def close(self) -> None:
            closed.set()

    source = open_source(Some())
    await source.pour(HandIntake())
    assert await asyncio.to_thread(closed.wait, 10)
    await source.aclose()


async def test_the_items_do_not_wait_for_the_close():
    end, go_on = threading.Event(), threading.Event()

    class Slow:
        def __iter__(self) -> Slow:
            return self

        def __next__(self) -> int:
            assert end.wait(30)
            raise StopIteration

        def close(self) -> None:
            assert go_on.wait(30)

    source = open_source(Slow())
    asyncio.get_running_loop().call_later(0.01, end.set)  # by then the loop waits for it
    await asyncio.wait_for(source.pour(HandIntake()), 10)
    closing = asyncio.create_task(source.aclose())
    for _ in range(20):
        await asyncio.sleep(0.0005)
    assert not closing.done()
    go_on.set()
    await closing


def raises_in_finally() -> Iterator[int]:
    try:
        while True:
            yield 1
    finally:
        raise LookupError("while closing")


def yields_in_finally() -> Iterator[int]:
    try:
        while True:
            yield 1
    finally:
        yield 2


def swallows_once() -> Iterator[int]:
    while True:
        try:
            yield 1
        except GeneratorExit:
            return


@pytest.mark.parametrize(
    ("make", "error"),
    [(raises_in_finally, LookupError), (yields_in_finally, RuntimeError), (swallows_once, None)],
)
async def test_a_generator_that_does_not_close_well(
    make: Callable[[], Iterator[int]], error: type[Exception] | None, threads: SourceThreads
):
    source, intake = open_source(make, threads=threads), HandIntake(2)
    intake.gone = True
    with pytest.raises(ClientGone):
        await source.pour(intake)
    if error is None:
        await source.aclose()
    else:
        with pytest.raises(error):
            await source.aclose()
    await source.aclose()  # said once
    assert threads.statistics() == (0, 0, 0)


async def test_an_error_of_the_source_and_one_of_its_close(threads: SourceThreads):
    class Bad:
        def __iter__(self) -> Bad:
            return self

        def __next__(self) -> int:
            raise LookupError("next")

        def close(self) -> None:
            raise asyncio.CancelledError

    source = open_source(Bad(), threads=threads)
    with pytest.raises(LookupError, match="next"):
        await source.pour(HandIntake())
    with pytest.raises(RuntimeError, match="CancelledError"):
        await source.aclose()


async def test_one_that_never_returns_is_abandoned_and_counted(threads: SourceThreads):
    watched = Watched()
    watched.waits_at = 0
    source = open_source(watched, threads=threads)
    task = asyncio.create_task(source.pour(HandIntake()))
    await until(watched.waiting.is_set)
    await cancelled(task)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(source.aclose(), 0.01)
    assert threads.statistics() == (1, 1, 0)
    watched.go_on.set()
    await until(lambda: threads.statistics() == (0, 0, 0))
    assert watched.closed.is_set()
    await source.aclose()


async def test_nothing_is_left(threads: SourceThreads):
    class Big(list[int]):
        """An item that can be watched."""

    async def run() -> None:
        generator = made()
        left.append(weakref.ref(generator))
        source = open_source(generator, threads=threads)
        left.append(weakref.ref(source))
        intake = HandIntake(2)
        del generator
        task = asyncio.create_task(source.pour(intake))
        await until(lambda: len(intake.items) > 3)
        await cancelled(task)
        await source.aclose()

    def made() -> Iterator[Big]:
        while True:
            item = Big()
            left.append(weakref.ref(item))
            yield item

    left: list[weakref.ref[Any]] = []
    await run()
    await until(lambda: not [t for t in threading.enumerate() if t.name.startswith("echostream-source")])
    await asyncio.sleep(0)  # the loop holds what the last turn raised, and a wake that came for nothing
    gc.collect()
    assert [reference() for reference in left if reference() is not None] == []


async def test_a_generator_is_let_go_without_the_garbage_collector(threads: SourceThreads):
    def made() -> Iterator[int]:
        yield 1
        raise LookupError

    generator = made()
    left = weakref.ref(generator)
    source = open_source(generator, threads=threads)
    del generator
    gc.disable()
    try:
        with pytest.raises(LookupError):
            await source.pour(HandIntake())
        await source.aclose()
        assert left() is None
    finally:
        gc.enable()


async def test_a_thousand_short_ones_leave_no_threads(threads: SourceThreads):
    for number in range(1000):
        intake = HandIntake()
        source = open_source(iter([number]), threads=threads)
        await source.pour(intake)
        await source.aclose()
        assert intake.items == [number]
    assert threads.statistics() == (0, 0, 0)
    await until(lambda: not [t for t in threading.enumerate() if t.name.startswith("echostream-source")])


@pytest.mark.parametrize("new_loop", LOOPS)
@pytest.mark.parametrize("where", ["next", "room"])
def test_the_loop_is_closed_under_a_worker(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
    where: str,
    threads: SourceThreads,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(thread_module, "LOOK_EVERY", 0.01)
    watched = Watched()
    watched.waits_at = 2 if where == "next" else None
    loop = new_loop()
    intake = HandIntake(4, held=where == "room")
    source = ThreadSource(watched, "watched", threads=threads)
    loop.set_exception_handler(lambda *_: None)  # a task that was destroyed while it waited: what this is about
    task = loop.create_task(source.pour(intake))
    if where == "next":
        loop.run_until_complete(until(watched.waiting.is_set))
    else:
        loop.run_until_complete(until(lambda: intake.settles and watched.made == 4))
    loop.close()
    watched.go_on.set()
    assert watched.closed.wait(10)
    assert watched.made == (3 if where == "next" else 4)
    assert not task.done()
    del task
    for thread in threading.enumerate():
        if thread.name.startswith("echostream-source"):
            thread.join(10)
    assert threads.statistics() == (0, 0, 0)
    del source
    gc.collect()
