"""Server-sent events with names: how fast this machine hashes. `retry` comes first, heartbeats while it measures.

Try it:

    uvicorn echostream.gallery.named_events:app
    curl -N http://127.0.0.1:8000/named_events
    curl -N 'http://127.0.0.1:8000/named_events?algorithm=sha256&algorithm=rot13'  # ends with the event `error`
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from echostream import Event, StreamSettings
from echostream.integrations.starlette import EventStreamResponse

__all__ = ["ALGORITHMS", "app", "measure", "measuring", "named_events"]

ALGORITHMS = ("sha1", "sha256", "sha512", "sha3_256", "blake2b", "blake2s")
SECONDS = 0.5
SETTINGS = StreamSettings(retry=3, heartbeat=0.2)  # seconds; 15 of silence are the default


def measure(algorithm: str, block: bytes = bytes(1_000_000)) -> float:
    """Megabytes a second. Raises ValueError for an algorithm that is not known here."""
    if algorithm not in hashlib.algorithms_available:
        raise ValueError("is not known here")
    began, hashed = time.perf_counter(), 0
    while time.perf_counter() < began + SECONDS:
        hashlib.new(algorithm, block)
        hashed += len(block)
    return round(hashed / (time.perf_counter() - began) / 1e6, 1)


def measuring(algorithms: Sequence[str]) -> Iterator[Event]:
    speeds: dict[str, float] = {}
    yield Event.of({"algorithms": algorithms}, event="connected")
    for algorithm in algorithms:
        try:
            speeds[algorithm] = measure(algorithm)
        except ValueError as error:
            yield Event.of({"algorithm": algorithm, "reason": str(error)}, event="error")
            return
        yield Event.of({"algorithm": algorithm, "mb_per_second": speeds[algorithm]}, event="message")
    yield Event.of({"fastest": max(speeds, key=speeds.__getitem__)}, event="complete")


async def named_events(request: Request) -> EventStreamResponse:
    asked = request.query_params.getlist("algorithm") or ALGORITHMS
    return EventStreamResponse(measuring(asked[:8]), settings=SETTINGS)


app = Starlette(routes=[Route("/named_events", named_events)])
