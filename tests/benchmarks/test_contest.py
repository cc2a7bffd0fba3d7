"""Who measures when."""

from __future__ import annotations

import itertools

import pytest
from benchmarks.contest import Contestant, Measured, contest, turns


def test_each_once_in_every_round() -> None:
    for number in range(12):
        assert sorted(turns(5, number)) == [0, 1, 2, 3, 4]


def test_none_always_follows_the_same() -> None:
    before = {place: set[int]() for place in range(4)}
    for number in range(4):
        for first, second in itertools.pairwise(turns(4, number)):
            before[second].add(first)
    assert all(len(others) >= 2 for others in before.values())
    assert len({turns(4, number)[0] for number in range(4)}) >= 2


def test_figures_stand_in_the_order_of_the_rounds() -> None:
    calls: list[str] = []

    def counting(name: str, step: int) -> Contestant:
        values = itertools.count(step, step)

        def measure() -> Measured:
            calls.append(name)
            return {"seconds": next(values), "cpu": 0.5}

        return Contestant(name, measure)

    said: list[str] = []
    found = contest([counting("a", 1), counting("b", 10)], rounds=3, say=said.append)
    assert found == {
        "a": {"seconds": [1, 2, 3], "cpu": [0.5, 0.5, 0.5]},
        "b": {"seconds": [10, 20, 30], "cpu": [0.5, 0.5, 0.5]},
    }
    assert [text.rpartition(" ")[2] for text in said] == calls
    assert said[0].startswith("round 1 of 3: ")


def test_a_contestant_that_fails_ends_it() -> None:
    def fail() -> Measured:
        raise ValueError("no final chunk")

    with pytest.raises(ValueError, match="no final chunk"):
        contest([Contestant("a", fail)], rounds=2, say=lambda text: None)
