"""Native `EventSource` on a real hub: when it comes back, when it stops, and that it loses nothing.

The browser's rules (WHATWG HTML, 9.2.3): it comes back after every end of a 200, stops for good at any other
status, and sends the last id it was given.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Request

from support.browser import Publisher, numbers, publish
from support.servers import ServerProcess, running_hub, wait_until

FOLLOW = """
(path) => {
  const told = window.told = { opens: 0, events: [], controls: [], errors: [] };
  const source = window.source = new EventSource(path);
  source.onopen = () => { told.opens += 1; };
  source.onerror = () => told.errors.push([performance.now(), source.readyState]);
  source.onmessage = (event) => told.events.push(event.data);
  for (const name of ["open", "gap", "error", "end", "at"]) {
    source.addEventListener("stream-" + name, (event) => {
      told.controls.push({ name, id: event.lastEventId, at: performance.now(), ...JSON.parse(event.data) });
    });
  }
}
"""
CONNECTING, OPEN, CLOSED = 0, 1, 2


class Source:
    """An `EventSource` in a page, and the requests that it made."""

    def __init__(self, page: Page, hub: ServerProcess, path: str) -> None:
        self._page = page
        self.requests: list[Request] = []
        page.goto(f"{hub.url}/static/mark.svg")
        page.on("request", lambda request: self.requests.append(request) if path in request.url else None)
        page.evaluate(FOLLOW, path)

    @property
    def told(self) -> dict[str, Any]:
        told: dict[str, Any] = self._page.evaluate("window.told")
        return told

    @property
    def state(self) -> int:
        state: int = self._page.evaluate("window.source.readyState")
        return state

    def controls(self, name: str) -> list[dict[str, Any]]:
        return [control for control in self.told["controls"] if control["name"] == name]

    def wait(self, condition: str, *, within: float = 20) -> None:
        """Until a JavaScript condition over `told` and `source` holds."""
        self._page.wait_for_function(
            f"() => {{ const {{ told, source }} = window; return {condition}; }}", timeout=within * 1000
        )

    def last_id_of(self, request: Request) -> str | None:
        return request.all_headers().get("last-event-id")


@contextmanager
def hub_with(folder: Path, *, log: str | None = None, **settings: float) -> Iterator[ServerProcess]:
    folder.mkdir(exist_ok=True)
    env = {f"ECHOSTREAM_{name.upper()}": str(value) for name, value in settings.items()}
    with running_hub(folder, log=log, env=env) as hub:
        yield hub


@contextmanager
def away(hub: ServerProcess, folder: Path, *, log: str | None = None) -> Iterator[ServerProcess]:
    """Kill `hub`, yield another on the same log and another port, start `hub` again: nobody can be back too early."""
    hub.kill()
    with hub_with(folder, log=log) as elsewhere:
        yield elsewhere
    hub.start()


def test_it_comes_back_after_each_deadline_and_loses_nothing(page: Page, tmp_path: Path) -> None:
    with hub_with(tmp_path, streams__deadline=0.5, streams__retry=0.2) as hub:
        source = Source(page, hub, "/topics/ticks")
        source.wait("told.opens === 1")
        with Publisher(hub, "ticks", count=150) as publisher:
            publisher.finish()
        source.wait("told.events.length >= 150")
        assert source.told["events"] == numbers(150)
        ends = source.controls("end")
        assert len(ends) >= 2
        assert {end["reason"] for end in ends} == {"deadline"}
        assert {opened["resume"] for opened in source.controls("open")[1:]} == {"resumed"}
        # each return names the position that the stream ended at
        asked = [source.last_id_of(request) for request in source.requests[1 : len(ends) + 1]]
        assert asked == [end["id"] for end in ends[: len(asked)]]


def test_it_comes_back_after_a_drain_and_loses_nothing(page: Page, tmp_path: Path) -> None:
    with hub_with(tmp_path, streams__retry=0.3) as hub:
        source = Source(page, hub, "/topics/ticks")
        source.wait("told.opens === 1")
        with Publisher(hub, "ticks", count=120) as publisher:
            source.wait("told.events.length > 10")
            assert hub.terminate() == 0
            hub.start()
            publisher.finish()
        source.wait("told.events.length >= 120")
        assert source.told["events"] == numbers(120)
        assert [end["reason"] for end in source.controls("end")] == ["drain"]
        assert [opened["resume"] for opened in source.controls("open")] == ["live", "resumed"]


def test_it_comes_back_after_kill_9_and_loses_nothing(page: Page, tmp_path: Path) -> None:
    with hub_with(tmp_path, streams__retry=0.3) as hub:
        source = Source(page, hub, "/topics/ticks")
        source.wait("told.opens === 1")
        with Publisher(hub, "ticks", count=120) as publisher:
            for _ in range(2):
                seen = len(source.told["events"])
                source.wait(f"told.events.length > {seen + 5}")
                hub.kill()
                hub.start()
            publisher.finish()
        source.wait("told.events.length >= 120")
        assert source.told["events"] == numbers(120)


def test_many_topics_in_envelopes_go_on_just_the_same(page: Page, tmp_path: Path) -> None:
    with hub_with(tmp_path, streams__deadline=0.5, streams__retry=0.2) as hub:
        source = Source(page, hub, "/stream?topic=a&topic=b/*")
        source.wait("told.opens === 1")
        with Publisher(hub, "a", count=60) as first, Publisher(hub, "b/c", count=60) as second:
            first.finish()
            second.finish()
        source.wait("told.events.length >= 120")
        envelopes = page.evaluate("told.events.map((text) => JSON.parse(text))")
        for topic in ("a", "b/c"):
            assert [envelope["data"] for envelope in envelopes if envelope["topic"] == topic] == numbers(60)


def test_a_finished_topic_is_read_to_its_end_and_then_left_in_peace(page: Page, tmp_path: Path) -> None:
    with hub_with(tmp_path, streams__retry=0.2) as hub:
        source = Source(page, hub, "/topics/story?since=earliest")
        source.wait("told.opens === 1")
        for part in ("one", "two"):
            publish(hub, "story", part)
        publish(hub, "story", "the end", end=1)
        source.wait("source.readyState === EventSource.CLOSED")
        assert source.told["events"] == ["one", "two", "the end"]
        assert [end["reason"] for end in source.controls("end")] == ["finished"]
        assert len(source.requests) == 2
        stopped = source.requests[1].response()
        assert stopped is not None
        assert stopped.status == 204
        # With 0.2 s between attempts a source that had not stopped would be seen to come back.
        page.wait_for_timeout(1500)
        assert len(source.requests) == 2
        assert source.state == CLOSED


def test_a_topic_that_was_finished_before_is_read_and_left(page: Page, tmp_path: Path) -> None:
    with hub_with(tmp_path, streams__retry=0.2) as hub:
        publish(hub, "story", "one")
        publish(hub, "story", "the end", end=1)
        source = Source(page, hub, "/topics/story?since=earliest")
        source.wait("source.readyState === EventSource.CLOSED")
        assert source.told["events"] == ["one", "the end"]
        assert len(source.requests) == 2


def test_the_reconnection_time_is_the_hub_s(page: Page, tmp_path: Path) -> None:
    # Chromium's own is 3 s. Ours is jittered by half, so 0.2 is at most 0.3 s, and 2 is at least 1 s.
    for retry, least, most in ((0.2, 0.1, 1.0), (2.0, 0.95, 3.9)):
        with hub_with(tmp_path / str(retry), streams__deadline=0.3, streams__retry=retry) as hub:
            source = Source(page, hub, "/topics/idle")
            source.wait("told.controls.filter((c) => c.name === 'open').length >= 2")
            ended = source.controls("end")[0]["at"]
            reopened = source.controls("open")[1]["at"]
            assert least <= (reopened - ended) / 1000 <= most
            page.evaluate("source.close()")


def test_a_hub_that_is_full_is_tried_again_until_it_is_not(page: Page, tmp_path: Path) -> None:
    with hub_with(tmp_path, limits__connections=1) as hub:
        with socket.create_connection(("127.0.0.1", hub.port)) as occupant:
            occupant.sendall(b"GET /topics/full HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n")
            assert occupant.recv(1024).startswith(b"HTTP/1.1 200")
            source = Source(page, hub, "/topics/full")
            source.wait("told.controls.length === 1")
            (refusal,) = source.controls("error")
            assert refusal["code"] == "too-many-connections"
            answer = source.requests[0].response()
            assert answer is not None
            assert answer.status == 200
            assert source.state != CLOSED
        source.wait("told.controls.some((control) => control.name === 'open')")
        publish(hub, "full", "there is room now")
        source.wait("told.events.length === 1")
        assert source.controls("open")[0]["at"] - refusal["at"] > 1000  # it was told to wait


def test_a_refusal_for_good_stops_it(page: Page, tmp_path: Path) -> None:
    with hub_with(tmp_path) as hub:
        source = Source(page, hub, "/topics/x?since=nonsense")
        source.wait("source.readyState === EventSource.CLOSED")
        answer = source.requests[0].response()
        assert answer is not None
        assert answer.status == 400
        assert len(source.requests) == 1


def test_a_reader_cut_before_its_first_event_loses_nothing(page: Page, tmp_path: Path) -> None:
    with hub_with(tmp_path, streams__retry=0.3) as hub:
        publish(hub, "quiet", "before it came")
        source = Source(page, hub, "/topics/quiet")
        source.wait("told.controls.length === 1")
        start = source.controls("open")[0]
        assert start["id"] == start["from"]
        assert re.fullmatch(r"[a-z0-9]+\.1", start["id"])
        with away(hub, tmp_path) as elsewhere:
            publish(elsewhere, "quiet", "while it was away")
        source.wait("told.events.length === 1")
        assert source.told["events"] == ["while it was away"]
        assert source.controls("open")[-1]["resume"] == "resumed"
        assert source.last_id_of(source.requests[-1]) == start["id"]


def test_a_gap_is_told_in_words_it_can_read(page: Page, tmp_path: Path) -> None:
    log = f"sqlite:///{tmp_path / 'small.db'}?max_bytes=20000"
    with hub_with(tmp_path, log=log, streams__retry=0.3) as hub:
        publish(hub, "short", "before it came")
        source = Source(page, hub, "/topics/short")
        source.wait("told.controls.length === 1")
        start = source.controls("open")[0]["id"]
        with away(hub, tmp_path, log=log) as elsewhere:
            publish(elsewhere, "short", "trimmed before it is back")
            for _ in range(60):
                publish(elsewhere, "filler", "x" * 1000)
            publish(elsewhere, "short", "kept")
        source.wait("told.events.length === 1")
        assert source.told["events"] == ["kept"]
        assert source.controls("open")[-1]["resume"] == "gap"
        (gap,) = source.controls("gap")
        assert (gap["after"], gap["reason"]) == (start, "trimmed")


def test_another_log_is_told_as_a_reset(page: Page, tmp_path: Path) -> None:
    with hub_with(tmp_path, log="memory://", streams__retry=0.4) as hub:
        source = Source(page, hub, "/topics/short")
        source.wait("told.opens === 1")
        publish(hub, "short", "of the first log")
        source.wait("told.events.length === 1")
        hub.kill()
        hub.start()
        publish(hub, "short", "of the second")
        source.wait("told.events.length === 2")
        assert source.controls("open")[-1]["resume"] == "reset"
        assert [gap["reason"] for gap in source.controls("gap")] == ["reset"]


def test_the_position_moves_past_what_is_not_for_the_reader(page: Page, tmp_path: Path) -> None:
    with hub_with(tmp_path, streams__heartbeat=0.3, streams__retry=0.2) as hub:
        source = Source(page, hub, "/topics/quiet")
        source.wait("told.opens === 1")
        last = [publish(hub, "noisy", str(number)) for number in range(20)][-1]
        source.wait(f"told.controls.some((control) => control.name === 'at' && control.id === {last!r})")
        hub.kill()
        hub.start()
        source.wait("told.opens === 2")
        assert source.controls("open")[-1]["from"] == last
        assert source.told["events"] == []


def test_killed_again_and_again_it_still_ends_up_live_and_in_order(page: Page, tmp_path: Path) -> None:
    with hub_with(tmp_path, streams__retry=0.2) as hub:
        source = Source(page, hub, "/topics/ticks")
        source.wait("told.opens === 1")
        for number in range(1, 4):
            publish(hub, "ticks", str(number))
            hub.kill()
            hub.start()
        wait_until(lambda: source.told["events"] == numbers(3), within=20, what="all three events")
        assert source.state in (CONNECTING, OPEN)


def test_time_is_not_lost_between_publish_and_show(page: Page, tmp_path: Path) -> None:
    with hub_with(tmp_path) as hub:
        source = Source(page, hub, "/topics/swift")
        source.wait("told.opens === 1")
        publish(hub, "swift", "warm")
        source.wait("told.events.length === 1")
        began = time.monotonic()
        publish(hub, "swift", "now")
        source.wait("told.events.length === 2")
        assert time.monotonic() - began < 1
