"""Run: the hub as a process. Our own sockets, uvicorn as it is, and an end that we own.

The end, at the first SIGTERM or SIGINT: not ready from that moment; the listener closed, so that whoever
reconnects reaches the next process; every stream ended at an event boundary with a `retry:` of its own;
then the connections, the hub and the log; exit code 0. It takes `server.drain_seconds` at most. A second
signal ends the process at once: an acknowledged event is in the log already.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Generator
from types import FrameType

import uvicorn

from ..exceptions import EchostreamError, InvalidSetting, StreamAborted
from ..hub import Hub
from .app import HubApp, create_app
from .banner import banner, facts, served_url, warning
from .limits import raise_file_limit
from .listener import BACKLOG, open_listeners
from .protocol import HubProtocol
from .tables import Settings, TlsTable

__all__ = ["HubServer", "run"]

logger = logging.getLogger("echostream.server")

SIGNALS = (signal.SIGINT, signal.SIGTERM)
SPARE_FILES = 32
GOODBYE = 0.5


def run(settings: Settings, *, json: bool = False) -> int:
    """Serve until told to end; the exit code. What can be wrong at the start is one line on stderr, and 1."""
    _set_up_logging()
    try:
        files = raise_file_limit()
        hub = Hub(settings.log.url, settings=settings.hub_settings())
        app = create_app(settings, hub, files=files)
        context = _tls_context(settings.tls)
        sockets = open_listeners(settings.server.host, settings.server.port)
    except EchostreamError as error:
        return _failed(error)
    try:
        server = HubServer(app, context, files=files, on_started=lambda: _announce(app, sockets, json=json))
        with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
            runner.run(server.serve_hub(sockets))
    except EchostreamError as error:
        return _failed(error)
    except KeyboardInterrupt:  # before the server took the signals over
        return 130
    finally:
        for listener in sockets:
            listener.close()
    return 0


class HubServer(uvicorn.Server):
    """uvicorn's server with the signals and the end in our hands."""

    def __init__(
        self, app: HubApp, context: ssl.SSLContext | None, *, files: int | None, on_started: Callable[[], None]
    ) -> None:
        config = uvicorn.Config(
            app,
            http=HubProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",  # its warnings are of requests that are answered, one a line for whoever sends them,
            access_log=False,  # it writes query strings
            proxy_headers=False,  # proxies.py reads them, from trusted addresses alone
            server_header=False,
            backlog=BACKLOG,
            limit_concurrency=None if files is None else max(files - SPARE_FILES, 1),
            ssl_context_factory=None if context is None else _given(context),
        )
        super().__init__(config)
        self._app = app
        self._on_started = on_started
        self._giving_up: asyncio.TimerHandle | None = None

    async def serve_hub(self, sockets: list[socket.socket]) -> None:
        """Open the hub, serve, drain, close. Raises what opening the log raises."""
        try:
            async with self._app.lifespan():
                await self.serve(sockets=sockets)
        finally:
            if self._giving_up is not None:
                self._giving_up.cancel()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._on_started()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        # uvicorn raises the signal again at the end, and the exit code would be the signal's.
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self._app.stopping:
            os._exit(128 + sig)
        self._app.stopping = True
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        loop, window = asyncio.get_running_loop(), self._app.settings.server.drain_seconds
        end = loop.time() + window
        self._giving_up = loop.call_later(window, _give_up, window)  # the log's closing is within the window too
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        self._app.hub.drain()
        while self._app.slots.counts().streams and loop.time() < end - window * 0.3:  # noqa: ASYNC110  once in a life
            await asyncio.sleep(0.02)
        # What is left are readers whose sockets are full, and slow publications: cancelled after this.
        self.config.timeout_graceful_shutdown = max((end - loop.time()) * 0.5, 0.1)  # type: ignore[assignment]
        goodbye = asyncio.create_task(self._hang_up())
        try:
            await super().shutdown(sockets=sockets)
        finally:
            goodbye.cancel()

    async def _hang_up(self) -> None:
        """Cut connections that have nothing more to say: over TLS, `close` waits for a peer who may never answer."""
        while self.server_state.tasks:  # noqa: ASYNC110  once in a life
            await asyncio.sleep(0.02)
        await asyncio.sleep(GOODBYE)
        for connection in list(self.server_state.connections):
            if connection.transport.get_write_buffer_size() == 0:
                connection.transport.abort()


def _given(context: ssl.SSLContext) -> Callable[..., ssl.SSLContext]:
    return lambda *_: context


def _give_up(window: float) -> None:
    logger.error("not ended within %g s (server.drain_seconds); ending now", window)
    os._exit(1)


def _announce(app: HubApp, sockets: list[socket.socket], *, json: bool) -> None:
    settings, port, durability = app.settings, sockets[0].getsockname()[1], app.hub.log.durability
    url = served_url(settings, port)
    if json:
        sys.stdout.write(facts(settings, url, port, durability))
        sys.stdout.flush()
    sys.stderr.write((warning(settings) or "") + ("" if json else banner(settings, url, durability)))
    sys.stderr.flush()


def _failed(error: EchostreamError) -> int:
    sys.stderr.write(f"echostream: {error}\n")
    return 1


def _tls_context(tls: TlsTable) -> ssl.SSLContext | None:
    if tls.cert is None or tls.key is None:
        return None
    for name, file in (("tls.cert", tls.cert), ("tls.key", tls.key)):
        try:
            file.read_bytes()
        except OSError as error:
            raise InvalidSetting(name, f"{file} cannot be read: {error.strerror or error}") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        # Without a password OpenSSL would ask the terminal for the one of an encrypted key, and wait.
        context.load_cert_chain(tls.cert, tls.key, password=lambda: "")
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise InvalidSetting(
            "tls.key", f"{tls.cert} and {tls.key} are no pair of certificate and unencrypted key: {reason}"
        ) from None
    return context


def _set_up_logging() -> None:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("echostream").setLevel(logging.INFO)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_is_worth_telling)


def _is_worth_telling(record: logging.LogRecord) -> bool:
    """Not a stream that we cut: the server logs each as a failure of the application, with a traceback."""
    return not (record.exc_info and isinstance(record.exc_info[1], (StreamAborted, asyncio.CancelledError)))
