"""The wheel: what is due when, and that a timer that is moved or cancelled never fires where it was."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from echostream.hub.timers import Wheel


class Item:
    def __init__(self) -> None:
        self.bucket: int | None = None

    def due(self, now: float) -> None:
        raise AssertionError("the wheel only gives items, it does not call them")


def test_nothing_fires_early_and_each_at_most_a_grain_late():
    wheel, item = Wheel(0.25), Item()
    wheel.schedule(item, 1.1)
    assert wheel.due(1.09) == []
    at = wheel.next_at()
    assert at is not None
    assert 1.1 < at <= 1.1 + 0.25
    assert wheel.due(at) == [item]
    assert wheel.next_at() is None


def test_a_moved_timer_fires_once_where_it_was_moved_to():
    wheel, item = Wheel(1), Item()
    wheel.schedule(item, 5)
    wheel.schedule(item, 2)
    assert wheel.due(4) == [item]
    assert wheel.due(100) == []


def test_a_cancelled_timer_leaves_nothing_behind():
    wheel, item = Wheel(1), Item()
    wheel.schedule(item, 5)
    wheel.cancel(item)
    assert len(wheel) == 0
    assert wheel.next_at() is None
    assert wheel.due(100) == []


@given(st.lists(st.tuples(st.integers(0, 9), st.one_of(st.none(), st.floats(0, 100)))), st.floats(0, 120))
def test_due_agrees_with_a_plain_table(moves: list[tuple[int, float | None]], now: float):
    wheel, items = Wheel(0.5), [Item() for _ in range(10)]
    table: dict[int, float] = {}
    for index, when in moves:
        if when is None:
            wheel.cancel(items[index])
            table.pop(index, None)
        else:
            wheel.schedule(items[index], when)
            table[index] = when
    due = {items.index(item) for item in wheel.due(now) if isinstance(item, Item)}
    assert {index for index, when in table.items() if when <= now - 0.5} <= due
    assert due <= {index for index, when in table.items() if when <= now}
    assert len(wheel) == len(table) - len(due)
