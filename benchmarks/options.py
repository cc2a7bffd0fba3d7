"""What the command line says to every benchmark."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Options"]


@dataclass(frozen=True, slots=True)
class Options:
    """`quick`: smaller, to see that it works; `rounds`: None is the benchmark's own choice."""

    quick: bool = False
    rounds: int | None = None
