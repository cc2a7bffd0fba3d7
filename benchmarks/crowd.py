"""Many readers at once in one thread, which stop together before they read on."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable
from types import TracebackType

from .reader import FINAL_CHUNK, SILENCE, request

__all__ = ["HOLD", "Crowd"]

# More than kernel and server hold for one connection on loopback by default, so a reader that got it is being served.
HOLD = 1 << 20
BUFFER_BYTES = 1 << 18
SAMPLE_EVERY = 0.05
SAY_EVERY = 5.0


class _Reader:
    __slots__ = ("asked", "connection", "ended", "first_byte", "number", "tail", "wire_bytes")

    def __init__(self, number: int, connection: socket.socket) -> None:
        self.number = number
        self.connection = connection
        self.asked = 0.0
        self.first_byte = 0.0
        self.ended = 0.0
        self.wire_bytes = 0
        self.tail = b""


class Crowd:
    """A context manager: all are connected and have asked for `path` when it is entered."""

    def __init__(self, port: int, count: int, path: str) -> None:
        self._port = port
        self._count = count
        self._path = path
        self._readers: list[_Reader] = []
        self._selector = selectors.DefaultSelector()
        self._view = memoryview(bytearray(BUFFER_BYTES))

    def __enter__(self) -> Crowd:
        self._cpu = time.thread_time()
        for number in range(self._count):
            self._readers.append(_Reader(number, socket.create_connection(("127.0.0.1", self._port), SILENCE)))
        asking = request(self._path)
        for reader in self._readers:
            reader.asked = time.perf_counter()
            reader.connection.sendall(asking)
            reader.connection.setblocking(False)
            self._selector.register(reader.connection, selectors.EVENT_READ, reader)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._selector.close()
        for reader in self._readers:
            reader.connection.close()

    def read_to_hold(self, sample: Callable[[], object]) -> None:
        """Every reader reads its first MiB and stops there; returns when all have. `sample` is called all the while.

        Raises `ValueError` when nothing comes for a minute before all have: they are not served together.
        """
        self._turn(sample, lambda reader: reader.wire_bytes >= HOLD)

    def read_to_end(self, sample: Callable[[], object], say: Callable[[str], None]) -> None:
        """Every reader reads on to the end of its body. Raises `ValueError` for a body that ends without it."""
        for reader in self._readers:
            self._selector.register(reader.connection, selectors.EVENT_READ, reader)
        said = time.perf_counter()

        def sample_and_say() -> None:
            nonlocal said
            sample()
            if time.perf_counter() - said > SAY_EVERY:
                said = time.perf_counter()
                say(f"{sum(self.wire_bytes) / 1e6:,.0f} MB read")

        self._turn(sample_and_say, lambda reader: False)

    @property
    def wire_bytes(self) -> list[int]:
        """Of each reader, head and chunks included."""
        return [reader.wire_bytes for reader in self._readers]

    @property
    def first_bytes(self) -> list[float]:
        """Seconds from each reader's request to the first bytes of its answer."""
        return [reader.first_byte - reader.asked for reader in self._readers]

    @property
    def seconds(self) -> float:
        """From the first request to the last end."""
        return max(reader.ended for reader in self._readers) - min(reader.asked for reader in self._readers)

    @property
    def own_cpu(self) -> float:
        """Seconds of CPU that the readers themselves needed, the samples included."""
        return time.thread_time() - self._cpu

    def _turn(self, sample: Callable[[], object], stops: Callable[[_Reader], bool]) -> None:
        """Read from whoever has something until each has ended or `stops`."""
        heard = sampled = time.perf_counter()
        while self._selector.get_map():
            for key, _ in self._selector.select(SAMPLE_EVERY):
                reader: _Reader = key.data
                if self._take(reader) or stops(reader):
                    self._selector.unregister(reader.connection)
                heard = time.perf_counter()
            now = time.perf_counter()
            if now - sampled > SAMPLE_EVERY:
                sampled = now
                sample()
            if now - heard > SILENCE:
                waiting = [key.data.number for key in self._selector.get_map().values()]
                raise ValueError(f"nothing for {SILENCE:.0f} s; readers {waiting} of {self._count} wait")

    def _take(self, reader: _Reader) -> bool:
        """Read once; whether the body has ended."""
        count = reader.connection.recv_into(self._view)
        if count:
            if not reader.first_byte:
                reader.first_byte = time.perf_counter()
                if not bytes(self._view[:12]).startswith(b"HTTP/1.1 200"):
                    raise ValueError(f"answered {bytes(self._view[:500])!r}")
            reader.wire_bytes += count
            reader.tail = (reader.tail + self._view[max(0, count - len(FINAL_CHUNK)) : count])[-len(FINAL_CHUNK) :]
            return False
        reader.ended = time.perf_counter()
        if reader.tail != FINAL_CHUNK:
            raise ValueError(f"the body of reader {reader.number} ended without its final chunk")
        return True
