"""Taking turns: every contestant once in each round, in an order that changes, so that none always follows the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Contestant", "Measured", "contest", "turns"]

Measured: TypeAlias = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Contestant:
    """`measure` does the work once and returns its figures by name, the same names each time."""

    name: str
    measure: Callable[[], Measured]


def turns(count: int, number: int) -> list[int]:
    """The order of round `number`: begins one place later each round, and every other round runs backwards."""
    order = [(start + number) % count for start in range(count)]
    return order[::-1] if number % 2 else order


def contest(
    contestants: list[Contestant], *, rounds: int, say: Callable[[str], None]
) -> dict[str, dict[str, list[float]]]:
    """The figures of each contestant by name, a value for each round; `say` hears of each turn.

    Raises what a contestant raises.
    """
    found: dict[str, dict[str, list[float]]] = {contestant.name: {} for contestant in contestants}
    for number in range(rounds):
        for place in turns(len(contestants), number):
            contestant = contestants[place]
            say(f"round {number + 1} of {rounds}: {contestant.name}")
            for figure, value in contestant.measure().items():
                found[contestant.name].setdefault(figure, []).append(value)
    return found
