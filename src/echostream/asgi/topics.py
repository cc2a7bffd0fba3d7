"""TopicResponse: a response fed by topics, as a plain ASGI application."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

from ..exceptions import EchostreamError
from ..hub import Beginning, Hub, StreamSettings
from ..hub import StreamReport as TopicReport
from ..hub.outlet import Outlet
from ..hub.start import Start
from ..topic import TopicSet
from ..wire.base import Encoder
from .outlet import AsgiOutlet
from .problem import ASGIApp, Headers, HttpTooOld, Receive, Scope, Send, problem, problem_response, refuse, status_of
from .request import SubscribeRequest, header, is_http_1_0
from .transport import TransportOutlet, ask_for_transport

__all__ = ["TopicResponse"]

READING = ("GET", "HEAD")


class TopicResponse:
    """Answers a request with the events of some topics: what was missed, then what comes.

    The request chooses: the format by `Accept` or `format=`, the start by `Last-Event-ID`,
    `last_event_id=` or `since=`, and with `live=0` that it ends with what is kept. Errors are
    problem documents. `envelope` says whether SSE carries envelopes when the request does not
    say; by default it does when there is more than one topic. `on_begin` is called with the number of
    topics and the format's name when a stream begins, `on_end` once with its report when it ended.

    Raises, when made, `InvalidTopic` and `TooLarge`; when called, `StreamAborted` where a body
    must be seen to be cut.
    """

    __slots__ = ("envelope", "hub", "on_begin", "on_end", "raw_headers", "settings", "topics")

    def __init__(
        self,
        hub: Hub,
        topics: Iterable[str],
        *,
        settings: StreamSettings | None = None,
        envelope: bool | None = None,
        headers: Headers = (),
        on_begin: Callable[[int, str], None] | None = None,
        on_end: Callable[[TopicReport], None] | None = None,
    ) -> None:
        self.hub = hub
        self.topics = TopicSet(topics)
        self.settings = settings or StreamSettings()
        self.envelope = len(self.topics) > 1 or bool(self.topics.patterns) if envelope is None else envelope
        self.raw_headers = list(headers)
        self.on_begin = on_begin
        self.on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in READING:
            # A router that was given this as an application passes on every method.
            allow = (b"allow", ", ".join(READING).encode())
            detail = f"{scope['method']} is not for a stream; it takes {' and '.join(READING)}"
            await problem(405, "method-not-allowed", detail, headers=[allow, *self.raw_headers])(scope, receive, send)
            return
        try:
            request = SubscribeRequest.read(scope, envelope=self.envelope)
            _check_version(scope, request.encoder)
            beginning = await self.hub.find_beginning(
                self.topics, since=request.since, last_event_id=request.last_event_id
            )
            self.hub.check_open()  # it may have begun to drain meanwhile
        except EchostreamError as error:
            await self._refusal(error, scope)(scope, receive, send)
            return
        if (beginning.finished and request.live) or _is_poll_without_news(request, beginning):
            no_more = [_resume_header(beginning.start), (b"cache-control", b"no-store"), *self.raw_headers]
            await _send_head(send, 204, no_more)
        elif scope["method"] == "HEAD":
            await _send_head(send, 200, self._head(request.encoder, beginning.start))
        else:
            await self._stream(request, beginning, scope, receive, send)

    async def _stream(
        self, request: SubscribeRequest, beginning: Beginning, scope: Scope, receive: Receive, send: Send
    ) -> None:
        outlet: AsgiOutlet | TransportOutlet = AsgiOutlet(send, linger=self.settings.send_timeout)
        until = None if request.live else beginning.newest
        reader = self.hub.attach(
            self.topics, request.encoder, outlet, beginning, settings=self.settings, until=until, on_end=self.on_end
        )
        try:
            headers = self._head(request.encoder, beginning.start)
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            lent = await ask_for_transport(scope, send, linger=self.settings.send_timeout)
            if lent is not None and reader.use(cast("Outlet", lent)):  # pyright takes its slots for methods
                outlet = lent
            if self.on_begin is not None:
                self.on_begin(len(self.topics), request.encoder.name)
            reader.begin()
            await outlet.run(receive)
        finally:
            outlet.on_gone()  # also when the head could not be sent: a reader must not outlive its request

    def _refusal(self, error: EchostreamError, scope: Scope) -> ASGIApp:
        status = status_of(error)
        accept = header(scope, b"accept")
        if status in (429, 503):
            return refuse(status, error.code, error.public, accept, headers=self.raw_headers)
        return problem_response(error, headers=self.raw_headers)

    def _head(self, encoder: Encoder, start: Start) -> list[tuple[bytes, bytes]]:
        media_type = encoder.media_type
        if media_type.startswith("text/"):
            media_type += "; charset=utf-8"
        return [
            (b"content-type", media_type.encode()),
            (b"cache-control", b"no-cache"),
            (b"vary", b"accept, last-event-id"),
            (b"x-accel-buffering", b"no"),
            (b"x-content-type-options", b"nosniff"),
            _resume_header(start),
            *self.raw_headers,
        ]


def _is_poll_without_news(request: SubscribeRequest, beginning: Beginning) -> bool:
    """Whether a native `EventSource` comes back to a stream that has given it all that is kept: 204 stops it."""
    if request.live or request.encoder.name != "sse" or request.last_event_id is None:
        return False
    return beginning.start.resume == "resumed" and beginning.start.offset >= beginning.newest


def _resume_header(start: Start) -> tuple[bytes, bytes]:
    return b"echostream-resume", start.resume.encode()


async def _send_head(send: Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _check_version(scope: Scope, encoder: Encoder) -> None:
    """HTTP/1.0 marks the end of a body by closing: a cut one would look whole.

    SSE and NDJSON say their ending themselves, so they are served; the other formats are not.
    Raises `HttpTooOld`.
    """
    if is_http_1_0(scope) and encoder.name not in ("sse", "ndjson"):
        raise HttpTooOld(
            f"format {encoder.name!r} needs HTTP/1.1; behind nginx set proxy_http_version 1.1, or ask for sse or ndjson"
        )
