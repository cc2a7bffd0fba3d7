"""The gallery behind proxies: rows arrive as they are made, and a cut body still looks cut."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.arriving import arriving
from support.proxies import running_proxy
from support.servers import ServerProcess, running_asgi

# What "Behind a proxy" tells to write for nginx.
HTTP_1_1 = "proxy_http_version 1.1;"


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with running_asgi("uvicorn", "echostream.gallery:app", folder=tmp_path_factory.mktemp("gallery")) as running:
        yield running


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def proxy(request: pytest.FixtureRequest, upstream: ServerProcess, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp(request.param)
    with running_proxy(request.param, upstream=upstream.port, folder=folder, more=HTTP_1_1) as running:
        yield running


def curl(url: str) -> tuple[int, bytes]:
    done = subprocess.run(["curl", "-sNf", url], capture_output=True, timeout=20, check=False)
    return done.returncode, done.stdout


def test_lines_arrive_as_they_are_made(proxy: ServerProcess):
    pieces = arriving(f"{proxy.url}/chunked_text")
    assert [piece.count(b"\n") for _, piece in pieces] == [1] * 4
    assert pieces[-1][0] > 2.5


@pytest.mark.parametrize("form", ["ndjson", "json", "csv", "text", "bytes"])
def test_a_cut_body_is_cut(proxy: ServerProcess, form: str):
    code, body = curl(f"{proxy.url}/failing/{form}/after")
    assert b"row" in body
    assert code == 18


def test_events_arrive_with_heartbeats_and_end_in_order(proxy: ServerProcess):
    pieces = arriving(f"{proxy.url}/named_events?algorithm=sha256")
    assert any(piece == b":\n\n" for _, piece in pieces)
    assert b"event: stream-end" in pieces[-1][1]


def test_nginx_as_it_comes_has_the_formats_that_tell_their_end(upstream: ServerProcess, tmp_path: Path):
    """It speaks HTTP/1.0 to what is behind it, where half a body would look like all of it."""
    with running_proxy("nginx", upstream=upstream.port, folder=tmp_path / "nginx") as proxy:
        assert curl(f"{proxy.url}/failing/sse/after")[0] == 0
        code, body = curl(f"{proxy.url}/updates")
        assert code == 0
        assert body.endswith(b'{"stream":"end","reason":"finished"}\n')
        for path in ("csv_export", "search?q=socket", "binary", "chunked_text"):
            status = subprocess.run(["curl", "-s", f"{proxy.url}/{path}"], capture_output=True, timeout=20, check=False)
            assert b'"code":"http-version"' in status.stdout
