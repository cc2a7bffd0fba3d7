"""VirtualLoop: when its time jumps, when it runs as the real one does, and when it gives up."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from echostream.testing import Deadlock, VirtualLoop, virtual_time

A_WHILE = 0.05
"""Seconds of real time: what is awaited outside takes so long, far longer than a jump."""


def run(main: Coroutine[Any, Any, Any], **options: Any) -> Any:
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(**options)) as runner:
        return runner.run(main)


def now() -> float:
    return asyncio.get_running_loop().time()


def test_an_hour_takes_no_time() -> None:
    async def main() -> float:
        await asyncio.sleep(3600)
        return now()

    began = time.monotonic()
    assert run(main()) == pytest.approx(3600)
    assert time.monotonic() - began < 5


def test_timers_fire_in_order_each_at_its_time() -> None:
    fired: list[tuple[str, float]] = []

    async def wait(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        fired.append((name, now()))

    async def main() -> None:
        await asyncio.gather(wait("c", 20), wait("a", 0.001), wait("b", 10))

    run(main())
    assert [name for name, _ in fired] == ["a", "b", "c"]
    assert [at for _, at in fired] == pytest.approx([0.001, 10, 20])


def test_time_stands_still_while_something_is_ready() -> None:
    async def main() -> float:
        late = asyncio.ensure_future(asyncio.sleep(1))
        for _ in range(1000):
            await asyncio.sleep(0)
        at = now()
        await late
        return at

    assert run(main()) == 0


def test_timeouts_follow_it() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await asyncio.Event().wait()
        return now()

    assert run(main()) == pytest.approx(60)


@virtual_time
async def test_the_decorator(tmp_path: object) -> None:
    await asyncio.sleep(1000)
    assert now() == pytest.approx(1000)
    assert tmp_path is not None


@pytest.fixture(scope="module")
def anyio_backend() -> Any:
    return "asyncio", {"loop_factory": VirtualLoop}


@pytest.fixture
async def begun() -> float:
    await asyncio.sleep(100)
    return now()


async def test_the_loop_of_anyios_plugin(begun: float) -> None:
    await asyncio.sleep(1000)
    assert now() == pytest.approx(begun + 1000)


# -- what is awaited outside


def test_a_job_in_a_thread_is_awaited_in_real_time() -> None:
    async def main() -> float:
        async with asyncio.timeout(3600):  # a jump would end it at once
            await asyncio.to_thread(time.sleep, A_WHILE)
        return now()

    assert 0 < run(main()) < 60  # not A_WHILE: the thread began before the loop began to wait


def test_idle_threads_of_the_pool_do_not_hold_it() -> None:
    async def main() -> float:
        await asyncio.to_thread(time.sleep, 0)
        await asyncio.sleep(3600)
        return now()

    assert run(main()) >= 3600


def test_a_timer_fires_while_a_thread_works() -> None:
    async def main() -> list[str]:
        order: list[str] = []
        released = threading.Event()
        working = asyncio.ensure_future(asyncio.to_thread(released.wait, 10))
        await asyncio.sleep(A_WHILE)
        order.append("timer")
        released.set()
        await working
        return [*order, "thread"]

    assert run(main()) == ["timer", "thread"]


def test_a_thread_of_its_own_is_awaited_in_real_time() -> None:
    async def main() -> float:
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def work() -> None:
            time.sleep(A_WHILE)
            loop.call_soon_threadsafe(done.set)

        thread = threading.Thread(target=work)
        thread.start()
        async with asyncio.timeout(3600):
            await done.wait()
        thread.join()
        at = now()
        await asyncio.sleep(3600)  # once it has ended time jumps again
        return at

    assert 0 < run(main()) < 60


def test_a_thread_from_before_is_awaited_when_told() -> None:
    asked, loops, done = threading.Event(), list[VirtualLoop](), asyncio.Event()

    def work() -> None:
        asked.wait(10)
        time.sleep(A_WHILE)
        loops[0].call_soon_threadsafe(done.set)

    async def main() -> float:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loops.append(loop)
        with loop.real_time():
            asked.set()
            async with asyncio.timeout(3600):
                await done.wait()
        return now()

    thread = threading.Thread(target=work)
    thread.start()
    assert 0 < run(main()) < 60
    thread.join()


def test_a_socket_is_awaited_in_real_time() -> None:
    ours, theirs = socket.socketpair()

    def answer() -> None:
        theirs.recv(1)
        time.sleep(A_WHILE)
        theirs.sendall(b"x")

    async def main() -> float:
        reader, writer = await asyncio.open_connection(sock=ours)
        writer.write(b"?")
        async with asyncio.timeout(3600):
            assert await reader.read(1) == b"x"
        writer.close()
        await writer.wait_closed()
        return now()

    thread = threading.Thread(target=answer)
    thread.start()  # before the loop is made: the socket alone is what it can see
    assert 0 < run(main()) < 60
    thread.join()
    theirs.close()


def test_a_child_process_is_awaited_in_real_time() -> None:
    async def main() -> tuple[int, float]:
        async with asyncio.timeout(3600):
            child = await asyncio.create_subprocess_exec(sys.executable, "-c", "pass")
            return await child.wait(), now()

    code, at = run(main())
    assert code == 0
    assert at < 60


# -- when nothing can happen any more


def test_a_deadlock_is_an_error_that_lists_the_tasks() -> None:
    async def stuck() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        other = asyncio.create_task(stuck(), name="the other one")
        await other

    with pytest.raises(Deadlock, match="no timer is set") as deadlock:
        run(main())
    told = str(deadlock.value)
    assert "the other one waits at" in told
    assert "in Event.wait" in told


def test_a_loop_that_nobody_ends_is_an_error() -> None:
    loop = VirtualLoop()
    try:
        with pytest.raises(Deadlock, match="no task is left"):
            loop.run_forever()
    finally:
        loop.close()


def test_what_beats_for_ever_ends_at_the_horizon() -> None:
    async def beat() -> None:
        while True:
            await asyncio.sleep(15)

    async def main() -> None:
        beating = asyncio.create_task(beat(), name="heart")
        try:
            await asyncio.Event().wait()
        finally:
            beating.cancel()
            await asyncio.sleep(5)  # cleaning up may take time too

    with pytest.raises(Deadlock, match=r"after 300 s of virtual time.*\n.*\n?  heart waits at"):
        run(main(), horizon=300.0)
