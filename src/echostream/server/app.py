"""The hub as an ASGI application: which path does what, and how everything that goes wrong is answered.

    request ─► Host and Origin ─► CORS ─► routes

The routes are a table of our own. A topic must be read from the raw path, and every refusal, 404 and
405 included, must be a problem document that a program can act on: a general router does neither.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from typing import Any

import msgspec
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from ..asgi import TopicReport, problem_response
from ..exceptions import EchostreamError, HubClosed, LogUnavailable, StreamAborted
from ..hub import Hub
from .access import Access
from .limits import Slots, fit_connections
from .metrics import Metrics
from .openapi import openapi
from .own import OwnTopics
from .pages import load_pages
from .plain import PlainAnswer
from .problem import HttpProblem, answer, answer_stream
from .proxies import Proxies
from .publish import Publish
from .report import log_stream
from .request import ClientGone, check_head, topic_of
from .subscribe import Subscribe
from .tables import Settings

__all__ = ["HubApp", "create_app"]

logger = logging.getLogger("echostream.server")

READY_WITHIN = 2.0
READING = ("GET", "HEAD")
STREAM_PATH = "/stream"

Endpoint = Callable[[], Coroutine[Any, Any, ASGIApp]]


def create_app(settings: Settings, hub: Hub, *, files: int | None = None) -> HubApp:
    """The application of `hub`. `files`: how many descriptors the process may have; None: unknown, not minded."""
    return HubApp(settings, hub, files=files)


class HubApp:
    """One hub's HTTP face. `lifespan()` opens the hub and closes it; ASGI servers reach it by their own lifespan."""

    def __init__(self, settings: Settings, hub: Hub, *, files: int | None) -> None:
        self.settings = settings
        self.hub = hub
        self.stopping = False
        """Set by whoever runs the application, the moment it is told to stop: not ready from then on."""
        self.slots = Slots(settings, connections=fit_connections(settings, files))
        self.metrics = Metrics(hub, self.slots)
        self._own = OwnTopics(hub)
        proxies = Proxies(settings.proxies.trusted)
        self._access = Access(settings, proxies)
        self._publish = Publish(hub, settings, self._access, self.slots, proxies)
        self._subscribe = Subscribe(
            hub, settings, self._access, self.slots, proxies, on_begin=self._own.opened, on_end=self._ended
        )
        self._openapi = PlainAnswer(msgspec.json.encode(openapi()), "application/json")
        self._pages = load_pages()
        self._endpoints: dict[str, Endpoint] = {
            "/healthz": self._healthz,
            "/readyz": self._readyz,
            "/metrics": self._metrics,
            "/openapi.json": self._describe,
        }
        self.paths = {STREAM_PATH, *self._pages, *self._endpoints}
        """Every path that is answered, besides the topics'."""
        self._inside: ASGIApp = self._route
        if settings.cors.origins:
            self._inside = _with_cors(self._route, settings.cors.origins)

    @contextlib.asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None, None]:
        """Open the hub, publish its own topics, close it. Raises what opening the log raises."""
        async with self.hub:
            own = asyncio.create_task(self._own.run(), name="echostream-own-topics")
            try:
                yield
            finally:
                own.cancel()
                await asyncio.wait([own])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                check_head(scope)
                self._access.check_request(scope)
            except HttpProblem as problem:
                await answer(problem)(scope, receive, send)
            else:
                await self._inside(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._serve_lifespan(receive, send)
        else:
            raise RuntimeError(f"the hub speaks HTTP, not {scope['type']}")

    async def _serve_lifespan(self, receive: Receive, send: Any) -> None:
        await receive()
        try:
            async with self.lifespan():
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except EchostreamError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.shutdown.complete"})

    # -- routes

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._find(scope, receive)
        except ClientGone:
            return
        except EchostreamError as error:
            response = self._refuse(scope, error)
        except Exception as error:  # noqa: BLE001  answered and logged
            response = _failed(error)
        try:
            await response(scope, receive, send)
        except StreamAborted:
            raise
        except Exception as error:  # noqa: BLE001  answered and logged
            # Where an answer has begun, the server refuses a second head by an exception, and cuts the first.
            await _failed(error)(scope, receive, send)

    async def _find(self, scope: Scope, receive: Receive) -> ASGIApp:
        method, path = scope["method"], scope["path"].removeprefix(scope.get("root_path", ""))
        topic = topic_of(scope)
        if topic is not None:
            if method == "POST":
                return await self._publish(scope, receive, topic)
            return self._subscribe.topic(scope, topic) if method in READING else _other(method, (*READING, "POST"))
        if path not in self.paths:
            raise HttpProblem(404, "not-found", f"there is nothing at {path[:200]!r}; topics are at /topics/NAME")
        if method not in READING:
            return _other(method, READING)
        if path == STREAM_PATH:
            return self._subscribe.stream(scope)
        return self._pages.get(path) or await self._endpoints[path]()

    def _refuse(self, scope: Scope, error: EchostreamError) -> ASGIApp:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if scope["method"] in READING and (path == STREAM_PATH or path.startswith("/topics/")):
            return answer_stream(error, scope)
        return answer(error)

    async def _healthz(self) -> ASGIApp:
        return PlainAnswer(b'{"status":"ok"}\n', "application/json")

    async def _readyz(self) -> ASGIApp:
        if self.stopping:
            raise HubClosed("the hub is shutting down")
        try:
            async with asyncio.timeout(READY_WITHIN):
                await self.hub.ready()
        except TimeoutError:
            raise LogUnavailable(f"the log has not answered for {READY_WITHIN:g} s") from None
        return PlainAnswer(b'{"status":"ready"}\n', "application/json")

    async def _metrics(self) -> ASGIApp:
        return PlainAnswer(self.metrics.render(), self.metrics.content_type)

    async def _describe(self) -> ASGIApp:
        return self._openapi

    def _ended(self, report: TopicReport) -> None:
        log_stream(report)
        self.metrics.ended(report)
        self._own.closed(report)


def _failed(error: Exception) -> ASGIApp:
    """Whatever it is, it is ours to mend, and its text may hold anything: the log has it, the answer has not."""
    logger.error("a request failed", exc_info=error)
    return problem_response(error)


def _other(method: str, allowed: Iterable[str]) -> ASGIApp:
    allow = ", ".join((*allowed, "OPTIONS"))
    if method == "OPTIONS":
        return PlainAnswer(b"", None, status=204, headers=[(b"allow", allow.encode())])
    raise HttpProblem(
        405, "method-not-allowed", f"{method} is not for this path; it takes {allow}", headers={"Allow": allow}
    )


def _with_cors(app: ASGIApp, origins: Iterable[str]) -> ASGIApp:
    return CORSMiddleware(
        app,
        allow_origins=tuple(origins),
        allow_methods=("GET", "HEAD", "POST"),
        allow_headers=("Content-Type", "Idempotency-Key", "Last-Event-ID"),
        expose_headers=("Echostream-Resume", "Retry-After"),
        # Chromium asks before a public page may reach loopback; the origin was allowed by name.
        allow_private_network=True,
    )
