"""A bound on the bytes of a body: what is sent of it, and how it ends there."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from echostream.asgi import (
    BytesStreamResponse,
    CSVResponse,
    EventStreamResponse,
    JSONArrayResponse,
    NDJSONResponse,
    StreamReport,
    StreamResponse,
    TextStreamResponse,
)
from echostream.stream import StreamSettings
from echostream.testing import drive

LIMIT = 100
QUOTA = {"stream": "end", "reason": "quota"}


async def all_of(kind: Callable[..., StreamResponse], source: Any, limit: int = LIMIT) -> tuple[str, bytes, str]:
    """How it ended, the body, and the reason in the report."""
    reports = list[StreamReport]()
    async with drive(kind(source, settings=StreamSettings(max_bytes=limit), on_end=reports.append)) as response:
        assert (await response.head()).status == 200
        ending = await response.ended()
        assert response.exception is None or "quota" in str(response.exception)
        return ending, response.body, reports[0].reason


async def one_by_one() -> AsyncIterator[Any]:
    for number in range(1000):
        yield {"n": number}


@pytest.mark.parametrize("source", [lambda: [{"n": number} for number in range(1000)], one_by_one])
@pytest.mark.parametrize("limit", [3, LIMIT, 5000])
async def test_lines_end_between_two_items_and_say_so(source: Callable[[], Any], limit: int):
    ending, body, reason = await all_of(NDJSONResponse, source(), limit)
    *items, last = body.splitlines(keepends=True)
    assert json.loads(last) == QUOTA
    assert [json.loads(item)["n"] for item in items] == list(range(len(items)))
    assert limit - 12 < len(b"".join(items)) <= limit or not items
    assert (ending, reason) == ("aborted", "quota")


@pytest.mark.parametrize("limit", [3, LIMIT, 5000])
async def test_events_end_between_two_and_in_order(limit: int):
    ending, body, reason = await all_of(EventStreamResponse, one_by_one(), limit)
    *items, last = body.removesuffix(b"\n\n").split(b"\n\n")
    assert last == b'event: stream-end\ndata: {"reason":"quota"}'
    assert items == [b'data: {"n":%d}' % number for number in range(len(items))]
    assert sum(len(item) + 2 for item in items) <= limit
    assert (ending, reason) == ("complete", "quota")


@pytest.mark.parametrize(
    ("kind", "items"),
    [
        (JSONArrayResponse, range(1000)),
        (CSVResponse, [(number,) for number in range(1000)]),
        (TextStreamResponse, ["0123456789"] * 1000),
        (BytesStreamResponse, [b"0123456789"] * 1000),
    ],
)
async def test_the_others_are_cut_at_the_byte(kind: Callable[..., StreamResponse], items: Any):
    ending, body, reason = await all_of(kind, items)
    assert (ending, len(body), reason) == ("aborted", LIMIT, "quota")


@pytest.mark.parametrize("kind", [NDJSONResponse, TextStreamResponse, CSVResponse])
async def test_a_body_that_just_fits_is_whole(kind: Callable[..., StreamResponse]):
    items = [["a", 1]] * 5 if kind is CSVResponse else ["a" * 8] * 5
    ending, whole, _ = await all_of(kind, items, 1000)
    assert (ending, len(whole) > 20) == ("complete", True)
    ending, body, reason = await all_of(kind, items, len(whole))
    assert (ending, body, reason) == ("complete", whole, "finished")
