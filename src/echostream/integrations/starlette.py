"""For Starlette and FastAPI: the same responses, as subclasses of Starlette's `Response`.

    from echostream.integrations.starlette import NDJSONResponse

    @app.get("/numbers", response_class=NDJSONResponse, responses=NDJSONResponse.responses(Number))
    async def numbers(database: Annotated[Database, Depends(connect)]) -> NDJSONResponse:
        return NDJSONResponse(database.numbers())

FastAPI takes such a response as it is, and closes the dependencies of the route after the source.
An `HTTPException` raised by the source before its first item is the answer. Tasks in `background`
run when the response has ended, also when the reader has left; not when it was cut.

A route may itself be the generator: `response_class=NDJSONResponse`, and `yield`.

`responses` tells the type of the items by OpenAPI's `itemSchema`. That is a word of OpenAPI 3.2: FastAPI
writes it as well, into documents that it calls 3.1.0 unless `app.openapi_version` says "3.2.0".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Unpack

from starlette.background import BackgroundTask
from starlette.responses import Response

from .. import asgi
from ..asgi import Receive, Scope, Send, TopicReport, TopicSettings
from ..asgi.problem import Headers
from ..asgi.response import ResponseOptions
from ..hub import Hub
from .item_schema import event_schema, item_schema

__all__ = [
    "BytesStreamResponse",
    "CSVResponse",
    "EventStreamResponse",
    "JSONArrayResponse",
    "NDJSONResponse",
    "Options",
    "TextStreamResponse",
    "TopicResponse",
]

Responses = dict[int | str, dict[str, Any]]


class Options(ResponseOptions, total=False):
    """What every format takes: `ResponseOptions`, and what Starlette and FastAPI give to responses.

    `background` is run when the response has ended. `content` is the source, by the name that FastAPI has for it.
    """

    background: BackgroundTask | None
    content: Any


class _Fit(asgi.StreamResponse, Response):
    """What Starlette and FastAPI ask of a response beside calling it.

    The classes have no `media_type`, the responses have: FastAPI documents what a class has as the
    type of every answer of the route, errors too, and the body as one string. `responses` says what is true.
    """

    media_type: str | None = None

    def __init__(
        self, source: Any = None, *, background: BackgroundTask | None = None, content: Any = None, **options: Any
    ) -> None:
        super().__init__(source if content is None else _unwrapped(content), **options)
        self.background = background
        self.media_type = str(self.media_type).partition(";")[0]  # as Starlette has it: the charset is in the header

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().__call__(scope, receive, send)
        if self.background is not None:
            await self.background()


class EventStreamResponse(_Fit, asgi.EventStreamResponse):
    __doc__ = asgi.EventStreamResponse.__doc__

    def __init__(self, source: Any = None, *, status_code: int = 200, **options: Unpack[Options]) -> None:
        super().__init__(source, status_code=status_code, **options)

    @classmethod
    def responses(cls, item: Any = None) -> Responses:
        """For FastAPI's `responses=`: the type of each event's data, as JSON; None: text."""
        return _responses("Server-sent events", "text/event-stream", {"itemSchema": event_schema(item)})


class NDJSONResponse(_Fit, asgi.NDJSONResponse):
    __doc__ = asgi.NDJSONResponse.__doc__

    def __init__(
        self,
        source: Any = None,
        *,
        default: Callable[[Any], Any] | None = None,
        end_line: bool = False,
        status_code: int = 200,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(source, default=default, end_line=end_line, status_code=status_code, **options)

    @classmethod
    def responses(cls, item: Any = Any) -> Responses:
        """For FastAPI's `responses=`: the type of each line."""
        return _responses("A line of JSON an item", "application/x-ndjson", {"itemSchema": item_schema(item)})


class JSONArrayResponse(_Fit, asgi.JSONArrayResponse):
    __doc__ = asgi.JSONArrayResponse.__doc__

    def __init__(
        self,
        source: Any = None,
        *,
        default: Callable[[Any], Any] | None = None,
        status_code: int = 200,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(source, default=default, status_code=status_code, **options)

    @classmethod
    def responses(cls, item: Any = Any) -> Responses:
        """For FastAPI's `responses=`: the type of each element."""
        schema = {"type": "array", "items": item_schema(item)}
        return _responses("A JSON array", "application/json", {"schema": schema})


class CSVResponse(_Fit, asgi.CSVResponse):
    __doc__ = asgi.CSVResponse.__doc__

    def __init__(
        self,
        source: Any = None,
        *,
        columns: Sequence[str] | None = None,
        header: bool = True,
        guard: bool = True,
        delimiter: str = ",",
        status_code: int = 200,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            source,
            columns=columns,
            header=header,
            guard=guard,
            delimiter=delimiter,
            status_code=status_code,
            **options,
        )

    @classmethod
    def responses(cls) -> Responses:
        """For FastAPI's `responses=`."""
        return _responses("Rows", "text/csv", {"schema": {"type": "string"}})


class TextStreamResponse(_Fit, asgi.TextStreamResponse):
    __doc__ = asgi.TextStreamResponse.__doc__

    def __init__(self, source: Any = None, *, status_code: int = 200, **options: Unpack[Options]) -> None:
        super().__init__(source, status_code=status_code, **options)

    @classmethod
    def responses(cls) -> Responses:
        """For FastAPI's `responses=`."""
        return _responses("Text", "text/plain", {"schema": {"type": "string"}})


class BytesStreamResponse(_Fit, asgi.BytesStreamResponse):
    __doc__ = asgi.BytesStreamResponse.__doc__

    def __init__(
        self,
        source: Any = None,
        *,
        media_type: str = "application/octet-stream",
        status_code: int = 200,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(source, media_type=media_type, status_code=status_code, **options)

    @classmethod
    def responses(cls, media_type: str = "application/octet-stream") -> Responses:
        """For FastAPI's `responses=`."""
        return _responses("Bytes", media_type, {})


class TopicResponse(asgi.TopicResponse, Response):
    __doc__ = asgi.TopicResponse.__doc__

    status_code = 200

    def __init__(
        self,
        hub: Hub,
        topics: Iterable[str],
        *,
        settings: TopicSettings | None = None,
        envelope: bool | None = None,
        headers: Headers = (),
        on_begin: Callable[[int, str], None] | None = None,
        on_end: Callable[[TopicReport], None] | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        super().__init__(
            hub, topics, settings=settings, envelope=envelope, headers=headers, on_begin=on_begin, on_end=on_end
        )
        self.background = background

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().__call__(scope, receive, send)
        if self.background is not None:
            await self.background()


def _unwrapped(content: Any) -> Any:
    """An asynchronous generator that is a route, out of the one that FastAPI puts around it.

    That one does not close what it goes through: the route would end some time after its
    dependencies. Where FastAPI does it in another way, `content` stays as it is.
    """
    frame = getattr(content, "ag_frame", None)
    if frame is None or frame.f_globals.get("__name__") != "fastapi.routing":
        return content
    return frame.f_locals.get("async_gen", content)


def _responses(description: str, media_type: str, content: dict[str, Any]) -> Responses:
    return {200: {"description": description, "content": {media_type: content}}}
