"""Publishing against a server that misbehaves in every way that a network can."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from echostream.client import Backoff, Publisher, Receipt
from echostream.event import Event
from echostream.exceptions import DecodeError, InvalidEvent, InvalidInput, InvalidTopic, RequestRefused, Unacknowledged
from support.scripted import CUT, Answer, problem, receipt, scripted, sse
from support.servers import free_port

QUICK = {"first": 0.01, "cap": 0.05}


class Heard:
    """Collects what `on_retry` is told."""

    def __init__(self) -> None:
        self.why: list[str] = []
        self.waits: list[float] = []

    def __call__(self, why: str, wait: float) -> None:
        self.why.append(why)
        self.waits.append(wait)


def test_one_event() -> None:
    with (
        scripted(receipt("k.1"), receipt("k.2"), receipt("k.3"), receipt("k.4")) as server,
        Publisher(server.url) as hub,
    ):
        assert hub.publish("a/b c", "te\nxt", event="e", key="k&=") == Receipt(("k.1",), "t", "full")
        hub.publish("t", {"a": [1, None]})
        hub.publish("t", Event.from_json('{"b": 1.00}', event="x"), end=True)
        hub.end("t")
    first, second, third, fourth = server.requests
    assert (first.method, first.target, first.body) == ("POST", "/topics/a/b%20c?event=e&key=k%26%3D", b"te\nxt")
    assert first.headers["content-type"] == "text/plain; charset=utf-8"
    assert (second.target, second.headers["content-type"], second.body) == (
        "/topics/t",
        "application/json",
        b'{"a":[1,null]}',
    )
    assert (third.target, third.body) == ("/topics/t?event=x&end=1", b'{"b": 1.00}')
    assert (fourth.target, fourth.body) == ("/topics/t?end=1", b"")
    assert "content-type" not in fourth.headers
    assert len({request.headers["idempotency-key"] for request in server.requests}) == 4


def test_a_batch() -> None:
    with scripted(receipt("k.1", "k.2")) as server, Publisher(server.url + "/") as hub:
        answer = hub.publish_batch("t", ["a\nb", Event.from_json('{\n"a":1}', key="k")], idempotency_key="mine")
    assert answer.ids == ("k.1", "k.2")
    assert server.requests[0].headers["content-type"] == "application/x-ndjson"
    assert server.requests[0].headers["idempotency-key"] == "mine"
    assert server.requests[0].body == b'{"data":"a\\nb"}\n{"data":{"a":1},"key":"k"}\n'


@pytest.mark.parametrize(
    "failures",
    [
        [CUT],
        [b"HTTP/1.1 201 Created\r\nContent-Len"],
        [receipt("k.9")[:-10]],
        [problem("503 Service Unavailable", "draining", "later", "Retry-After: 0")],
        [problem("503 Service Unavailable", "log-unavailable", "later")],
        [problem("507 Insufficient Storage", "log-full", "no room")],
        [
            problem(
                "429 Too Many Requests",
                "too-many-from-address",
                "slow down",
                f"Retry-After: {formatdate(0, usegmt=True)}",
            )
        ],
        [sse(b"<h1>bad gateway</h1>", media_type="text/html").replace(b"200 OK", b"502 Bad Gateway")],
        [CUT, CUT, problem("500 Internal Server Error", "error", "oh"), CUT],
    ],
    ids=["reset", "cut head", "cut receipt", "draining", "unavailable", "full", "busy", "proxy", "all"],
)
def test_the_same_request_is_repeated_until_it_is_acknowledged(failures: list[Answer]) -> None:
    heard = Heard()
    with scripted(*failures, receipt("k.1")) as server:
        with Publisher(server.url, backoff=Backoff(**QUICK), on_retry=heard) as hub:
            assert hub.publish("t", "a", event="e").ids == ("k.1",)
    assert len(server.requests) == len(failures) + 1
    assert len({(r.target, r.body, r.headers["idempotency-key"]) for r in server.requests}) == 1
    assert len(heard.why) == len(failures)
    assert all(heard.why)


def test_retry_after_is_waited_for() -> None:
    heard = Heard()
    with scripted(problem("503 Service Unavailable", "draining", "later", "Retry-After: 1"), receipt("k.1")) as server:
        with Publisher(server.url, backoff=Backoff(**QUICK), on_retry=heard) as hub:
            hub.publish("t", "a")
    assert heard.waits[0] >= 1
    assert heard.why == ["later (503, draining)"]


@pytest.mark.parametrize(
    ("status", "code"),
    [("400 Bad Request", "invalid-event"), ("403 Forbidden", "topic-reserved"), ("409 Conflict", "topic-finished"),
     ("413 Content Too Large", "too-large"), ("422 Unprocessable Content", "idempotency-conflict")],
)  # fmt: skip
def test_a_refusal_is_told_and_not_repeated(status: str, code: str) -> None:
    with scripted(problem(status, code, "event: LF is not allowed")) as server, Publisher(server.url) as hub:
        with pytest.raises(RequestRefused, match="LF is not allowed") as caught:
            hub.publish("t", "a")
    assert (caught.value.status, caught.value.code) == (int(status[:3]), code)
    assert len(server.requests) == 1


def test_a_server_that_is_no_hub() -> None:
    page = sse(b"<html>", media_type="text/html")
    with scripted(page, page.replace(b"200 OK", b"404 Not Found")) as server, Publisher(server.url) as hub:
        with pytest.raises(DecodeError, match="no hub's acknowledgement"):
            hub.publish("t", "a")
        with pytest.raises(RequestRefused, match="the answer was 404"):
            hub.publish("t", "a")


def test_giving_up_says_whether_it_may_have_happened() -> None:
    with Publisher(f"http://127.0.0.1:{free_port()}", give_up_after=0.05, backoff=Backoff(**QUICK)) as hub:
        with pytest.raises(Unacknowledged, match=r"given up after 0\.05 s") as caught:
            hub.publish("t", "a")
        assert not caught.value.uncertain  # nobody listened: it certainly did not
    with scripted(*[CUT] * 100) as server:
        with Publisher(server.url, give_up_after=0.05, backoff=Backoff(**QUICK)) as hub:
            with pytest.raises(Unacknowledged) as caught:
                hub.publish("t", "a")
            assert caught.value.uncertain


class _TooLong(Backoff):
    def wait(self, now: float, **_: object) -> float:
        return 541.0


def test_nothing_is_repeated_longer_than_a_hub_keeps_its_key() -> None:
    with scripted(CUT) as server, Publisher(server.url, backoff=_TooLong()) as hub:
        with pytest.raises(Unacknowledged, match="publish it twice") as caught:
            hub.publish("t", "a")
    assert caught.value.uncertain
    assert len(server.requests) == 1


def test_an_ephemeral_event_is_not_sent_twice() -> None:
    with scripted(problem("503 Service Unavailable", "draining", "later"), CUT, receipt("k.1")) as server:
        with Publisher(server.url, backoff=Backoff(**QUICK)) as hub:
            with pytest.raises(Unacknowledged, match="not sent twice"):
                hub.publish("t", "a", ephemeral=True)
    assert [request.target for request in server.requests] == ["/topics/t?ephemeral=1"] * 2
    assert "idempotency-key" not in server.requests[0].headers


def test_what_cannot_be_published_is_said_before_anything_is_sent() -> None:
    with scripted() as server, Publisher(server.url) as hub:
        with pytest.raises(InvalidTopic):
            hub.publish("a/*", "a")
        with pytest.raises(InvalidEvent, match="empty"):
            hub.publish("t", "")
        with pytest.raises(InvalidEvent, match="LF"):
            hub.publish("t", "a", event="a\nb")
        with pytest.raises(InvalidEvent, match="batch: is empty"):
            hub.publish_batch("t", [])
        with pytest.raises(InvalidInput, match="idempotency_key"):
            hub.publish("t", "a", idempotency_key="\u00fc")
    assert server.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8800",
        "ftp://host",
        "http://",
        "http://[",
        "http://host:99999",
        "http://a..b",
        "http://a b",
        "http://h/\x01",
        "http://h?a=b",
        "http://h#a",
    ],
)
def test_an_unusable_url(url: str) -> None:
    with pytest.raises(InvalidInput, match="url: "):
        Publisher(url)
