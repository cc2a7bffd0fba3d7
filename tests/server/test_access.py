"""What a web page of another origin can try against a hub on loopback, and what people legitimately do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from echostream.server.access import Access, is_loopback
from echostream.server.proxies import Proxies
from support.inside import Inside, serving, settings_of


@pytest.fixture(scope="module")
def hub() -> Iterator[Inside]:
    with serving(server={"hosts": ["hub.internal"]}, cors={"origins": ["https://app.example"]}) as inside:
        yield inside


@pytest.mark.parametrize(
    "name",
    [
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "127.0.0.1",
        "127.8.9.1",
        "[::1]",
        "::1",
        "::ffff:127.0.0.1",
        "[::1%lo]",
    ],
)
def test_names_of_this_machine_alone(name: str) -> None:
    assert is_loopback(name)


@pytest.mark.parametrize(
    "name",
    ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "0.0.0.0", "::", "2130706433"],
)
def test_names_of_others(name: str) -> None:
    assert not is_loopback(name)


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:8800", "[::1]:8800", "app.localhost:1", "hub.internal", "HUB.internal:80"]
)
def test_hosts_that_are_answered(hub: Inside, host: str) -> None:
    assert hub.ask("GET", "/healthz", headers={"Host": host}).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8800",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "localhost:x",
        "[::1",
        "evil/localhost",
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/topics/a"), ("POST", "/topics/a"), ("OPTIONS", "/topics/a"), ("GET", "/")]
)
def test_a_rebound_name_is_not_answered(hub: Inside, host: str, method: str, path: str) -> None:
    answer = hub.ask(method, path, body="x" if method == "POST" else None, headers={"Host": host})
    assert (answer.status, answer.code) == (421, "foreign-host")
    assert "server.hosts" in answer.json["detail"]


@pytest.mark.parametrize(
    "head", [b"GET /healthz HTTP/1.1\r\n\r\n", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"]
)
def test_one_host_is_due(hub: Inside, head: bytes) -> None:
    assert (hub.raw(head).status, hub.raw(head).code) == (400, "bad-host")


def test_http_1_0_may_have_no_host(hub: Inside) -> None:
    assert hub.raw(b"GET /healthz HTTP/1.0\r\n\r\n").status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "http://127.0.0.1:{port}.evil.example"},
        {"Origin": "http://127.0.0.1:x"},
        {"Origin": "http://[127.0.0.1:{port}"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "whatever"},
        {"Origin": "http://127.0.0.1:{port}", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
    ],
)
def test_a_foreign_page_cannot_publish(hub: Inside, headers: dict[str, str]) -> None:
    sent = {name: value.replace("{port}", str(hub.port)) for name, value in headers.items()}
    before = hub.app.hub.statistics().newest
    answer = hub.ask("POST", "/topics/a", body="x", headers=sent)
    assert (answer.status, answer.code) == (403, "foreign-origin")
    assert "cors.origins" in answer.json["detail"]
    assert hub.app.hub.statistics().newest == before


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://127.0.0.1:{port}"},
        {"Origin": "http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"},
        # behind a proxy that ends TLS: the browser has compared what we cannot see
        {"Origin": "https://hub.internal", "Host": "hub.internal", "Sec-Fetch-Site": "same-origin"},
    ],
)
def test_who_may_publish(hub: Inside, headers: dict[str, str]) -> None:
    sent = {name: value.replace("{port}", str(hub.port)) for name, value in headers.items()}
    assert hub.ask("POST", "/topics/a", body="x", headers=sent).status == 201


def test_a_foreign_page_may_ask_but_is_not_shown_the_answer(hub: Inside) -> None:
    answer = hub.ask("GET", "/healthz", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers


def test_two_origins_are_foreign(hub: Inside) -> None:
    own = f"Origin: http://127.0.0.1:{hub.port}\r\n".encode()
    head = f"POST /topics/a HTTP/1.1\r\nHost: 127.0.0.1:{hub.port}\r\nContent-Length: 1\r\n".encode()
    assert hub.raw(head + own + own + b"\r\nx").code == "foreign-origin"


def test_the_allowed_origin_is_told_to_the_browser(hub: Inside) -> None:
    preflight = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type, idempotency-key, last-event-id",
    }
    answer = hub.ask("OPTIONS", "/topics/a", headers=preflight)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "https://app.example")
    foreign = hub.ask("OPTIONS", "/topics/a", headers={**preflight, "Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in foreign.headers
    with hub.stream("/topics/a", Origin="https://app.example") as response:
        assert response.getheader("access-control-allow-origin") == "https://app.example"
        assert "Echostream-Resume" in (response.getheader("access-control-expose-headers") or "")
        assert response.getheader("echostream-resume") == "live"


def test_beyond_loopback_every_host_is_answered() -> None:
    access = Access(settings_of(server={"host": "0.0.0.0"}), Proxies([]))
    access.check_request({"headers": [(b"host", b"hub.example")], "method": "GET", "http_version": "1.1"})


def test_a_trusted_proxy_tells_the_scheme() -> None:
    access = Access(settings_of(server={"host": "0.0.0.0"}), Proxies(["10.0.0.0/8"]))
    headers = [(b"host", b"hub.example"), (b"origin", b"https://hub.example"), (b"x-forwarded-proto", b"https")]
    scope = {"headers": headers, "method": "POST", "http_version": "1.1", "scheme": "http", "client": ("10.1.2.3", 1)}
    access.check_request(scope)
    with pytest.raises(Exception, match="may not write here"):
        access.check_request({**scope, "client": ("11.1.2.3", 1)})


@pytest.mark.parametrize("topic", ["hub/machine", "hub", "hub/"])
def test_the_hubs_own_topics_are_reserved(topic: str) -> None:
    access = Access(settings_of(), Proxies([]))
    access.check_topics("subscribe", [topic])
    access.check_topics("publish", ["hubs/a", "a/hub/b"])
    with pytest.raises(Exception, match="the hub's own"):
        access.check_topics("publish", [topic])
