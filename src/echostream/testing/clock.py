"""VirtualLoop: an event loop whose time jumps, so that a test of a 30 s heartbeat takes no time.

The loop's clock starts at 0 and stands still while code runs. When nothing is ready to run:

1. While something is awaited that the loop does not make happen itself, the clock runs as the
   real one does, and nothing jumps. That is: a job of `run_in_executor` (`asyncio.to_thread`,
   `getaddrinfo`) that is under way; a socket, pipe or child process that the loop watches; a
   thread begun after the loop was made that is still alive, but for the idle ones of the
   loop's own pool; a block `with loop.real_time():`, for what else the loop cannot see.
2. Otherwise the clock jumps to the next timer.
3. Without a timer nothing can ever happen again: `Deadlock` lists the tasks that wait.

A timer that comes again and again (a heartbeat) would keep a stuck test going for ever, so the
clock has a horizon: past it, `Deadlock` too. Only what reads the loop's time follows it:
`asyncio.sleep`, timeouts, `call_later`; `time.monotonic()` and `time.time()` stay real.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
import threading
import time
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar, TypeVarTuple, Unpack
from weakref import WeakSet

from .waiting import told_task

__all__ = ["HORIZON", "Deadlock", "VirtualLoop", "virtual_time"]

HORIZON = 86_400.0
"""Seconds of virtual time after which a test is taken for stuck: a day, which is 5,760 heartbeats of 15 s."""

P = ParamSpec("P")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Deadlock(AssertionError):
    """Nothing can happen any more, or not before the horizon. The text lists the tasks that wait, and where."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop with virtual time; the module's text states when it jumps.

        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(asyncio.sleep(3600))  # returns at once

    `horizon`: seconds of virtual time that a run may take. The method that runs the loop
    (`run_until_complete`, `Runner.run`) raises `Deadlock` when it is stuck.
    """

    def __init__(self, *, horizon: float = HORIZON) -> None:
        self._now = 0.0
        self._horizon = horizon
        self._held = 0
        self._jobs = 0
        self._before = WeakSet(threading.enumerate())
        self._workers: WeakSet[threading.Thread] = WeakSet()
        self._watch = _Selector(self._wait)
        super().__init__(self._watch)
        self._own_files = len(self._watch.get_map())  # the pipe by which other threads wake the loop
        pool = ThreadPoolExecutor(thread_name_prefix="virtual-loop", initializer=self._begin_worker)
        self.set_default_executor(pool)

    def time(self) -> float:
        """Seconds of virtual time since the loop was made."""
        return self._now

    @contextmanager
    def real_time(self) -> Generator[None, None, None]:
        """Do not jump in this block: something outside is awaited that the loop cannot see."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """As of any loop; until the job is done, time is real."""
        future = super().run_in_executor(executor, func, *args)
        self._jobs += 1
        future.add_done_callback(self._end_job)
        return future

    def _end_job(self, _future: asyncio.Future[Any]) -> None:
        self._jobs -= 1

    def _begin_worker(self) -> None:
        self._workers.add(threading.current_thread())

    def _awaits_outside(self) -> bool:
        """Whether something is awaited that takes real time."""
        if self._held or self._jobs or len(self._watch.get_map()) > self._own_files:
            return True
        begun = (thread for thread in threading.enumerate() if thread not in self._before)
        return any(thread not in self._workers for thread in begun)

    def _wait(self, timeout: float | None, select: _Select) -> _Ready:
        """Nothing is ready to run for `timeout` seconds; None: nor will be, but by something outside."""
        ready = select(0)
        if ready or timeout == 0:
            return ready
        if self._awaits_outside():
            began = time.monotonic()
            ready = select(timeout)
            elapsed = time.monotonic() - began
            # Without events it is the timer's moment, though the real wait may have been a hair shorter.
            self._now += timeout if timeout is not None and not ready else min(elapsed, timeout or elapsed)
            return ready
        if timeout is None:
            raise Deadlock(f"nothing is ready to run, and no timer is set: {self._waiting()}")
        self._now += timeout
        if self._now > self._horizon:
            told, self._horizon = self._horizon, self._now + self._horizon  # what is cancelled now may need time
            raise Deadlock(f"still going after {told:g} s of virtual time (VirtualLoop's horizon): {self._waiting()}")
        return ready

    def _waiting(self) -> str:
        tasks = sorted(asyncio.all_tasks(self), key=lambda task: task.get_name())
        return "".join(f"\n  {told_task(task)}" for task in tasks) or "no task is left, yet the loop is to go on"


_Ready = list[tuple[selectors.SelectorKey, int]]
_Select = Callable[[float | None], _Ready]


class _Selector(selectors.DefaultSelector):
    """The platform's selector, asked through `wait`, which decides about time."""

    def __init__(self, wait: Callable[[float | None, _Select], _Ready]) -> None:
        super().__init__()
        self._virtual = wait

    def select(self, timeout: float | None = None) -> _Ready:
        return self._virtual(timeout, super().select)


def virtual_time(test: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Make an async test a plain one that runs in virtual time. Its fixtures are plain ones too.

        @virtual_time
        async def test_it_beats():
            await asyncio.sleep(30)

    Raises `Deadlock` when the test is stuck, and whatever the test raises.
    """

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(test(*args, **kwargs))

    return run
