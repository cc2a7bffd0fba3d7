"""Synchronous sources on threads of their own: order, how far ahead, errors, how many there may be."""

from __future__ import annotations

import asyncio
import random
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from echostream.exceptions import ClientGone, InvalidSetting, SourcesBusy
from echostream.stream import thread as thread_module
from echostream.stream.sentinel import FLUSH
from echostream.stream.source import open_source
from echostream.stream.threads import SourceThreads
from support.intake import HandIntake
from support.settle import until

LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.fixture(autouse=True)
def never_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that waits for room is woken, not found by its own look at the loop."""
    monkeypatch.setattr(thread_module, "LOOK_EVERY", 50.0)


@pytest.fixture
def impatient() -> Iterator[None]:
    """Threads take turns after microseconds, so that each step of the crossing is cut by the other side."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


async def test_an_item_does_not_wait_for_the_next():
    second = threading.Event()

    def slow() -> Iterator[int]:
        yield 1
        second.wait(30)
        yield 2

    intake = HandIntake(100)
    source = open_source(slow())
    task = asyncio.create_task(source.pour(intake))
    await until(lambda: intake.items == [1])
    second.set()
    await task
    await source.aclose()
    assert intake.items == [1, 2]


class Fickle(HandIntake):
    """Its window changes as it goes, and its reader takes as many turns as it likes to settle."""

    def __init__(self, windows: list[int], stalls: list[int]) -> None:
        super().__init__(windows[0])
        self.widest = max(windows)
        self.windows = windows
        self._stalls = stalls

    async def settle(self) -> None:
        self.window = self.windows[self.settles % len(self.windows)]
        for _ in range(self._stalls[self.settles % len(self._stalls)]):
            await asyncio.sleep(0)
        await super().settle()


@pytest.mark.parametrize("new_loop", LOOPS)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])  # `never_look` is for all
@given(
    flushes=st.sets(st.integers(0, 60)),
    pauses=st.sets(st.integers(0, 60)),
    windows=st.lists(st.integers(1, 20), min_size=1, max_size=5),
    stalls=st.lists(st.integers(0, 30), min_size=1, max_size=5),
    count=st.integers(0, 60),
    fails=st.booleans(),
)
def test_nothing_is_lost_or_out_of_order_however_both_sides_stall(
    *,
    new_loop: Callable[[], asyncio.AbstractEventLoop],
    flushes: set[int],
    pauses: set[int],
    windows: list[int],
    stalls: list[int],
    count: int,
    fails: bool,
):
    intake = Fickle(windows, stalls)
    ahead = [0]

    def made() -> Iterator[Any]:
        for number in range(count):
            if number in flushes:
                yield FLUSH
            if number in pauses:
                turns.wait(0.0001)  # gives the loop the processor
            ahead.append(number + 1 - intake.read)
            yield number
        if fails:
            raise LookupError("the end")

    async def run() -> None:
        source = open_source(made())
        try:
            await source.pour(intake)
            assert not fails
        except LookupError:
            assert fails
        finally:
            await source.aclose()

    turns = threading.Event()
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(run())
    assert intake.items == list(range(count))
    assert intake.flushed_at == sorted(number for number in flushes if number < count)
    assert max(ahead) <= intake.widest


async def test_many_short_sources_at_once_all_end(impatient: None):
    async def one(length: int) -> None:
        source = open_source(iter(range(length)), threads=threads)
        intake = HandIntake(random.randint(1, 5))
        await source.pour(intake)
        await source.aclose()
        assert intake.items == list(range(length))

    threads = SourceThreads(64)
    for _ in range(25):
        await asyncio.gather(*(one(length % 9) for length in range(40)))
    assert threads.statistics() == (0, 0, 0)
    await until(lambda: not source_threads())


def source_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("echostream-source")]


@pytest.mark.parametrize("window", [1, 2, 7, 100])
async def test_a_stalled_reader_stalls_the_source(window: int):
    made: list[int] = []

    def endless() -> Iterator[int]:
        while True:
            made.append(1)
            yield len(made)

    intake = HandIntake(window, held=True)
    source = open_source(endless())
    task = asyncio.create_task(source.pour(intake))
    for _ in range(5):
        read = intake.read
        await until(lambda read=read: len(made) == read + window)
        for _ in range(20):
            await asyncio.sleep(0.0005)
            assert len(made) == read + window
        intake.release()
        await until(lambda read=read: intake.read > read)
        intake.hold()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await source.aclose()
    intake.release()
    assert intake.items == list(range(1, len(intake.items) + 1))


async def test_what_the_reader_has_not_taken_counts():
    go_on = threading.Event()
    made: list[int] = []

    def slow() -> Iterator[int]:
        while True:
            made.append(1)
            yield len(made)
            go_on.wait(30)

    intake = HandIntake(5, by_item=True, held=True)
    source = open_source(slow())
    task = asyncio.create_task(source.pour(intake))
    await until(lambda: intake.settles)
    go_on.set()  # one is with the reader, and the worker never stood before a full list
    await until(lambda: len(made) == 5)
    for _ in range(20):
        await asyncio.sleep(0.0005)
        assert len(made) == 5
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await source.aclose()


async def test_an_intake_that_never_asks_is_asked_to_settle_by_the_window():
    class Unhurried(HandIntake):
        def take_all(self, items: Any) -> bool:
            super().take_all(items)
            self._unsettled = False
            return False

    intake = Unhurried(10)
    source = open_source(iter(range(1000)))
    await source.pour(intake)
    await source.aclose()
    assert intake.items == list(range(1000))
    assert intake.settles == 100


async def test_a_window_that_shrinks_meanwhile_stops_nothing():
    class Shrinking(HandIntake):
        """Its window is 1, then 10 for a moment in which it asks for nothing, then 1."""

        def describe(self, columns: Any) -> None:
            self.window = 10

        def take_all(self, items: Any) -> bool:
            super().take_all(items)
            self.window = 1
            self._unsettled = False
            return False

    intake = Shrinking(1)
    source = open_source(lambda: duckdb.connect().execute("SELECT 1 UNION ALL SELECT 2"))
    await asyncio.wait_for(source.pour(intake), 10)
    await source.aclose()
    assert intake.items == [(1,), (2,)]


async def test_a_window_that_grows_is_used():
    class Growing(HandIntake):
        async def settle(self) -> None:
            await super().settle()
            self.window = 50

    intake = Growing(1)
    source = open_source(iter(range(1001)))
    await source.pour(intake)
    await source.aclose()
    assert intake.items == list(range(1001))
    assert intake.settles <= 25


@pytest.mark.parametrize("after", [0, 1, 5])
async def test_an_error_comes_after_the_items_before_it(after: int):
    def failing() -> Iterator[int]:
        yield from range(after)
        raise LookupError(after)

    intake = HandIntake(3)
    source = open_source(failing())
    with pytest.raises(LookupError) as raised:
        await source.pour(intake)
    assert intake.items == list(range(after))
    await source.aclose()
    frames = [entry.path.name for entry in raised.traceback]
    assert frames.count("thread.py") == 1  # `pour`, which raised it; none of the worker's, which hold the source
    assert frames[-1] == "test_thread.py"


@pytest.mark.parametrize("kind", [StopIteration, StopAsyncIteration, GeneratorExit, asyncio.CancelledError, SystemExit])
async def test_what_means_something_else_to_a_task_arrives_as_an_error(kind: type[BaseException]):
    class Failing:
        def __init__(self) -> None:
            self.left = [1, 2]

        def __iter__(self) -> Failing:
            return self

        def __next__(self) -> int:
            if not self.left:
                raise kind
            return self.left.pop()

    intake = HandIntake()
    source = open_source(Failing())
    if kind is StopIteration:
        await source.pour(intake)
    else:
        with pytest.raises((RuntimeError, StopAsyncIteration)) as raised:
            await source.pour(intake)
        assert isinstance(raised.value.__cause__ or raised.value, kind)
    assert intake.items == [2, 1]
    await source.aclose()


async def test_an_error_of_the_reader_ends_the_source():
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    intake = HandIntake(2)
    source = open_source(endless())
    intake.gone = True
    with pytest.raises(ClientGone):
        await source.pour(intake)
    assert await asyncio.to_thread(closed.wait, 10)  # without `aclose`: it does not wait for that
    await source.aclose()


# --- how many


async def test_the_257th_is_refused():
    release = threading.Event()

    def waiting() -> Iterator[int]:
        release.wait(50)
        yield 1

    threads = SourceThreads()
    sources = [open_source(waiting, threads=threads) for _ in range(256)]
    intakes = [HandIntake() for _ in sources]
    tasks = [asyncio.create_task(source.pour(intake)) for source, intake in zip(sources, intakes, strict=True)]
    await until(lambda: threads.statistics().open == 256)
    for thing in ([1], waiting()):
        late = open_source(iter(thing), threads=threads)
        with pytest.raises(SourcesBusy) as refused:
            await late.pour(HandIntake())
        assert refused.value.limit == 256
        await late.aclose()
    assert threads.statistics() == (256, 0, 2)
    release.set()
    await asyncio.gather(*tasks)
    for source in sources:
        await source.aclose()
    assert all(intake.items == [1] for intake in intakes)
    assert threads.statistics() == (0, 0, 2)
    await until(lambda: not source_threads())


async def test_a_machine_without_threads_refuses_too():
    threads = SourceThreads(3)
    closed: list[bool] = []

    class Some:
        def __iter__(self) -> Some:
            return self

        def __next__(self) -> int:
            raise AssertionError("begun")

        def close(self) -> None:
            closed.append(True)

    source = open_source(Some(), threads=threads)
    before = threading.stack_size(2**46)  # no machine gives a thread so much
    try:
        with pytest.raises(SourcesBusy):
            await source.pour(HandIntake())
    finally:
        threading.stack_size(before)
    await source.aclose()
    assert closed == [True]
    assert threads.statistics() == (0, 0, 1)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_allows_nothing(limit: int):
    with pytest.raises(InvalidSetting, match="limit"):
        SourceThreads(limit)


async def test_threads_are_named_daemons():
    seen: list[threading.Thread] = []

    def look() -> Iterator[int]:
        seen.append(threading.current_thread())
        yield 1

    for _ in range(2):
        source = open_source(look)
        await source.pour(HandIntake())
        await source.aclose()
    assert all(thread.daemon and thread.name.startswith("echostream-source-") for thread in seen)
    assert seen[0].name != seen[1].name
