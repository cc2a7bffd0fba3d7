"""A request as an ASGI scope."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast
from urllib.parse import unquote_to_bytes

__all__ = ["RequestHeaders", "header_lines", "http_scope"]

RequestHeaders = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]


def header_lines(headers: RequestHeaders, body_bytes: int) -> list[tuple[bytes, bytes]]:
    """The header's lines as a server gives them: `host` first, and the length of a body that has one."""
    given: Any = cast("Mapping[str, str]", headers).items() if isinstance(headers, Mapping) else headers
    lines = [(_bytes(name).lower(), _bytes(value)) for name, value in given]
    names = {name for name, _ in lines}
    if b"host" not in names:
        lines.insert(0, (b"host", b"testserver"))
    if body_bytes and not names & {b"content-length", b"transfer-encoding"}:
        lines.append((b"content-length", str(body_bytes).encode()))
    return lines


def http_scope(
    method: str, target: str, headers: list[tuple[bytes, bytes]], *, http_version: str, spec_version: str
) -> dict[str, Any]:
    """The scope of a request; `target` is the path, percent-encoded where it must be, with its query."""
    raw_path, _, query = target.encode().partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": spec_version},
        "http_version": http_version,
        "method": method,
        "scheme": "http",
        "path": unquote_to_bytes(raw_path).decode("utf-8", "replace"),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 50000),
        "server": ("testserver", 80),
    }


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")
