"""A response of its own: what its source yields, to the bytes of one body. One class for each format."""

from __future__ import annotations

from .base import BodyEncoder
from .csv import CsvBody
from .json_array import JsonArrayBody
from .ndjson import NdjsonBody
from .raw import BytesBody, TextBody
from .sse import SseBody

__all__ = ["BodyEncoder", "BytesBody", "CsvBody", "JsonArrayBody", "NdjsonBody", "SseBody", "TextBody"]
