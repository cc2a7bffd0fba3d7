"""When items leave, by count, by size and by age; and what of a batch with a bad item does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostream.exceptions import InvalidItem
from echostream.stream.batch import GROWTH, MOST_ITEMS, Batch
from echostream.wire.body import BytesBody, NdjsonBody, SseBody


def rows(size: int = 64 * 1024, age: float = 0.05) -> Batch:
    return Batch(NdjsonBody(), size=size, age=age)


def test_the_first_item_leaves_at_once():
    batch = rows()
    assert batch.add({"n": 1}, 0.0) is True
    assert batch.take() == b'{"n":1}\n'


def test_watched_formats_leave_item_by_item():
    batch = Batch(SseBody(), size=64 * 1024, age=0.05)
    for number in range(100):
        assert batch.add(f"{number}", 0.0) is True
        assert batch.take() == b"data: %d\n\n" % number


def test_rows_leave_by_size():
    batch, row = rows(size=1000), {"n": 11}  # 9 bytes with its line's end
    writes = [len(batch.take()) for _ in range(1000) if batch.add(row, 0.0)]
    assert writes[:2] == [9, 16 * 9]
    assert set(writes[2:]) == {111 * 9}, "as many as fit into the size"


def test_rows_leave_by_age():
    batch = rows()
    batch.add(1, 0.0)
    batch.take()
    assert batch.add(1, 10.0) is False
    assert batch.due_at == pytest.approx(10.05)
    assert batch.add(1, 10.04) is False
    assert batch.add(1, 10.05) is True
    assert batch.take() == b"1\n1\n1\n"
    assert batch.due_at is None


def test_items_that_are_there_at_once_count_as_many():
    batch = rows()
    batch.add(1, 0.0)
    batch.take()
    assert batch.add_all([1] * (GROWTH - 1), 0.0) is False
    assert batch.add_all([1], 0.0) is True
    assert len(batch) == GROWTH


def test_the_window_follows_the_size_of_what_was_seen():
    batch = Batch(BytesBody(), size=64 * 1024, age=0.05)
    for size, window in ((1, 16), (1, 256), (1, MOST_ITEMS), (1024, 64), (1024 * 1024, 1)):
        batch.add_all([b"x" * size] * 4, 0.0)
        batch.take()
        assert batch.window == window


def test_a_large_first_item_never_lets_the_window_grow():
    batch = Batch(BytesBody(), size=64 * 1024, age=0.05)
    for _ in range(3):
        batch.add(b"x" * 1024 * 1024, 0.0)
        batch.take()
        assert batch.window == 1


def test_what_stands_before_a_bad_item_is_delivered():
    batch = rows()
    batch.add(0, 0.0)
    batch.take()
    batch.add_all([1, 2, object(), 4], 0.0)
    assert batch.take() == b"1\n2\n"
    assert batch.failure is not None
    assert batch.failure.item == 4
    assert "object" in str(batch.failure)
    assert batch.items == 3
    batch.add(5, 0.0)
    assert batch.take() == b"", "nothing follows the bad one"


def test_what_the_users_own_code_raised_is_the_cause():
    def default(_value: Any) -> Any:
        raise ZeroDivisionError("mine")

    batch = Batch(NdjsonBody(default), size=1000, age=0.05)
    batch.add(object(), 0.0)
    assert batch.take() == b""
    assert isinstance(batch.failure, InvalidItem)
    assert isinstance(batch.failure.__cause__, ZeroDivisionError)


@given(st.lists(st.lists(st.integers(), min_size=1, max_size=30)), st.integers(1, 100))
def test_nothing_is_lost_doubled_or_reordered(bursts: Sequence[Sequence[int]], size: int):
    batch, sent, now = rows(size=size), b"", 0.0
    for burst in bursts:
        now += 0.01
        due = batch.add(burst[0], now) if len(burst) == 1 else batch.add_all(burst, now)
        if due:
            sent += batch.take()
    sent += batch.take()
    assert [int(line) for line in sent.split()] == [number for burst in bursts for number in burst]
    assert batch.items == sum(map(len, bursts))
