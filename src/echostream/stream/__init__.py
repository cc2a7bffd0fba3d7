"""stream: one response of its own, without a socket.

`open_source` makes one `Source` of whatever gives items; `Batch` says when bytes leave; `Machine`
is the response's life as a table.
"""

from __future__ import annotations

from .base import Intake, Source
from .batch import Batch
from .machine import TABLE, Act, Happening, Machine, State
from .sentinel import END, FLUSH
from .settings import StreamSettings
from .source import open_source
from .threads import SourceThreads

__all__ = [
    "END",
    "FLUSH",
    "TABLE",
    "Act",
    "Batch",
    "Happening",
    "Intake",
    "Machine",
    "Source",
    "SourceThreads",
    "State",
    "StreamSettings",
    "open_source",
]
