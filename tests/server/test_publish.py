"""POST /topics/{topic}: what is taken, as what, and every way to be refused with nothing kept."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from support.inside import Answer, Inside, read_until, serving

JSON = {"Content-Type": "application/json"}
TEXT = {"Content-Type": "text/plain"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
BATCH = {"Content-Type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def hub() -> Iterator[Inside]:
    limits = {"publish_bytes": 4000, "event_bytes": 2000, "batch_events": 3, "publish_seconds": 0.3}
    with serving(limits=limits) as inside:
        yield inside


def kept(hub: Inside, topic: str) -> list[dict[str, Any]]:
    return list(hub.ask("GET", f"/topics/{topic}?format=json").json)


def refused(hub: Inside, answer: Answer, status: int, code: str, *words: str, topic: str | None = None) -> None:
    assert (answer.status, answer.code) == (status, code), answer.body
    assert [word for word in words if word not in answer.json["detail"]] == [], answer.json["detail"]
    if topic is not None:
        assert kept(hub, topic) == []


@pytest.mark.parametrize(
    ("body", "headers", "data"),
    [
        ('{"b": 1.00, "a": 10000000000000000000001}', JSON, '{"b": 1.00, "a": 10000000000000000000001}'),
        ("[1]", {"Content-Type": "application/cloudevents+json; charset=UTF-8"}, "[1]"),
        ("42", TEXT, '"42"'),
        ("a: b", {"Content-Type": "text/markdown; charset=utf-8"}, '"a: b"'),
        ("a=1&b=+%20", FORM, '"a=1&b=+%20"'),
        ('{"a":1}', FORM, '{"a":1}'),
        ("hello", {}, '"hello"'),
        ("7", {}, "7"),
        ("grün ☃", TEXT, '"grün ☃"'),
        ('"x"', JSON, '"x"'),
    ],
)
def test_what_the_body_becomes(hub: Inside, body: str, headers: dict[str, str], data: str) -> None:
    topic = f"kinds/{abs(hash((body, tuple(headers.items()))))}"
    answer = hub.raw(request(hub, topic, body.encode(), headers))
    assert answer.status == 201, answer.body
    assert answer.headers["content-type"] == "application/json"
    assert {**answer.json, "id": ""} == {"id": "", "topic": topic, "durability": "memory"}
    line = hub.ask("GET", f"/topics/{topic}?format=ndjson&live=0&since=earliest").body
    assert f'"data":{data},'.encode() in line


def request(hub: Inside, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """The request as bytes: clients add a Content-Type of their own where there should be none."""
    lines = [f"POST /topics/{path} HTTP/1.1", f"Host: 127.0.0.1:{hub.port}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def test_event_and_key_come_along(hub: Inside) -> None:
    assert hub.ask("POST", "/topics/named?event=greeting&key=k%2F1", "hi", TEXT).status == 201
    (event,) = kept(hub, "named")
    assert (event["event"], event["key"], event["data"]) == ("greeting", "k/1", "hi")


def test_a_topic_is_decoded_once(hub: Inside) -> None:
    answer = hub.ask("POST", "/topics/gr%C3%BCn/100%2525", "x", TEXT)
    assert answer.json["topic"] == "grün/100%25"
    assert len(kept(hub, "gr%C3%BCn/100%2525")) == 1


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("", "empty"),
        ("/a", "empty segment"),
        ("a/", "empty segment"),
        ("a//b", "empty segment"),
        ("a/../b", "'..'"),
        ("a/%2e%2e/b", "'..'"),
        ("./a", "'.'"),
        ("a%2Fb", "%2F"),
        ("a%2fb", "%2F"),
        ("a%00b", "control character"),
        ("a%0Ab", "control character"),
        ("a%7F", "control character"),
        ("a%C2%85", "control character"),
        ("a*", "*"),
        ("a/**", "*"),
        ("a%2A", "*"),
        ("%ff", "UTF-8"),
        ("%C3", "UTF-8"),
        ("%c0%af", "UTF-8"),
        ("a%", "%25"),
        ("a%zz", "%25"),
        ("a%2", "%25"),
        ("%ED%A0%80", "UTF-8"),
        ("a" * 257, "257 bytes"),
        ("%E2%98%83" * 86, "258 bytes"),
    ],
)
def test_malformed_topics(hub: Inside, method: str, path: str, word: str) -> None:
    answer = hub.ask(method, f"/topics/{path}", "x" if method == "POST" else None, TEXT)
    refused(hub, answer, 400, "invalid-topic", word)
    assert answer.json["field"] == "topic"


def test_the_hubs_own_topics_are_refused(hub: Inside) -> None:
    refused(hub, hub.ask("POST", "/topics/hub/machine", "x"), 403, "topic-reserved", "hub/machine")


@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ("event=stream-end", "invalid-event", ["event", "stream-"]),
        ("event=a%0Adata:%20x", "invalid-event", ["event", "LF"]),
        ("event=a%0D", "invalid-event", ["event", "CR"]),
        ("event=a%00", "invalid-event", ["event", "NUL"]),
        ("key=a%0A", "invalid-event", ["key", "LF"]),
        ("event=" + "x" * 257, "invalid-event", ["event", "256 bytes"]),
        ("evnet=x", "invalid-input", ["evnet", "event, key, ephemeral, end"]),
        ("event=a&event=b", "invalid-input", ["event", "twice"]),
        ("ephemeral=yes", "invalid-input", ["ephemeral", "'yes'"]),
        ("ephemeral=1&end=1", "invalid-input", ["ephemeral", "end"]),
        ("event=%ff", "invalid-input", ["query", "UTF-8"]),
        ("event=100%", "invalid-input", ["query", "%25"]),
        ("&".join(f"a{n}=1" for n in range(101)), "invalid-input", ["query", "100"]),
    ],
)
def test_malformed_queries(hub: Inside, query: str, code: str, words: list[str]) -> None:
    refused(hub, hub.ask("POST", f"/topics/queries?{query}", "x", TEXT), 400, code, *words, topic="queries")


@pytest.mark.parametrize(
    ("headers", "body", "code", "word"),
    [
        (TEXT, b"caf\xe9", "not-utf-8", "byte 3"),
        ({}, b"\xff\xfe", "not-utf-8", "byte 0"),
        (JSON, b'"caf\xe9"', "not-utf-8", "UTF-8"),
        ({"Content-Type": "text/plain; charset=latin-1"}, b"x", "unsupported-charset", "latin-1"),
        ({"Content-Type": 'application/json; charset="utf-16"'}, b"1", "unsupported-charset", "utf-16"),
        (BATCH, b'{"data":1}\n{"data":"caf\xe9"}\n', "not-utf-8", "line 2"),
        ({"Content-Type": "application/octet-stream"}, b"x", "unsupported-media-type", "octet-stream"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"x", "unsupported-media-type", "multipart"),
        ({"Content-Type": "nonsense"}, b"x", "unsupported-media-type", "nonsense"),
        ({**TEXT, "Content-Encoding": "gzip"}, b"x", "encoded-body", "Content-Encoding"),
    ],
)
def test_bodies_of_the_wrong_kind(hub: Inside, headers: dict[str, str], body: bytes, code: str, word: str) -> None:
    refused(hub, hub.raw(request(hub, "kind", body, headers)), 415, code, word, topic="kind")


@pytest.mark.parametrize("body", ["{", '{"a":1} x', "nan", "'a'", "[" * 10_00, '{"a":"\x01"}'])
def test_a_json_body_must_be_json(hub: Inside, body: str) -> None:
    answer = hub.ask("POST", "/topics/bad-json", body, JSON)
    refused(hub, answer, 400, "invalid-event", "data", "not JSON", topic="bad-json")


def test_nothing_to_publish(hub: Inside) -> None:
    for headers in ({}, JSON, TEXT, FORM):
        refused(hub, hub.raw(request(hub, "none", b"", headers)), 400, "invalid-event", "data", topic="none")
    for body in (b"", b"\n\n"):
        refused(hub, hub.raw(request(hub, "none", body, BATCH)), 400, "invalid-event", "batch", topic="none")


def test_an_end_finishes_the_topic(hub: Inside) -> None:
    assert hub.ask("POST", "/topics/ended?end=1").status == 201
    answer = hub.ask("POST", "/topics/ended", "more")
    refused(hub, answer, 409, "topic-finished", "ended")
    with_data = hub.ask("POST", "/topics/ended2?end=true", "last", TEXT)
    assert with_data.status == 201
    assert [event["data"] for event in kept(hub, "ended2")] == ["last"]
    assert hub.ask("POST", "/topics/ended2", "more").status == 409


def test_a_batch_is_kept_whole(hub: Inside) -> None:
    body = '{"data":{"n": 1}}\n{"data":"two","event":"e","key":"k"}\n'
    answer = hub.ask("POST", "/topics/batch", body, BATCH)
    assert answer.status == 201
    assert (len(answer.json["ids"]), answer.json["topic"], answer.json["durability"]) == (2, "batch", "memory")
    assert [event["id"] for event in kept(hub, "batch")] == answer.json["ids"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ('{"data":1}\n{"data":}\n{"data":3}\n', 400, ["line 2"]),
        ('{"data":1}\nnonsense\n', 400, ["line 2"]),
        ('{"data":1}\n{"data":2,"evnet":"x"}\n', 400, ["line 2", "evnet"]),
        ('{"data":1}\n{"event":"x"}\n', 400, ["line 2", "data"]),
        ('{"data":1}\n{"data":2,"event":"stream-x"}\n', 400, ["line 2", "event"]),
        ('{"data":1}\n' * 4, 413, ["batch", "4", "3"]),
        (json.dumps({"data": "x" * 2100}) + "\n", 413, ["event", "2000"]),
        ('{"data":1}\n' + json.dumps({"data": "x" * 2100}) + "\n", 413, ["event 2 of the batch", "2000"]),
    ],
)
def test_a_bad_line_keeps_nothing_of_a_batch(hub: Inside, body: str, status: int, words: list[str]) -> None:
    answer = hub.ask("POST", "/topics/bad-batch", body, BATCH)
    refused(hub, answer, status, "invalid-event" if status == 400 else "too-large", *words, topic="bad-batch")


@pytest.mark.parametrize("query", ["event=x", "key=x", "end=1"])
def test_a_batch_has_its_own_names(hub: Inside, query: str) -> None:
    refused(hub, hub.ask("POST", f"/topics/batch2?{query}", '{"data":1}', BATCH), 400, "invalid-input", "batch")


def test_too_large(hub: Inside) -> None:
    refused(hub, hub.ask("POST", "/topics/large", "x" * 2001, TEXT), 413, "too-large", "event", "2000", topic="large")
    refused(hub, hub.ask("POST", "/topics/large", "x" * 4001, TEXT), 413, "too-large", "body", "4000", topic="large")


def test_a_declared_size_is_refused_before_the_body(hub: Inside) -> None:
    head = request(hub, "large", b"", {"Content-Type": "text/plain", "Expect": "100-continue"})
    answer = hub.raw(head.replace(b"Content-Length: 0", b"Content-Length: 9999999999"))
    refused(hub, answer, 413, "too-large", "9999999999", topic="large")


def test_a_body_without_a_size_is_refused_on_the_way(hub: Inside) -> None:
    with hub.connect() as connection:
        connection.sendall(
            f"POST /topics/large HTTP/1.1\r\nHost: 127.0.0.1:{hub.port}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        for _ in range(5):
            connection.sendall(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
        assert connection.recv(12) == b"HTTP/1.1 413"  # the body has not ended


def test_a_transfer_coding_that_is_not_undone_is_refused(hub: Inside) -> None:
    head = b"POST /topics/coded HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
    answer = hub.raw(head + b"1\r\nx\r\n0\r\n\r\n")
    refused(hub, answer, 501, "transfer-coding", "chunked", topic="coded")


def test_a_body_that_never_ends_is_given_up(hub: Inside) -> None:
    head = request(hub, "slow", b"", TEXT).replace(b"Content-Length: 0", b"Content-Length: 10")
    with hub.connect() as connection:
        connection.sendall(head + b"abc")
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"body-too-slow" in answer
    assert hub.app.slots.counts().publications == 0


def read_all(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def test_who_leaves_in_the_middle_publishes_nothing(hub: Inside) -> None:
    head = request(hub, "half", b"", TEXT).replace(b"Content-Length: 0", b"Content-Length: 10")
    with hub.connect() as connection:
        connection.sendall(head + b"abc")
    assert hub.ask("POST", "/topics/half2", "x").status == 201
    assert kept(hub, "half") == []


def test_an_idempotency_key(hub: Inside) -> None:
    first = hub.ask("POST", "/topics/once", "x", {**TEXT, "Idempotency-Key": "k1"})
    again = hub.ask("POST", "/topics/once", "x", {**TEXT, "Idempotency-Key": "k1"})
    assert first.json == again.json
    other = hub.ask("POST", "/topics/once", "y", {**TEXT, "Idempotency-Key": "k1"})
    refused(hub, other, 422, "idempotency-conflict", "k1")
    assert len(kept(hub, "once")) == 1


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        (["Idempotency-Key: " + "x" * 257], "256"),
        (["Idempotency-Key: "], "empty"),
        (["Idempotency-Key: a", "Idempotency-Key: b"], "twice"),
        (["Idempotency-Key: a\xe9"], "UTF-8"),
        (["Content-Type: text/plain", "Content-Type: application/json"], "twice"),
    ],
)
def test_malformed_headers(hub: Inside, lines: list[str], word: str) -> None:
    head = f"POST /topics/keys HTTP/1.1\r\nHost: 127.0.0.1:{hub.port}\r\nContent-Length: 1\r\n"
    answer = hub.raw((head + "\r\n".join(lines) + "\r\n\r\n1").encode("latin-1"))
    refused(hub, answer, 400, "invalid-input", lines[0].split(":")[0], word, topic="keys")


def test_an_ephemeral_event_is_passed_on_and_not_kept(hub: Inside) -> None:
    with hub.stream("/topics/typing") as response:
        read_until(response, b"stream-open")
        answer = hub.ask("POST", "/topics/typing?ephemeral=1", "dots", TEXT)
        assert (answer.status, answer.json) == (202, {"topic": "typing", "durability": "none"})
        assert b"id:" not in read_until(response, b"data: dots").split(b"\n\n", 1)[1]
    assert kept(hub, "typing") == []
    keyed = hub.ask("POST", "/topics/typing?ephemeral=1", "x", {"Idempotency-Key": "k"})
    refused(hub, keyed, 400, "invalid-input", "Idempotency-Key", "ephemeral")
