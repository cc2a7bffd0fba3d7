"""How an error becomes an answer: problem documents (RFC 9457), and what native `EventSource` can take."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any

import msgspec

from ..exceptions import (
    EchostreamError,
    HubClosed,
    IdempotencyConflict,
    InvalidInput,
    InvalidItem,
    LogFull,
    LogUnavailable,
    NotAcceptable,
    SourcesBusy,
    StreamFailed,
    TooLarge,
    TopicFinished,
    TopicReserved,
)
from ..wire.control import StreamError
from ..wire.sse import SSE

__all__ = [
    "ASGIApp",
    "Headers",
    "HttpTooOld",
    "Message",
    "Receive",
    "Scope",
    "Send",
    "problem",
    "problem_response",
    "refuse",
    "status_of",
]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

RETRY_AFTER = 2
"""Seconds after which a refused reader is asked to come back, before jitter."""

TEMPORARY = frozenset({429, 503})


class HttpTooOld(EchostreamError):
    """What was asked for cannot be sent in the request's version of HTTP so that its end is seen."""

    code = "http-version"


# The first that fits; a class stands before its bases.
_STATUS: tuple[tuple[type[EchostreamError], int], ...] = (
    (TooLarge, 413),
    (InvalidItem, 500),
    (InvalidInput, 400),
    (TopicReserved, 403),
    (TopicFinished, 409),
    (IdempotencyConflict, 422),
    (NotAcceptable, 406),
    (LogFull, 507),
    (HubClosed, 503),
    (SourcesBusy, 503),
    (LogUnavailable, 503),
    (HttpTooOld, 505),
)


_UNTOLD = frozenset({"reason", "message", "status", "code"})
"""Attributes of errors that a problem document has in its own members."""


def status_of(error: Exception) -> int:
    """The HTTP status that says what kind of error it is; 500 for what is nobody's input."""
    if isinstance(error, StreamFailed):
        return error.status
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def problem_response(error: Exception, *, headers: Headers = ()) -> ASGIApp:
    """The application that answers `error` with a problem document.

    The facts that the error carries (`field`, `limit`, `line` ...) are its members. Of an error
    that is not ours nothing is told but that it happened.
    """
    status = status_of(error)
    if not isinstance(error, EchostreamError):
        return problem(
            500, "internal-error", "the request failed here; the log of the server says why", headers=headers
        )
    known = {
        name: value for name, value in vars(error).items() if isinstance(value, (str, int)) and name not in _UNTOLD
    }
    return problem(status, error.code, error.public, facts=known, headers=headers)


def problem(
    status: int, code: str, detail: str, *, facts: Mapping[str, Any] | None = None, headers: Headers = ()
) -> ASGIApp:
    """The application that answers with this problem; a temporary one with a jittered `Retry-After`."""
    document = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "code": code}
    body = msgspec.json.encode({**(facts or {}), **document, "detail": detail})
    own = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if status in TEMPORARY:
        own.append((b"retry-after", str(round(_jittered(RETRY_AFTER))).encode()))
    return _Fixed(status, [*own, *headers], body)


def refuse(status: int, code: str, detail: str, accept: str | None, *, headers: Headers = ()) -> ASGIApp:
    """The same for who wanted a stream.

    Native `EventSource` gives up for good on any status but 200 (WHATWG HTML, section 9.2.3), so
    a refusal that will pass is told to it in the stream, which then ends: it comes back after
    `retry:`. Our own clients accept more than `text/event-stream` and get the real status.
    """
    if status not in TEMPORARY or accept is None or accept.strip().lower() != SSE.media_type:
        return problem(status, code, detail, headers=headers)
    body = SSE.control(StreamError(code=code, message=detail), retry=round(_jittered(RETRY_AFTER * 1000)))
    own = [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    return _Fixed(200, [*own, *headers], body, closes=True)


class _Fixed:
    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes, *, closes: bool = False) -> None:
        self._status = status
        self._headers = headers
        self._body = body
        self._closes = closes

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        headers = self._headers
        if self._closes and scope.get("http_version", "1.1").startswith("1."):
            headers = [*headers, (b"connection", b"close")]  # malformed in HTTP/2 and later (RFC 9113, section 8.2.2)
        await send({"type": "http.response.start", "status": self._status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else self._body})


def _jittered(number: float) -> float:
    # Those who were refused together must not come back together.
    return number * random.uniform(1.0, 2.0)  # noqa: S311  spreads load, guards nothing
