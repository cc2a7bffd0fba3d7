"""A search as one JSON array that grows page by page, from a full-text index (SQLite FTS5).

Try it:

    uvicorn echostream.gallery.search:app
    curl -N 'http://127.0.0.1:8000/search?q=socket+AND+timeout'
    curl -i 'http://127.0.0.1:8000/search?q=AND'  # is no query: 400

It searches the docstrings of Python's standard library.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from echostream import FLUSH, StreamFailed
from echostream.gallery.library import library
from echostream.integrations.starlette import JSONArrayResponse

__all__ = ["PAGE", "app", "pages", "search"]

PAGE, LONGEST = 20, 100  # rows; characters of a query, since each of its words costs a search
QUERY = """
select id, module, definitions.name, kind, line, snippet(texts, -1, '[', ']', '...', 12) as found
from texts join definitions on id = texts.rowid
where texts match ? and texts.rowid > ? order by texts.rowid limit ?
"""


def pages(path: Path, query: str) -> Iterator[Any]:
    """Each page is a query of its own, so that a slow reader holds no lock between two of them."""
    if len(query) > LONGEST or "\0" in query:
        raise StreamFailed("invalid-query", f"q: more than {LONGEST} characters, or a NUL among them", status=400)
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        last = 0
        try:
            while rows := database.execute(QUERY, (query, last, PAGE)).fetchall():
                yield from rows
                yield FLUSH
                last = rows[-1]["id"]
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:  # the disk's fault, not the query's
                raise
            raise StreamFailed("invalid-query", f"q: {error}", status=400) from None


async def search(request: Request) -> JSONArrayResponse:
    query = request.query_params.get("q", "")
    return JSONArrayResponse(pages(await asyncio.to_thread(library), query))


app = Starlette(routes=[Route("/search", search)])
