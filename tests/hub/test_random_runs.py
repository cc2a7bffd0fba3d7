"""Random runs of a hub against a plain model, on both logs.

Publish, batch, end, trim (by small logs), subscribe with names and patterns, stall, drain,
disconnect, resume, seek. Whatever happened, each reader's stream must be explained by the
list of all that was ever published: every matching event once and in order, except in gaps
that were told and in which something was really lost.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from echostream.event import Event
from echostream.exceptions import PositionGone, TopicFinished
from echostream.hub import Hub, HubSettings, Reader, Subscription
from echostream.hub.reader import State
from echostream.log import Log, MemoryLog, Seek
from echostream.log.sqlite import SqliteLog
from echostream.position import Position
from echostream.topic import TopicSet
from echostream.wire import SSE, SseMessage
from support.outlets import HandOutlet
from support.settle import until

NAMES = ["a", "a/b", "a/c", "b/c", "quiet"]
TOPICS = [*NAMES, "*", "a/*", "*/c", "a/**", "**"]
LOG_BYTES = 12_000
EPHEMERAL = "~" * 21  # longer than any text that is kept, so that it is no other event's data
ARRIVED = (State.LIVE, State.ENDED)

names = st.sampled_from(NAMES)
topic_sets = st.lists(st.sampled_from(TOPICS), min_size=1, max_size=3, unique=True).map(tuple)
texts = st.one_of(st.text(max_size=20), st.integers(0, 1500).map(lambda n: "x" * n))


@dataclass
class Kept:
    offset: int
    topic: str
    data: str | None


@dataclass
class Follower:
    """A reader under test, and the place that its peer would come back with."""

    topics: TopicSet
    reader: Reader
    outlet: HandOutlet
    asked: int | None  # the position it came back with, if it is one of this log
    place: str = ""
    seen: int = 0
    messages: list[SseMessage] = field(default_factory=list)


class RandomRuns(RuleBasedStateMachine):
    """The rules; a subclass says which log."""

    def make_log(self) -> Log:
        return MemoryLog(max_bytes=LOG_BYTES)

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.kept: list[Kept] = []
        self.finished: set[str] = set()
        self.followers: list[Follower] = []
        self.left: list[Follower] = []
        self.subscriptions: list[tuple[Subscription, list[int]]] = []

    @initialize(
        ring=st.sampled_from([1, 3_000, 10**6]), flush=st.sampled_from([64, 65536]), tick=st.sampled_from([0, 1e-3])
    )
    def open_hub(self, ring: int, flush: int, tick: float) -> None:
        limits = HubSettings(ring_bytes=ring, flush_bytes=flush, tick=tick)
        self.hub = Hub(self.make_log(), settings=limits)
        self.runner.run(self.hub.open())

    def teardown(self) -> None:
        try:
            if hasattr(self, "hub"):
                self.runner.run(self.finish_all())
        finally:
            self.runner.close()

    async def finish_all(self) -> None:
        try:
            for follower in self.followers:
                await until(
                    lambda f=follower: (f.outlet.take(), f.reader.state in (State.LIVE, State.ENDED))[1], within=5
                )
                self.check(follower)
        finally:
            await self.hub.aclose()

    def in_loop(self, function: Callable[[], object]) -> None:
        """Call what the fan-out expects to be called in its loop."""

        async def call() -> None:
            function()

        self.runner.run(call())

    # -- publishing

    @rule(items=st.lists(st.tuples(names, texts), min_size=1, max_size=4), key=st.none() | st.sampled_from("kl"))
    def publish(self, items: list[tuple[str, str]], key: str | None) -> None:
        topic = items[0][0]
        events = [Event.of(text, topic=topic) for _, text in items]
        if topic in self.finished:
            with pytest.raises(TopicFinished):
                self.runner.run(self.hub.append(events))
            return
        word = None if key is None else f"{key}-{len(self.kept)}"
        published = self.runner.run(self.hub.append(events, idempotency_key=word))
        if word is not None:
            assert self.runner.run(self.hub.append(events, idempotency_key=word)) == published
        for event, word in zip(events, published.ids, strict=True):
            self.kept.append(Kept(Position.parse(word).offset, topic, event.data))

    @rule(topic=names, text=st.none() | texts)
    @precondition(lambda self: len(self.kept) > 12 and len(self.finished) < 2)
    def finish(self, topic: str, text: str | None) -> None:
        if topic in self.finished:
            return
        published = self.runner.run(self.hub.publish(topic, text, end=True))
        self.kept.append(Kept(Position.parse(published.ids[0]).offset, topic, text))
        self.finished.add(topic)

    @rule(topic=names)
    def ephemeral(self, topic: str) -> None:
        self.runner.run(self.hub.publish(topic, EPHEMERAL, ephemeral=True))

    # -- readers

    async def attach(self, topics: TopicSet, since: str, last_event_id: str | None, high_mark: int) -> None:
        beginning = await self.hub.find_beginning(topics, since=since, last_event_id=last_event_id)
        outlet = HandOutlet(high_mark)
        reader = self.hub.attach(topics, SSE, outlet, beginning)
        reader.begin()
        asked = None
        told = last_event_id or since
        if beginning.start.resume in ("resumed", "gap"):
            asked = Position.parse(told).offset
        elif beginning.start.resume == "reset":
            assert told.split(".")[0] != self.hub.fanout.epoch or int(told.split(".")[1]) > max(self.offsets, default=0)
        self.followers.append(Follower(topics, reader, outlet, asked))

    @rule(
        topics=topic_sets,
        since=st.sampled_from(["latest", "earliest", "-1", "-3", "-50", "1h"]),
        high_mark=st.sampled_from([10, 1000, 2**40]),
    )
    def subscribe(self, topics: tuple[str, ...], since: str, high_mark: int) -> None:
        self.runner.run(self.attach(TopicSet(topics), since, None, high_mark))

    @rule(topics=topic_sets, offset=st.integers(0, 60), foreign=st.booleans())
    def subscribe_at(self, topics: tuple[str, ...], offset: int, foreign: bool) -> None:
        epoch = "foreign" if foreign else self.hub.fanout.epoch
        self.runner.run(self.attach(TopicSet(topics), f"{epoch}.{offset}", None, 2**40))

    @rule(index=st.integers(0, 99))
    @precondition(lambda self: self.followers)
    def take(self, index: int) -> None:
        follower = self.followers[index % len(self.followers)]
        self.runner.run(self.settle())
        self.in_loop(follower.outlet.take)

    @rule(index=st.integers(0, 99))
    @precondition(lambda self: self.followers)
    def disconnect(self, index: int) -> None:
        follower = self.followers.pop(index % len(self.followers))
        self.in_loop(follower.outlet.on_gone)
        self.read(follower)
        self.left.append(follower)

    @rule(index=st.integers(0, 99), high_mark=st.sampled_from([10, 2**40]))
    @precondition(lambda self: self.left)
    def resume(self, index: int, high_mark: int) -> None:
        follower = self.left.pop(index % len(self.left))
        self.check(follower)
        self.runner.run(self.attach(follower.topics, "latest", follower.place or None, high_mark))

    # -- in this process

    @rule(topics=topic_sets, since=st.sampled_from(["latest", "earliest", "-5"]))
    def iterate(self, topics: tuple[str, ...], since: str) -> None:
        subscription = self.hub.subscribe(*topics, since=since)
        self.runner.run(subscription.open())
        self.subscriptions.append((subscription, []))

    @rule(index=st.integers(0, 99), steps=st.integers(1, 20))
    @precondition(lambda self: self.subscriptions)
    def step(self, index: int, steps: int) -> None:
        subscription, _ = self.subscriptions[index % len(self.subscriptions)]
        self.runner.run(self.settle())
        for _ in range(steps):
            if not self.runner.run(self.one_step(subscription)):
                break

    async def one_step(self, subscription: Subscription) -> bool:
        before = subscription.position.offset
        expected = next((kept for kept in self.matching(subscription.topics, before)), None)
        waiting = asyncio.ensure_future(anext(subscription, None))
        try:
            # Long for what must come, a few turns for what must not.
            done, _ = await asyncio.wait([waiting], timeout=5 if expected else 0.001)
            if not done:
                assert expected is None, "an event did not come"
                return False
            event = waiting.result()
        except PositionGone as gone:
            oldest = gone.oldest
            assert any(kept.offset < oldest for kept in self.matching(subscription.topics, before)), "a false gap"
            return True
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        if event is None:
            assert set(subscription.topics.names) <= self.finished
            return False
        if event.id is None:
            assert event.data == EPHEMERAL
            return True
        assert expected is not None
        assert (event.id.split(".")[1], event.topic, event.data) == (
            str(expected.offset),
            expected.topic,
            expected.data,
        )
        return True

    # -- seeking and reading

    @rule(topics=topic_sets, n=st.integers(1, 8))
    def last(self, topics: tuple[str, ...], n: int) -> None:
        log, wanted = self.hub.log, TopicSet(topics)
        assert isinstance(log, Seek)
        after = self.runner.run(log.last(n, wanted))
        oldest = self.runner.run(log.bounds()).oldest
        still = [kept for kept in self.kept if kept.offset >= oldest and wanted.matches(kept.topic)]
        assert [kept for kept in still if kept.offset > after] == still[-n:]

    # -- what must hold

    @invariant()
    def everything_is_explained(self) -> None:
        if not hasattr(self, "hub"):
            return
        self.runner.run(self.settle())
        for follower in self.followers:
            self.check(follower)

    @property
    def offsets(self) -> list[int]:
        return [kept.offset for kept in self.kept]

    def matching(self, topics: TopicSet, after: int) -> list[Kept]:
        return [k for k in self.kept if k.offset > after and k.data is not None and topics.matches(k.topic)]

    async def settle(self) -> None:
        fanout = self.hub.fanout
        newest = (await self.hub.bounds()).newest
        resting = (State.LIVE, State.FULL, State.ENDED)
        await until(
            lambda: fanout.flushed == newest and all(reader.state in resting for reader in fanout.readers), within=5
        )

    def read(self, follower: Follower) -> None:
        """What the peer has read so far; its place is the last id that it saw."""
        follower.messages = follower.outlet.decoded()
        for message in follower.messages:
            follower.place = message.last_event_id or follower.place

    def check(self, follower: Follower) -> None:
        self.read(follower)
        if not follower.messages:
            return
        opened = json.loads(follower.messages[0].data)
        assert follower.messages[0].event == "stream-open"
        cursor = Position.parse(opened["from"]).offset
        if follower.asked is not None and cursor > follower.asked:
            assert opened["resume"] == "gap"
            lost = [k for k in self.kept if follower.asked < k.offset <= cursor and follower.topics.matches(k.topic)]
            assert lost, "a false gap at the start"
        for message in follower.messages[1:]:
            cursor = self.explain(follower, message, cursor)
        if follower.reader.state is State.LIVE and not follower.outlet.waiting:
            assert self.matching(follower.topics, cursor) == []

    def explain(self, follower: Follower, message: SseMessage, cursor: int) -> int:
        at = Position.parse(message.last_event_id).offset
        if message.data == EPHEMERAL:
            assert at <= max(cursor, at)
            return cursor
        if message.event == "stream-gap":
            gap = json.loads(message.data)
            oldest = Position.parse(gap["oldest"]).offset
            if oldest - 1 > cursor:
                lost = [k for k in self.kept if cursor < k.offset < oldest and follower.topics.matches(k.topic)]
                assert lost, "a false gap"
            return max(cursor, oldest - 1)
        expected = self.matching(follower.topics, cursor)
        if message.event.startswith("stream-"):
            assert all(kept.offset > at for kept in expected), "a control event's id passes an undelivered event"
            return at
        assert (at, message.data) == (expected[0].offset, sse_text(expected[0].data))
        return at


def sse_text(data: str | None) -> str:
    """Text as SSE carries it: CR and CRLF arrive as LF."""
    return (data or "").replace("\r\n", "\n").replace("\r", "\n")


class SqliteRandomRuns(RandomRuns):
    def make_log(self) -> Log:
        self.folder = tempfile.TemporaryDirectory()
        return SqliteLog(Path(self.folder.name) / "log.db", max_bytes=LOG_BYTES, durability="normal")

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "folder"):
            self.folder.cleanup()


@pytest.mark.soak
@pytest.mark.parametrize(("machine", "examples"), [(RandomRuns, 200), (SqliteRandomRuns, 30)], ids=["memory", "sqlite"])
def test_random_runs(machine: type[RandomRuns], examples: int, soak: bool):
    limits = settings(
        max_examples=examples * (20 if soak else 1),
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=limits)
