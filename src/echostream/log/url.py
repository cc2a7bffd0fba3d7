"""open_log: the log that a URL names.

    memory://                        in memory; gone with the process
    sqlite:///events.db              a file, relative to the working directory
    sqlite:////var/lib/es/events.db  a file, absolute (SQLAlchemy's convention: a fourth slash)

Settings follow as a query: `sqlite:///events.db?durability=normal&max_age=86400`.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from ..exceptions import InvalidSetting
from .base import Log

__all__ = ["open_log"]

LATER = ("redis", "nats")


def open_log(url: str) -> Log:
    """The log that `url` names, not yet opened (await its `open()`).

    Query of `memory://`: `max_bytes`. Of `sqlite://`: `durability` (full or normal), `max_bytes`
    (0: no bound), `max_age` (seconds, 0: no bound). Raises `InvalidSetting` for an unknown
    scheme, an unknown setting or a value it cannot have, and when the extra that a log needs is
    not installed.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InvalidSetting("log", f"is not a URL: {error}") from None
    there = " and ".join(f"{scheme}://" for scheme in _SCHEMES)
    if parts.scheme in LATER:
        raise InvalidSetting("log", f"{parts.scheme}:// is not in this version; there are {there}")
    if parts.scheme not in _SCHEMES or not url.startswith(f"{parts.scheme}://"):
        # Not the whole URL: what stands where a URL is due may hold a password.
        asked = url.partition(":")[0][:20]
        raise InvalidSetting("log", f"{asked!r} begins no log URL; there are {there}{_nearest(asked, _SCHEMES)}")
    return _SCHEMES[parts.scheme](parts)


def _memory(parts: SplitResult) -> Log:
    from .memory import MemoryLog

    if parts.netloc or parts.path.strip("/"):
        raise InvalidSetting("log", "memory:// takes no path; for a file use sqlite:///path.db")
    return MemoryLog(**_settings(parts, {"max_bytes": int}))


def _sqlite(parts: SplitResult) -> Log:
    if parts.netloc:
        meant = f"sqlite:///{parts.netloc}{parts.path}"
        raise InvalidSetting("log", f"write three slashes before a relative path, four before an absolute one: {meant}")
    path = unquote(parts.path[1:])
    if not path or path.endswith("/"):
        raise InvalidSetting("log", "sqlite:// needs a file, as in sqlite:///events.db")
    if "\0" in path:
        raise InvalidSetting("log", "has a NUL in its path")
    if path == ":memory:":
        raise InvalidSetting("log", "a log in memory is memory://")
    settings = _settings(parts, {"durability": str, "max_bytes": int, "max_age": float})
    try:
        from .sqlite import SqliteLog
    except ModuleNotFoundError as error:
        if error.name != "apsw":
            raise
        raise InvalidSetting("log", 'sqlite:// needs apsw; pip install "echostream[hub]"') from error
    return SqliteLog(path, **settings)


_SCHEMES: dict[str, Callable[[SplitResult], Log]] = {"memory": _memory, "sqlite": _sqlite}


def _settings(parts: SplitResult, known: dict[str, Callable[[str], Any]]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if parts.fragment:
        raise InvalidSetting("log", "has a '#'; write it as %23")
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        if name not in known:
            there = f"there are {', '.join(known)}{_nearest(name, known)}"
            raise InvalidSetting("log", f"{parts.scheme}:// has no setting {name!r}; {there}")
        try:
            settings[name] = known[name](text)
        except ValueError:
            raise InvalidSetting("log", f"{name}={text} is not a number") from None
    return settings


def _nearest(word: str, known: dict[str, Any]) -> str:
    near = get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""
