"""The clients, against a server that gives exact bytes: what is whole, what is cut, what is no answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from benchmarks.crowd import HOLD, Crowd
from benchmarks.reader import FINAL_CHUNK, body, read

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = b"5\r\nhello\r\n"
Serving = Callable[..., AbstractContextManager[int]]


@contextmanager
def giving(*pieces: bytes, times: int = 1, hold: threading.Event | None = None) -> Iterator[int]:
    """Serve `times` connections: each gets the pieces, one `send` for each, and is closed."""

    def give(connection: socket.socket) -> None:
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.recv(4096)
            try:
                for piece in pieces:
                    connection.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                pass  # a crowd leaves as soon as one of it has seen an error
            if hold is not None:
                hold.wait(30)

    def serve() -> None:
        givers = [threading.Thread(target=give, args=[listener.accept()[0]]) for _ in range(times)]
        for giver in givers:
            giver.start()
        for giver in givers:
            giver.join()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(30)
        assert not thread.is_alive()


def single(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


@pytest.mark.parametrize(
    "pieces",
    [[HEAD + CHUNK + FINAL_CHUNK], [HEAD, CHUNK, FINAL_CHUNK], single(HEAD + CHUNK + FINAL_CHUNK)],
    ids=["at once", "in three", "byte by byte"],
)
def test_a_whole_body(pieces: list[bytes]) -> None:
    with giving(*pieces) as port:
        reading = read(port, "/")
    assert reading.wire_bytes == len(CHUNK + FINAL_CHUNK)
    assert 0 < reading.first_byte <= reading.seconds < 30


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (HEAD + CHUNK, "without its final chunk"),
        (HEAD + CHUNK + FINAL_CHUNK[:-1], "without its final chunk"),
        (HEAD, "without its final chunk"),
        (b"", "without its final chunk"),
        (b"HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNK + FINAL_CHUNK, "answered b'HTTP/1.1 500"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "not sent in chunks"),
    ],
)
def test_anything_else_is_an_error(data: bytes, why: str) -> None:
    with giving(data) as port, pytest.raises(ValueError, match=why):
        read(port, "/")


def test_the_decoded_body() -> None:
    with giving(HEAD + CHUNK + CHUNK + FINAL_CHUNK) as port:
        assert body(port, "/") == b"hellohello"
    with (
        giving(b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno") as port,
        pytest.raises(ValueError, match="404: b'no'"),
    ):
        body(port, "/")


BIG = b"%x\r\n%s\r\n" % (HOLD, b"x" * HOLD)


def test_a_crowd_stops_together_and_reads_on() -> None:
    with giving(HEAD + BIG * 8 + FINAL_CHUNK, times=3) as port, Crowd(port, 3, "/") as crowd:
        crowd.read_to_hold(lambda: None)
        assert all(HOLD <= read < 8 * HOLD for read in crowd.wire_bytes)
        crowd.read_to_end(lambda: None, lambda text: None)
        assert crowd.wire_bytes == [len(HEAD + BIG * 8 + FINAL_CHUNK)] * 3
        assert all(0 < first <= crowd.seconds for first in crowd.first_bytes)


def test_a_crowd_says_which_body_is_cut() -> None:
    with giving(HEAD + BIG * 8, times=2) as port, Crowd(port, 2, "/") as crowd:
        crowd.read_to_hold(lambda: None)
        with pytest.raises(ValueError, match=r"reader \d ended without its final chunk"):
            crowd.read_to_end(lambda: None, lambda text: None)


def test_a_crowd_says_what_it_was_answered() -> None:
    with giving(b"HTTP/1.1 503 Busy\r\n\r\n", times=2) as port, Crowd(port, 2, "/") as crowd:
        with pytest.raises(ValueError, match=r"answered .* 503 Busy"):
            crowd.read_to_hold(lambda: None)


def test_a_crowd_that_is_not_served_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.crowd.SILENCE", 0.2)
    hold = threading.Event()
    with giving(HEAD, times=2, hold=hold) as port, Crowd(port, 2, "/") as crowd:
        try:
            with pytest.raises(ValueError, match=r"nothing for 0 s; readers \[0, 1\] of 2 wait"):
                crowd.read_to_hold(lambda: None)
        finally:
            hold.set()
