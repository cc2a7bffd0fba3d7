"""Rows by echostream's own responses, in a plain ASGI application."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable
from typing import Any

from echostream import CSVResponse, NDJSONResponse

from ..orders import COLUMNS, orders

__all__ = ["app"]

ROWS = list(orders(int(os.environ["BENCH_ROWS"])))
OBJECTS = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS] if os.environ["BENCH_FORMAT"] == "ndjson" else []


async def one_by_one(rows: Iterable[Any]) -> AsyncIterator[Any]:
    for row in rows:
        yield row


async def app(scope: Any, receive: Any, send: Any) -> None:
    """`/csv/list`, `/ndjson/generator`, `/csv/async`: the format, and the source."""
    _, form, source = scope["path"].split("/")
    rows: Any = OBJECTS if form == "ndjson" else ROWS
    if source == "generator":
        rows = (row for row in rows)
    elif source == "async":
        rows = one_by_one(rows)
    response = NDJSONResponse(rows) if form == "ndjson" else CSVResponse(rows, columns=COLUMNS)
    await response(scope, receive, send)
