"""log: ordered storage that makes resume possible. `open_log(url)` makes one; `base` has the contract."""

from __future__ import annotations

from .base import (
    IDEMPOTENCY_KEYS,
    IDEMPOTENCY_SECONDS,
    MAX_IDEMPOTENCY_BYTES,
    Bounds,
    Entry,
    IdempotencyKey,
    Log,
    Page,
    Readiness,
    Seek,
    TopicInfo,
    Topics,
    digest,
)
from .memory import MemoryLog
from .url import open_log

__all__ = [
    "IDEMPOTENCY_KEYS",
    "IDEMPOTENCY_SECONDS",
    "MAX_IDEMPOTENCY_BYTES",
    "Bounds",
    "Entry",
    "IdempotencyKey",
    "Log",
    "MemoryLog",
    "Page",
    "Readiness",
    "Seek",
    "TopicInfo",
    "Topics",
    "digest",
    "open_log",
]
