"""The HTTP library under the clients: httpx2, or httpx where that is what is installed."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec

from ..exceptions import InvalidInput, RequestRefused

if TYPE_CHECKING:
    import httpx2

__all__ = [
    "MAX_ANSWER_BYTES",
    "check_hub_url",
    "check_url",
    "fits_header",
    "http_library",
    "new_client",
    "read_answer",
    "refusal",
    "shown",
    "told",
    "with_query",
]

MAX_ANSWER_BYTES = 1024 * 1024
"""A receipt of 1,000 events is 40 KiB; what is longer is none, and endless is an attack."""


class _Problem(msgspec.Struct):
    code: str = "error"
    title: str = ""
    detail: str = ""


def http_library() -> Any:
    """The module. Raises `ModuleNotFoundError` with the command that installs it."""
    try:
        import httpx2 as library
    except ModuleNotFoundError:
        try:
            import httpx as library
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                'the client needs httpx2; install it with: pip install "echostream[client]"'
            ) from None
    return library


def new_client(url: str, **settings: Any) -> httpx2.Client:
    """A client for `url`. The environment's proxies are not asked for this machine's own addresses."""
    return http_library().Client(trust_env=not _is_loopback(urlsplit(url).hostname or ""), **settings)


def check_url(url: str) -> str:
    """`url`, when it is an absolute http or https one. Raises `InvalidInput`."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        usable = usable and url.isprintable() and " " not in url
        (parts.hostname or "").encode("idna")  # as `getaddrinfo` will: an empty label fails there, each time anew
    except ValueError:
        usable = False
    if not usable:
        raise InvalidInput("url", f"{shown(url)[:200]!r} is not an address such as http://127.0.0.1:8800")
    return url


def check_hub_url(url: str) -> str:
    """The same for the address of a hub, to which paths are added; without a slash at its end."""
    if "?" in url or "#" in url:
        raise InvalidInput("url", "is the hub's address alone, such as http://127.0.0.1:8800, without ? and #")
    return check_url(url).rstrip("/")


def shown(url: str) -> str:
    """`url` for messages, without the user and password that it may hold."""
    before, at, host = url.rpartition("@")
    return f"{before.partition('//')[0]}//***@{host}" if at else url


def fits_header(text: str) -> bool:
    """Whether a header can carry it as it is."""
    return text.isascii() and text.isprintable()


def with_query(url: str, **parameters: str | None) -> str:
    """`url` with these parameters added to its query; None leaves one out."""
    parts = urlsplit(url)
    added = urlencode({name: value for name, value in parameters.items() if value is not None})
    query = "&".join(part for part in (parts.query, added) if part)
    return urlunsplit(parts._replace(query=query, fragment=""))


def read_answer(response: httpx2.Response) -> bytes:
    """The body of an answer that is no stream, at most `MAX_ANSWER_BYTES` of it."""
    parts: list[bytes] = []
    size = 0
    for part in response.iter_bytes():
        parts.append(part)
        size += len(part)
        if size >= MAX_ANSWER_BYTES:
            break
    return b"".join(parts)[:MAX_ANSWER_BYTES]


def told(error: Exception) -> str:
    """What a failed request's error says; its kind where it says nothing."""
    return str(error) or type(error).__name__


def refusal(response: httpx2.Response, body: bytes) -> RequestRefused:
    """The error that an answer tells, from its problem document (RFC 9457) where it has one."""
    problem, status = _Problem(), response.status_code
    media_type = response.headers.get("content-type", "")
    if media_type.partition(";")[0].strip().lower() in ("application/problem+json", "application/json"):
        try:
            problem = msgspec.json.decode(body, type=_Problem)
        except (ValueError, RecursionError, msgspec.MsgspecError):
            pass
    return RequestRefused(status, problem.code, problem.detail or problem.title or f"the answer was {status}")


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
