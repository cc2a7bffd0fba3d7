"""Wait for a condition, not for a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

__all__ = ["until"]


async def until(condition: Callable[[], object], *, within: float = 10.0) -> None:
    """Let the loop run until `condition()` holds; fails when it does not within so many seconds."""
    deadline = time.monotonic() + within
    turns = 0
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {condition}")
        turns += 1
        await asyncio.sleep(0 if turns < 100 else 0.001)
