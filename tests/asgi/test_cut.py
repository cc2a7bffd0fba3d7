"""The last piece of a cut body: what those who carry bodies on make of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from echostream.asgi import AsgiOutlet
from echostream.asgi.cut import hides_errors, send_cut
from echostream.exceptions import StreamAborted


async def messages() -> list[Any]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await send_cut(send, StreamAborted("the source failed"))
    return sent


async def piece() -> Any:
    message, _ = await messages()
    assert message["type"] == "http.response.body"
    assert message["more_body"] is True
    return message["body"]


async def test_it_is_carried_on_and_adds_nothing():
    body = await piece()
    assert isinstance(body, bytes)
    assert body, "a BaseHTTPMiddleware passes over what is false"
    assert b"".join([b"a", body, b"b"]) == b"ab"
    assert memoryview(body).nbytes == 0


@pytest.mark.parametrize("measure", [len, bytes, lambda body: b"%x\r\n" % len(body)])
async def test_who_measures_it_gets_the_error(measure: Any):
    body = await piece()
    with pytest.raises(StreamAborted, match="the source failed"):
        measure(body)


async def test_it_is_not_taken_for_nothing():
    """As hypercorn does, before it measures."""
    assert await piece() != b""


@pytest.mark.parametrize("error", [StreamAborted(), OSError("the peer is gone"), RuntimeError("not a server's word")])
async def test_what_send_raises_is_left_to_who_cuts(error: Exception):
    async def send(_message: Any) -> None:
        raise error

    await send_cut(send, StreamAborted("the source failed"))


async def test_a_message_follows_that_no_server_takes(caplog: pytest.LogCaptureFixture):
    _, last = await messages()
    assert last == {"type": "http.response.pathsend"}
    assert "the source failed" in caplog.text, "who refuses it raises an error of its own, and nobody would see ours"


async def test_a_plain_server_gets_neither_but_the_error():
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        await asyncio.get_running_loop().create_future()

    outlet = AsgiOutlet(send)
    outlet.write(b"half")
    outlet.close(clean=False)
    with pytest.raises(StreamAborted):
        await outlet.run(receive)
    assert [message["body"] for message in sent] == [b"half"]


async def test_a_plain_server_hides_nothing():
    async def receive() -> Any:
        raise AssertionError

    assert not hides_errors(receive)
