"""Feed: how a log's writer hands what it kept to everyone who follows.

The rule that makes `follow` miss nothing: a follower is a position, and pages are only a
short cut. The writer puts each committed page into every follower's bounded queue. A
follower takes the next page from its queue when that page continues its position, and
reads the log itself when it does not: at the start, or when its queue ran over and was
emptied. So a slow follower costs a bound of memory and then a read, never an entry.

All of this runs in one event loop; nothing here is bound to it before it is used.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from itertools import dropwhile

from ..exceptions import LogUnavailable
from .base import Page

__all__ = ["Feed"]

FOLLOWER_PAGES = 1024
FOLLOWER_BYTES = 4 * 1024 * 1024
READ_LIMIT = 500


class _Follower:
    """The queue of one follower: at most 1,024 pages and about 4 MiB, then emptied."""

    __slots__ = ("_bytes", "_pages", "_waiter")

    def __init__(self) -> None:
        self._pages: deque[tuple[Page, int]] = deque()
        self._bytes = 0
        self._waiter: asyncio.Future[None] | None = None

    def push(self, page: Page, size: int) -> None:
        if len(self._pages) >= FOLLOWER_PAGES or self._bytes >= FOLLOWER_BYTES:
            self._pages.clear()
            self._bytes = 0
        self._pages.append((page, size))
        self._bytes += size
        self.wake()

    def take(self, position: int) -> Page | None:
        """The page that continues `position`, without what is at or before it; None when the queue has none."""
        while self._pages:
            page, size = self._pages[0]
            if page.scanned_to > position and page.entries[0].offset > position + 1:
                return None  # the queue ran over: what is between is in the log
            self._pages.popleft()
            self._bytes -= size
            if page.scanned_to > position:
                if page.entries[0].offset == position + 1:
                    return page
                rest = list(dropwhile(lambda entry: entry.offset <= position, page.entries))
                return Page(rest, page.scanned_to, page.epoch)
        return None

    async def wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Feed:
    """The followers of one log. `newest` is the last offset handed over."""

    def __init__(self) -> None:
        self.newest = 0
        self._closed = False
        self._followers: set[_Follower] = set()

    def push(self, page: Page, size: int) -> None:
        """Hand over a committed page of `size` bytes; its entries follow `newest` without a hole."""
        self.newest = page.scanned_to
        for follower in self._followers:
            follower.push(page, size)

    def close(self) -> None:
        """End every follower once it has what was handed over."""
        self._closed = True
        for follower in self._followers:
            follower.wake()

    async def follow(self, after: int, read: Callable[[int, int], Awaitable[Page]]) -> AsyncGenerator[Page, None]:
        """Pages after `after`; `read(after, limit)` is the log's own. Raises what it raises."""
        follower = _Follower()
        self._followers.add(follower)
        position = after
        try:
            while True:
                page = follower.take(position)
                if page is None:
                    if position >= self.newest:
                        if self._closed:
                            return
                        await follower.wait()
                        continue
                    try:
                        page = await read(position, READ_LIMIT)
                    except LogUnavailable:
                        if self._closed:
                            return
                        raise
                position = page.scanned_to
                if page.entries:
                    yield page
        finally:
            self._followers.discard(follower)
