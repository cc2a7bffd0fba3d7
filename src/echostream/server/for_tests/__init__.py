"""What the pytest plugin's fixtures give: a real hub on a real socket, and a client that waits for events."""

from __future__ import annotations

from .client import StreamingClient, WatchedStream
from .served import ServedHub

__all__ = ["ServedHub", "StreamingClient", "WatchedStream"]
