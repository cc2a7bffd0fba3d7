"""How far a pipe got, on standard error: a counter on a terminal, words alone anywhere else."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from ..client.http import shown
from .say import HINT, say, visible

__all__ = ["Progress"]


class Progress:
    """Counts what is published, and says it once when the hub is away and once when it is back.

    A context manager. `on_retry` and `acknowledged` are the two ends of an absence.
    """

    def __init__(self, url: str, topic: str, *, counter: bool) -> None:
        self.count = 0
        self._url = shown(url)
        self._away = False
        self._bar = None
        if counter and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress as Bar
            from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

            self._bar = Bar(
                SpinnerColumn(),
                TextColumn(
                    "{task.completed:,} events to {task.fields[topic]}, {task.fields[rate]:,.0f}/s", markup=False
                ),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task("", total=None, topic=visible(topic), rate=0.0)
        self._started = time.monotonic()

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def acknowledged(self, count: int) -> None:
        """`count` more events are acknowledged."""
        self.count += count
        if self._away:
            self._away = False
            self._say(f"{self._url} is back; going on")
        if self._bar is not None:
            rate = self.count / max(time.monotonic() - self._started, 0.001)
            self._bar.update(self._task, completed=self.count, rate=rate)

    def on_retry(self, why: str, wait: float) -> None:
        """A try failed; the next one is in `wait` seconds. Said once for each absence."""
        if not self._away:
            self._away = True
            self._say(
                f"{self._url}: {why}; trying again until it works, nothing is lost (next in {wait:.1f} s; {HINT})"
            )

    def _say(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print("echostream:", visible(text), markup=False, highlight=False)
        else:
            say(text)
