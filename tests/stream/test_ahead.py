"""How many bytes of text and bytes are made ahead of the reader, when small items turn large."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from echostream.stream.batch import GROWTH, MOST_ITEMS, Batch
from echostream.stream.source import open_source
from echostream.stream.weight import AHEAD_BYTES
from echostream.wire.body import BytesBody, NdjsonBody
from support.intake import HandIntake
from support.settle import until

LARGE = 100_000


def grown() -> Batch:
    """A batch that has learnt that items are small."""
    batch = Batch(BytesBody(), size=64 * 1024, age=0.05)
    while batch.window < MOST_ITEMS:
        batch.add_all([b"x"] * batch.window, 0.0)
        batch.take()
    return batch


def test_a_batch_is_full_by_the_bytes_of_its_items():
    batch = grown()
    assert batch.add(b"x" * LARGE, 0.0) is True
    batch.take()


def test_small_ones_still_gather():
    batch = grown()
    assert [batch.add(b"x" * 10, 0.0) for _ in range(MOST_ITEMS)] == [False] * (MOST_ITEMS - 1) + [True]


def test_what_has_left_does_not_weigh():
    batch = grown()
    for _ in range(3):
        assert batch.add(b"x" * (40 * 1024), 0.0) is False
        batch.take()
        batch.window = MOST_ITEMS


def test_many_at_once_weigh_together():
    batch = grown()
    assert batch.add_all([b"x" * 40_000, b"x" * 40_000], 0.0) is True


def test_text_weighs_in_every_format():
    batch = Batch(NdjsonBody(), size=1000, age=0.05)
    batch.add("x", 0.0)
    batch.take()
    assert batch.window == GROWTH
    assert batch.add("x" * 999, 0.0) is False
    assert batch.add("x", 0.0) is True


@pytest.mark.parametrize("item", [b"x" * LARGE, bytearray(LARGE), "x" * LARGE], ids=lambda item: type(item).__name__)
async def test_a_stalled_reader_stalls_a_thread_by_bytes(item: Any):
    made: list[int] = []
    stalled = threading.Event()

    def source() -> Iterator[Any]:
        for number in range(200):
            made.append(number)
            yield item
            stalled.wait(10)

    intake = HandIntake(MOST_ITEMS, held=True, by_item=True)
    task = asyncio.create_task(open_source(source()).pour(intake))
    await until(lambda: intake.calls == 1)
    stalled.set()
    for _ in range(20):
        await asyncio.sleep(0.001)
        assert len(made) <= 1 + AHEAD_BYTES // LARGE + 1
    intake.release()
    await asyncio.wait_for(task, 10)
    assert len(intake.items) == 200


async def test_small_items_are_not_held_back():
    intake = HandIntake(MOST_ITEMS)
    source = open_source(iter([b"x"] * 50_000))
    await asyncio.wait_for(source.pour(intake), 10)
    await source.aclose()
    assert intake.items == [b"x"] * 50_000
    assert intake.calls < 5_000


async def test_an_async_source_settles_by_bytes():
    async def source() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * LARGE

    batch, due = grown(), list[bool]()

    class Gathering(HandIntake):
        def take(self, item: Any) -> bool:
            due.append(batch.add(item, 0.0))
            return super().take(item) or due[-1]

        async def settle(self) -> None:
            batch.take()
            batch.window = MOST_ITEMS
            await super().settle()

    await open_source(source()).pour(Gathering(MOST_ITEMS))
    assert due == [True] * 3
