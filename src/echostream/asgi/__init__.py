"""The one room that touches a server's `send`: responses as plain ASGI applications."""

from ..hub import StreamReport as TopicReport
from ..hub import StreamSettings as TopicSettings
from .account import StreamReport, StreamStatistics, drain_streams, stream_statistics
from .outlet import AsgiOutlet
from .problem import Receive, Scope, Send, problem, problem_response, refuse, status_of
from .request import SubscribeRequest
from .response import (
    BytesStreamResponse,
    CSVResponse,
    EventStreamResponse,
    JSONArrayResponse,
    NDJSONResponse,
    StreamResponse,
    TextStreamResponse,
)
from .topics import TopicResponse
from .writer import Writer

__all__ = [
    "AsgiOutlet",
    "BytesStreamResponse",
    "CSVResponse",
    "EventStreamResponse",
    "JSONArrayResponse",
    "NDJSONResponse",
    "Receive",
    "Scope",
    "Send",
    "StreamReport",
    "StreamResponse",
    "StreamStatistics",
    "SubscribeRequest",
    "TextStreamResponse",
    "TopicReport",
    "TopicResponse",
    "TopicSettings",
    "Writer",
    "drain_streams",
    "problem",
    "problem_response",
    "refuse",
    "status_of",
    "stream_statistics",
]
