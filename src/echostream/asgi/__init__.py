"""The one room that touches a server's `send`: responses as plain ASGI applications."""

from ..hub import StreamReport
from ..hub import StreamSettings as TopicSettings
from .outlet import AsgiOutlet
from .problem import problem, problem_response, refuse, status_of
from .request import SubscribeRequest
from .topics import TopicResponse

__all__ = [
    "AsgiOutlet",
    "StreamReport",
    "SubscribeRequest",
    "TopicResponse",
    "TopicSettings",
    "problem",
    "problem_response",
    "refuse",
    "status_of",
]
