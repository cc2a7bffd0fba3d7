"""testing: what we test with, for the tests of others.

`drive` calls an ASGI application message by message, `lifespan` starts it up and shuts it down,
`VirtualLoop` and `virtual_time` make time jump, `LogSuite` is what every log promises.
"""

from __future__ import annotations

from .asgi_rules import Violation
from .clock import Deadlock, VirtualLoop, virtual_time
from .driver import DrivenResponse, Ending, Head, drive
from .lifespan import LifespanFailed, lifespan
from .log_suite import LogSuite
from .reading import ResponseCut
from .waiting import NotInTime

__all__ = [
    "Deadlock",
    "DrivenResponse",
    "Ending",
    "Head",
    "LifespanFailed",
    "LogSuite",
    "NotInTime",
    "ResponseCut",
    "Violation",
    "VirtualLoop",
    "drive",
    "lifespan",
    "virtual_time",
]
