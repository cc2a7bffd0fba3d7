"""Publish: `POST /topics/{topic}`. The body is one event's data, or a batch of NDJSON lines."""

from __future__ import annotations

import asyncio
import re
from email.message import Message
from typing import Any, NamedTuple

import msgspec
from starlette.types import ASGIApp, Receive, Scope

from ..event import Event
from ..exceptions import HubClosed, InvalidEvent, InvalidInput, TooLarge
from ..hub import Hub, Published
from ..wire.batch import parse_batch
from .access import Access
from .limits import Slots
from .plain import PlainAnswer
from .problem import HttpProblem
from .proxies import Proxies, header_values
from .request import Query, one_header, read_body
from .tables import Settings

__all__ = ["PARAMETERS", "Publish"]

PARAMETERS = ("event", "key", "ephemeral", "end")
BATCH_TYPES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"})
JSON_TYPE = re.compile(r"application/([a-z0-9!#$&^_.+-]+\+)?json")
# What plain `curl -d` sends. Decoding it as a form would turn '+' into a space and lose everything after '&'.
FORM_TYPE = "application/x-www-form-urlencoded"
CLOSE = {"Connection": "close"}
CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})


class _Publication(NamedTuple):
    topic: str
    query: Query
    ephemeral: bool
    end: bool
    idempotency_key: str | None
    media_type: str


class Publish:
    """Answers publications to one hub."""

    def __init__(self, hub: Hub, settings: Settings, access: Access, slots: Slots, proxies: Proxies) -> None:
        self._hub = hub
        self._limits = settings.limits
        self._bounds = settings.hub_settings()
        self._access = access
        self._slots = slots
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, topic: str) -> ASGIApp:
        """Publish what the request says. Raises an `EchostreamError` with everything that can be wrong."""
        self._access.check_topics("publish", [topic])
        publication = _read_head(scope, topic)
        with self._slots.publication(self._proxies.client(scope)):
            body = await self._read_body(scope, receive)
            batch = publication.media_type in BATCH_TYPES
            events = self._batch(publication, body) if batch else [_event(publication, body)]
            self._check_sizes(events)
            published = await self._hub.append(
                events, ephemeral=publication.ephemeral, idempotency_key=publication.idempotency_key
            )
        return _answer(published, batch=batch, ephemeral=publication.ephemeral)

    async def _read_body(self, scope: Scope, receive: Receive) -> bytes:
        limits = self._limits
        try:
            return await read_body(scope, receive, limit=limits.publish_bytes, seconds=limits.publish_seconds)
        except asyncio.CancelledError:
            if not self._hub.draining:
                raise
            # The end of the drain window. Nothing is appended yet, so the publisher may be told that.
            raise HubClosed("the hub is shutting down and the body has not arrived; publish it again") from None

    def _batch(self, publication: _Publication, body: bytes) -> list[Event]:
        for name in ("event", "key", "end"):
            if publication.query.text(name) is not None:
                raise InvalidInput(
                    name, "cannot be given for a batch; each line has its own, an end is published alone"
                )
        _text(body)
        return parse_batch(body, topic=publication.topic, max_events=self._bounds.batch_events)

    def _check_sizes(self, events: list[Event]) -> None:
        limit = self._bounds.event_bytes
        for number, event in enumerate(events, 1):
            if event.size > limit:
                field = "event" if len(events) == 1 else f"event {number} of the batch"
                raise TooLarge(field, size=event.size, limit=limit)


def _read_head(scope: Scope, topic: str) -> _Publication:
    query = Query(scope, known=PARAMETERS)
    if header_values(scope, b"upgrade"):
        # The parser stops at an offer to upgrade and drops the body: an event would be lost without a word.
        detail = "the hub does not upgrade connections; send it without Upgrade (curl: without --http2)"
        raise HttpProblem(400, "upgrade", detail, headers=CLOSE)
    encodings = header_values(scope, b"content-encoding")
    if any(encoding.strip().lower() not in ("", "identity") for encoding in encodings):
        # A compressed body hides its size: a few kilobytes become gigabytes.
        raise HttpProblem(415, "encoded-body", "compressed bodies are not taken; send it without Content-Encoding")
    codings = header_values(scope, b"transfer-encoding")
    if any(coding.strip().lower() != "chunked" for coding in codings):
        # The parser undoes `chunked` alone: what is compressed inside would be kept as it is (RFC 9112, 6.1).
        raise HttpProblem(501, "transfer-coding", "no transfer coding is taken but chunked", headers=CLOSE)
    ephemeral, end = query.flag("ephemeral"), query.flag("end")
    key = one_header(scope, "Idempotency-Key")
    if ephemeral and end:
        raise InvalidInput("ephemeral", "cannot go with end: an end is kept, an ephemeral event is not")
    if ephemeral and key is not None:
        raise InvalidInput("Idempotency-Key", "cannot go with ephemeral: nothing is kept to compare with")
    return _Publication(topic, query, ephemeral, end, key, _media_type(scope))


def _media_type(scope: Scope) -> str:
    """The body's media type in lower case, "" for none. Raises `HttpProblem` 415 for what we cannot take."""
    types = header_values(scope, b"content-type")
    if len(types) > 1:
        raise InvalidInput("Content-Type", "is given twice")
    if not types or not types[0].strip():
        return ""
    parsed = Message()
    parsed["content-type"] = types[0]
    media_type, charset = types[0].split(";")[0].strip().lower(), parsed.get_param("charset")
    if charset is not None and str(charset).lower() not in CHARSETS:
        raise HttpProblem(415, "unsupported-charset", f"charset {str(charset)[:40]!r} is not taken; send UTF-8")
    known = media_type in BATCH_TYPES or media_type == FORM_TYPE or media_type.startswith("text/")
    if not known and not JSON_TYPE.fullmatch(media_type):
        raise HttpProblem(
            415,
            "unsupported-media-type",
            f"{media_type[:80]!r} is not taken; send application/json, text/plain, or application/x-ndjson for a batch",
            headers={"Accept-Post": "application/json, text/*, application/x-ndjson"},
        )
    return media_type


def _event(publication: _Publication, body: bytes) -> Event:
    fields: dict[str, Any] = {
        "topic": publication.topic,
        "event": publication.query.text("event"),
        "key": publication.query.text("key"),
        "end": publication.end,
    }
    if not body:
        if not publication.end:
            raise InvalidEvent("data", "is missing: the body is the event's data, and it is empty")
        return Event(data=None, **fields)
    text = _text(body)
    if publication.media_type.startswith("text/"):
        return Event(data=text, **fields)
    if JSON_TYPE.fullmatch(publication.media_type):
        return Event.from_json(text, **fields)
    return Event.read(text, **fields)


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        detail = (
            f"the body is not valid UTF-8 (line {line}, byte {error.start}); send text as UTF-8, and bytes as base64"
        )
        raise HttpProblem(415, "not-utf-8", detail, line=line) from None


def _answer(published: Published, *, batch: bool, ephemeral: bool) -> ASGIApp:
    """201 with the ids, or 202 for what is not kept."""
    told: dict[str, Any] = {"topic": published.topic, "durability": published.durability}
    if not ephemeral:
        told = ({"ids": published.ids} if batch else {"id": published.ids[0]}) | told
    return PlainAnswer(msgspec.json.encode(told) + b"\n", "application/json", status=202 if ephemeral else 201)
