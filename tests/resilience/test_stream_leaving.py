"""A thousand readers of a stream each, leaving one after another: when the server says so, and when the source closes.

The figures are printed. How long it may take is asserted in the long form alone: a busy machine is no fault.
"""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from support.servers import wait_until
from support.stream_client import streaming


@pytest.fixture(autouse=True)
def enough_files() -> Iterator[None]:
    """A thousand sockets on either side; servers inherit the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else 65536, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def percentile(seconds: Sequence[float], share: float) -> float:
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * share))]


@pytest.mark.soak
@pytest.mark.parametrize(("name", "readers"), [("uvicorn", 1000), ("hypercorn", 300), ("granian", 300)])
def test_every_source_closes_soon_after_its_reader_has_left(
    name: str, readers: int, tmp_path: Path, soak: bool, record_property: Callable[[str, object], None]
):
    readers = 1000 if soak else readers
    with streaming(name, tmp_path) as server:
        clients = [server.open("sse/endless", pause=1.0) for _ in range(readers)]
        wait_until(lambda: server.ask("statistics")["open"] == readers, within=30, what="all are open")
        random.Random(7).shuffle(clients)
        left = dict[str, float]()
        for client in clients:
            left[client.name] = time.monotonic()
            client.close()
            time.sleep(0.001)  # one after another
        wait_until(lambda: server.ask("statistics")["open"] == 0, within=30, what="all streams are over")
        sources = server.ask("states", "stream-")
    assert len(sources) == readers
    assert {(source["closed"], source["reason"]) for source in sources} == {(True, "gone")}
    learned = [source["told"] - left[source["name"]] for source in sources]
    closing = [source["closing"] - source["told"] for source in sources]
    for what, seconds in (("reader left to server told", learned), ("told to closing", closing)):
        figures = [percentile(seconds, share) * 1000 for share in (0.5, 0.99, 1.0)]
        print(f"\n{name}: {readers} streams, {what}: p50 %.2f, p99 %.2f, longest %.2f ms" % tuple(figures))
        record_property(f"{name} {what}", figures)
    if soak:
        assert percentile(closing, 0.5) <= 0.1
        assert percentile(closing, 0.99) <= 0.25
