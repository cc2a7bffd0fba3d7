"""The account of open responses, asked from where it cannot expect it."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any

import pytest

from echostream.asgi.account import Account


@pytest.mark.timeout(10)
async def test_a_signal_handler_may_drain_in_the_middle_of_anything():
    """Python runs a handler between two lines of the main thread, also of those that hold the account's lock."""
    account, drained, streams = Account(), list[int](), [object(), object()]

    def interrupt(frame: Any, event: str, _argument: Any) -> Any:
        if event == "line" and frame.f_code.co_qualname in ("Account.enter", "Account.leave", "Account.statistics"):
            signal.raise_signal(signal.SIGUSR1)
        return interrupt

    before = signal.signal(signal.SIGUSR1, lambda *_: drained.append(account.drain()))
    tracing = sys.gettrace()
    sys.settrace(interrupt)
    try:
        for stream in streams:
            account.enter(stream, lambda: None)
        account.leave(streams[0], "finished")
        figures = account.statistics()
    finally:
        sys.settrace(tracing)
        signal.signal(signal.SIGUSR1, before)
    await asyncio.sleep(0)
    assert (figures.open, figures.ended) == (1, {"finished": 1})
    assert len(drained) > 8
    assert set(drained) == {0, 1, 2}
