"""Subscribe from plain Python: a generator that comes back by itself and continues where it was.

for event in subscribe("http://127.0.0.1:8800/topics/orders/eu"):
    print(event.id, event.data)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING

from ..event import Event
from ..exceptions import DecodeError, InvalidInput
from ..wire import Control, StreamEnd, StreamError
from .http import check_url, fits_header, http_library, new_client, read_answer, refusal, told, with_query
from .lines import Format, NdjsonLines, SseLines, lines_for
from .reconnect import Backoff, Verdict, ends_for_good, retry_after_seconds, verdict

if TYPE_CHECKING:
    import httpx2

__all__ = ["CONNECT_TIMEOUT", "READ_TIMEOUT", "subscribe"]

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 45.0
"""Seconds without a byte after which a connection is taken for dead: three heartbeats."""


def subscribe(
    url: str,
    *,
    since: str | None = None,
    last_event_id: str | None = None,
    format: Format = "sse",
    headers: Mapping[str, str] | None = None,
    on_control: Callable[[Control], None] | None = None,
    on_retry: Callable[[str, float], None] | None = None,
    read_timeout: float = READ_TIMEOUT,
    backoff: Backoff | None = None,
) -> Generator[Event, None, None]:
    """The events of a hub's stream, across as many connections as it takes.

    `url` is the stream's: `http://host/topics/a` or `http://host/stream?topic=a&topic=b/*`. It
    starts after `last_event_id`, else at `since` (latest, earliest, a position, `10m`, `-20`).
    The generator ends when the stream is finished for good; close it to leave before.

    `on_control` hears what the stream says about itself: `StreamOpen` at each connection,
    `StreamGap` when events are lost, `StreamError`, `StreamEnd`. `on_retry(why, seconds)` is
    called before each wait.

    Raises `RequestRefused` for an answer that will not change (4xx), `DecodeError` for a body
    that is no hub's, `InvalidInput` for an unusable `url` or id, `ModuleNotFoundError` without
    the extra `client`. All but the first two at once, not at the first event.
    """
    if last_event_id is not None and not fits_header(last_event_id):
        raise InvalidInput("last_event_id", "has a character that a position does not have")
    if since is not None and not fits_header(since):
        raise InvalidInput("since", "has a character that no start has")
    reader = _Reader(check_url(url), since, last_event_id or "", format)
    reader.headers = dict(headers or {})
    reader.on_control, reader.on_retry = on_control, on_retry
    reader.read_timeout = read_timeout
    reader.backoff = backoff or Backoff()
    http_library()
    return reader.events()


class _Reader:
    """One subscription: its position lives here, connections come and go."""

    headers: dict[str, str]
    on_control: Callable[[Control], None] | None
    on_retry: Callable[[str, float], None] | None
    read_timeout: float
    backoff: Backoff

    def __init__(self, url: str, since: str | None, position: str, format: Format) -> None:
        self.url = url
        self.since = since
        self.position = position
        self.format: Format = format
        self.retry = 0.0
        self.retry_after: float | None = None
        self.why = ""
        self.over = False

    def events(self) -> Generator[Event, None, None]:
        http = http_library()
        timeout = http.Timeout(CONNECT_TIMEOUT, read=self.read_timeout)
        with new_client(self.url, timeout=timeout, follow_redirects=True) as client:
            while True:
                self.retry_after, self.why = None, "the stream ended"
                try:
                    with client.stream("GET", self._target(), headers=self._headers()) as response:
                        yield from self._connection(response)
                except (http.InvalidURL, http.LocalProtocolError, http.UnsupportedProtocol) as error:
                    raise InvalidInput("request", told(error)) from None  # it would fail each time
                except http.RequestError as error:
                    self.why = told(error)
                if self.over:
                    return
                wait = self.backoff.wait(time.monotonic(), floor=self.retry, retry_after=self.retry_after)
                if self.on_retry is not None:
                    self.on_retry(self.why, wait)
                time.sleep(wait)

    def _target(self) -> str:
        envelope = "1" if self.format == "sse" else None
        return with_query(self.url, since=None if self.position else self.since, envelope=envelope)

    def _headers(self) -> dict[str, str]:
        # More than the stream's own type: so a hub knows that we can read a real status,
        # and does not wrap its refusals for native EventSource.
        accept = f"{lines_for(self.format, '').media_type}, application/problem+json"
        headers = {"accept": accept, "accept-encoding": "identity", "cache-control": "no-store"}
        if self.position:
            if not fits_header(self.position):
                raise DecodeError("the stream's last id is not of printable ASCII: no header can carry it back")
            headers["last-event-id"] = self.position
        return headers | self.headers

    def _connection(self, response: httpx2.Response) -> Generator[Event, None, None]:
        decided = verdict(response.status_code)
        if decided is Verdict.ENDED:
            self.over = True
        elif decided is Verdict.STREAM:
            yield from self._stream(response)
        else:
            refused = refusal(response, read_answer(response))
            if decided is Verdict.GIVE_UP:
                raise refused
            self.why = str(refused)
            self.retry_after = retry_after_seconds(response.headers.get("retry-after"), time.time())

    def _stream(self, response: httpx2.Response) -> Generator[Event, None, None]:
        lines = lines_for(self.format, self.position)
        media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != lines.media_type:
            raise DecodeError(
                f"the answer is {media_type or 'of no type'}, not {lines.media_type}: is this a hub's stream?"
            )
        self.backoff.opened(time.monotonic())
        for data in response.iter_bytes():
            yield from self._take(lines, data)
            if self.over:
                return

    def _take(self, lines: SseLines | NdjsonLines, data: bytes) -> Generator[Event, None, None]:
        received = lines.feed(data)
        if lines.retry is not None:
            self.retry = lines.retry
        for item, position in received:
            self.position = position
            if isinstance(item, Event):
                yield item
            else:
                self._hear(item)
        self.position = lines.position

    def _hear(self, control: Control) -> None:
        if isinstance(control, StreamEnd):
            self.why = f"the stream ended ({control.reason})"
            self.over = ends_for_good(control.reason)
        elif isinstance(control, StreamError):
            self.why = f"{control.message} ({control.code})"
        if self.on_control is not None:
            self.on_control(control)
