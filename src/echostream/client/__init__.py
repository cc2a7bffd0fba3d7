"""The other end: subscribe to a hub and publish to it over HTTP. Needs the extra `client` (httpx2)."""

from __future__ import annotations

from .publisher import DEFAULT_URL, Publisher, Receipt
from .reconnect import Backoff, Verdict, ends_for_good, retry_after_seconds, verdict
from .sync import subscribe

__all__ = [
    "DEFAULT_URL",
    "Backoff",
    "Publisher",
    "Receipt",
    "Verdict",
    "ends_for_good",
    "retry_after_seconds",
    "subscribe",
    "verdict",
]
