"""Start: where a subscription begins, and what its reader has to be told of it.

last id given   known and kept           -> resumed, after it
                a matching entry trimmed -> gap, from the oldest kept
                unreadable, another epoch, in the future -> reset, from the oldest kept
since given     latest | earliest | a position | 10m | -20 -> live (a position: as above)
"""

from __future__ import annotations

import re
import time
from typing import NamedTuple

from ..exceptions import InvalidPosition, InvalidSince, LogCorrupt, PositionGone
from ..log.base import Log, Seek, Topics
from ..position import Position
from ..topic import TopicSet
from ..wire.control import Resume, StreamGap
from .ring import Ring

__all__ = ["Since", "Start", "find_start", "finished_at", "parse_since"]

MAX_LAST = 1_000_000
_SPAN = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)", re.ASCII)
_LAST = re.compile(r"-([0-9]{1,7})", re.ASCII)
_SPAN_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class Since(NamedTuple):
    """A start that was read: exactly one of the fields is set, none of them for `latest`."""

    earliest: bool = False
    position: Position | None = None
    span_ms: int | None = None
    last: int | None = None


class Start(NamedTuple):
    """Where a subscription begins: after `offset`; `gap` says what was lost, if anything was."""

    epoch: str
    offset: int
    resume: Resume
    gap: StreamGap | None = None


def parse_since(text: str) -> Since:
    """What `since` asks for. Raises `InvalidSince`."""
    if text == "latest":
        return Since()
    if text == "earliest":
        return Since(earliest=True)
    if match := _SPAN.fullmatch(text):
        return Since(span_ms=int(match[1]) * _SPAN_MS[match[2]])
    if (match := _LAST.fullmatch(text)) and 0 < int(match[1]) <= MAX_LAST:
        return Since(last=int(match[1]))
    try:
        return Since(position=Position.parse(text))
    except InvalidPosition:
        raise InvalidSince(
            "since",
            f"{text[:60]!r} is none of: latest, earliest, an event's id, a time span (30s, 10m, 2h, 7d), "
            f"a count of the last events (-20, at most -{MAX_LAST})",
        ) from None


async def find_start(log: Log, topics: TopicSet, ring: Ring, *, since: str, last_event_id: str | None) -> Start:
    """Resolve where to begin, `ring` being what the hub's tail has at hand.

    Raises `InvalidSince` and what the log raises.
    """
    wanted = parse_since(since)
    if last_event_id:
        try:
            return await _resume(log, topics, ring, Position.parse(last_event_id), last_event_id)
        except InvalidPosition:
            return await _reset(log, last_event_id)
    if wanted.position is not None:
        return await _resume(log, topics, ring, wanted.position, since)
    epoch, oldest, newest = await log.bounds()
    if wanted.earliest:
        return Start(epoch, oldest - 1, "live")
    if wanted.span_ms is not None and isinstance(log, Seek):
        return Start(epoch, await log.at_time(int(time.time() * 1000) - wanted.span_ms), "live")
    if wanted.last is not None and isinstance(log, Seek):
        return Start(epoch, await log.last(wanted.last, topics), "live")
    if wanted != Since():
        raise InvalidSince("since", "this log cannot seek; use latest, earliest or an event's id")
    return Start(epoch, newest, "live")  # not the ring's end: what was acknowledged before is not new


async def finished_at(log: Log, topics: TopicSet) -> dict[str, int]:
    """The offsets at which the literal topics of the set were ended, of those that were."""
    ends: dict[str, int] = {}
    if isinstance(log, Topics):
        for name in topics.names:
            info = await log.topic(name)
            if info is not None and info.finished is not None:
                ends[name] = info.finished
    return ends


async def _resume(log: Log, topics: TopicSet, ring: Ring, position: Position, told: str) -> Start:
    epoch, _, newest = await log.bounds()
    if position.epoch != epoch or position.offset > newest:
        return await _reset(log, told)
    if position.offset < ring.floor:  # at or above it nothing can be missing, and the log is not asked
        try:
            await log.read(position.offset, 1, topics)
        except PositionGone as gone:
            gap = StreamGap(after=told, oldest=str(Position(epoch, gone.oldest)), dropped=None, reason="trimmed")
            return Start(epoch, gone.oldest - 1, "gap", gap)
        except LogCorrupt:
            pass  # told in the stream, when the reader comes to the damaged entry
    return Start(epoch, position.offset, "resumed")


async def _reset(log: Log, told: str) -> Start:
    epoch, oldest, _ = await log.bounds()
    shown = told if len(told) <= 80 and told.isprintable() else ""
    gap = StreamGap(after=shown, oldest=str(Position(epoch, oldest)), dropped=None, reason="reset")
    return Start(epoch, oldest - 1, "reset", gap)
