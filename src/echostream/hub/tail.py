"""Tail: the one follower of the log in a process. It fills the ring and lets the fan-out flush.

The log may be away for a while (a broker restarts, a disk is read-only): the tail tries
again, with growing pauses, from where it was; readers stay open meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing

from ..exceptions import EchostreamError, EpochChanged, LogCorrupt, LogError, PositionGone
from ..log.base import Log, Page

__all__ = ["Tail"]

logger = logging.getLogger("echostream.hub")

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds between two tries to follow a log that is unavailable; each pause doubles the former."""


class Tail:
    """Follows `log` after offset `after` until it is closed.

    `on_page` gets each page, `on_loss(oldest, dropped, reason)` what can no longer be followed,
    `on_epoch(epoch, newest)` is told when the log was replaced by another. `error` is what keeps
    the tail from following now, None when it follows.
    """

    def __init__(
        self,
        log: Log,
        after: int,
        *,
        on_page: Callable[[Page], None],
        on_loss: Callable[[int, int | None, str], None],
        on_epoch: Callable[[str, int], None],
    ) -> None:
        self.log = log
        self.after = after
        self.error: EchostreamError | None = None
        self._on_page = on_page
        self._on_loss = on_loss
        self._on_epoch = on_epoch

    async def run(self) -> None:
        """Follow until the log is closed."""
        pause, replaced = FIRST_PAUSE, False
        while True:
            try:
                if replaced or self.error is not None:
                    epoch, _, newest = await self.log.bounds()  # it answers: also a quiet log is well again
                    self.error = None
                    if replaced:
                        self.after, replaced = newest, False
                        self._on_epoch(epoch, newest)
                async with aclosing(self.log.follow(self.after)) as pages:
                    async for page in pages:
                        pause = FIRST_PAUSE
                        self.after = page.scanned_to
                        self._on_page(page)
                return
            except PositionGone as gone:
                self._lose(gone.oldest, None, "trimmed")
            except LogCorrupt as damage:
                if damage.offset is None:
                    pause = await self._wait(damage, pause)
                else:
                    self._lose(damage.offset + 1, None, "corrupt")  # of whose topics they were, nobody can know
            except EpochChanged:
                replaced = True
            except EchostreamError as error:
                pause = await self._wait(error, pause)
            except Exception as error:  # whatever it is: without the tail no reader would get anything any more
                logger.exception("following the log failed")
                pause = await self._wait(LogError(f"following the log failed: {error!r}"), pause)

    def _lose(self, oldest: int, dropped: int | None, reason: str) -> None:
        self.after = max(self.after, oldest - 1)
        self._on_loss(oldest, dropped, reason)

    async def _wait(self, error: EchostreamError, pause: float) -> float:
        self.error = error
        logger.warning("cannot follow the log, trying again in %.1f s: %s", pause, error)
        await asyncio.sleep(pause)
        return min(pause * 2, LONGEST_PAUSE)
