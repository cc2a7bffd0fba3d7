"""Every error echostream raises, under one root.

    EchostreamError
    ├── InvalidInput (also ValueError)   what you gave cannot be used; `field` names it
    │   ├── InvalidEvent                 an event's data, event, key, retry ...
    │   ├── InvalidItem                  an item of a response that its format cannot carry
    │   ├── InvalidTopic                 a topic name or pattern
    │   ├── InvalidPosition              text that is not `epoch.offset`
    │   ├── InvalidSince                 a start that cannot be read
    │   ├── InvalidSetting               an unknown or wrong setting
    │   └── TooLarge                     a body, event, batch or list over its bound
    ├── Refused                          well-formed, but not allowed now
    │   ├── TopicFinished                publishing after the topic's end
    │   ├── IdempotencyConflict          a key used again with another body
    │   ├── TopicReserved                publishing under the hub's own `hub/`
    │   ├── HubClosed                    the hub is draining or closed
    │   └── SourcesBusy                  all threads for synchronous sources are in use
    ├── NotAcceptable                    no format fits what the reader accepts
    ├── DecodeError                      bytes from a peer that are no stream of ours
    ├── PositionGone                     a matching entry after the position was trimmed
    ├── EpochChanged                     the log under us is no longer the same log
    ├── StreamAborted                    a response cut on purpose, so that it looks cut
    ├── StreamFailed                     raised by your source: what its reader is told
    ├── ClientGone                       writing to a reader that has left
    ├── RequestRefused                   a client's request was answered with a refusal
    ├── Unacknowledged                   a client's publication that may or may not have happened
    └── LogError                         the storage failed
        ├── LogUnavailable               not reachable now; trying again may help
        ├── LogFull                      no room; readers go on, publishing may work later
        ├── LogCorrupt                   an entry or the file is damaged; never served
        ├── LogInUse                     another process holds the log
        └── LogForeign                   the file belongs to another program or version

Facts are attributes. `code` is the word a program may act on: it stands in problem
documents and in `stream-error`.
"""

from __future__ import annotations

__all__ = [
    "ClientGone",
    "DecodeError",
    "EchostreamError",
    "EpochChanged",
    "HubClosed",
    "IdempotencyConflict",
    "InvalidEvent",
    "InvalidInput",
    "InvalidItem",
    "InvalidPosition",
    "InvalidSetting",
    "InvalidSince",
    "InvalidTopic",
    "LogCorrupt",
    "LogError",
    "LogForeign",
    "LogFull",
    "LogInUse",
    "LogUnavailable",
    "NotAcceptable",
    "PositionGone",
    "Refused",
    "RequestRefused",
    "SourcesBusy",
    "StreamAborted",
    "StreamFailed",
    "TooLarge",
    "TopicFinished",
    "TopicReserved",
    "Unacknowledged",
]


class EchostreamError(Exception):
    """The root of all errors of this package."""

    code = "error"

    @property
    def public(self) -> str:
        """What may be told to whoever asked over the network; the text itself is for who runs the program."""
        return str(self)


class InvalidInput(EchostreamError, ValueError):
    """Something given by the caller cannot be used.

    Attributes: `field`, the name of what is wrong; `reason`, what is wrong with it.
    """

    code = "invalid-input"

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class InvalidEvent(InvalidInput):
    """An event's field breaks a rule. In a batch, `line` (from 1) says where."""

    code = "invalid-event"

    def __init__(self, field: str, reason: str, *, line: int | None = None) -> None:
        super().__init__(field, reason if line is None else f"line {line}: {reason}")
        self.line = line


class InvalidItem(InvalidInput):
    """An item that the response's format cannot carry. `item` (from 1) says which, when it is known."""

    code = "invalid-item"

    def __init__(self, reason: str, *, item: int | None = None) -> None:
        super().__init__("item" if item is None else f"item {item}", reason)
        self.item = item

    @property
    def public(self) -> str:
        """Not the reason: it shows what the application holds."""
        return "an item of the stream could not be encoded; the server's log says why"


class InvalidTopic(InvalidInput):
    """A topic name or pattern breaks a rule of `echostream.topic`."""

    code = "invalid-topic"


class InvalidPosition(InvalidInput):
    """Text that is not a position (`epoch.offset`)."""

    code = "invalid-position"


class InvalidSince(InvalidInput):
    """A start that is neither latest, earliest, a position, a time span nor a count."""

    code = "invalid-since"


class InvalidSetting(InvalidInput):
    """An unknown setting, or a value it cannot have."""

    code = "invalid-setting"


class TooLarge(InvalidInput):
    """Something is over its bound. Attributes: `size` (None when it was not read to its end), `limit`."""

    code = "too-large"

    def __init__(self, field: str, *, size: int | None, limit: int, unit: str = "bytes") -> None:
        seen = f"more than {limit}" if size is None else str(size)
        super().__init__(field, f"{seen} {unit}, the limit is {limit}")
        self.size = size
        self.limit = limit


class Refused(EchostreamError):
    """Well-formed, but not allowed in the present state."""

    code = "refused"


class TopicFinished(Refused):
    """The topic was ended (`end=1`); nothing can follow its end."""

    code = "topic-finished"

    def __init__(self, topic: str) -> None:
        super().__init__(f"topic {topic!r} is finished; publish to another topic")
        self.topic = topic


class IdempotencyConflict(Refused):
    """The idempotency key was used before with another body."""

    code = "idempotency-conflict"

    def __init__(self, key: str) -> None:
        super().__init__(f"idempotency key {key!r} was already used with another body; use a new key for new data")
        self.key = key


class TopicReserved(Refused):
    """Publishing under `hub/`, which is the hub's own."""

    code = "topic-reserved"

    def __init__(self, topic: str) -> None:
        super().__init__(f"topic {topic!r} is the hub's own; publish under another name than hub/")
        self.topic = topic


class HubClosed(Refused):
    """The hub is draining or closed."""

    code = "draining"


class SourcesBusy(Refused):
    """All threads for synchronous sources are in use. Attribute: `limit`, how many there are."""

    code = "sources-busy"

    def __init__(self, limit: int) -> None:
        super().__init__(f"all {limit} threads for synchronous sources are in use; try again later")
        self.limit = limit


class NotAcceptable(EchostreamError):
    """No format that can be given fits. Attribute: `offered`, the media types that can be."""

    code = "not-acceptable"

    def __init__(self, asked: str, offered: tuple[str, ...]) -> None:
        super().__init__(f"cannot answer {asked!r}; offered are {', '.join(offered)}")
        self.asked = asked
        self.offered = offered


class DecodeError(EchostreamError):
    """Bytes from a peer that cannot be decoded, or are over the decoder's bound."""

    code = "decode-error"


class PositionGone(EchostreamError):
    """An entry that matches, after the position asked for, may have been trimmed.

    Attribute: `oldest`, the offset of the oldest entry that is kept (`newest + 1` when none is).
    """

    code = "position-gone"

    def __init__(self, oldest: int) -> None:
        super().__init__(f"entries after the position were trimmed; the oldest kept is {oldest}")
        self.oldest = oldest


class EpochChanged(EchostreamError):
    """The log was born again: positions of the former epoch mean nothing in it."""

    code = "epoch-changed"

    def __init__(self, epoch: str) -> None:
        super().__init__(f"the log has a new epoch, {epoch}")
        self.epoch = epoch


class StreamAborted(EchostreamError):
    """Raised out of a response that must not look complete.

    Servers answer an exception in a running response by closing the connection
    without the final chunk: the one way ASGI has to cut a body so that it looks cut.
    """

    code = "aborted"


class StreamFailed(EchostreamError):
    """Raise it in a source to choose what the reader is told.

    Before the first item it is the response: a problem document with `status`. Later it is the
    `code` and `message` of `stream-error` where the format has one, and the body is cut where not.
    Of other exceptions a reader is told nothing but that the stream failed.

    Raises `InvalidInput` for a code or message that is no text, and a status that is none of an error.
    """

    def __init__(self, code: str, message: str, *, status: int = 500) -> None:
        super().__init__(message)
        given: dict[str, object] = {"code": code, "message": message}
        for name, value in given.items():
            if not isinstance(value, str):
                raise InvalidInput(name, f"must be text, not {value!r}; a status is given as status=404")
        if not 400 <= status <= 599:
            raise InvalidInput("status", f"must be 400 to 599, not {status}")
        self.code = code
        self.message = message
        self.status = status


class ClientGone(EchostreamError):
    """The reader has left: nothing more can be written to it."""

    code = "client-gone"


class RequestRefused(EchostreamError):
    """The other side answered a client's request with a refusal; asking again would not help.

    Attributes: `status`, the HTTP status; `code` and `detail` of its problem document ("error"
    and the status where it sent none).
    """

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"{detail} ({status}, {code})")
        self.status = status
        self.code = code
        self.detail = detail


class Unacknowledged(EchostreamError):
    """A publication was sent, no acknowledgement came, and repeating it is no longer safe or no longer wanted.

    Attribute: `uncertain`, true when it may have happened, false when it certainly did not.
    """

    code = "unacknowledged"

    def __init__(self, message: str, *, uncertain: bool) -> None:
        super().__init__(message)
        self.uncertain = uncertain


class LogError(EchostreamError):
    """The log could not do what was asked. Its text may name files; `public` does not."""

    code = "log-error"
    told = "the log failed; the hub's own log says why"

    @property
    def public(self) -> str:
        return self.told


class LogUnavailable(LogError):
    """The log cannot be reached now; trying again may help."""

    code = "log-unavailable"
    told = "the log cannot be reached now; try again (a publication with its idempotency key: it may have been kept)"


class LogFull(LogError):
    """No room for more: nothing was appended, what is kept can be read."""

    code = "log-full"
    told = "the log has no room: nothing was kept, what is kept can be read; try again later"


class LogCorrupt(LogError):
    """A damaged entry or file. Attribute: `offset`, the entry, or None for the file."""

    code = "log-corrupt"
    told = "a part of the log is damaged and is not served"

    def __init__(self, message: str, offset: int | None = None) -> None:
        super().__init__(message)
        self.offset = offset


class LogInUse(LogError):
    """Another process has the log open."""

    code = "log-in-use"


class LogForeign(LogError):
    """The file is not a log of ours, or of a version that we cannot read."""

    code = "log-foreign"
