"""Topic names, and the patterns that subscribe to many of them.

A name is 1 to 256 bytes of UTF-8 in segments separated by `/`: `orders/eu/42`. A pattern
is a name in which `*` stands for one whole segment and a final `**` for one or more:
`orders/*/42`, `orders/**`. A pattern that begins with a wildcard does not match `hub/...`,
the hub's own topics: who asks for everything means everything people publish.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .exceptions import InvalidTopic, TooLarge

__all__ = ["HUB_PREFIX", "MAX_TOPICS", "MAX_TOPIC_BYTES", "TopicSet", "check_pattern", "check_topic", "is_pattern"]

MAX_TOPIC_BYTES = 256
MAX_TOPICS = 64
HUB_PREFIX = "hub/"

ONE = "*"
REST = "**"


def check_topic(name: str) -> str:
    """`name`, when it is a valid topic name. Raises `InvalidTopic`."""
    for segment in _segments(name):
        if "*" in segment:
            raise InvalidTopic(
                "topic", f"{name!r} has a '*'; a pattern cannot be published to or stand where a name is due"
            )
    return name


def check_pattern(pattern: str) -> str:
    """`pattern`, when it is a valid topic name or pattern. Raises `InvalidTopic`."""
    segments = _segments(pattern)
    for index, segment in enumerate(segments):
        if segment == REST:
            if index != len(segments) - 1:
                raise InvalidTopic("topic", f"in {pattern!r} '**' must be the last segment")
        elif "*" in segment and segment != ONE:
            raise InvalidTopic("topic", f"in {pattern!r} '*' must be a whole segment")
    return pattern


def is_pattern(text: str) -> bool:
    """Whether a checked topic or pattern has wildcards."""
    return "*" in text


class TopicSet:
    """What one subscription follows: names and patterns, at most `MAX_TOPICS`, checked.

    Equal sets are equal whatever their order, so that readers of the same topics share a group.
    Raises `InvalidTopic` and, over the bound or empty, `TooLarge` and `InvalidTopic`.
    """

    __slots__ = ("_key", "_patterns", "names", "patterns")

    names: frozenset[str]
    patterns: frozenset[str]

    def __init__(self, topics: Iterable[str]) -> None:
        if isinstance(topics, str):
            raise InvalidTopic("topic", f"give a list, as in [{topics!r}]; one string would be its letters")
        given = {check_pattern(topic) for topic in topics}
        if not given:
            raise InvalidTopic("topic", "name at least one topic")
        if len(given) > MAX_TOPICS:
            raise TooLarge("topic", size=len(given), limit=MAX_TOPICS, unit="topics")
        self.patterns = frozenset(topic for topic in given if is_pattern(topic))
        self.names = frozenset(given - self.patterns)
        self._patterns = tuple(tuple(pattern.split("/")) for pattern in self.patterns)
        self._key = (self.names, self.patterns)

    def matches(self, name: str) -> bool:
        """Whether a topic of this name belongs to the set."""
        if name in self.names:
            return True
        if not self._patterns:
            return False
        segments = name.split("/")
        return any(_matches(pattern, segments) for pattern in self._patterns)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self.names | self.patterns))

    def __len__(self) -> int:
        return len(self.names) + len(self.patterns)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TopicSet) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        return f"TopicSet({list(self)!r})"


def _matches(pattern: tuple[str, ...], segments: list[str]) -> bool:
    if pattern[0] in (ONE, REST) and segments[0] == "hub":
        return False
    if pattern[-1] == REST:
        fixed = pattern[:-1]
        if len(segments) <= len(fixed):
            return False
    elif len(segments) != len(pattern):
        return False
    else:
        fixed = pattern
    return all(want in (ONE, got) for want, got in zip(fixed, segments, strict=False))


def _segments(text: str) -> list[str]:
    if not text:
        raise InvalidTopic("topic", "is empty; name one, such as orders/eu")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidTopic("topic", "is not valid UTF-8") from None
    if size > MAX_TOPIC_BYTES:
        raise InvalidTopic("topic", f"has {size} bytes, the limit is {MAX_TOPIC_BYTES}")
    if any(char < " " or "\x7f" <= char <= "\x9f" for char in text):
        raise InvalidTopic("topic", f"{text!r} has a control character")
    segments = text.split("/")
    for segment in segments:
        if not segment:
            raise InvalidTopic(
                "topic", f"{text!r} has an empty segment; write it without leading, trailing or double '/'"
            )
        if segment in (".", ".."):
            raise InvalidTopic("topic", f"{text!r} has the segment {segment!r}")
    return segments
