"""What a request to subscribe asks for, read from an ASGI scope."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import parse_qsl

from ..exceptions import InvalidInput
from ..wire import ENVELOPE_FORMATS, FORMATS, by_name, negotiate
from ..wire.base import Encoder
from .problem import Scope

__all__ = ["SubscribeRequest", "header", "is_http_1_0", "query"]

_SWITCH = {"1": True, "true": True, "0": False, "false": False}


class SubscribeRequest(NamedTuple):
    """Format, start and kind of a stream."""

    encoder: Encoder
    since: str
    last_event_id: str | None
    live: bool

    @classmethod
    def read(cls, scope: Scope, *, envelope: bool) -> SubscribeRequest:
        """What the scope's query and headers ask for; `envelope` is the default for SSE.

        Raises `InvalidInput`, `NotAcceptable`.
        """
        asked = query(scope)
        offered = ENVELOPE_FORMATS if _switch(asked, "envelope", default=envelope) else FORMATS
        name = asked.get("format")
        encoder = negotiate(header(scope, b"accept"), offered) if name is None else by_name(name, offered)
        live = _switch(asked, "live", default=encoder.live)
        if live and not encoder.live:
            raise InvalidInput("live", f"format {encoder.name!r} has an end; ask without live, or for sse or ndjson")
        last_event_id = header(scope, b"last-event-id") or asked.get("last_event_id")
        since = asked.get("since", "latest" if live else "earliest")
        return cls(encoder, since, last_event_id or None, live)


def query(scope: Scope) -> dict[str, str]:
    """The query's fields; of one given twice the first. Raises `InvalidInput` when it is not UTF-8."""
    try:
        pairs = parse_qsl(
            scope["query_string"].decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=200
        )
    except (UnicodeDecodeError, ValueError):
        raise InvalidInput("query", "is not percent-encoded UTF-8, or has more than 200 fields") from None
    fields: dict[str, str] = {}
    for name, value in pairs:
        fields.setdefault(name, value)
    return fields


def is_http_1_0(scope: Scope) -> bool:
    """Whether the client speaks HTTP/1.0, where the end of a body is but the end of the connection."""
    return scope.get("http_version") in ("1.0", "1")  # ASGI says "1.0", granian says "1"


def header(scope: Scope, name: bytes) -> str | None:
    """A header's value, its lines joined by commas (RFC 9110, section 5.3); None when it is not there."""
    lines = [value for key, value in scope["headers"] if key == name]
    return b", ".join(lines).decode("utf-8", "replace") if lines else None


def _switch(asked: dict[str, str], name: str, *, default: bool) -> bool:
    text = asked.get(name)
    if text is None:
        return default
    value = _SWITCH.get(text.lower())
    if value is None:
        raise InvalidInput(name, f"must be 1 or 0 (true, false), not {text[:20]!r}")
    return value
