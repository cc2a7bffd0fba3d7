"""The client: one request, its body read into one buffer as fast as the kernel gives it.

It must not be what is measured. It looks at the head and at the last bytes alone, never at the
chunks between: one `recv_into` costs microseconds for up to a MiB. The request asks the server to
close afterwards, so the end is the end of the connection, and a whole body is one whose last
bytes are the final chunk.
"""

from __future__ import annotations

import http.client
import socket
import time
from dataclasses import dataclass

__all__ = ["FINAL_CHUNK", "Reading", "body", "read", "request"]

FINAL_CHUNK = b"0\r\n\r\n"
BUFFER_BYTES = 1 << 20
# A peer that gives nothing for so long is broken.
SILENCE = 60.0


@dataclass(frozen=True, slots=True)
class Reading:
    """Seconds count from the moment the request was handed to the kernel; `wire_bytes` are without the head."""

    first_byte: float
    seconds: float
    wire_bytes: int
    own_cpu: float


def request(path: str) -> bytes:
    """What asks for `path`."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()


def read(port: int, path: str) -> Reading:
    """Read a body to its end. Raises `ValueError` for a status that is not 200, no chunks, or no final chunk."""
    buffer = bytearray(BUFFER_BYTES)
    view = memoryview(buffer)
    with socket.create_connection(("127.0.0.1", port), SILENCE) as connection:
        cpu, started = time.thread_time(), time.perf_counter()
        connection.sendall(request(path))
        head, tail = b"", b""
        first_byte, wire_bytes = 0.0, 0
        while count := connection.recv_into(buffer):
            if not first_byte:
                head, separator, rest = (head + view[:count]).partition(b"\r\n\r\n")
                if not rest:
                    head += separator
                    continue
                first_byte = time.perf_counter() - started
                _check_head(head)
                count = len(rest)
                tail = rest[-len(FINAL_CHUNK) :]
            else:
                tail = (tail + view[max(0, count - len(FINAL_CHUNK)) : count])[-len(FINAL_CHUNK) :]
            wire_bytes += count
        ended = time.perf_counter() - started
        cpu = time.thread_time() - cpu
    if tail != FINAL_CHUNK:
        raise ValueError(f"{path}: the body ended without its final chunk")
    return Reading(first_byte, ended, wire_bytes, cpu)


def body(port: int, path: str) -> bytes:
    """The whole decoded body, not measured. Raises `ValueError` for a status that is not 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SILENCE)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        if response.status != 200:
            raise ValueError(f"{path}: answered {response.status}: {response.read(500)!r}")
        return response.read()
    finally:
        connection.close()


def _check_head(head: bytes) -> None:
    status, _, fields = head.partition(b"\r\n")
    if not status.startswith(b"HTTP/1.1 200"):
        raise ValueError(f"answered {status!r}")
    if b"\r\ntransfer-encoding: chunked" not in b"\r\n" + fields.lower():
        raise ValueError(f"not sent in chunks: {fields!r}")
