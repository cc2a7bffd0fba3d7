"""AsgiOutlet against a `send` that is slow, stuck, or belongs to a peer that is gone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from echostream.asgi import AsgiOutlet
from echostream.exceptions import StreamAborted
from support.settle import until


class Server:
    """The server's side of one ASGI call: a socket that can be stopped, and a peer that can go."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.writable = asyncio.Event()
        self.writable.set()
        self.peer_gone = asyncio.Event()

    async def send(self, message: Any) -> None:
        await self.writable.wait()
        self.sent.append(message)

    async def receive(self) -> dict[str, Any]:
        await self.peer_gone.wait()
        return {"type": "http.disconnect"}

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent)

    @property
    def complete(self) -> bool:
        return bool(self.sent) and not self.sent[-1]["more_body"]


@pytest.fixture
async def server() -> Server:
    return Server()


async def test_bytes_leave_in_order_and_the_body_ends(server: Server):
    outlet = AsgiOutlet(server.send)
    outlet.write(b"a")
    running = asyncio.ensure_future(outlet.run(server.receive))
    await until(lambda: server.body == b"a")
    outlet.write(b"b")
    outlet.write(b"c")
    outlet.close(clean=True)
    await running
    assert server.body == b"abc"
    assert server.complete
    assert outlet.waiting == 0


async def test_a_single_chunk_is_passed_on_as_it_is(server: Server):
    chunk = b"shared by a thousand"
    outlet = AsgiOutlet(server.send)
    outlet.write(chunk)
    running = asyncio.ensure_future(outlet.run(server.receive))
    await until(lambda: server.sent)
    assert server.sent[0]["body"] is chunk
    outlet.close(clean=True)
    await running


async def test_a_stuck_socket_makes_it_full_and_a_drained_one_says_so(server: Server):
    outlet, drained = AsgiOutlet(server.send, high_mark=100), []
    outlet.on_drained = lambda: drained.append(outlet.full)
    server.writable.clear()
    running = asyncio.ensure_future(outlet.run(server.receive))
    for _ in range(3):
        outlet.write(b"x" * 40)
        await asyncio.sleep(0)
    assert outlet.full
    assert outlet.waiting == 120
    assert drained == []
    server.writable.set()
    await until(lambda: drained == [False])
    outlet.close(clean=True)
    await running


async def test_a_cut_body_is_sent_as_far_as_it_goes_and_never_completed(server: Server):
    outlet = AsgiOutlet(server.send)
    outlet.write(b"half")
    outlet.close(clean=False)
    with pytest.raises(StreamAborted):
        await outlet.run(server.receive)
    assert server.body == b"half"
    assert not server.complete


async def test_an_abort_reaches_a_send_that_is_stuck(server: Server):
    outlet = AsgiOutlet(server.send)
    outlet.write(b"never taken")
    server.writable.clear()
    running = asyncio.ensure_future(outlet.run(server.receive))
    await until(lambda: running.get_loop().is_running() and outlet.waiting)
    await asyncio.sleep(0)
    outlet.abort()
    with pytest.raises(StreamAborted):
        await running


async def test_an_ending_that_the_peer_does_not_take_is_bounded(server: Server):
    outlet = AsgiOutlet(server.send, linger=0.01)
    outlet.write(b"never taken")
    server.writable.clear()
    running = asyncio.ensure_future(outlet.run(server.receive))
    await asyncio.sleep(0)
    outlet.close(clean=True)
    with pytest.raises(StreamAborted):
        await running


@pytest.mark.parametrize("stuck", [False, True])
async def test_a_peer_that_goes_is_seen_at_once_also_by_a_stuck_send(server: Server, stuck: bool):
    outlet, gone = AsgiOutlet(server.send), []
    outlet.on_gone = lambda: gone.append(True)
    if stuck:
        server.writable.clear()
        outlet.write(b"never taken")
    running = asyncio.ensure_future(outlet.run(server.receive))
    await asyncio.sleep(0)
    server.peer_gone.set()
    await running
    assert gone == [True]
    assert not server.complete


async def test_a_send_that_fails_tells_the_reader_and_the_server(server: Server):
    async def send(_message: Any) -> None:
        raise OSError("broken pipe")

    outlet, gone = AsgiOutlet(send), []
    outlet.on_gone = lambda: gone.append(True)
    outlet.write(b"x")
    with pytest.raises(OSError, match="broken pipe"):
        await outlet.run(server.receive)
    assert gone == [True]


async def test_a_cancellation_from_outside_is_not_swallowed(server: Server):
    outlet, gone = AsgiOutlet(server.send), []
    outlet.on_gone = lambda: gone.append(True)
    running = asyncio.ensure_future(outlet.run(server.receive))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert gone == [True]


async def test_nothing_is_left_running(server: Server):
    before = len(asyncio.all_tasks())
    outlet = AsgiOutlet(server.send)
    running = asyncio.ensure_future(outlet.run(server.receive))
    await asyncio.sleep(0)
    outlet.close(clean=True)
    await running
    await until(lambda: len(asyncio.all_tasks()) == before)
