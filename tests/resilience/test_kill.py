"""`kill -9` of the hub while publishers write and readers follow: nothing acknowledged is lost, nothing comes twice.

Publishers repeat what was not acknowledged, with the same idempotency key; readers come back
with their last id. At the end each reader's stream must be the whole of its topics.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from echostream.wire import NdjsonDecoder, SseDecoder
from support.servers import ServerProcess, running_hub, wait_until

NOISY = [f"noisy/{number}" for number in range(4)]
PACE = 0.002
"""Seconds between two publications of one publisher: enough to be killed in the middle of many, few enough to check."""


class Peer:
    """A thread that talks to a hub that may die at any moment."""

    def __init__(self, port: int, work: Callable[[], None]) -> None:
        self.port = port
        self.stop = threading.Event()
        self.error: BaseException | None = None
        self._work = work
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while not self.stop.is_set():
            try:
                self._work()
            except (OSError, http.client.HTTPException):
                self.stop.wait(0.02)  # the hub is away
            except BaseException as error:  # noqa: BLE001  shown by the test, not by the thread
                self.error = error
                return

    def end(self) -> None:
        self.stop.set()
        self.thread.join(15)
        assert not self.thread.is_alive()
        if self.error is not None:
            raise self.error


class Publisher(Peer):
    """Publishes numbered events to its topic, and now and then to a quiet one; `acknowledged` maps data to id."""

    def __init__(self, port: int, topic: str) -> None:
        self.topic = topic
        self.acknowledged: dict[str, tuple[str, str]] = {}
        self.number = 0
        super().__init__(port, self.publish)

    def publish(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            while not self.stop.is_set():
                topic = "quiet" if self.number % 50 == 7 else self.topic
                data = f"{self.topic} {self.number}"
                key = {"Idempotency-Key": data, "Content-Type": "text/plain"}
                connection.request("POST", f"/topics/{topic}", data, key)
                response = connection.getresponse()
                answer = json.loads(response.read())
                assert response.status == 201, answer
                self.acknowledged[data] = (topic, answer["id"])
                self.number += 1
                time.sleep(PACE)
        finally:
            connection.close()


class Reader(Peer):
    """Follows a path, coming back with its last id; `seen` are the ids and data in the order they came."""

    def __init__(self, port: int, path: str) -> None:
        self.path = path
        self.last_id = ""
        self.seen: list[tuple[str, str]] = []
        self.verdicts: list[str] = []
        super().__init__(port, self.follow)

    def follow(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", self.path, headers={"Last-Event-ID": self.last_id} if self.last_id else {})
            response = connection.getresponse()
            assert response.status == 200, response.read()
            feed = self.feed_ndjson(NdjsonDecoder()) if "ndjson" in self.path else self.feed_sse(SseDecoder())
            while not self.stop.is_set():
                data = response.read1(65536)
                if not data:
                    return
                feed(data)
        finally:
            connection.close()

    def feed_sse(self, decoder: SseDecoder) -> Callable[[bytes], None]:
        def feed(data: bytes) -> None:
            for message in decoder.feed(data):
                self.last_id = message.last_event_id or self.last_id
                if message.event == "stream-open":
                    self.verdicts.append(json.loads(message.data)["resume"])
                elif message.event.startswith("stream-"):
                    assert message.event == "stream-at", message
                else:
                    text = json.loads(message.data)["data"] if "/stream" in self.path else message.data
                    self.seen.append((message.last_event_id, text))

        return feed

    def feed_ndjson(self, decoder: NdjsonDecoder) -> Callable[[bytes], None]:
        def feed(data: bytes) -> None:
            for line in decoder.feed(data):
                item = json.loads(line)
                self.last_id = item.get("id") or self.last_id
                if item.get("stream") == "open":
                    self.verdicts.append(item["resume"])
                elif "stream" not in item:
                    self.seen.append((item["id"], item["data"]))

        return feed


def offset(place: str) -> int:
    return int(place.split(".")[1])


def run(hub: ServerProcess, rounds: int) -> tuple[list[Publisher], dict[str, Reader]]:
    paths = [
        "/topics/noisy/0",
        "/topics/noisy/1?format=ndjson",
        "/stream?topic=noisy/*",
        "/stream?topic=**",
        "/stream?topic=noisy/2&topic=quiet",
        "/stream?topic=**&format=ndjson",
        "/topics/quiet",
        "/topics/quiet?format=ndjson",
    ]
    readers = {path: Reader(hub.port, path) for path in paths}
    wait_until(lambda: all(reader.verdicts for reader in readers.values()), within=10, what="all readers follow")
    publishers = [Publisher(hub.port, topic) for topic in NOISY]
    chance = random.Random(7)
    for _ in range(rounds):
        time.sleep(chance.uniform(0.15, 0.5))  # the moment of the kill: chance is the point
        hub.kill()
        hub.start()
    for publisher in publishers:
        publisher.end()
    facts = [fact for publisher in publishers for fact in publisher.acknowledged.values()]
    for path, reader in readers.items():
        last = max(offset(place) for topic, place in facts if follows(path, topic))
        wait_until(
            lambda reader=reader, last=last: reader.seen and offset(reader.seen[-1][0]) >= last,
            within=15,
            what=f"the reader of {path} has caught up",
        )
    for reader in readers.values():
        reader.end()
    return publishers, readers


@pytest.mark.soak
@pytest.mark.timeout(120)
def test_nothing_acknowledged_is_lost_and_nothing_comes_twice(tmp_path: Path, soak: bool):
    rounds = 50 if soak else 10
    with running_hub(tmp_path) as hub:
        publishers, readers = run(hub, rounds)
    acknowledged = {data: facts for publisher in publishers for data, facts in publisher.acknowledged.items()}
    by_id = {place: data for data, (_, place) in acknowledged.items()}
    assert len(by_id) == len(acknowledged), "two publications with one id"
    assert len({place.split(".")[0] for place in by_id}) == 1, "at full durability the epoch survives a kill"
    assert sum(topic == "quiet" for topic, _ in acknowledged.values()) > 4
    for path, reader in readers.items():
        offsets = [offset(place) for place, _ in reader.seen]
        assert offsets == sorted(set(offsets)), f"{path}: out of order or twice"
        texts = [text for _, text in reader.seen]
        assert len(texts) == len(set(texts)), f"{path}: one publication came twice"
        mine = {place: data for data, (topic, place) in acknowledged.items() if follows(path, topic)}
        got = dict(reader.seen)
        assert {place: got.get(place) for place in mine} == mine, f"{path}: an acknowledged event is missing or changed"
        # What came beyond the acknowledged is the one event that each publisher was stopped in.
        assert len(got) - len(mine) <= len(publishers)
        assert reader.verdicts[0] == "live"
        assert set(reader.verdicts[1:]) == {"resumed"}
        assert len(reader.verdicts) > rounds // 2


def follows(path: str, topic: str) -> bool:
    if path.startswith("/topics/"):
        return path.removeprefix("/topics/").split("?")[0] == topic
    asked = [part.removeprefix("topic=") for part in path.split("?")[1].split("&") if part.startswith("topic=")]
    return any(ask in ("**", topic) or (ask == "noisy/*" and topic.startswith("noisy/")) for ask in asked)
