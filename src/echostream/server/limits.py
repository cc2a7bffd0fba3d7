"""Limits: how many streams and publications are open at once, of the hub and of one address."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import NamedTuple

from .problem import HttpProblem
from .tables import Settings

__all__ = ["SlotCounts", "Slots", "fit_connections", "raise_file_limit"]

RESERVED_FILES = 128
"""Descriptors kept for the log, the listener, the loop and connections that are only being refused."""

MAX_FILES = 1_048_576  # asked for when the hard limit is "unlimited"; Linux's usual fs.nr_open


class SlotCounts(NamedTuple):
    """What is open now, and what was refused since the start."""

    streams: int
    publications: int
    addresses: int
    refused_hub: int
    refused_address: int


class Slots:
    """Counts what is open. A slot is held by a `with` around the response, so no way out of it leaks one."""

    def __init__(self, settings: Settings, *, connections: int) -> None:
        limits = settings.limits
        self._connections = connections
        self._publications = limits.publications
        self._per_address = limits.connections_per_address
        self._open = {"connections": 0, "publications": 0}
        self._addresses: dict[str, int] = {}
        self._refused = {"hub": 0, "address": 0}

    def counts(self) -> SlotCounts:
        """The figures now."""
        return SlotCounts(
            self._open["connections"],
            self._open["publications"],
            len(self._addresses),
            self._refused["hub"],
            self._refused["address"],
        )

    def stream(self, address: str | None) -> contextlib.AbstractContextManager[None]:
        """One stream of `address` (None: not counted by address). Entering raises `HttpProblem` 503 or 429."""
        return self._take("connections", self._connections, address)

    def publication(self, address: str | None) -> contextlib.AbstractContextManager[None]:
        """One publication; counted apart, so that a hub full of readers can still be published to."""
        return self._take("publications", self._publications, address)

    @contextlib.contextmanager
    def _take(self, kind: str, limit: int, address: str | None) -> Generator[None]:
        if limit and self._open[kind] >= limit:
            self._refused["hub"] += 1
            raise _busy(503, f"too-many-{kind}", f"the hub has {limit} {kind} open, limits.{kind}")
        if address is not None and self._per_address and self._addresses.get(address, 0) >= self._per_address:
            self._refused["address"] += 1
            setting = "limits.connections_per_address"
            raise _busy(429, "too-many-from-address", f"{address} has {self._per_address} requests open, {setting}")
        self._open[kind] += 1
        if address is not None:
            self._addresses[address] = self._addresses.get(address, 0) + 1
        try:
            yield
        finally:
            self._open[kind] -= 1
            if address is not None:
                self._addresses[address] -= 1
                if not self._addresses[address]:
                    del self._addresses[address]


def _busy(status: int, code: str, detail: str) -> HttpProblem:
    return HttpProblem(status, code, f"{detail}; try again later")


def raise_file_limit() -> int | None:
    """Raise the soft limit on open files to the hard one; the limit then, None where there is none to know."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError):  # macOS says "unlimited" and then refuses more than OPEN_MAX
            return soft
        return wanted
    return None if soft == resource.RLIM_INFINITY else soft


def fit_connections(settings: Settings, files: int | None) -> int:
    """How many streams to allow: what was asked for, cut to what `files` descriptors can carry. 0 = no bound."""
    asked = settings.limits.connections
    if files is None:
        return asked
    room = max(files - RESERVED_FILES - settings.limits.publications, files // 2, 1)
    return min(asked, room) if asked else room
