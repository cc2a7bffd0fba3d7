"""Control events: what the stream says about itself, in words that native `EventSource` can read.

In SSE they are events named `stream-open`, `stream-at`, ...; in NDJSON lines
`{"stream": "open", ...}`. The names of people's events cannot begin with `stream-`.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ..exceptions import DecodeError

__all__ = [
    "Control",
    "Resume",
    "StreamAt",
    "StreamEnd",
    "StreamError",
    "StreamGap",
    "StreamOpen",
    "facts",
    "parse_control",
]

Resume = Literal["live", "resumed", "gap", "reset"]
"""How a stream began: at a start of its own choice; where the reader left off; past a loss; in another log."""


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """The base of all control events; `word` is its name without the prefix."""

    @property
    def word(self) -> str:
        return str(self.__struct_config__.tag)


class StreamOpen(Control, frozen=True, kw_only=True, tag="open", tag_field="stream_event", rename={"from_": "from"}):
    """The first of a stream. `stream` is its unguessable id, `from` the position it starts after."""

    stream: str
    epoch: str
    from_: str
    resume: Resume


class StreamAt(Control, frozen=True, kw_only=True, tag="at", tag_field="stream_event"):
    """The position moved through entries that were not for this reader. Only its id matters."""


class StreamGap(Control, frozen=True, kw_only=True, tag="gap", tag_field="stream_event"):
    """Entries between `after` and `oldest` are lost to this reader; `dropped` counts them, None when unknown.

    `reason`: `trimmed` (retention), `corrupt` (damaged, never served), `reset` (another epoch),
    `dropped` (ephemeral events passed over while the reader was behind).
    """

    after: str
    oldest: str
    dropped: int | None
    reason: str


class StreamError(Control, frozen=True, kw_only=True, tag="error", tag_field="stream_event"):
    """Something failed; `code` is for programs, `message` for people."""

    code: str
    message: str


class StreamEnd(Control, frozen=True, kw_only=True, tag="end", tag_field="stream_event"):
    """The stream ends here. finished, cancelled, expired: for good. deadline, drain, quota: come back."""

    reason: str


def facts(control: Control) -> dict[str, Any]:
    """The fields of a control event by their names on the wire, without its word."""
    built: dict[str, Any] = msgspec.to_builtins(control)
    del built["stream_event"]
    return built


_KINDS: dict[str, type[Control]] = {
    "open": StreamOpen,
    "at": StreamAt,
    "gap": StreamGap,
    "error": StreamError,
    "end": StreamEnd,
}


def parse_control(word: str, told: object) -> Control | None:
    """The control event of that word and these facts (decoded JSON); None for a word that we do not know.

    A newer hub may say more than we understand: unknown words and facts are passed over.
    Raises `DecodeError` when facts that we need are missing or of another type.
    """
    kind = _KINDS.get(word)
    if kind is None:
        return None
    try:
        return msgspec.convert(told, kind)
    except msgspec.ValidationError as error:
        raise DecodeError(f"a control event stream-{word} that cannot be read: {error}") from None
