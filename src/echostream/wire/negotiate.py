"""Which format a reader gets: by `Accept` (RFC 9110, section 12.5.1) or by name (`format=`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ..exceptions import InvalidInput, NotAcceptable
from .base import Encoder

__all__ = ["ALIASES", "MAX_ACCEPT_CHARS", "by_name", "negotiate"]

MAX_ACCEPT_CHARS = 4096  # browsers send about 150; the rest is somebody measuring our parser

ALIASES = {
    "application/ndjson": "application/x-ndjson",
    "application/jsonl": "application/x-ndjson",
    "application/x-jsonlines": "application/x-ndjson",
}
"""Other names under which readers ask for a media type that we give."""

# Possessive, so that no input makes them try twice. Quoted strings may hold commas and semicolons.
_ELEMENTS = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*+"?)++')
_PARAMETERS = re.compile(r'(?:[^;"]|"(?:[^"\\]|\\.)*+"?)++')
_NAME = r"[!#$%&'*+.^_`|~0-9a-z-]+"
_RANGE = re.compile(rf"({_NAME})/({_NAME})")
_WEIGHT = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_LEAST = 0.001


class _Range(NamedTuple):
    type: str
    subtype: str
    parameters: int
    weight: float

    def specificity(self, media_type: str) -> tuple[int, int] | None:
        """How closely the range names the media type, or None when it does not."""
        whole = f"{self.type}/{self.subtype}"
        if ALIASES.get(whole, whole) == media_type:
            return 2, self.parameters
        if self.subtype != "*":
            return None
        if self.type == "*":
            return 0, self.parameters
        return (1, self.parameters) if media_type.startswith(f"{self.type}/") else None


def negotiate(accept: str | None, offered: Sequence[Encoder]) -> Encoder:
    """The encoder of `offered` that `accept` likes best; the first of them among equals.

    No `Accept`, or one that names no media range at all, takes the first. So does one that
    fits nothing but takes `text/html`: a browser's address line shows the stream. A weight
    that is not a number from 0 to 1 counts as the least one: it neither prefers nor excludes.

    Raises `NotAcceptable`, and `InvalidInput` for an `Accept` over 4,096 characters.
    """
    if accept is None:
        return offered[0]
    if len(accept) > MAX_ACCEPT_CHARS:
        raise InvalidInput("Accept", f"is longer than {MAX_ACCEPT_CHARS} characters")
    ranges = _parse(accept)
    if not ranges:
        return offered[0]
    best, best_weight = offered[0], 0.0
    for encoder in offered:
        weight = _weight(ranges, encoder.media_type)
        if weight > best_weight:
            best, best_weight = encoder, weight
    if best_weight > 0 or _weight(ranges, "text/html", wildcards=False) > 0:
        return best
    raise NotAcceptable(accept, tuple(encoder.media_type for encoder in offered))


def by_name(name: str, offered: Sequence[Encoder]) -> Encoder:
    """The encoder of that name. Raises `InvalidInput` (field `format`)."""
    for encoder in offered:
        if encoder.name == name:
            return encoder
    shown = name if len(name) <= 40 else name[:40] + "..."
    names = ", ".join(encoder.name for encoder in offered)
    raise InvalidInput("format", f"{shown!r} is not known; offered are {names}")


def _parse(accept: str) -> list[_Range]:
    ranges: list[_Range] = []
    for element in _ELEMENTS.findall(accept):
        media_range, _, rest = element.partition(";")
        match = _RANGE.fullmatch(media_range.strip(" \t").lower())
        if match is None or (match[1] == "*" and match[2] != "*"):
            continue
        weight, others = 1.0, 0
        for parameter in _PARAMETERS.findall(rest):
            name, _, value = parameter.partition("=")
            name = name.strip(" \t").lower()
            if name == "q":
                value = value.strip(" \t")
                weight = float(value) if _WEIGHT.fullmatch(value) else _LEAST
                break  # what follows `q` was an extension of Accept, no parameter of the media type
            others += bool(name)
        ranges.append(_Range(match[1], match[2], others, weight))
    return ranges


def _weight(ranges: list[_Range], media_type: str, *, wildcards: bool = True) -> float:
    """What the most specific range that fits says; the kindest of equally specific ones."""
    closest, weight = (-1, 0), 0.0
    for one in ranges:
        specificity = one.specificity(media_type)
        if specificity is None or (not wildcards and specificity[0] < 2):
            continue
        if specificity > closest:
            closest, weight = specificity, one.weight
        elif specificity == closest:
            weight = max(weight, one.weight)
    return weight
