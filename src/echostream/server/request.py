"""What a request says, read strictly: its topic, its query, its body. Nothing is guessed or repaired."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from starlette.types import Receive, Scope

from ..exceptions import InvalidInput, InvalidTopic, TooLarge
from ..topic import check_topic
from .problem import HttpProblem
from .proxies import header_values

__all__ = ["MAX_HEAD_BYTES", "ClientGone", "Query", "check_head", "one_header", "read_body", "topic_of"]

TOPICS_PATH = b"/topics/"
MAX_QUERY_FIELDS = 100  # 64 topics and the rest; parse_qsl stops there before it splits
ESCAPED_SLASH = b"%2f"
BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
MAX_HEAD_BYTES = 16 * 1024
MAX_HEAD_FIELDS = 100


class ClientGone(Exception):
    """The client left before its request was whole: there is nobody to answer."""


def check_head(scope: Scope) -> None:
    """Bounds on the request line and headers. Raises `HttpProblem` 431."""
    headers = scope["headers"]
    if len(headers) > MAX_HEAD_FIELDS:
        raise HttpProblem(431, "head-too-large", f"{len(headers)} headers; the limit is {MAX_HEAD_FIELDS}")
    size = len(scope.get("raw_path") or b"") + len(scope["query_string"])
    size += sum(len(name) + len(value) + 4 for name, value in headers)
    if size > MAX_HEAD_BYTES:
        raise HttpProblem(431, "head-too-large", f"{size} bytes of headers; the limit is {MAX_HEAD_BYTES}")


def topic_of(scope: Scope) -> str | None:
    """The topic that the path `/topics/{topic}` names, decoded once; None for another path.

    Read from the raw path: servers put U+FFFD where the path is not UTF-8, and an escaped `/`
    looks like a real one after decoding, so `a%2Fb` and `a/b` would be one topic to us and two
    to a proxy's access rules. Raises `InvalidTopic`.
    """
    raw = scope.get("raw_path") or quote(scope["path"]).encode()
    root = quote(scope.get("root_path", "")).encode()
    path = raw.split(b"?", 1)[0].removeprefix(root)
    if not path.startswith(TOPICS_PATH):
        return None
    name = path[len(TOPICS_PATH) :]
    if ESCAPED_SLASH in name.lower():
        raise InvalidTopic("topic", "has an escaped slash (%2F); segments are separated by '/' itself")
    if BAD_ESCAPE.search(name):  # "%zz" and "%25zz" would be one topic under two names
        raise InvalidTopic("topic", "has a '%' that begins no escape; write it as %25")
    try:
        return check_topic(unquote_to_bytes(name).decode())
    except UnicodeDecodeError:
        raise InvalidTopic("topic", "is not valid UTF-8; percent-encode the bytes of the UTF-8 text") from None


class Query:
    """The query of a request. Names that nobody knows are errors: a misspelt `since` must not mean `latest`."""

    def __init__(self, scope: Scope, *, known: Collection[str], repeated: Collection[str] = ()) -> None:
        """Raises `InvalidInput`: an unknown name, a name given twice, what is not UTF-8, too many fields."""
        if BAD_ESCAPE.search(scope["query_string"]):
            raise InvalidInput("query", "has a '%' that begins no escape; write it as %25")
        try:
            text = scope["query_string"].decode("ascii")
            pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_FIELDS)
        except UnicodeDecodeError:
            raise InvalidInput("query", "is not percent-encoded UTF-8") from None
        except ValueError:
            raise InvalidInput("query", f"has more than {MAX_QUERY_FIELDS} fields") from None
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            if name not in known:
                raise InvalidInput(name[:40] or "query", f"is no parameter here; there are {', '.join(known)}")
            if name in self._values and name not in repeated:
                raise InvalidInput(name, "is given twice")
            self._values.setdefault(name, []).append(value)

    def text(self, name: str) -> str | None:
        """The value of a name, or None when it is not there."""
        values = self._values.get(name)
        return values[0] if values else None

    def texts(self, name: str) -> list[str]:
        """All values of a name that may be repeated."""
        return self._values.get(name, [])

    def flag(self, name: str) -> bool:
        """1 or true, 0 or false; not given means no. Raises `InvalidInput`."""
        value = self.text(name)
        if value is None or value in ("0", "false"):
            return False
        if value in ("1", "true"):
            return True
        raise InvalidInput(name, f"{value[:40]!r} is neither 1 nor 0")


def one_header(scope: Scope, name: str) -> str | None:
    """The one value of a header, as UTF-8; None when it is not there. Raises `InvalidInput` for two of them."""
    values = header_values(scope, name.lower().encode())
    if len(values) > 1:
        raise InvalidInput(name, "is given twice")
    if not values:
        return None
    try:
        return values[0].encode("latin-1").decode()
    except UnicodeDecodeError:
        raise InvalidInput(name, "is not valid UTF-8") from None


async def read_body(scope: Scope, receive: Receive, *, limit: int, seconds: float) -> bytes:
    """The whole body. 0 means no bound.

    Raises `TooLarge` as soon as the body is over `limit` bytes, by Content-Length before the
    first byte; `HttpProblem` 408 when it takes longer than `seconds` (a body sent one byte a minute
    would hold its slot for ever); `ClientGone`.
    """
    declared = header_values(scope, b"content-length")
    if limit and declared and declared[0].isascii() and declared[0].isdigit() and int(declared[0]) > limit:
        raise TooLarge("body", size=int(declared[0]), limit=limit)
    try:
        async with asyncio.timeout(seconds or None):
            return await _receive_all(receive, limit)
    except TimeoutError:
        detail = f"the body did not arrive within {seconds:g} s (limits.publish_seconds)"
        raise HttpProblem(408, "body-too-slow", detail, headers={"Connection": "close"}) from None


async def _receive_all(receive: Receive, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        if limit and size > limit:
            raise TooLarge("body", size=None, limit=limit)
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)
