"""For Starlette and FastAPI: the same responses, as subclasses of Starlette's `Response`.

    from echostream.integrations.starlette import NDJSONResponse

    @app.get("/numbers", response_class=NDJSONResponse, responses=NDJSONResponse.responses(Number))
    async def numbers(database: Annotated[Database, Depends(connect)]) -> NDJSONResponse:
        return NDJSONResponse(database.numbers())

FastAPI takes such a response as it is, and closes the dependencies of the route after the source.
An `HTTPException` raised by the source before its first item is the answer. Tasks in `background`
run when the response has ended in order.
"""

from __future__ import annotations

from typing import Any

from starlette.background import BackgroundTask
from starlette.responses import Response

from .. import asgi
from ..asgi import Receive, Scope, Send
from .item_schema import event_schema, item_schema

__all__ = [
    "BytesStreamResponse",
    "CSVResponse",
    "EventStreamResponse",
    "JSONArrayResponse",
    "NDJSONResponse",
    "TextStreamResponse",
    "TopicResponse",
]


class _Fit:
    """What Starlette and FastAPI ask of a response beside calling it."""

    background: BackgroundTask | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().__call__(scope, receive, send)  # type: ignore[misc]  # the response that this is mixed into
        if self.background is not None:
            await self.background()


class EventStreamResponse(_Fit, asgi.EventStreamResponse, Response):
    __doc__ = asgi.EventStreamResponse.__doc__
    media_type = "text/event-stream"

    @classmethod
    def responses(cls, item: Any = None) -> dict[int | str, dict[str, Any]]:
        """For FastAPI's `responses=`: the type of each event's data in OpenAPI (3.2, `itemSchema`)."""
        return _responses("Server-sent events", cls.media_type, {"itemSchema": event_schema(item)})


class NDJSONResponse(_Fit, asgi.NDJSONResponse, Response):
    __doc__ = asgi.NDJSONResponse.__doc__
    media_type = "application/x-ndjson"

    @classmethod
    def responses(cls, item: Any) -> dict[int | str, dict[str, Any]]:
        """For FastAPI's `responses=`: the type of each line in OpenAPI (3.2, `itemSchema`)."""
        return _responses("A line of JSON an item", cls.media_type, {"itemSchema": item_schema(item)})


class JSONArrayResponse(_Fit, asgi.JSONArrayResponse, Response):
    __doc__ = asgi.JSONArrayResponse.__doc__
    media_type = "application/json"

    @classmethod
    def responses(cls, item: Any) -> dict[int | str, dict[str, Any]]:
        """For FastAPI's `responses=`: the type of each element in OpenAPI."""
        schema = {"type": "array", "items": item_schema(item)}
        return _responses("A JSON array", cls.media_type, {"schema": schema})


class CSVResponse(_Fit, asgi.CSVResponse, Response):
    __doc__ = asgi.CSVResponse.__doc__
    media_type = "text/csv"


class TextStreamResponse(_Fit, asgi.TextStreamResponse, Response):
    __doc__ = asgi.TextStreamResponse.__doc__
    media_type = "text/plain"


class BytesStreamResponse(_Fit, asgi.BytesStreamResponse, Response):
    __doc__ = asgi.BytesStreamResponse.__doc__
    media_type = "application/octet-stream"


class TopicResponse(_Fit, asgi.TopicResponse, Response):
    __doc__ = asgi.TopicResponse.__doc__


def _responses(description: str, media_type: str, content: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": description, "content": {media_type: content}}}
