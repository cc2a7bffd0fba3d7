"""Rows by Starlette's StreamingResponse, written by hand as its users write them: one row a step, or a thousand."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from ..orders import COLUMNS, orders

__all__ = ["app"]

ROWS = list(orders(int(os.environ["BENCH_ROWS"])))
OBJECTS = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS] if os.environ["BENCH_FORMAT"] == "ndjson" else []
BATCH = 1_000


def csv_rows(rows: Iterable[Any]) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    yield text.getvalue()
    for row in rows:
        text.seek(0)
        text.truncate()
        writer.writerow(row)
        yield text.getvalue()


async def csv_rows_async(rows: Iterable[Any]) -> AsyncIterator[str]:
    for line in csv_rows(rows):
        yield line


def csv_batches(rows: Iterable[Any]) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    remaining = iter(rows)
    while batch := list(itertools.islice(remaining, BATCH)):
        writer.writerows(batch)
        yield text.getvalue()
        text.seek(0)
        text.truncate()


def json_rows(rows: Iterable[Any]) -> Iterator[str]:
    for row in rows:
        yield json.dumps(row) + "\n"


async def json_rows_async(rows: Iterable[Any]) -> AsyncIterator[str]:
    for row in rows:
        yield json.dumps(row) + "\n"


def json_batches(rows: Iterable[Any]) -> Iterator[str]:
    remaining = iter(rows)
    while batch := list(itertools.islice(remaining, BATCH)):
        yield "".join([json.dumps(row) + "\n" for row in batch])


# By the path's words: the format, and how it is made.
MADE = {
    ("csv", "each"): csv_rows,
    ("csv", "async"): csv_rows_async,
    ("csv", "batches"): csv_batches,
    ("ndjson", "each"): json_rows,
    ("ndjson", "async"): json_rows_async,
    ("ndjson", "batches"): json_batches,
}
TYPES = {"csv": "text/csv", "ndjson": "application/x-ndjson"}


async def rows(request: Request) -> StreamingResponse:
    form, made = request.path_params["format"], request.path_params["made"]
    return StreamingResponse(MADE[form, made](OBJECTS if form == "ndjson" else ROWS), media_type=TYPES[form])


app = Starlette(routes=[Route("/{format}/{made}", rows)])
