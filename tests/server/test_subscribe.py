"""GET on topics over real sockets: what is refused and how, HEAD, HTTP/1.0, native EventSource."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from echostream.topic import MAX_TOPICS
from support.inside import Inside, read_until, serving
from support.servers import wait_until


@pytest.fixture(scope="module")
def hub() -> Iterator[Inside]:
    with serving() as inside:
        yield inside


@pytest.mark.parametrize("base", ["/topics/a?", "/stream?topic=a&topic=b/*&"])
@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ("since=yesterday", "invalid-since", ["yesterday", "latest"]),
        ("since=-0", "invalid-since", ["-0"]),
        ("format=xml", "invalid-input", ["format", "xml", "ndjson"]),
        ("live=maybe", "invalid-input", ["live", "maybe"]),
        ("format=json&live=1", "invalid-input", ["live", "json"]),
        ("envelope=2", "invalid-input", ["envelope"]),
        ("sinse=earliest", "invalid-input", ["sinse", "since"]),
        ("since=1m&since=2m", "invalid-input", ["since", "twice"]),
        ("since=%ff", "invalid-input", ["query", "UTF-8"]),
    ],
)
def test_malformed_queries(hub: Inside, base: str, query: str, code: str, words: list[str]) -> None:
    answer = hub.ask("GET", base + query)
    assert (answer.status, answer.code) == (400, code), answer.body
    assert [word for word in words if word not in answer.json["detail"]] == [], answer.json["detail"]


def test_topics_of_a_stream(hub: Inside) -> None:
    none = hub.ask("GET", "/stream")
    assert (none.status, none.code) == (400, "invalid-topic")
    assert "topic=" in none.json["detail"]
    for topic in ("a//b", "**/a", "a*b", ""):
        assert hub.ask("GET", f"/stream?topic=x&topic={topic}").code == "invalid-topic"
    many = "&".join(f"topic=t{n}" for n in range(MAX_TOPICS + 1))
    refused = hub.ask("GET", f"/stream?{many}")
    assert (refused.status, refused.code) == (400, "invalid-topic")
    assert str(MAX_TOPICS) in refused.json["detail"]


def test_what_nobody_can_give_is_not_acceptable(hub: Inside) -> None:
    answer = hub.ask("GET", "/topics/a", headers={"Accept": "image/png"})
    assert (answer.status, answer.code) == (406, "not-acceptable")


def test_one_topic_is_data_and_many_are_envelopes(hub: Inside) -> None:
    with hub.stream("/topics/shape") as one, hub.stream("/stream?topic=shape") as many:
        read_until(one, b"stream-open")
        read_until(many, b"stream-open")
        hub.ask("POST", "/topics/shape", '{"n":1}', {"Content-Type": "application/json"})
        assert read_until(one, b'"n"').endswith(b'\ndata: {"n":1}\n')
        assert b'"topic":"shape"' in read_until(many, b'"n"')
    with hub.stream("/topics/shape?since=earliest&envelope=1") as one:
        assert b'"topic":"shape"' in read_until(one, b'"n"')


@pytest.mark.parametrize(
    ("last", "resume"),
    [("other.5", "reset"), ("nonsense", "reset"), ("{epoch}.999999", "reset"), ("{epoch}.0", "resumed")],
)
def test_how_a_last_id_is_taken_is_told(hub: Inside, last: str, resume: str) -> None:
    text = last.replace("{epoch}", hub.app.hub.statistics().epoch)
    with hub.stream("/topics/resume", Last_Event_ID=text) as response:
        assert response.getheader("echostream-resume") == resume
        assert f'"resume":"{resume}"'.encode() in read_until(response, b'"resume"')


@pytest.fixture(scope="module")
def trimmed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Inside, str]]:
    """A hub, and a position after which `lost` has lost its second event and kept its third."""
    log = f"sqlite:///{tmp_path_factory.mktemp('trimmed') / 'small.db'}?max_bytes=20000"
    with serving(log) as before:  # a hub of its own: what one has published itself it still gives from its ring
        before.ask("POST", "/topics/quiet", "first")
        start = before.ask("POST", "/topics/lost", "first").json["id"]
        before.ask("POST", "/topics/lost", "second")
    with serving(log) as inside:
        for _ in range(30):
            inside.ask("POST", "/topics/noise", "x" * 1000)
        inside.ask("POST", "/topics/lost", "third")
        yield inside, start


def test_a_trimmed_position_is_told_as_a_gap_in_header_and_stream(trimmed: tuple[Inside, str]) -> None:
    hub, start = trimmed
    oldest = hub.ask("GET", "/stream?topic=**&live=false&format=json").json[0]["id"]
    with hub.stream("/topics/lost", Last_Event_ID=start) as response:
        assert response.getheader("echostream-resume") == "gap"
        told = read_until(response, b"data: third").decode()
    opened, gap, event = told.split("\n\n")
    assert json.loads(opened.split("data: ")[1])["resume"] == "gap"
    assert gap.startswith("event: stream-gap\n")
    facts = json.loads(gap.split("data: ")[1])
    assert facts == {"after": start, "oldest": oldest, "dropped": None, "reason": "trimmed"}
    assert event.endswith("data: third\n")


@pytest.mark.parametrize("form", ["ndjson", "json", "text"])
def test_a_gap_is_told_in_the_header_of_every_format(trimmed: tuple[Inside, str], form: str) -> None:
    hub, start = trimmed
    answer = hub.ask("GET", f"/topics/lost?live=false&format={form}", headers={"Last-Event-ID": start})
    assert (answer.status, answer.headers["echostream-resume"]) == (200, "gap")
    assert b"third" in answer.body
    assert (b'"stream":"gap"' in answer.body) is (form == "ndjson")


def test_a_quiet_topic_beside_a_trimmed_one_has_no_gap(trimmed: tuple[Inside, str]) -> None:
    hub, start = trimmed
    answer = hub.ask("GET", "/topics/quiet?live=false", headers={"Last-Event-ID": start})
    assert answer.headers["echostream-resume"] == "resumed"
    assert b"stream-gap" not in answer.body


def test_the_hubs_own_topics_can_be_read(hub: Inside) -> None:
    with hub.stream("/topics/hub/machine") as response:
        read_until(response, b"stream-open")


@pytest.mark.parametrize("path", ["/topics/head", "/stream?topic=head", "/topics/head?format=json", "/", "/healthz"])
def test_head_is_the_head_alone(hub: Inside, path: str) -> None:
    answer = hub.ask("HEAD", path)
    assert (answer.status, answer.body) == (200, b"")
    assert "content-type" in answer.headers
    assert hub.app.hub.statistics().readers == 0
    wait_until(lambda: hub.app.slots.counts().streams == 0, within=5, what="the slot is free")


def test_head_of_a_refusal_is_the_head_alone(hub: Inside) -> None:
    answer = hub.ask("HEAD", "/topics/a*")
    assert (answer.status, answer.body) == (400, b"")


def ask_1_0(hub: Inside, accept: str) -> bytes:
    with hub.connect() as connection:
        connection.sendall(
            f"GET /topics/old?since=earliest HTTP/1.0\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n".encode()
        )
        seen = b""
        while b"first" not in seen and b"http-version" not in seen:
            part = connection.recv(65536)
            assert part, seen
            seen += part
        return seen


def test_http_1_0_gets_what_says_its_own_end(hub: Inside) -> None:
    hub.ask("POST", "/topics/old", "first")
    assert ask_1_0(hub, "text/event-stream").startswith(b"HTTP/1.1 200")
    assert ask_1_0(hub, "application/x-ndjson").startswith(b"HTTP/1.1 200")
    assert ask_1_0(hub, "application/json").startswith(b"HTTP/1.1 505")
    assert ask_1_0(hub, "text/plain").startswith(b"HTTP/1.1 505")


def test_a_finished_topic_has_nothing_to_come() -> None:
    with serving() as hub:
        end = hub.ask("POST", "/topics/done?end=1", "last").json["id"]
        answer = hub.ask("GET", "/topics/done", headers={"Last-Event-ID": end, "Accept": "text/event-stream"})
        assert (answer.status, answer.body) == (204, b"")


def test_a_draining_hub_tells_readers_to_come_back(hub: Inside) -> None:
    with serving() as draining:
        draining.app.hub.draining = True
        native = draining.ask("GET", "/topics/a", headers={"Accept": "text/event-stream"})
        assert (native.status, native.headers["connection"]) == (200, "close")
        assert b"event: stream-error\n" in native.body
        assert b'"code":"draining"' in native.body
        retry = next(line for line in native.body.splitlines() if line.startswith(b"retry:"))
        assert int(retry.split(b":")[1]) >= 1000
        for accept in ("*/*", "text/event-stream, application/problem+json", "application/x-ndjson"):
            real = draining.ask("GET", "/stream?topic=a", headers={"Accept": accept})
            assert (real.status, real.code) == (503, "draining")
            assert int(real.headers["retry-after"]) >= 1
        assert draining.ask("GET", "/readyz").status == 503
        assert draining.ask("GET", "/healthz").status == 200


def test_a_mistake_is_final_for_native_readers_too(hub: Inside) -> None:
    answer = hub.ask("GET", "/topics/a?since=never", headers={"Accept": "text/event-stream"})
    assert answer.status == 400
