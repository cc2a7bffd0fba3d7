"""Rows that are bytes already, in pieces of 64 KiB: what uvicorn and the client alone cost, whoever makes the rows."""

from __future__ import annotations

import json
import os
from typing import Any

from ..orders import COLUMNS, csv_body, orders

__all__ = ["app"]

PIECE = 64 * 1024


def _body() -> bytes:
    count = int(os.environ["BENCH_ROWS"])
    if os.environ["BENCH_FORMAT"] == "csv":
        return csv_body(count)
    return b"".join(json.dumps(dict(zip(COLUMNS, row, strict=True))).encode() + b"\n" for row in orders(count))


BODY = _body()


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Any path answers the same."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    for start in range(0, len(BODY), PIECE):
        await send({"type": "http.response.body", "body": BODY[start : start + PIECE], "more_body": True})
    await send({"type": "http.response.body"})
