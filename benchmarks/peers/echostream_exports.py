"""A CSV export of a SQLite table by echostream: a connection and a cursor for each request."""

from __future__ import annotations

import os
import sqlite3
from typing import Any

from echostream import CSVResponse

__all__ = ["app"]

DATABASE = f"file:{os.environ['BENCH_DATABASE']}?mode=ro"


def all_orders() -> sqlite3.Cursor:
    connection = sqlite3.connect(DATABASE, uri=True)
    # A scan reads each page once. SQLite would keep 2 MB of them for each connection.
    connection.execute("pragma cache_size = -64")
    return connection.execute("select * from orders")


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Any path answers the same."""
    await CSVResponse(all_orders)(scope, receive, send)
