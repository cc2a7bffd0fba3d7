"""Subscribe: `GET /topics/{topic}` and `GET /stream?topic=a&topic=b/*`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from ..asgi import TopicReport, TopicResponse
from ..exceptions import HubClosed, InvalidTopic, TooLarge
from ..hub import Hub
from .access import Access
from .limits import Slots
from .problem import HttpProblem, answer_stream
from .proxies import Proxies
from .request import Query
from .tables import Settings

__all__ = ["PARAMETERS", "Subscribe"]

PARAMETERS = ("format", "since", "last_event_id", "live", "envelope")


class Subscribe:
    """Answers subscriptions to one hub."""

    def __init__(
        self,
        hub: Hub,
        settings: Settings,
        access: Access,
        slots: Slots,
        proxies: Proxies,
        *,
        on_begin: Callable[[int, str], None],
        on_end: Callable[[TopicReport], None],
    ) -> None:
        self._hub = hub
        self._stream_settings = settings.stream_settings()
        self._access = access
        self._slots = slots
        self._proxies = proxies
        self._on_begin = on_begin
        self._on_end = on_end

    def topic(self, scope: Scope, topic: str) -> ASGIApp:
        """The stream of one topic, its data alone where the format can say that."""
        Query(scope, known=PARAMETERS)
        return self._response([topic], envelope=False)

    def stream(self, scope: Scope) -> ASGIApp:
        """The stream of the topics and patterns that the query names, in envelopes."""
        topics = Query(scope, known=("topic", *PARAMETERS), repeated=("topic",)).texts("topic")
        if not topics:
            raise InvalidTopic("topic", "is missing; name at least one, as in /stream?topic=orders/*")
        return self._response(topics, envelope=True)

    def _response(self, topics: list[str], *, envelope: bool) -> ASGIApp:
        self._access.check_topics("subscribe", topics)
        if self._hub.draining:
            raise HubClosed("the hub is shutting down; come back in a moment")
        try:
            response = TopicResponse(
                self._hub,
                topics,
                settings=self._stream_settings,
                envelope=envelope,
                on_begin=self._on_begin,
                on_end=self._on_end,
            )
        except TooLarge as error:  # 413 speaks of the request's content, and this is its query
            raise InvalidTopic(error.field, error.reason) from None
        return self._counted(response)

    def _counted(self, response: ASGIApp) -> ASGIApp:
        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            with contextlib.ExitStack() as held:
                application = response
                try:
                    held.enter_context(self._slots.stream(self._proxies.client(scope)))
                except HttpProblem as busy:
                    application = answer_stream(busy, scope)
                await application(scope, receive, send)

        return counted
