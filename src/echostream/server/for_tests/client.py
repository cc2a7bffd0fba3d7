"""StreamingClient: subscribes over HTTP from a thread of its own, so that a test can wait for what comes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import msgspec

from ...client import Backoff, subscribe
from ...event import Event
from ...wire import Control, StreamGap, StreamOpen

__all__ = ["StreamingClient", "WatchedStream"]

WITHIN = 5.0
"""Seconds that each wait may take."""

SHOWN = 20
"""Events that a failure shows."""

Wanted = Callable[[Event], object] | str | int | float | bool | list[Any] | dict[str, Any] | None


class StreamingClient:
    """Subscribes to the hub at `url`. `on_close` makes connections end that wait in silence: it cuts them."""

    def __init__(self, url: str, *, on_close: Callable[[], object]) -> None:
        self._url = url
        self._on_close = on_close
        self._streams: list[WatchedStream] = []

    def subscribe(
        self, *topics: str, since: str = "latest", last_event_id: str | None = None, within: float = WITHIN
    ) -> WatchedStream:
        """The stream of these topics or patterns; returns once it is open. It comes back and resumes by itself.

        Raises `AssertionError` when it is not open within so many seconds, and what `echostream.client.subscribe`
        raises at once.
        """
        url = f"{self._url}/stream?{urlencode([('topic', topic) for topic in topics])}"
        stream = WatchedStream(url, since=since, last_event_id=last_event_id)
        self._streams.append(stream)
        stream.wait_until_open(within=within)
        return stream

    def close(self) -> None:
        """Leave all streams."""
        for stream in self._streams:
            stream.stop()
        self._on_close()
        for stream in self._streams:
            stream.join()


class _Stopped(Exception):
    """The test is over."""


class WatchedStream:
    """One subscription. `events` is all that has come, `gaps` what was lost, `opened` how often it connected."""

    def __init__(self, url: str, *, since: str, last_event_id: str | None) -> None:
        self.events: list[Event] = []
        self.gaps: list[StreamGap] = []
        self.opened = 0
        self._seen = 0
        self._notes: list[str] = []
        self._stopping = False
        self._error: Exception | None = None
        self._changed = threading.Condition()
        self._source = subscribe(
            url,
            since=since,
            last_event_id=last_event_id,
            on_control=self._hear,
            on_retry=self._retry,
            backoff=Backoff(first=0.05, cap=0.2),
        )
        self._thread = threading.Thread(target=self._run, name="echostream-stream", daemon=True)
        self._thread.start()

    def wait_for_event(self, wanted: Wanted, *, within: float = WITHIN) -> Event:
        """The next event that is `wanted`: its text, its JSON value, or a function that tells.

        Events before it are passed over; the next call looks behind it. Raises `AssertionError` with
        what was seen when none comes within so many seconds, or when the stream ends.
        """
        begin = self._seen
        with self._changed:
            self._wait(lambda: self._find(wanted), within, f"no event {_shown(wanted)}", begin)
            return self.events[self._seen - 1]

    def wait_until_open(self, times: int = 1, *, within: float = WITHIN) -> None:
        """Return when it has been opened so many times: 2 is the first time that it came back."""
        with self._changed:
            self._wait(lambda: self.opened >= times, within, f"not opened {times} times", self._seen)

    def stop(self) -> None:
        """Leave at the next sign of life."""
        self._stopping = True

    def join(self) -> None:
        """Wait for its thread. Raises `AssertionError` when it does not end."""
        self._thread.join(10)
        if self._thread.is_alive():
            raise AssertionError("the stream's thread did not end")

    def _wait(self, condition: Callable[[], bool], within: float, what: str, begin: int) -> None:
        end = time.monotonic() + within
        while not condition():
            left = end - time.monotonic()
            if left <= 0 or not self._thread.is_alive():
                raise AssertionError(f"{what} within {within:g} s; {self._told(begin)}") from self._error
            self._changed.wait(min(left, 0.1))  # a thread that ends for good tells nobody

    def _find(self, wanted: Wanted) -> bool:
        while self._seen < len(self.events):
            event = self.events[self._seen]
            self._seen += 1
            if _is(event, wanted):
                return True
        return False

    def _told(self, begin: int) -> str:
        seen = [f"{event.topic}: {event.data}"[:200] for event in self.events[begin:]]
        text = "nothing came" if not seen else f"what came ({len(seen)}): {seen[-SHOWN:]}"
        notes = f"; besides: {self._notes[-5:]}" if self._notes else ""
        return (
            text + notes + ("" if self._thread.is_alive() else f"; the stream has ended: {self._error or 'for good'}")
        )

    # -- in its thread

    def _run(self) -> None:
        try:
            for event in self._source:
                with self._changed:
                    self.events.append(event)
                    self._changed.notify_all()
                self._check_stop()
        except _Stopped:
            pass
        except Exception as error:  # noqa: BLE001  the test's next wait raises it
            self._error = error
        finally:
            self._source.close()

    def _hear(self, control: Control) -> None:
        self._check_stop()
        with self._changed:
            if isinstance(control, StreamOpen):
                self.opened += 1
                self._notes.append(f"opened ({control.resume})")
            elif isinstance(control, StreamGap):
                self.gaps.append(control)
                self._notes.append(f"gap ({control.reason})")
            self._changed.notify_all()

    def _retry(self, why: str, _seconds: float) -> None:
        self._check_stop()
        with self._changed:
            self._notes.append(why)

    def _check_stop(self) -> None:
        if self._stopping:
            raise _Stopped


def _is(event: Event, wanted: Wanted) -> bool:
    if callable(wanted):
        return bool(wanted(event))
    if isinstance(wanted, str) and not event.json:
        return event.data == wanted
    return event.json and event.data is not None and msgspec.json.decode(event.data) == wanted


def _shown(wanted: Wanted) -> str:
    return getattr(wanted, "__qualname__", repr(wanted)) if callable(wanted) else repr(wanted)
