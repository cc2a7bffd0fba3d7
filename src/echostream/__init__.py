"""echostream sends an HTTP response while it is being made, and never loses the place.

The way of an item:

    source ──────────────────────────────► wire ─► outlet ─► socket        a response of its own
    source ─► log ─► tail ─► fan-out ─────► wire ─► outlet ─► socket        a response fed by topics
    socket ─► client ─► wire ─► your loop                                    the other end

A published item becomes an `Event` with a `Position` in the log. One tail per process follows
the log's end; the fan-out encodes an event once per format and hands the same bytes to every
outlet. A subscriber is a position, not a queue: what it missed it reads from the log.

A response made of a source is sent as the source makes it; the source is closed when its reader leaves:

    response = CSVResponse(rows(), columns=["id", "state"], filename="orders.csv")

A response fed by topics goes on where its reader was:

    hub = Hub("sqlite:///events.db")
    response = TopicResponse(hub, ["orders/*"])
    async with hub:
        await hub.publish("orders/42", {"state": "paid"})
"""

from __future__ import annotations

from .asgi import (
    BytesStreamResponse,
    CSVResponse,
    EventStreamResponse,
    JSONArrayResponse,
    NDJSONResponse,
    StreamReport,
    TextStreamResponse,
    TopicResponse,
    TopicSettings,
    Writer,
    drain_streams,
    stream_statistics,
)
from .event import Event
from .exceptions import (
    ClientGone,
    DecodeError,
    EchostreamError,
    EpochChanged,
    HubClosed,
    IdempotencyConflict,
    InvalidEvent,
    InvalidInput,
    InvalidItem,
    InvalidPosition,
    InvalidSetting,
    InvalidSince,
    InvalidTopic,
    LogCorrupt,
    LogError,
    LogForeign,
    LogFull,
    LogInUse,
    LogUnavailable,
    NotAcceptable,
    PositionGone,
    Refused,
    RequestRefused,
    SourcesBusy,
    StreamAborted,
    StreamFailed,
    TooLarge,
    TopicFinished,
    TopicReserved,
    Unacknowledged,
)
from .hub import Hub, HubSettings, Published, Subscription
from .log import open_log
from .position import Position
from .stream import END, FLUSH, SourceThreads, StreamSettings
from .topic import TopicSet

__all__ = [
    "END",
    "FLUSH",
    "BytesStreamResponse",
    "CSVResponse",
    "ClientGone",
    "DecodeError",
    "EchostreamError",
    "EpochChanged",
    "Event",
    "EventStreamResponse",
    "Hub",
    "HubClosed",
    "HubSettings",
    "IdempotencyConflict",
    "InvalidEvent",
    "InvalidInput",
    "InvalidItem",
    "InvalidPosition",
    "InvalidSetting",
    "InvalidSince",
    "InvalidTopic",
    "JSONArrayResponse",
    "LogCorrupt",
    "LogError",
    "LogForeign",
    "LogFull",
    "LogInUse",
    "LogUnavailable",
    "NDJSONResponse",
    "NotAcceptable",
    "Position",
    "PositionGone",
    "Published",
    "Refused",
    "RequestRefused",
    "SourceThreads",
    "SourcesBusy",
    "StreamAborted",
    "StreamFailed",
    "StreamReport",
    "StreamSettings",
    "Subscription",
    "TextStreamResponse",
    "TooLarge",
    "TopicFinished",
    "TopicReserved",
    "TopicResponse",
    "TopicSet",
    "TopicSettings",
    "Unacknowledged",
    "Writer",
    "drain_streams",
    "open_log",
    "stream_statistics",
]
