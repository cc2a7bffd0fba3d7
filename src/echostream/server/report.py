"""Report: one structured line for each stream that ended.

    stream ended topics=2 format=sse events=12 bytes=900 seconds=3.214 first_event=0.011 reason=gone

It says how much and how long, never what: no topic names, no query string, no address. Both can
hold secrets, and logs are copied to places where secrets must not be. The same facts are
attributes of the record (`record.stream`), for handlers that write JSON.
"""

from __future__ import annotations

import logging
from typing import Any

from ..asgi import TopicReport

__all__ = ["LOGGER", "log_stream"]

LOGGER = logging.getLogger("echostream.streams")


def log_stream(report: TopicReport) -> None:
    """Write the line of one ended stream."""
    facts: dict[str, Any] = {
        "topics": report.topics,
        "format": report.format,
        "events": report.events,
        "bytes": report.bytes,
        "seconds": f"{report.duration:.3f}",
        "first_event": "-" if report.first_event is None else f"{report.first_event:.3f}",
        "reason": report.reason,
    }
    if LOGGER.isEnabledFor(logging.INFO):
        line = " ".join(f"{name}={value}" for name, value in facts.items())
        LOGGER.info("stream ended %s", line, extra={"stream": facts})
