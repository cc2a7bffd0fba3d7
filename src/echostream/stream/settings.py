"""How one response of its own behaves: its times and bounds, each with its name and default."""

from __future__ import annotations

from dataclasses import dataclass

from ..exceptions import InvalidSetting

__all__ = ["StreamSettings"]

_MAY_BE_NONE = ("heartbeat", "deadline", "max_bytes", "retry")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings:
    """Times in seconds, sizes in bytes.

    `commit_after`: how long the first item is waited for before the status is sent; a failure
    until then is a real status. `heartbeat`: sent when nothing else was for so long, where the
    format has one; None: never. `deadline`: the response ends after so long; None: never.
    `send_timeout`: a socket that does not drain for so long is given up. `close_timeout`: a source
    that has not closed after so long is abandoned, and counted.

    `batch_bytes` and `batch_age`: rows leave when so many bytes of them or the oldest is so old;
    the first leaves at once, and server-sent events never wait. `max_bytes`: the body ends before
    it is longer; None: no bound. `retry`: after what delay a browser should come back when a
    stream of events breaks off; None: its own choice.

    Raises `InvalidSetting` for anything that is not more than 0.
    """

    commit_after: float = 1.0
    heartbeat: float | None = 15.0
    deadline: float | None = None
    send_timeout: float = 30.0
    close_timeout: float = 5.0
    batch_bytes: int = 64 * 1024
    batch_age: float = 0.05
    max_bytes: int | None = None
    retry: float | None = None

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if value is None and name in _MAY_BE_NONE:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise InvalidSetting(name, f"must be a number above 0, not {value!r}")
