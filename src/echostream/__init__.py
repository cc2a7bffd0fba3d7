"""echostream sends an HTTP response while it is being made, and never loses the place.

The way of an item:

    source ──────────────────────────────► wire ─► outlet ─► socket        a response of its own
    source ─► log ─► tail ─► fan-out ─────► wire ─► outlet ─► socket        a response fed by topics
    socket ─► client ─► wire ─► your loop                                    the other end

A published item becomes an `Event` with a `Position` in the log. One tail per process follows
the log's end; the fan-out encodes an event once per format and hands the same bytes to every
outlet. A subscriber is a position, not a queue: what it missed it reads from the log.

    hub = Hub("sqlite:///events.db")
    async with hub:
        await hub.publish("orders/42", {"state": "paid"})

The first line, responses of their own, is not in this version.
"""

from __future__ import annotations

from .asgi import TopicResponse, TopicSettings
from .event import Event
from .exceptions import (
    DecodeError,
    EchostreamError,
    EpochChanged,
    HubClosed,
    IdempotencyConflict,
    InvalidEvent,
    InvalidInput,
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
    StreamAborted,
    TooLarge,
    TopicFinished,
    TopicReserved,
    Unacknowledged,
)
from .hub import Hub, HubSettings, Published, Subscription
from .log import open_log
from .position import Position
from .topic import TopicSet

__all__ = [
    "DecodeError",
    "EchostreamError",
    "EpochChanged",
    "Event",
    "Hub",
    "HubClosed",
    "HubSettings",
    "IdempotencyConflict",
    "InvalidEvent",
    "InvalidInput",
    "InvalidPosition",
    "InvalidSetting",
    "InvalidSince",
    "InvalidTopic",
    "LogCorrupt",
    "LogError",
    "LogForeign",
    "LogFull",
    "LogInUse",
    "LogUnavailable",
    "NotAcceptable",
    "Position",
    "PositionGone",
    "Published",
    "Refused",
    "RequestRefused",
    "StreamAborted",
    "Subscription",
    "TooLarge",
    "TopicFinished",
    "TopicReserved",
    "TopicResponse",
    "TopicSet",
    "TopicSettings",
    "Unacknowledged",
    "open_log",
]
