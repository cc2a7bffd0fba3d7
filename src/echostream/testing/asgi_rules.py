"""What an application may send in answer to one request: the rules of ASGI's HTTP protocol, pure.

    HEAD ─ start ─► BODY ─ body, more_body false ─► DONE
                      └─── the same, when start has trailers ─► TRAILERS ─► DONE

Sources: the ASGI HTTP specification, 2.5 ("Response Start", "Response Body", and the
extensions' pages); RFC 9110 for fields, RFC 9113 section 8.2 for what HTTP/2 forbids.
Servers are lenient here, each in another way: what one lets pass another breaks on.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

__all__ = ["ResponseRules", "Stage", "Violation"]

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")  # RFC 9110, section 5.6.2, in lower case as ASGI asks for
_FORBIDDEN = re.compile(rb"[\r\n\0]")  # RFC 9110, section 5.5: where another field, or another response, would begin
_OF_ONE_CONNECTION = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})
_WITHOUT_BODY = frozenset({204, 304})
_BEFORE_START = frozenset({"http.response.debug", "http.response.early_hint"})


class Violation(AssertionError):
    """The application broke the protocol; the text says how."""


class Stage(enum.Enum):
    HEAD = "its head"
    BODY = "its body"
    TRAILERS = "its trailers"
    DONE = "nothing more"


class ResponseRules:
    """One response's messages, checked one by one. `stage` is what is to come next."""

    def __init__(self, *, method: str, http_version: str, extensions: Iterable[str] = ()) -> None:
        self.stage = Stage.HEAD
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self._method = method
        self._http_1 = http_version.startswith("1")
        self._extensions = frozenset(extensions)
        self._trailers = False
        self._declared: int | None = None
        self._sent = 0

    @property
    def has_body(self) -> bool:
        """Whether what the application sends as its body reaches the client; to HEAD servers send the head alone."""
        return self._method != "HEAD"

    def check(self, message: object) -> None:
        """Take the next message. Raises `Violation`; the stage is then as it was."""
        if not isinstance(message, Mapping):
            raise Violation(f"a message is a dict, not {_kind(message)}")
        fields = cast("Mapping[str, Any]", message)
        match fields.get("type"):
            case "http.response.start":
                self._start(fields)
            case "http.response.body":
                self._body(fields)
            case "http.response.trailers":
                self._trail(fields)
            case str() as other:
                self._other(other)
            case wrong:
                raise Violation(f"a message's type is a str, not {_kind(wrong)}: {message!r:.200}")

    def _start(self, message: Mapping[str, Any]) -> None:
        self._expect(Stage.HEAD, "http.response.start")
        status = message.get("status")
        if not isinstance(status, int) or isinstance(status, bool):
            raise Violation(f"status is an int, not {_kind(status)}")
        if not 200 <= status <= 599:
            raise Violation(f"status is 200 to 599, not {status}")
        headers = self._fields(message.get("headers", ()), "headers")
        trailers = _flag(message, "trailers")
        if trailers and "http.response.trailers" not in self._extensions:
            raise Violation("start announces trailers, and the server did not offer http.response.trailers")
        self._declared = _content_length(headers)
        self.status, self.headers, self._trailers = status, headers, trailers
        self.stage = Stage.BODY

    def _body(self, message: Mapping[str, Any]) -> None:
        self._expect(Stage.BODY, "http.response.body")
        body, more = message.get("body", b""), _flag(message, "more_body")
        if not isinstance(body, bytes):
            raise Violation(f"body is bytes, not {_kind(body)}")
        if body and self.status in _WITHOUT_BODY:
            raise Violation(f"a response of status {self.status} has no body, yet {len(body)} bytes were sent")
        self._sent += len(body)
        if self._declared is not None and self._method != "HEAD" and self.status != 304:
            if self._sent > self._declared:
                raise Violation(f"content-length says {self._declared} bytes, and {self._sent} were sent")
            if not more and self._sent < self._declared:
                raise Violation(f"content-length says {self._declared} bytes, and the body ended after {self._sent}")
        if not more:
            self.stage = Stage.TRAILERS if self._trailers else Stage.DONE

    def _trail(self, message: Mapping[str, Any]) -> None:
        self._expect(Stage.TRAILERS, "http.response.trailers")
        self._fields(message.get("headers", ()), "trailers")
        if not _flag(message, "more_trailers"):
            self.stage = Stage.DONE

    def _other(self, kind: str) -> None:
        if kind not in self._extensions:
            raise Violation(f"the server knows no message {kind!r}; an extension must be offered in the scope")
        if kind in _BEFORE_START:
            self._expect(Stage.HEAD, kind)
        elif self.stage is Stage.DONE:
            raise Violation(f"{kind} after the response's end")

    def _expect(self, stage: Stage, kind: str) -> None:
        if self.stage is Stage.DONE:
            raise Violation(f"{kind} after the response's end")
        if self.stage is not stage:
            raise Violation(f"{kind} where {self.stage.value} is to come")

    def _fields(self, given: object, called: str) -> list[tuple[bytes, bytes]]:
        if not isinstance(given, Iterable) or isinstance(given, (str, bytes, Mapping)):
            raise Violation(f"{called} are pairs of bytes, not {_kind(cast('object', given))}")
        fields = [_pair(item, called) for item in cast("Iterable[object]", given)]
        for name, value in fields:
            if not _TOKEN.fullmatch(name):
                why = "is not in lower case" if _TOKEN.fullmatch(name.lower()) else "is no field name"
                raise Violation(f"in {called} the name {name!r} {why}")
            if _FORBIDDEN.search(value):
                raise Violation(f"in {called} the value of {name!r} has CR, LF or NUL: {value!r:.200}")
            if not self._http_1 and name in _OF_ONE_CONNECTION:
                raise Violation(f"in {called} {name!r} is malformed in HTTP/2 and later (RFC 9113, section 8.2.2)")
        return fields


def _pair(item: object, called: str) -> tuple[bytes, bytes]:
    if isinstance(item, (tuple, list)):
        parts = tuple(cast("Iterable[object]", item))
        if len(parts) == 2 and isinstance(parts[0], bytes) and isinstance(parts[1], bytes):
            return parts[0], parts[1]
    raise Violation(f"{called} are pairs of bytes, and this is none: {item!r:.200}")


def _flag(message: Mapping[str, Any], name: str) -> bool:
    value = message.get(name, False)
    if not isinstance(value, bool):
        raise Violation(f"{name} is a bool, not {_kind(value)}")
    return value


def _content_length(headers: list[tuple[bytes, bytes]]) -> int | None:
    given = {value for name, value in headers if name == b"content-length"}
    if len(given) > 1:
        raise Violation(f"content-length is given with different values: {sorted(given)}")
    for value in given:
        if not value.isdigit():
            raise Violation(f"content-length is a number of digits, not {value!r:.200}")
        return int(value)
    return None


def _kind(value: object) -> str:
    return "missing" if value is None else type(value).__name__
