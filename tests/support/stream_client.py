"""Clients of `stream_app`, good and bad ones, on raw sockets; and the server as a test sees it."""

from __future__ import annotations

import ctypes
import http.client
import itertools
import json
import re
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.servers import ServerProcess, running_asgi, wait_until

__all__ = ["Answer", "Client", "StreamServer", "numbers", "streaming"]

# <asm/socket.h>
SO_ATTACH_FILTER = 26
# A filter of one instruction, BPF_RET with 0: take nothing.
DROP_ALL = struct.pack("HBBI", 6, 0, 0, 0)

_NUMBERS = {
    "sse": rb'data: \{"n":(\d+)\}\n\n',
    "ndjson": rb'\{"n":(\d+)\}\n',
    "json": rb'\{"n":(\d+)\}',
    "csv": rb"(\d+),'=row \d+\r\n",
    "text": rb"line (\d+)\n",
    "bytes": rb"(\d+)\n",
}


def numbers(form: str, body: bytes) -> list[int]:
    """The numbers of the items in a body of this format."""
    return [int(number) for number in re.findall(_NUMBERS[form], body)]


@dataclass(frozen=True)
class Answer:
    """What a client got. `ending`: whole, cut, closed (with nothing that tells which), or open: silence."""

    status: int
    headers: dict[str, str]
    body: bytes
    ending: str


class Client:
    """One request on one connection. `name` is that of its source."""

    def __init__(
        self, port: int, target: str, name: str, *, version: str = "1.1", receive_buffer: int | None = None
    ) -> None:
        self.name = name
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(10)
        self.socket.connect(("127.0.0.1", port))
        self.port = self.socket.getsockname()[1]
        self.socket.sendall(f"GET {target} HTTP/{version}\r\nHost: localhost\r\n\r\n".encode())
        self._response: http.client.HTTPResponse | None = None

    @property
    def response(self) -> http.client.HTTPResponse:
        """Waits for the head."""
        if self._response is None:
            self._response = http.client.HTTPResponse(self.socket)
            self._response.begin()
        return self._response

    def read_until(self, *wanted: bytes) -> bytes:
        """The body up to where all of these have come."""
        seen = b""
        while not all(part in seen for part in wanted):
            some = self.response.read1(65536)
            assert some, f"ended before {wanted!r}: {seen!r}"
            seen += some
        return seen

    def rest(self, *, silence: float = 10.0) -> Answer:
        """All that comes, until nothing does for so many seconds."""
        body, ending = bytearray(), "whole"
        response = self.response
        self.socket.settimeout(silence)
        framed = response.chunked or response.length is not None
        try:
            while some := response.read1(65536):
                body += some
            if not framed:
                ending = "closed"
            elif response.length:
                ending = "cut"
        except (http.client.IncompleteRead, ConnectionResetError):
            ending = "cut"
        except TimeoutError:
            ending = "open"
        headers = {name.lower(): value for name, value in response.getheaders()}
        self.close()
        return Answer(response.status, headers, bytes(body), ending)

    def finish_sending(self) -> None:
        """Half a FIN: it sends nothing more and goes on reading."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Leave with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def vanish(self) -> None:
        """From now on nothing that comes is seen or acknowledged, and nothing is said: the cable is out.

        A filter on the socket needs no privileges; Linux alone has it.
        """
        program = ctypes.create_string_buffer(DROP_ALL)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(program)))

    def close(self) -> None:
        if self._response is not None:
            self._response.close()
        self.socket.close()


class StreamServer:
    """A server that runs `stream_app`, and whoever is connected to it."""

    def __init__(self, name: str, process: ServerProcess) -> None:
        self.name = name
        self.process = process
        self.clients: list[Client] = []
        self._numbers = itertools.count(1)

    def ask(self, what: str, name: str = "") -> Any:
        """The answer of one of the application's plain routes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.process.port, timeout=20)
        try:
            connection.request("GET", f"/{what}?name={name}", headers={"Connection": "close"})
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def open(
        self,
        path: str,
        *,
        version: str = "1.1",
        receive_buffer: int | None = None,
        name: str | None = None,
        **query: Any,
    ) -> Client:
        """Ask for a stream (`open("csv/endless", at=3)`)."""
        name = name or f"stream-{next(self._numbers)}"
        words = "&".join(f"{key}={value}" for key, value in {"name": name, **query}.items())
        client = Client(self.process.port, f"/{path}?{words}", name, version=version, receive_buffer=receive_buffer)
        self.clients.append(client)
        return client

    def source(self, client: Client) -> dict[str, Any]:
        """What became of its source."""
        figures: dict[str, Any] = self.ask("state", client.name)
        return figures

    def wait(self, client: Client, *, within: float = 10.0, **wanted: Any) -> dict[str, Any]:
        """Its source, once it is so (`closed=True`)."""
        deadline = time.monotonic() + within
        while not wanted.items() <= (figures := self.source(client)).items():
            assert time.monotonic() < deadline, f"{self.name}: not within {within} s {wanted}, but {figures}"
            time.sleep(0.01)
        return figures

    def until_blocked(self, client: Client) -> int:
        """Wait until its source makes nothing more; the bytes that it has made."""
        size, still = -1, 0
        while still < 5:
            time.sleep(0.02)
            before, size = size, self.source(client)["size"]
            still = still + 1 if size == before else 0
            assert size < 64 * 1024 * 1024, f"{self.name}: {client.name} is not held up"
        return size

    def wait_idle(self) -> None:
        """Return once no stream is open."""
        wait_until(lambda: self.ask("statistics")["open"] == 0, within=10, what=f"{self.name}: all streams are over")

    def leave(self) -> None:
        """All clients go, for the next test."""
        for client in self.clients:
            client.close()
        self.clients.clear()


@contextmanager
def streaming(
    name: str, folder: Path, *, options: tuple[str, ...] = (), env: dict[str, str] | None = None
) -> Iterator[StreamServer]:
    """`stream_app` under this server, ready."""
    with running_asgi(name, "support.stream_app:app", folder=folder, options=options, env=env) as process:
        server = StreamServer(name, process)
        wait_until(lambda: server.ask("statistics")["open"] == 0, within=10, what=f"{name} answers")
        try:
            yield server
        finally:
            server.leave()
