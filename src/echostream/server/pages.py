"""The front page and its files, from the package, held in memory: they are few and small."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple

from starlette.types import Receive, Scope, Send

from .proxies import header_values

__all__ = ["CONTENT_SECURITY_POLICY", "Page", "load_pages"]

# Only files of ours run. What someone publishes is shown as text; should a page ever forget to, it still cannot run.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
# mimetypes asks the system's tables, and one that calls .js text/plain would break the page (nosniff).
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}


class _Found(NamedTuple):
    path: str
    body: bytes


class Page:
    """One file as an ASGI application: GET and HEAD, with an ETag so that an unchanged file is not sent twice."""

    def __init__(self, name: str, body: bytes) -> None:
        suffix = name[name.rfind(".") :] if "." in name else ""
        media_type = TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
        self._body = body
        self._etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        self._headers = [
            (b"etag", self._etag.encode()),
            (b"cache-control", b"no-cache"),  # kept, but asked for again: a new version is seen at once
            (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cross-origin-resource-policy", b"same-origin"),
        ]
        self._type = (b"content-type", media_type.encode())

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        if self._is_known(scope):
            await send({"type": "http.response.start", "status": 304, "headers": self._headers})
            await send({"type": "http.response.body", "body": b""})
            return
        headers = [*self._headers, self._type, (b"content-length", str(len(self._body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else self._body})

    def _is_known(self, scope: Scope) -> bool:
        # RFC 9110, 13.1.2: weak comparison, and a proxy that compressed the file may have made ours weak.
        tags = [tag.strip().removeprefix("W/") for v in header_values(scope, b"if-none-match") for tag in v.split(",")]
        return self._etag in tags or "*" in tags


def load_pages() -> dict[str, Page]:
    """Every file of the package's `static` folder by its path: `/` and `/static/...`."""
    pages: dict[str, Page] = {}
    root = files("echostream.server") / "static"
    if not root.is_dir():
        return pages
    for path, body in _walk(root, ""):
        pages[f"/static/{path}"] = Page(path, body)
        if path == "index.html":
            pages["/"] = Page(path, body)
        elif path in ("favicon.ico", "robots.txt"):  # asked for at the root, whatever a page says
            pages[f"/{path}"] = Page(path, body)
    return pages


def _walk(folder: Traversable, prefix: str) -> Iterator[_Found]:
    for child in folder.iterdir():
        if child.name.startswith((".", "__pycache__")):
            continue
        if child.is_dir():
            yield from _walk(child, f"{prefix}{child.name}/")
        else:
            yield _Found(f"{prefix}{child.name}", child.read_bytes())
