"""Publish over HTTP until it is acknowledged: nothing lost, and nothing twice.

Each publication has an idempotency key. When the answer is lost the same request is sent
again with the same key: a hub that had appended it answers the first receipt.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import msgspec

from ..event import Event
from ..exceptions import DecodeError, InvalidEvent, InvalidInput, RequestRefused, Unacknowledged
from ..topic import check_topic
from ..wire import batch_line
from .http import check_hub_url, fits_header, http_library, new_client, read_answer, refusal, told, with_query
from .reconnect import Backoff, Verdict, retry_after_seconds, verdict

if TYPE_CHECKING:
    import httpx2

__all__ = ["DEFAULT_URL", "REPEAT_SECONDS", "Publisher", "Receipt"]

DEFAULT_URL = "http://127.0.0.1:8800"

REPEAT_SECONDS = 540.0
"""How long a publication may be repeated that may have happened: a hub keeps its key for 600 s."""

# Refusals after which the publication certainly did not happen. Any other 5xx, a proxy's 502
# among them, may hide an append that was acknowledged to nobody.
_CERTAIN = ("draining", "log-full", "too-many")


class Receipt(NamedTuple):
    """What was acknowledged: the positions in order (none for ephemeral events), and how durably."""

    ids: tuple[str, ...]
    topic: str
    durability: str


class _Told(msgspec.Struct):
    topic: str
    durability: str
    id: str | None = None
    ids: tuple[str, ...] = ()


class _Body(NamedTuple):
    content: bytes
    media_type: str | None


class _Request(NamedTuple):
    url: str
    content: bytes
    headers: dict[str, str]
    repeatable: bool


class Publisher:
    """Publishes to one hub over one kept connection. For one thread; a context manager.

    `timeout` is for one try, in seconds. While the hub cannot be reached or is not ready, a
    publication waits: for ever, or for `give_up_after` seconds. `on_retry(why, seconds)` is
    called before each wait.

    Publishing raises `RequestRefused` with the problem that the hub told (4xx), `Unacknowledged` when
    waiting ended or repeating is no longer safe, `InvalidTopic`, `InvalidEvent`, and `DecodeError`
    for an acknowledgement that is no hub's.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
        give_up_after: float | None = None,
        on_retry: Callable[[str, float], None] | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self.url = check_hub_url(url)
        self._give_up_after = give_up_after
        self._on_retry = on_retry
        self._backoff = backoff or Backoff()
        self._http = http_library()
        self._client = new_client(url, timeout=timeout, headers=dict(headers or {}))

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. Idempotent."""
        self._client.close()

    def publish(
        self,
        topic: str,
        data: Any,
        *,
        event: str | None = None,
        key: str | None = None,
        end: bool = False,
        ephemeral: bool = False,
        idempotency_key: str | None = None,
    ) -> Receipt:
        """Publish one event: a `str` as text, an `Event`'s data and fields, anything else as JSON."""
        given = {"event": event, "key": key}
        one = Event.of(data, **{name: value for name, value in given.items() if value is not None})
        if not one.data:
            raise InvalidEvent("data", "is empty; give the event some data")
        media_type = "application/json" if one.json else "text/plain; charset=utf-8"
        query = {"event": one.event, "key": one.key, "end": "1" if end or one.end else None}
        return self._send(topic, query, _Body(one.data.encode(), media_type), ephemeral, idempotency_key)

    def publish_batch(
        self, topic: str, events: Iterable[Any], *, ephemeral: bool = False, idempotency_key: str | None = None
    ) -> Receipt:
        """Publish many events (as `publish` takes them), all or none; a hub takes 1,000 and 1 MiB."""
        body = b"".join(batch_line(Event.of(event)) for event in events)
        if not body:
            raise InvalidEvent("batch", "is empty")
        return self.publish_lines(topic, body, ephemeral=ephemeral, idempotency_key=idempotency_key)

    def publish_lines(
        self, topic: str, body: bytes, *, ephemeral: bool = False, idempotency_key: str | None = None
    ) -> Receipt:
        """Publish a batch that is encoded already: the lines of `wire.batch_line`."""
        return self._send(topic, {}, _Body(body, "application/x-ndjson"), ephemeral, idempotency_key)

    def end(self, topic: str, *, idempotency_key: str | None = None) -> Receipt:
        """Finish a topic: its readers end in peace, publishing to it is refused from now on."""
        return self._send(topic, {"end": "1"}, _Body(b"", None), False, idempotency_key)

    def _send(self, topic: str, query: dict[str, str | None], body: _Body, ephemeral: bool, key: str | None) -> Receipt:
        headers = {"accept": "application/json, application/problem+json"}
        if body.media_type is not None:
            headers["content-type"] = body.media_type
        if key is not None and not fits_header(key):
            raise InvalidInput("idempotency_key", "has a character that is not printable ASCII")
        if not ephemeral:  # nothing is kept of those to compare a key with
            headers["idempotency-key"] = key or secrets.token_hex(16)
        query = {**query, "ephemeral": "1" if ephemeral else None}
        url = with_query(f"{self.url}/topics/{quote(check_topic(topic), safe='/')}", **query)
        return self._until_acknowledged(_Request(url, body.content, headers, repeatable=not ephemeral))

    def _until_acknowledged(self, request: _Request) -> Receipt:
        started = time.monotonic()
        unsure_since: float | None = None
        while True:
            tried = time.monotonic()
            answer = self._try(request)
            if isinstance(answer, Receipt):
                self._backoff.succeeded()
                return answer
            if answer.unsure and unsure_since is None:
                unsure_since = tried
            now = time.monotonic()
            wait = self._backoff.wait(now, retry_after=answer.retry_after)
            self._check_patience(answer.why, request, now + wait, started, unsure_since)
            if self._on_retry is not None:
                self._on_retry(answer.why, wait)
            time.sleep(wait)

    def _check_patience(
        self, why: str, request: _Request, next_try: float, started: float, unsure_since: float | None
    ) -> None:
        uncertain = unsure_since is not None
        if unsure_since is not None:
            if not request.repeatable:
                raise Unacknowledged(f"{why}; an ephemeral event is not sent twice", uncertain=True)
            if next_try - unsure_since > REPEAT_SECONDS:
                minutes = round(REPEAT_SECONDS / 60)
                raise Unacknowledged(
                    f"{why}; tried for {minutes} minutes, and repeating it could now publish it twice", uncertain=True
                )
        if self._give_up_after is not None and next_try - started > self._give_up_after:
            raise Unacknowledged(f"{why}; given up after {self._give_up_after:g} s", uncertain=uncertain)

    def _try(self, request: _Request) -> Receipt | _Failure:
        http = self._http
        try:
            with self._client.stream("POST", request.url, content=request.content, headers=request.headers) as response:
                body = read_answer(response)
                return _receipt(body) if 200 <= response.status_code <= 299 else _failure(response, body)
        except (http.InvalidURL, http.LocalProtocolError, http.UnsupportedProtocol) as error:
            raise InvalidInput("request", told(error)) from None
        except (http.ConnectError, http.ConnectTimeout, http.PoolTimeout) as error:
            return _Failure(told(error), unsure=False)
        except http.RequestError as error:
            return _Failure(told(error), unsure=True)


class _Failure(NamedTuple):
    """A try that may be repeated. `unsure`: it may have happened all the same."""

    why: str
    unsure: bool
    retry_after: float | None = None


def _receipt(body: bytes) -> Receipt:
    try:
        found = msgspec.json.decode(body, type=_Told)
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise DecodeError(f"the answer is no hub's acknowledgement: {error}") from None
    return Receipt((found.id,) if found.id is not None else found.ids, found.topic, found.durability)


def _failure(response: httpx2.Response, body: bytes) -> _Failure:
    refused: RequestRefused = refusal(response, body)
    if verdict(response.status_code) is not Verdict.AGAIN:
        raise refused
    unsure = response.status_code >= 500 and not refused.code.startswith(_CERTAIN)
    return _Failure(str(refused), unsure, retry_after_seconds(response.headers.get("retry-after"), time.time()))
