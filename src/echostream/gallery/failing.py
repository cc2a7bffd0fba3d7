"""A stream that fails before, at or after its first item, in each format: what does its reader see?

Try it:

    uvicorn echostream.gallery.failing:app
    curl -i http://127.0.0.1:8000/failing/ndjson/before  # 404 and a problem document: the source chose it
    curl -i http://127.0.0.1:8000/failing/ndjson/at  # 500: the first item has no form in this format
    curl -i http://127.0.0.1:8000/failing/ndjson/after  # 200, one item, a line that tells the error; then it is cut
    curl -i http://127.0.0.1:8000/failing/sse/after  # 200, one event, `stream-error`; a proper end
    curl -i http://127.0.0.1:8000/failing/csv/after  # 200, one row; then it is cut, and curl calls it an error
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route

from echostream import StreamFailed
from echostream.integrations.starlette import (
    BytesStreamResponse,
    CSVResponse,
    EventStreamResponse,
    JSONArrayResponse,
    NDJSONResponse,
    TextStreamResponse,
)

__all__ = ["FORMATS", "MOMENTS", "app", "failing", "rows"]

FORMATS: dict[str, tuple[type[Any], Any]] = {
    "sse": (EventStreamResponse, {"row": 1}),
    "ndjson": (NDJSONResponse, {"row": 1}),
    "json": (JSONArrayResponse, {"row": 1}),
    "csv": (CSVResponse, {"row": 1}),
    "text": (TextStreamResponse, "row 1\n"),
    "bytes": (BytesStreamResponse, b"row 1\n"),
}
MOMENTS = ("before", "at", "after")


async def rows(item: Any, moment: str) -> AsyncIterator[Any]:
    if moment == "before":
        raise StreamFailed("no-such-table", "there is no table of that name", status=404)
    yield object() if moment == "at" else item
    raise LookupError("row 2 is gone")  # of such an error the reader hears only that there was one


async def failing(request: Request) -> Any:
    name, moment = request.path_params["format"], request.path_params["moment"]
    if name not in FORMATS or moment not in MOMENTS:
        raise HTTPException(404, f"the formats are {', '.join(FORMATS)}; the moments {', '.join(MOMENTS)}")
    response, item = FORMATS[name]
    return response(rows(item, moment))


app = Starlette(routes=[Route("/failing/{format}/{moment}", failing)])
