"""The head of a response of its own: the headers that a streamed body wants, and none that it must not have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import cast
from urllib.parse import quote

from ..exceptions import InvalidInput

__all__ = ["HeaderLines", "attachment", "check_status", "stream_headers"]

HeaderLines = Mapping[str, str] | Iterable[tuple[bytes, bytes]]

_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BAD_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110, section 5.5: a line break would begin a new header
_TOKEN = re.compile(r"[A-Za-z0-9._-]+")

# The server frames the body; a length would be a guess.
_REFUSED = frozenset({b"content-length", b"transfer-encoding", b"connection", b"keep-alive", b"upgrade", b"trailer"})


def stream_headers(media_type: str, own: HeaderLines, *, filename: str | None = None) -> list[tuple[bytes, bytes]]:
    """The lines of the head: what streaming needs, each replaced by one of `own` with the same name.

    `no-cache`: a stored half is worth nothing. `X-Accel-Buffering: no`: nginx passes on what
    comes. `nosniff`: browsers hold back the first bytes of what they want to guess at.

    Raises `InvalidInput` for a header that no streamed body may have, and for one that is no header.
    """
    lines = [
        _checked(b"content-type", _latin("content-type", media_type)),
        (b"cache-control", b"no-cache"),
        (b"x-accel-buffering", b"no"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if filename is not None:
        lines.append((b"content-disposition", attachment(filename)))
    given = [_checked(name, value) for name, value in _pairs(own)]
    replaced = {name for name, _ in given}
    return [line for line in lines if line[0] not in replaced] + given


def attachment(filename: str) -> bytes:
    """The value of `Content-Disposition` for a download (RFC 6266): ASCII for all, UTF-8 (RFC 8187) where needed.

    Raises `InvalidInput` for a name with control characters, or none at all.
    """
    if not filename or any(ord(char) < 32 or ord(char) == 127 for char in filename):
        raise InvalidInput("filename", "is empty or has control characters")
    if _TOKEN.fullmatch(filename):
        return f"attachment; filename={filename}".encode()
    try:
        extended = quote(filename, safe="")
    except UnicodeEncodeError:
        raise InvalidInput("filename", "is not valid Unicode (a lone surrogate)") from None
    plain = re.sub(r'[^ -~]|["\\%/]', "_", filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{extended}".encode()


def check_status(status: int) -> int:
    """`status`, when a response with a body may have it. Raises `InvalidInput`."""
    if not 200 <= status <= 599 or status in (204, 205, 304):
        raise InvalidInput("status", f"must be that of a response with a body, not {status}")
    return status


def _pairs(own: HeaderLines) -> Iterable[tuple[bytes, bytes]]:
    if not isinstance(own, Mapping):
        return own
    named = cast("Mapping[str, str]", own)
    return [(name.encode("latin-1", "replace"), _latin(name, value)) for name, value in named.items()]


def _latin(name: str, value: str) -> bytes:
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        raise InvalidInput(name, "a header's value is Latin-1; percent-encode the rest") from None


def _checked(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    shown = name.decode("latin-1")
    if not _NAME.fullmatch(name):
        raise InvalidInput("headers", f"{shown!r} is not the name of a header")
    if _BAD_VALUE.search(value):
        raise InvalidInput(shown, "has a line break or another control character")
    lowered = name.lower()
    if lowered in _REFUSED:
        raise InvalidInput(shown, "is the server's to set; a body that is being made has no length")
    return lowered, value
