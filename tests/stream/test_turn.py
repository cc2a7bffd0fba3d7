"""Taking turns: one at a time, but nobody waits long for somebody who waits."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from echostream.stream import open_source, thread
from echostream.stream.turn import TURN, Turn
from support.intake import HandIntake
from support.settle import until

LONG = 60.0


def always() -> bool:
    return True


def in_thread(work: Callable[[], None]) -> threading.Thread:
    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    return worker


def test_a_turn_is_given_back_and_taken_again():
    turn = Turn(LONG)
    first = turn.take(wanted=always)
    turn.give_back(first)
    second = turn.take(wanted=always)
    assert second > first > 0
    turn.give_back(second)
    turn.give_back(second)
    turn.give_back(0)
    assert turn.take(wanted=always) > second


def test_the_next_one_waits_for_it():
    turn, order = Turn(LONG), list[str]()
    mine = turn.take(wanted=always)

    def next_one() -> None:
        number = turn.take(wanted=always)
        order.append("next")
        turn.give_back(number)

    worker = in_thread(next_one)
    order.append("mine")
    turn.give_back(mine)
    worker.join(10)
    assert order == ["mine", "next"]


def test_one_that_is_kept_too_long_is_taken_over_and_its_return_changes_nothing():
    turn = Turn(0.01)
    kept = turn.take(wanted=always)
    other = turn.take(wanted=always)
    assert other > kept
    turn.give_back(kept)  # late: it is not theirs any more
    began = time.monotonic()
    third = turn.take(wanted=always)
    assert third > other
    assert time.monotonic() - began >= 0.01, "it had to be taken over again"
    turn.give_back(third)
    turn.give_back(turn.take(wanted=always))


def test_one_that_is_passed_on_quickly_is_never_taken_over():
    turn, inside, most = Turn(LONG), 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(200):
            number = turn.take(wanted=always)
            inside += 1
            most = max(most, inside)
            time.sleep(0)
            inside -= 1
            turn.give_back(number)

    workers = [in_thread(work) for _ in range(8)]
    for worker in workers:
        worker.join(30)
        assert not worker.is_alive()
    assert most == 1


def test_who_is_not_wanted_any_more_does_not_wait():
    turn = Turn(0.01)
    kept = turn.take(wanted=always)
    assert turn.take(wanted=lambda: False) == 0
    turn.give_back(kept)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_is_not_held_up_by_a_turn_of_its_parent():
    turn = Turn(0.01)
    turn.take(wanted=always)
    child = os.fork()
    if child == 0:
        os._exit(0 if turn.take(wanted=always) else 1)
    assert os.waitpid(child, 0)[1] == 0


class Counted(Turn):
    """Knows how often it was taken."""

    taken = 0

    def take(self, *, wanted: Callable[[], bool]) -> int:
        self.taken += 1
        return super().take(wanted=wanted)


@pytest.fixture
def turn(monkeypatch: pytest.MonkeyPatch) -> Counted:
    turn = Counted(LONG)
    monkeypatch.setattr(thread, "TURN", turn)
    return turn


def rows(count: int, made: list[int]) -> Iterator[int]:
    for number in range(count):
        made.append(number)
        yield number


async def poured(*, window: int, ends: bool = True) -> None:
    """A source that has filled its window before its reader takes anything."""
    made = list[int]()
    intake = HandIntake(window=window, held=True)
    source = open_source(rows(5 * window, made))
    pouring = asyncio.ensure_future(source.pour(intake))
    await until(lambda: len(made) >= window)
    intake.release()
    if ends:
        await pouring
        assert intake.items == list(range(5 * window))
    else:
        pouring.cancel()
        await asyncio.wait({pouring})
    await source.aclose()


@pytest.mark.parametrize("ends", [True, False])
async def test_a_source_that_waited_for_room_takes_its_turn_and_gives_it_back(turn: Counted, ends: bool):
    await poured(window=64, ends=ends)
    if ends:
        assert turn.taken >= 1
    turn.give_back(turn.take(wanted=always))  # else this would wait for LONG


async def test_one_whose_items_leave_one_by_one_takes_none(turn: Counted):
    await poured(window=4)
    assert turn.taken == 0


async def test_a_source_that_waits_in_its_turn_holds_nobody_up(monkeypatch: pytest.MonkeyPatch):
    turn = Turn(0.01)
    monkeypatch.setattr(thread, "TURN", turn)
    kept = turn.take(wanted=always)  # and never given back
    await asyncio.wait_for(poured(window=64), 30)
    turn.give_back(kept)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_is_not_held_up_by_whoever_was_about_to_take_a_turn():
    """At the instant of the fork another thread may hold either lock; in the child nobody gives it back."""
    with TURN._guard:
        child = os.fork()
        if child == 0:
            signal.alarm(5)
            os._exit(0 if TURN.take(wanted=always) else 1)
    assert os.waitpid(child, 0)[1] == 0
