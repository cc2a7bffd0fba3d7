"""The pytest plugin of echostream: fixtures with a real hub and a streaming client.

pytest imports this file in every suite of an environment that has echostream, so it imports
nothing of echostream until a fixture is asked for. That is also why it stands beside the package:
importing anything inside it imports its face.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from echostream.server.for_tests import ServedHub, StreamingClient

__all__ = ["echostream_client", "echostream_hub"]


@pytest.fixture
def echostream_hub() -> Iterator[ServedHub]:
    """A hub of this test's own on a free port: `url`, `publish`, `statistics`, and switches for faults."""
    try:
        from echostream.server.for_tests import ServedHub
    except ModuleNotFoundError as missing:
        raise pytest.UsageError(
            f'echostream_hub needs {missing.name}; install it with: pip install "echostream[hub]"'
        ) from None
    with ServedHub() as hub:
        yield hub


@pytest.fixture
def echostream_client(echostream_hub: ServedHub) -> Iterator[StreamingClient]:
    """A client of that hub: `subscribe(topic).wait_for_event("text", within=5)`."""
    from echostream.server.for_tests import StreamingClient

    client = StreamingClient(echostream_hub.url, on_close=echostream_hub.cut)
    try:
        yield client
    finally:
        client.close()
