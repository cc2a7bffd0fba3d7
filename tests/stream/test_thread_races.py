"""The crossing between worker and loop, each step cut by the other side at the worst moment."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from echostream.stream import thread as thread_module
from echostream.stream.sentinel import FLUSH
from echostream.stream.thread import ThreadSource
from echostream.stream.threads import SourceThreads
from support.intake import HandIntake
from support.settle import until


@pytest.fixture(autouse=True)
def never_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that waits for room is woken, not found by its own look at the loop."""
    monkeypatch.setattr(thread_module, "LOOK_EVERY", 50.0)


def wait_for(condition: Callable[[], object]) -> None:
    """One side stands still until the other has done its part."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.0001)


class Cut(list[Any]):
    """The list of the crossing. When the loop looks at its length, the worker gets in before or after the look."""

    def __init__(self) -> None:
        super().__init__()
        self.loop_thread = threading.get_ident()
        self.looks = 0
        self.before: dict[int, Callable[[], None]] = {}
        self.after: dict[int, Callable[[], None]] = {}
        self.appended: Callable[[Any], None] | None = None

    def __len__(self) -> int:
        if threading.get_ident() != self.loop_thread:
            return super().__len__()
        look, self.looks = self.looks, self.looks + 1
        self.before.get(look, int)()
        count = super().__len__()
        self.after.get(look, int)()
        return count

    def append(self, item: Any) -> None:
        super().append(item)
        if self.appended is not None:
            self.appended(item)

    def holds(self) -> int:
        """Its length, looked at by nobody."""
        return super().__len__()


class Gate(threading.Event):
    """The worker's gate; the loop gets in before it is closed."""

    def __init__(self, before_clear: Callable[[], None]) -> None:
        super().__init__()
        self._before_clear = before_clear

    def clear(self) -> None:
        self._before_clear()
        super().clear()


class Stepped:
    """An iterator that waits at each item until it may go on, and tells how often it was asked."""

    def __init__(self, *items: Any) -> None:
        self.items = list(items)
        self.asked = 0
        self.steps = threading.Semaphore(0)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        self.asked += 1
        assert self.steps.acquire(timeout=10)
        if not self.items:
            raise StopIteration
        return self.items.pop(0)


def crossing(thing: Any, *, call: bool = False) -> tuple[ThreadSource, Cut]:
    source = ThreadSource(thing, "raced", threads=SourceThreads(1), call=call)
    source._items = Cut()
    return source, source._items


async def poured(source: ThreadSource, intake: HandIntake) -> HandIntake:
    await asyncio.wait_for(source.pour(intake), 10)
    await source.aclose()
    return intake


@pytest.mark.parametrize("look", [0, 1])
async def test_an_item_comes_right_after_the_loop_saw_none(look: int):
    """Look 0 is the loop's count, look 1 its last look before it sleeps."""
    stepped = Stepped(1)
    source, items = crossing(stepped)

    def let_one_through() -> None:
        stepped.steps.release()
        wait_for(lambda: stepped.asked == 2)

    items.after[look] = let_one_through
    intake = HandIntake()
    task = asyncio.create_task(source.pour(intake))
    await until(lambda: intake.items == [1])  # though nothing comes after it that would wake the loop
    stepped.steps.release()
    await task
    await source.aclose()


async def test_the_last_item_and_the_end_come_right_after_the_loop_saw_none():
    stepped = Stepped(1)
    source, items = crossing(stepped)

    def let_all_through() -> None:
        stepped.steps.release(2)
        wait_for(lambda: source._over)

    items.after[0] = let_all_through
    assert (await poured(source, HandIntake())).items == [1]


@pytest.mark.parametrize("look", [0, 1])
async def test_the_end_comes_right_after_the_loop_saw_no_item(look: int):
    stepped = Stepped()
    source, items = crossing(stepped)

    def let_it_end() -> None:
        stepped.steps.release()
        wait_for(lambda: source._ended)

    items.after[look] = let_it_end
    assert (await poured(source, HandIntake())).items == []


async def test_the_columns_come_with_the_first_row_while_the_loop_looks():
    go_on = threading.Event()
    db = sqlite3.connect(":memory:", check_same_thread=False)

    def make() -> sqlite3.Cursor:
        assert go_on.wait(10)
        return db.execute("SELECT 1 AS one")

    source, items = crossing(make, call=True)

    def let_it_begin() -> None:
        go_on.set()
        wait_for(items.holds)

    items.before[0] = let_it_begin
    intake = await poured(source, HandIntake())
    assert (intake.columns, intake.items) == (["one"], [(1,)])
    db.close()


async def test_a_flush_is_taken_while_the_worker_still_appends_it():
    stepped = Stepped(FLUSH, 1)
    stepped.steps.release(100)
    source, items = crossing(stepped)
    intake = HandIntake()
    items.appended = lambda item: wait_for(lambda: intake.flushed_at) if item is FLUSH else None
    await poured(source, intake)
    assert intake.items == [1]
    assert intake.flushed_at == [0]


async def test_room_is_made_right_before_the_worker_closes_its_gate():
    stepped = Stepped(1, 2, 3)
    stepped.steps.release(100)
    source, _ = crossing(stepped)
    source._gate = gate = Gate(lambda: wait_for(gate.is_set) if stepped.asked == 1 else None)
    assert (await poured(source, HandIntake(1))).items == [1, 2, 3]


async def test_the_end_is_told_right_before_the_worker_closes_its_gate():
    stepped = Stepped(*range(10))
    stepped.steps.release(100)
    source, _ = crossing(stepped)
    stopped = threading.Event()
    source._gate = Gate(lambda: wait_for(stopped.is_set))
    intake = HandIntake(2, held=True)
    task = asyncio.create_task(source.pour(intake))
    await until(lambda: intake.settles)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    stopped.set()
    await asyncio.wait_for(source.aclose(), 10)
    assert stepped.asked <= 2
