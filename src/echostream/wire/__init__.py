"""Bytes out of events and events out of bytes. Everything here is pure: no clock, no socket."""

from __future__ import annotations

from .base import Encoder
from .batch import MAX_BATCH_EVENTS, batch_line, parse_batch
from .body import BodyEncoder, BytesBody, CsvBody, JsonArrayBody, NdjsonBody, SseBody, TextBody
from .control import Control, Resume, StreamAt, StreamEnd, StreamError, StreamGap, StreamOpen, facts, parse_control
from .envelope import envelope, parse_envelope, time_text
from .json_array import JSON_ARRAY, JsonArrayEncoder
from .json_array_decoder import JsonArrayDecoder
from .ndjson import NDJSON, NdjsonEncoder
from .ndjson_decoder import LastLine, NdjsonDecoder
from .negotiate import by_name, negotiate
from .raw import TEXT, TextEncoder
from .sse import SSE, SSE_ENVELOPE, SseEncoder
from .sse_decoder import SseDecoder, SseMessage

__all__ = [
    "ENVELOPE_FORMATS",
    "FORMATS",
    "JSON_ARRAY",
    "MAX_BATCH_EVENTS",
    "NDJSON",
    "SSE",
    "SSE_ENVELOPE",
    "TEXT",
    "BodyEncoder",
    "BytesBody",
    "Control",
    "CsvBody",
    "Encoder",
    "JsonArrayBody",
    "JsonArrayDecoder",
    "JsonArrayEncoder",
    "LastLine",
    "NdjsonBody",
    "NdjsonDecoder",
    "NdjsonEncoder",
    "Resume",
    "SseBody",
    "SseDecoder",
    "SseEncoder",
    "SseMessage",
    "StreamAt",
    "StreamEnd",
    "StreamError",
    "StreamGap",
    "StreamOpen",
    "TextBody",
    "TextEncoder",
    "batch_line",
    "by_name",
    "envelope",
    "facts",
    "negotiate",
    "parse_batch",
    "parse_control",
    "parse_envelope",
    "time_text",
]

FORMATS: tuple[Encoder, ...] = (SSE, NDJSON, JSON_ARRAY, TEXT)
"""What a stream can be read as, in the order of preference; SSE is the data alone."""

ENVELOPE_FORMATS: tuple[Encoder, ...] = (SSE_ENVELOPE, NDJSON, JSON_ARRAY, TEXT)
"""The same, with SSE in envelopes."""
