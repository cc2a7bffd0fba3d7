"""drive: one request to an ASGI application, message by message, in the test's own loop and without a server.

    async with drive(app, "GET", "/clock") as response:
        status, headers = await response.head()
        assert (await response.events(1))[0].data == "tick"
        response.disconnect()

The client takes what the test reads, and no more: an endless response is read as far as the
test wants, a slow or half-reading client is one that reads late or little. Everything that
waits fails after a time (`within`, in seconds of the loop, so of virtual time in a
`VirtualLoop`) and says what it waited for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, MutableMapping
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

import msgspec

from ..wire import NdjsonDecoder, SseDecoder, SseMessage
from .asgi_rules import ResponseRules, Stage
from .exchange import AfterDisconnect, App, Exchange, RequestBody
from .reading import Reading, ResponseCut, bound
from .request import RequestHeaders, header_lines, http_scope
from .waiting import NotInTime

__all__ = ["HIGH_MARK", "WITHIN", "DrivenResponse", "Ending", "Head", "drive"]

HIGH_MARK = 64 * 1024
"""Bytes that may wait for the client before the application's `send` blocks."""

WITHIN = 5.0
"""Seconds that each wait may take."""

Ending = Literal["complete", "aborted", "gone"]
_UNPLAYED = frozenset({"http.response.pathsend", "http.response.zerocopysend"})


class Head(NamedTuple):
    """A response's status and headers by name; the values of one given more than once are joined by ", "."""

    status: int
    headers: dict[str, str]


def drive(
    app: App,
    method: str = "GET",
    path: str = "/",
    *,
    headers: RequestHeaders = (),
    body: RequestBody = b"",
    http_version: str = "1.1",
    extensions: Mapping[str, Mapping[str, Any]] | None = None,
    scope: Mapping[str, Any] | None = None,
    high_mark: int = HIGH_MARK,
    after_disconnect: AfterDisconnect = "raise",
    within: float = WITHIN,
) -> DrivenResponse:
    """Call `app` with one request; use the answer as `async with drive(...) as response`.

    `path` may have a query. `body` is bytes, or an iterable of them, or an async one: the pieces
    arrive one by one. `extensions` are offered in the scope (trailers are played; what is sent of
    others is in `response.others`), `scope` adds to it or replaces parts of it. `send` blocks while more
    than `high_mark` bytes wait; 0 blocks until each message is read. Once the client has left,
    `send` raises OSError (ASGI 2.4) or, with `after_disconnect="ignore"`, does nothing, as before 2.4.

    Leaving the block is the client leaving. It raises `Violation` when the application broke the
    protocol, `NotInTime` when it does not end within `within`, the exception that the application
    raised, unless the test has been told of it, and `ResponseCut` when it returned without ending its
    response. OSError, what was raised from it, and Starlette's ClientDisconnect are no failure of an
    application whose client has left.

    Raises ValueError for an extension that cannot be played.
    """
    if impossible := _UNPLAYED & set(extensions or ()):
        raise ValueError(f"drive() cannot play {', '.join(sorted(impossible))}; do not offer it")
    version = "2.4" if after_disconnect == "raise" else "2.3"
    lines = header_lines(headers, len(body) if isinstance(body, bytes) else 0)
    full_scope = http_scope(method, path, lines, http_version=http_version, spec_version=version)
    full_scope.update({"extensions": dict(extensions)} if extensions else {}, **(scope or {}))
    rules = ResponseRules(method=method, http_version=http_version, extensions=extensions or ())
    exchange = Exchange(rules, body, high_mark=high_mark, after_disconnect=after_disconnect)
    return DrivenResponse(app, full_scope, exchange, within=within)


class DrivenResponse(Reading):
    """The client's side of a request made by `drive`.

    Each method that waits takes `within`, and raises
    `NotInTime`, `Violation`, or `ResponseCut` when the application ended before what was wanted.
    Reading by bytes, by events and by lines may be mixed: none reads further than it gives.
    """

    def __init__(self, app: App, scope: MutableMapping[str, Any], exchange: Exchange, *, within: float) -> None:
        super().__init__(exchange, within=within)
        self._app = app
        self._scope = scope
        self._sse = SseDecoder()
        self._ndjson = NdjsonDecoder()
        self._events: deque[SseMessage] = deque()
        self._lines: deque[bytes] = deque()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._exchange.run(self._app, self._scope), name="application")
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        left_early = self._exchange.gone or not (self._exchange.finished or self._exchange.over)
        self.disconnect()
        late = await self._end_application()
        failure = late or self._failure(left_early=left_early)
        if error is None:
            if failure is not None:
                raise failure
        elif failure is not None and failure is not error and failure is not error.__cause__:
            error.add_note(f"besides, the application under test failed: {failure!r}")

    # -- reading: `read`, `read_until` and `async for` are those of `Reading`

    async def head(self, *, within: float | None = None) -> Head:
        """Status and headers, once the application has sent them."""
        rules, limit = self._exchange.rules, self._limit(within)
        await self._until(lambda: rules.stage is not Stage.HEAD or self._exchange.over, "the head", limit)
        if rules.stage is Stage.HEAD:
            raise self._cut("the head")
        headers: dict[str, str] = {}
        for name, value in rules.headers:
            key, text = name.decode("latin-1"), value.decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
        return Head(rules.status, headers)

    async def events(self, count: int | None = None, *, within: float | None = None) -> list[SseMessage]:
        """The next `count` server-sent events; None: all to the end. Control events are among them."""
        limit, read = self._limit(within), list[SseMessage]()
        await self._check_type("text/event-stream", within)
        what = "all events" if count is None else f"{count} events"
        while count is None or len(read) < count:
            if self._events:
                read.append(self._events.popleft())
            elif await self._more(f"{what} (so far {len(read)})", limit):
                self._events.extend(self._sse.feed(self._take_line()))
            elif count is None:
                break
            else:
                raise self._cut(f"{what} (so far {len(read)})")
        return read

    async def lines(self, count: int | None = None, *, within: float | None = None) -> list[Any]:
        """The values of the next `count` lines of NDJSON, empty ones passed over; None: all to the end."""
        limit, read = self._limit(within), list[Any]()
        await self._check_type("application/x-ndjson", within)
        what = "all lines" if count is None else f"{count} lines"
        while count is None or len(read) < count:
            if self._lines:
                read.append(_json(self._lines.popleft()))
            elif await self._more(f"{what} (so far {len(read)})", limit):
                self._lines.extend(self._ndjson.feed(self._take_line()))
            elif rest := self._ndjson.finish():
                self._lines.append(rest.line)
            elif count is None:
                break
            else:
                raise self._cut(f"{what} (so far {len(read)})")
        return read

    # -- the client's behaviour

    def stall(self, after: int = 0) -> None:
        """Take `after` bytes more, then none: from now on `send` blocks until what it sent is read."""
        self._exchange.allowance = after
        self._exchange.changed.notify()

    def resume(self) -> None:
        """Take bytes again."""
        self._exchange.allowance = None
        self._exchange.changed.notify()

    def disconnect(self) -> None:
        """Leave: `receive` gives `http.disconnect`, a `send` that is blocked ends as one that comes later does."""
        self._exchange.gone = True
        self._exchange.changed.notify()

    # -- how it stands

    @property
    def waiting(self) -> int:
        """Bytes that the application has sent and the client has not read."""
        return self._exchange.waiting

    @property
    def complete(self) -> bool:
        """The application has sent the response's proper end."""
        return self._exchange.finished

    @property
    def others(self) -> list[MutableMapping[str, Any]]:
        """The messages of extensions, trailers among them, in order."""
        return self._exchange.others

    @property
    def exception(self) -> BaseException | None:
        """What the application raised. Looked at, it is not raised again at the block's end."""
        self._told = True
        return self._exchange.error

    async def ended(self, *, within: float | None = None) -> Ending:
        """Read on until the application has returned, and tell how its response ended.

        `complete`; `aborted`: it raised or returned without its final body; `gone`: the client
        left before. A stalled client reads nothing meanwhile.
        """
        exchange, limit, before = self._exchange, self._limit(within), len(self._read)
        while True:
            may_read = not exchange.gone and exchange.allowance != 0
            await self._until(
                lambda reads=may_read: exchange.over or (reads and exchange.chunks), "the application's end", limit
            )
            if may_read and exchange.chunks:
                self._take()
                bound(len(self._read) - before, "the application's end")
            elif exchange.over:
                break
        if exchange.finished:
            return "complete"
        if exchange.gone:
            return "gone"
        self._told = True
        return "aborted"

    # -- private

    async def _check_type(self, wanted: str, within: float | None) -> None:
        given = (await self.head(within=within)).headers.get("content-type", "none")
        if given.partition(";")[0].strip().lower() != wanted:
            raise ResponseCut(f"the response's content-type is {given}, not {wanted}; {self._state()}")

    async def _end_application(self) -> NotInTime | None:
        """Wait for the application's end; one that does not come is forced by cancelling."""
        if self._task is None or self._task.done():
            return None
        done, _ = await asyncio.wait([self._task], timeout=self._within)
        if done:
            return None
        late = NotInTime(
            f"the application did not end within {self._within} s of the client's leaving: {self._state()}"
        )
        self._task.cancel()
        await asyncio.wait([self._task], timeout=self._within)
        self._told = True  # what it raised then is our doing
        return late

    def _failure(self, *, left_early: bool) -> BaseException | None:
        exchange = self._exchange
        if self._told:
            return None
        if exchange.upload_error is not None or exchange.violation is not None:
            return exchange.upload_error or exchange.violation
        if isinstance(exchange.error, asyncio.CancelledError):  # raised here it would look like the test's own
            return self._cut("its proper end")
        if exchange.error is not None:
            return None if left_early and _is_of_a_lost_client(exchange.error) else exchange.error
        return None if left_early or exchange.finished else self._cut("its proper end")


def _is_of_a_lost_client(error: BaseException | None) -> bool:
    """Whether it is the OSError of `send`, or was made of it.

    Not whatever was raised while it was handled: that may be a fault of cleaning up. Starlette's
    ClientDisconnect is raised so, and known by its name.
    """
    while error is not None and not isinstance(error, OSError) and type(error).__name__ != "ClientDisconnect":
        error = error.__cause__
    return error is not None


def _json(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise AssertionError(f"a line of the response is not JSON ({error}): {line!r:.200}") from None
