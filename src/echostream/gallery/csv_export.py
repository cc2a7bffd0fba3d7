"""CSV from a database cursor: its columns are the header row, and rows leave as the reader takes them.

Try it:

    uvicorn echostream.gallery.csv_export:app
    curl http://127.0.0.1:8000/csv_export
    curl 'http://127.0.0.1:8000/csv_export?for=programs'  # without the guard against formulas

A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula. The guard puts `'` before it: see the
decorators. A program wants the text as it is.
"""

from __future__ import annotations

import sqlite3

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from echostream.gallery.library import library
from echostream.integrations.starlette import CSVResponse

__all__ = ["Export", "app", "csv_export", "definitions"]

QUERY = """
select module, name, kind, line, decorators, substr(doc, 1, instr(doc || char(10), char(10)) - 1) as summary
from definitions order by id
"""


class Export(sqlite3.Cursor):
    """The cursor is closed for us, however the response ends; the connection goes with it."""

    def close(self) -> None:
        super().close()
        self.connection.close()


def definitions() -> sqlite3.Cursor:
    """Called on the source's own thread: what `sqlite3` makes can only be used on the thread that made it."""
    return sqlite3.connect(library()).cursor(Export).execute(QUERY)


async def csv_export(request: Request) -> CSVResponse:
    guard = request.query_params.get("for") != "programs"
    return CSVResponse(definitions, filename="standard-library.csv", guard=guard)


app = Starlette(routes=[Route("/csv_export", csv_export)])
