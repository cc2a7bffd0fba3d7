"""How a subscription in this process ends: closed, cancelled, forgotten."""

from __future__ import annotations

import asyncio
import gc

import pytest

from echostream.exceptions import LogUnavailable
from echostream.hub import Hub
from echostream.log import Bounds, MemoryLog
from support.settle import until


class SlowLog(MemoryLog):
    """A log whose bounds can be made to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = asyncio.Event()
        self.answers.set()

    async def bounds(self) -> Bounds:
        await self.answers.wait()
        return await super().bounds()


async def test_closing_it_while_it_begins_ends_the_iteration():
    log = SlowLog()
    async with Hub(log) as hub:
        log.answers.clear()
        subscription = hub.subscribe("a")
        step = asyncio.ensure_future(anext(subscription, "ended"))
        await until(lambda: hub.subscriptions)
        subscription.close()
        log.answers.set()
        assert await step == "ended"
        assert not hub.listening("a")


async def test_a_first_step_that_is_cancelled_can_be_taken_again():
    log = SlowLog()
    async with Hub(log) as hub:
        log.answers.clear()
        subscription = hub.subscribe("a")
        step = asyncio.ensure_future(anext(subscription, "ended"))
        await until(lambda: hub.subscriptions)
        step.cancel()
        await asyncio.gather(step, return_exceptions=True)
        assert not hub.listening("a")
        log.answers.set()
        step = asyncio.ensure_future(anext(subscription, "ended"))
        await until(lambda: hub.listening("a") and subscription.start)
        await hub.publish("a", "1")
        assert getattr(await step, "data", "ended") == "1"
        subscription.close()


async def test_one_that_is_forgotten_leaves_nothing_behind():
    """`async for` does not close what it iterates over: a break, an error or a cancellation just drops it."""
    async with Hub() as hub:

        async def one_event() -> None:
            async for _ in hub.subscribe("a", since="earliest"):
                break

        async def for_ever() -> None:
            async for _ in hub.subscribe("a"):
                pass

        await hub.publish("a", "1")
        await one_event()
        waiting = asyncio.ensure_future(for_ever())
        await until(lambda: hub.listening("a"))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        del waiting
        await until(lambda: not hub.listening("a"))
        assert hub.statistics().subscriptions == 0


async def test_one_that_waits_is_not_forgotten():
    """Nothing but the hub holds the task: it must hold it as long as it may have to wake it."""
    async with Hub() as hub:
        got: list[str | None] = []

        async def listen() -> None:
            async for event in hub.subscribe("a"):
                got.append(event.data)  # noqa: PERF401  they are looked at meanwhile

        asyncio.get_running_loop().create_task(listen())
        await until(lambda: hub.listening("a"))
        for number in range(3):
            await asyncio.sleep(0)
            gc.collect()
            await hub.publish("a", str(number))
        await until(lambda: len(got) == 3)


async def test_closing_the_hub_while_one_begins_is_an_end_and_no_accident():
    log = SlowLog()
    hub = await Hub(log).open()
    log.answers.clear()
    step = asyncio.ensure_future(anext(hub.subscribe("a"), "ended"))
    await until(lambda: hub.subscriptions)
    await hub.aclose()
    log.answers.set()
    with pytest.raises(LogUnavailable):
        await step
    assert not hub.subscriptions
