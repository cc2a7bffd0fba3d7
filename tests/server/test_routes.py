"""Paths and methods, the fixed pages, and what happens when the hub itself fails."""

from __future__ import annotations

import http.client
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from echostream.hub import Reader
from echostream.server.openapi import openapi
from echostream.server.pages import CONTENT_SECURITY_POLICY, Page
from support.inside import Inside, read_until, serving
from support.servers import wait_until


@pytest.fixture(scope="module")
def hub() -> Iterator[Inside]:
    with serving() as inside:
        yield inside


@pytest.mark.parametrize(
    "path", ["/nothing", "/topics", "/streams/x", "/static/", "/static/../app.py", "/static/nothing.js", "//"]
)
def test_there_is_nothing(hub: Inside, path: str) -> None:
    answer = hub.ask("GET", path)
    assert (answer.status, answer.code) == (404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/topics/a", "GET, HEAD, POST, OPTIONS"),
        ("DELETE", "/topics/a", "GET, HEAD, POST, OPTIONS"),
        ("PATCH", "/topics/a", "GET, HEAD, POST, OPTIONS"),
        ("POST", "/stream", "GET, HEAD, OPTIONS"),
        ("POST", "/healthz", "GET, HEAD, OPTIONS"),
        ("DELETE", "/", "GET, HEAD, OPTIONS"),
    ],
)
def test_methods_that_are_not_taken(hub: Inside, method: str, path: str, allow: str) -> None:
    answer = hub.ask(method, path)
    assert (answer.status, answer.code, answer.headers["allow"]) == (405, "method-not-allowed", allow)
    assert hub.ask("OPTIONS", path).headers["allow"] == allow


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/openapi.json", "/nothing", "/topics/a*"])
def test_nothing_is_sniffed(hub: Inside, path: str) -> None:
    headers = hub.ask("GET", path).headers
    assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")
    assert "server" not in headers


def test_the_front_page_and_its_files(hub: Inside) -> None:
    page = hub.ask("GET", "/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    script = hub.ask("GET", "/static/page.js")
    assert (script.status, script.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert script.headers["x-content-type-options"] == "nosniff"


def test_an_unchanged_file_is_not_sent_again(hub: Inside) -> None:
    tag = hub.ask("GET", "/").headers["etag"]
    for known in (tag, f'"other", W/{tag}', "*"):
        again = hub.ask("GET", "/", headers={"If-None-Match": known})
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    assert hub.ask("GET", "/", headers={"If-None-Match": '"other"'}).status == 200


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("a.css", b"text/css; charset=utf-8"), ("b.svg", b"image/svg+xml"), ("c", b"application/octet-stream")],
)
async def test_files_have_their_types(name: str, media_type: bytes) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("a page reads nothing")

    await Page(name, b"x")({"headers": [], "method": "GET"}, receive, send)
    assert dict(sent[0]["headers"])[b"content-type"] == media_type


def test_metrics_are_the_hubs_own_figures(hub: Inside) -> None:
    with hub.stream("/topics/measured") as response:
        read_until(response, b"stream-open")
        hub.ask("POST", "/topics/measured", "x")
        read_until(response, b"data: x")
        during = hub.ask("GET", "/metrics")
    assert during.headers["content-type"].startswith("text/plain; version=")
    figures = dict(line.rsplit(" ", 1) for line in during.body.decode().splitlines() if not line.startswith("#"))
    assert float(figures["echostream_readers"]) == 1
    assert float(figures["echostream_published_events_total"]) >= 1
    assert float(figures["echostream_delivered_events_total"]) >= 1
    wait_until(
        lambda: b'echostream_streams_ended_total{format="sse",reason="gone"}' in hub.ask("GET", "/metrics").body,
        within=5,
        what="the stream is counted as ended",
    )
    assert b'echostream_first_event_seconds_bucket{le="0.2"} 1.0' in hub.ask("GET", "/metrics").body


def test_two_hubs_in_a_process_have_their_own_figures(hub: Inside) -> None:
    with serving() as other:
        other.ask("POST", "/topics/a", "x")
        assert b"echostream_published_events_total 1.0" in other.ask("GET", "/metrics").body


def test_an_ended_stream_is_one_line_without_anything_secret(hub: Inside, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "echostream.streams")
    with hub.stream("/stream?topic=secret-name&topic=other&since=earliest") as response:
        read_until(response, b"stream-open")
        hub.ask("POST", "/topics/secret-name", "secret-data")
        read_until(response, b"secret-data")
    wait_until(lambda: caplog.records, within=5, what="the line")
    (record,) = caplog.records
    line = record.getMessage()
    assert line.startswith("stream ended topics=2 format=sse events=1 bytes=")
    assert line.endswith("reason=gone")
    assert "first_event=0." in line
    assert "secret" not in line
    assert vars(record)["stream"]["events"] == 1


def test_a_failure_of_ours_is_told_without_its_insides(
    hub: Inside, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("the password is swordfish")

    monkeypatch.setattr(hub.app.hub, "append", broken)
    answer = hub.ask("POST", "/topics/a", "x")
    assert (answer.status, answer.code) == (500, "internal-error")
    assert b"swordfish" not in answer.body
    assert "ZeroDivisionError" in caplog.text


def test_a_failure_before_a_stream_is_told_too(
    hub: Inside, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("swordfish")

    monkeypatch.setattr(hub.app.hub, "find_beginning", broken)
    answer = hub.ask("GET", "/topics/a")
    assert (answer.status, answer.code) == (500, "internal-error")
    assert b"swordfish" not in answer.body
    assert "swordfish" in caplog.text


def test_a_failure_within_a_stream_cuts_it(
    hub: Inside, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("swordfish")

    monkeypatch.setattr(Reader, "begin", broken)
    with hub.stream("/topics/a") as response, pytest.raises((http.client.IncompleteRead, ConnectionError)):
        response.read()
    assert "swordfish" in caplog.text
    wait_until(lambda: hub.app.slots.counts().streams == 0, within=5, what="the slot is free")


# -- the description


def test_the_description_is_served(hub: Inside) -> None:
    answer = hub.ask("GET", "/openapi.json")
    assert (answer.headers["content-type"], answer.json) == ("application/json", json.loads(json.dumps(openapi())))


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for child in node.values():
            yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


def test_every_reference_of_the_description_leads_somewhere() -> None:
    document = openapi()
    used = set(references(document))
    for reference in used:
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
    for kind, things in document["components"].items():
        unused = {f"#/components/{kind}/{name}" for name in things} - used
        assert unused <= {"#/components/schemas/BatchLine"}, "only what a media type cannot refer to"


def test_the_description_names_exactly_the_calls_there_are(hub: Inside) -> None:
    pages = {path for path in hub.app.paths if path.startswith("/static/") or path in ("/favicon.ico", "/robots.txt")}
    assert set(openapi()["paths"]) - {"/topics/{topic}"} == hub.app.paths - pages
    for path, calls in openapi()["paths"].items():
        allowed = hub.ask("OPTIONS", path.replace("{topic}", "a")).headers["allow"].split(", ")
        described = {method.upper() for method in calls if method != "parameters"}
        assert described == set(allowed) - {"HEAD", "OPTIONS"}, path


def test_the_description_names_exactly_the_parameters_there_are(hub: Inside) -> None:
    document = openapi()

    def names(call: Any) -> list[str]:
        found = []
        for parameter in call["parameters"]:
            node = parameter
            if "$ref" in parameter:
                node = document["components"]["parameters"][parameter["$ref"].rsplit("/", 1)[1]]
            if node["in"] == "query":
                found.append(node["name"])
        return sorted(found)

    for path, method in (("/topics/{topic}", "post"), ("/topics/{topic}", "get"), ("/stream", "get")):
        answer = hub.ask(
            method.upper(), path.replace("{topic}", "a") + "?nonsense=1", "x" if method == "post" else None
        )
        listed = answer.json["detail"].split("there are ")[1].split(", ")
        assert names(document["paths"][path][method]) == sorted(listed)


def test_the_statuses_of_the_description_are_those_that_happen(hub: Inside) -> None:
    """One request for each problem that a publication can meet without the log's help."""
    responses = openapi()["paths"]["/topics/{topic}"]["post"]["responses"]
    met = {
        hub.ask("POST", "/topics/a", "x").status,
        hub.ask("POST", "/topics/a?ephemeral=1", "x").status,
        hub.ask("POST", "/topics/a", "").status,
        hub.ask("POST", "/topics/hub/x", "x").status,
        hub.ask("POST", "/topics/a", "x" * 300_000).status,
        hub.ask("POST", "/topics/a", "x", {"Content-Type": "image/png"}).status,
        hub.ask("POST", "/topics/a", "x", {"Host": "evil.example"}).status,
    }
    assert met == {201, 202, 400, 403, 413, 415, 421}
    assert {str(status) for status in met} <= set(responses)
