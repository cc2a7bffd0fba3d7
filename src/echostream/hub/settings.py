"""The bounds of a hub and of a stream, each with its name and default."""

from __future__ import annotations

from dataclasses import dataclass

from ..exceptions import InvalidSetting

__all__ = ["HubSettings", "StreamSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings:
    """What a hub takes and keeps at hand.

    `event_bytes` and `batch_events` bound a publication (past them: `TooLarge`), `ring_bytes`
    the newest entries held in memory (past it readers read from the log), `tick` the seconds
    for which events that come fast are gathered into one write of at most `flush_bytes`.
    """

    event_bytes: int = 256 * 1024
    batch_events: int = 1000
    ring_bytes: int = 16 * 1024 * 1024
    tick: float = 0.001
    flush_bytes: int = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings:
    """How one stream behaves. All in seconds.

    `heartbeat`: sent when nothing else was for so long. `deadline`: the stream ends at an event
    boundary to be resumed, jittered by 10 %; None: never. `send_timeout`: a full socket that
    does not drain for so long is cut, resumable. `retry`: after what delay a reader should
    come back, jittered by half.

    Raises `InvalidSetting` for anything that is not more than 0.
    """

    heartbeat: float = 15.0
    deadline: float | None = None
    send_timeout: float = 30.0
    retry: float = 2.0

    def __post_init__(self) -> None:
        for name in ("heartbeat", "deadline", "send_timeout", "retry"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InvalidSetting(name, f"must be more than 0 seconds, not {value}")
