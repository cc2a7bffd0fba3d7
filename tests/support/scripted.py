"""A real HTTP server on a real socket whose every answer is written in the test: for what a good hub never does."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

__all__ = ["CUT", "Answer", "Held", "Request", "ScriptedServer", "problem", "receipt", "scripted", "sse"]

CUT = b""
"""An answer that is none: the request is read and the connection reset."""


class Request(NamedTuple):
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Held(NamedTuple):
    """An answer after which the server neither sends nor closes: it waits until the client goes."""

    answer: bytes


Answer = bytes | Held


def _whole(status: str, media_type: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {media_type}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


def receipt(*ids: str, topic: str = "t") -> bytes:
    """A 201 as a hub writes it: one id, or those of a batch."""
    told = f'"id":"{ids[0]}"' if len(ids) == 1 else '"ids":[' + ",".join(f'"{one}"' for one in ids) + "]"
    return _whole("201 Created", "application/json", f'{{{told},"topic":"{topic}","durability":"full"}}\n'.encode())


def problem(status: str, code: str, detail: str, *headers: str) -> bytes:
    """A problem document."""
    body = f'{{"type":"about:blank","status":{status[:3]},"code":"{code}","detail":"{detail}"}}'
    return _whole(status, "application/problem+json", body.encode(), *headers)


def sse(body: bytes, *, cut: bool = False, media_type: str = "text/event-stream; charset=utf-8") -> bytes:
    """A stream that ends after `body`: in order, or (`cut`) without its last chunk."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    chunk = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
    return head.encode() + chunk + (b"" if cut else b"0\r\n\r\n")


class ScriptedServer:
    """Answers the n-th request with the n-th answer, one request a connection. `requests` is what came."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self._answers = list(answers)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.requests: list[Request] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:  # the script is at its end, and so is the listener
            pass
        self._listener.close()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        for answer in self._answers:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(10)
                try:
                    self._answer(connection, answer)
                except OSError:  # the client went: what the test wanted, or what it will complain about
                    pass
        self._listener.close()

    def _answer(self, connection: socket.socket, answer: Answer) -> None:
        with connection.makefile("rb") as stream:
            method, target, _ = stream.readline().decode().split(" ", 2)
            headers: dict[str, str] = {}
            while (line := stream.readline().decode().strip()) != "":
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            request = Request(method, target, headers, stream.read(int(headers.get("content-length", 0))))
        self.requests.append(request)
        if isinstance(answer, Held):
            connection.sendall(answer.answer)
            connection.recv(1)
        elif answer == CUT:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            connection.sendall(answer)


@contextmanager
def scripted(*answers: Answer) -> Generator[ScriptedServer]:
    """A scripted server for one test."""
    server = ScriptedServer(answers)
    try:
        yield server
    finally:
        server.close()
