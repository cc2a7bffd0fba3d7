"""Responses of their own: a source, a format, and the right behaviour in between. Plain ASGI applications.

    @app.get("/orders.csv")
    async def orders():
        return CSVResponse(rows(), columns=["id", "state"], filename="orders.csv")

`rows()` may be whatever `open_source` takes: a generator, a cursor, a queue, a file, a function
that makes one of them, or an async function of a `Writer`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, NoReturn, TypedDict, Unpack

from ..exceptions import EchostreamError, InvalidInput
from ..stream import Source, StreamSettings, open_source
from ..stream.reading import is_read_once
from ..wire.body import BodyEncoder, BytesBody, CsvBody, JsonArrayBody, NdjsonBody, SseBody, TextBody
from ..wire.body.sse import RESERVED_SUFFIX
from .account import StreamReport
from .delivery import Delivery
from .head import HeaderLines, check_status, stream_headers
from .problem import (
    TEMPORARY,
    ASGIApp,
    HttpTooOld,
    Message,
    Receive,
    Scope,
    Send,
    problem_response,
    refuse,
    status_of,
)
from .request import header, is_http_1_0
from .shield import shield
from .writer import Block, Writer, WriterSource, takes_a_writer

__all__ = [
    "BytesStreamResponse",
    "CSVResponse",
    "EventStreamResponse",
    "JSONArrayResponse",
    "NDJSONResponse",
    "ResponseOptions",
    "StreamResponse",
    "TextStreamResponse",
]

Default = Callable[[Any], Any]


class ResponseOptions(TypedDict, total=False):
    """What every format takes; see `StreamResponse`."""

    headers: HeaderLines
    filename: str | None
    settings: StreamSettings | None
    on_end: Callable[[StreamReport], None] | None


class StreamResponse:
    """The base of all formats; a subclass makes the encoder of a body.

    `source` is what `open_source` takes, or an async function of one parameter, which is given a
    `Writer`. `headers` are added to those that streaming needs, or replace them. `filename` makes
    the response a download. `on_end` is called once, with a `StreamReport`. A request by HEAD
    gets the head; the source is not opened.

    Until the first item is made, or `settings.commit_after` has passed, nothing is sent: what the
    source raises until then is raised out of the call, so that the framework answers with the
    status it knows; an error of ours that has a status (`StreamFailed` ...) is answered with a
    problem document.

    Raises, when made, `InvalidInput` for a header, status or filename that cannot be and for settings
    that are no `StreamSettings`; when called, `StreamAborted` where the body must be seen to be cut.
    """

    # Without a `__dict__`: FastAPI would send that as JSON when it is given this instead of its own kind of response.
    __slots__ = ("_fresh", "_used", "media_type", "on_end", "raw_headers", "settings", "source", "status_code")

    def __init__(
        self,
        source: Any = None,
        *,
        status_code: int = 200,
        headers: HeaderLines = (),
        filename: str | None = None,
        settings: StreamSettings | None = None,
        on_end: Callable[[StreamReport], None] | None = None,
    ) -> None:
        self.source = source
        self.status_code = check_status(status_code)
        self.settings = _checked(settings)
        self._fresh: BodyEncoder | None = self.encoder({})
        self.media_type = self._fresh.media_type
        self.on_end = on_end
        self.raw_headers = stream_headers(self.media_type, headers, filename=filename)
        self._used = False

    def __iter__(self) -> NoReturn:
        raise TypeError("a response is not data; return it, to FastAPI one of echostream.integrations.starlette")

    def encoder(self, _scope: Scope) -> BodyEncoder:
        """A new encoder, for the answer to one request."""
        raise TypeError(f"{type(self).__name__} has no format; use one of its subclasses")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._answer(self._open, scope, receive, send)

    @asynccontextmanager
    async def open(self, scope: Scope, receive: Receive, send: Send) -> AsyncGenerator[Writer]:
        """Answer with what a block writes: `async with NDJSONResponse().open(scope, receive, send) as out`.

        The block is cancelled when the reader leaves. Where nobody wants a body (HEAD), it ends at
        its first `write`. An error of the block ends the response as one of a generator would, and is raised.

        Raises `InvalidInput` for a response that has a source.
        """
        if self.source is not None:
            raise InvalidInput("source", "would not be sent: the block writes the response; make it without a source")
        block, task = Block(), asyncio.current_task()
        name = None if task is None else task.get_name()  # by which a BaseHTTPMiddleware above is known
        answer = asyncio.create_task(self._answer(lambda: block, scope, receive, send), name=name)
        try:
            writer = await block.begin(answer)
            error: BaseException | None = None
            try:
                yield writer
            except BaseException as raised:  # noqa: BLE001  raised again below, unless it is our own
                error = raised
            ours = block.end(error)
            if ours or error is None or isinstance(error, Exception):
                await answer
            if error is not None and not ours:
                raise error
        finally:
            if answer.cancel():
                with shield():
                    await asyncio.wait({answer})

    # -- private

    async def _answer(self, opened: Callable[[], Source], scope: Scope, receive: Receive, send: Send) -> None:
        encoder = self._encoder_for(scope)
        bodiless = self._bodiless(scope, encoder)
        if bodiless is not None:
            if self.source is not None and not takes_a_writer(self.source):
                await self._open().aclose()  # a cursor or a file was opened for nothing
            await bodiless(scope, receive, send)
            return

        async def refused(error: BaseException) -> None:
            await self._refuse(error, encoder, scope, receive, send)

        stream = secrets.token_urlsafe(16)
        delivery = Delivery(opened(), encoder, self._start(), stream=stream, settings=self.settings, on_end=self.on_end)
        await delivery.run(receive, send, refused)

    def _encoder_for(self, scope: Scope) -> BodyEncoder:
        """The encoder that told the media type, for the first request; making one costs a part of the first byte."""
        fresh, self._fresh = self._fresh, None
        return self.encoder(scope) if fresh is None or is_http_1_0(scope) else fresh

    def _open(self) -> Source:
        source = self.source
        if takes_a_writer(source):
            return WriterSource(source)
        if self._used and is_read_once(source):
            raise InvalidInput("source", "was used up by an earlier request; make a response for each request")
        self._used = True
        return open_source(source)

    def _bodiless(self, scope: Scope, encoder: BodyEncoder) -> ASGIApp | None:
        """The answer to a request that gets no body of ours; None for one that does."""
        if is_http_1_0(scope) and encoder.name not in ("sse", "ndjson"):
            return problem_response(
                HttpTooOld(f"a body in {encoder.name} needs HTTP/1.1: in 1.0 half of it would look like all of it")
            )
        if scope["method"] == "HEAD":
            return _Bodiless(self._start())
        if encoder.name == "sse" and (header(scope, b"last-event-id") or "").endswith(RESERVED_SUFFIX):
            # A browser comes back after every end; 204 stops it (WHATWG HTML, section 9.2.3).
            return _Bodiless(
                {"type": "http.response.start", "status": 204, "headers": [(b"cache-control", b"no-store")]}
            )
        return None

    def _start(self) -> Message:
        return {"type": "http.response.start", "status": self.status_code, "headers": list(self.raw_headers)}

    async def _refuse(
        self, error: BaseException, encoder: BodyEncoder, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer what went wrong before anything was sent."""
        if not isinstance(error, EchostreamError) or status_of(error) == 500 or _is_no_source(error):
            raise error  # the framework knows what to answer, and its log should have it
        answer = problem_response(error)
        if encoder.name == "sse" and status_of(error) in TEMPORARY:
            answer = refuse(status_of(error), error.code, error.public, header(scope, b"accept"))
        with suppress(OSError):  # the peer is gone
            await answer(scope, receive, send)


def _is_no_source(error: EchostreamError) -> bool:
    """Whether what should have made the source made something else: no request is to blame for that."""
    return isinstance(error, InvalidInput) and error.field == "source"


class _Bodiless:
    def __init__(self, start: Message) -> None:
        self._start = start

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send(self._start)
        await send({"type": "http.response.body", "body": b""})


def _checked(settings: object) -> StreamSettings:
    if settings is None:
        return StreamSettings()
    if isinstance(settings, StreamSettings):
        return settings
    raise InvalidInput("settings", f"{type(settings).__name__} is another type; give StreamSettings(...)")


class EventStreamResponse(StreamResponse):
    """Server-sent events. An item is an `Event`, a `str` (its data) or anything with a JSON form.

    Each leaves as it is made. It ends with `stream-end` or `stream-error`, after which a browser
    does not come back: a request that has seen the end gets 204.
    """

    __slots__ = ()

    def encoder(self, _scope: Scope) -> BodyEncoder:
        return SseBody(self.settings.retry)


class NDJSONResponse(StreamResponse):
    """A line of JSON an item. An error is a last line `{"stream": "error", ...}`, and the body is cut after it.

    `default` is called with what has no JSON form and gives something that has. `end_line` adds a
    last line `{"stream": "end", ...}` to a whole body; in HTTP/1.0, which marks no end, it is always there.
    """

    __slots__ = ("_default", "_end_line")

    def __init__(
        self,
        source: Any = None,
        *,
        default: Default | None = None,
        end_line: bool = False,
        status_code: int = 200,
        **options: Unpack[ResponseOptions],
    ) -> None:
        self._default = default
        self._end_line = end_line
        super().__init__(source, status_code=status_code, **options)

    def encoder(self, _scope: Scope) -> BodyEncoder:
        return NdjsonBody(self._default, end_line=self._end_line or is_http_1_0(_scope))


class JSONArrayResponse(StreamResponse):
    """One JSON array, an element an item; `[]` when there are none. `default` as in `NDJSONResponse`."""

    __slots__ = ("_default",)

    def __init__(
        self,
        source: Any = None,
        *,
        default: Default | None = None,
        status_code: int = 200,
        **options: Unpack[ResponseOptions],
    ) -> None:
        self._default = default
        super().__init__(source, status_code=status_code, **options)

    def encoder(self, _scope: Scope) -> BodyEncoder:
        return JsonArrayBody(self._default)


class CSVResponse(StreamResponse):
    """CSV (RFC 4180). An item is a row: a sequence, or a mapping by column.

    `columns` are the header row; a cursor, a frame and a first row that is a mapping bring their
    own. `header=False` leaves it out. `guard` puts `'` before a text that a spreadsheet would take
    for a formula; numbers stay as they are.
    """

    __slots__ = ("_columns", "_delimiter", "_guard", "_header")

    def __init__(
        self,
        source: Any = None,
        *,
        columns: Sequence[str] | None = None,
        header: bool = True,
        guard: bool = True,
        delimiter: str = ",",
        status_code: int = 200,
        **options: Unpack[ResponseOptions],
    ) -> None:
        self._columns = columns
        self._header = header
        self._guard = guard
        self._delimiter = delimiter
        super().__init__(source, status_code=status_code, **options)

    def encoder(self, _scope: Scope) -> BodyEncoder:
        return CsvBody(self._columns, guard=self._guard, header=self._header, delimiter=self._delimiter)


class TextStreamResponse(StreamResponse):
    """Plain text in UTF-8. An item is a `str`; each leaves as it is made, and nothing is put between them."""

    __slots__ = ()

    def encoder(self, _scope: Scope) -> BodyEncoder:
        return TextBody()


class BytesStreamResponse(StreamResponse):
    """Bytes. An item is bytes-like; small ones are gathered as rows are."""

    __slots__ = ("_media_type",)

    def __init__(
        self,
        source: Any = None,
        *,
        media_type: str = "application/octet-stream",
        status_code: int = 200,
        **options: Unpack[ResponseOptions],
    ) -> None:
        self._media_type = media_type
        super().__init__(source, status_code=status_code, **options)

    def encoder(self, _scope: Scope) -> BodyEncoder:
        return BytesBody(self._media_type)
