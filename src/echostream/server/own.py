"""The hub's own topics, so that there is something real to watch from the first second.

    hub/machine   once a second, what the machine does:
                  {"cpu": 12.5, "memory": 41.0, "memory_used": n, "memory_total": n,
                   "load": 0.4, "received": bytes/s, "sent": bytes/s}
    hub/streams   event `open`  {"topics": 2, "format": "sse", "readers": 7}
                  event `close` {"topics": 2, "format": "sse", "events": 12, "bytes": 900,
                                 "seconds": 3.2, "reason": "gone", "readers": 6}
                  event `stats`, once a second: {"readers": 7, "published": per s,
                   "delivered": per s, "bytes": per s, "newest": "epoch.offset"}

All of it is ephemeral, and nothing is sampled while nobody listens. Of other people's streams
only the number of topics is told, never their names: who may watch the hub may not for that
reason know what others read.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import psutil

from ..asgi import TopicReport
from ..hub import Hub, HubStatistics
from ..position import Position

__all__ = ["MACHINE", "STREAMS", "Machine", "OwnTopics"]

MACHINE = "hub/machine"
STREAMS = "hub/streams"
PERIOD = 1.0


class Machine:
    """The machine's figures. Rates and the CPU are means since the sample before; the first sample has none.

    We keep the counters ourselves: psutil's own are module state, shared by every hub of a process.
    """

    def __init__(self) -> None:
        self._before: tuple[float, Any, Any] | None = None

    def forget(self) -> None:
        """Begin anew: a mean over the time when nobody looked would say nothing."""
        self._before = None

    def sample(self) -> dict[str, Any] | None:
        """The figures now, or None on the first call. Reads a few files of /proc: well under a millisecond."""
        now, cpu = time.monotonic(), psutil.cpu_times()
        network: Any = psutil.net_io_counters()  # None on a machine without any interface
        before, self._before = self._before, (now, cpu, network)
        if before is None:
            return None
        seconds = max(now - before[0], 1e-3)
        memory = psutil.virtual_memory()
        return {
            "cpu": _cpu_percent(before[1], cpu),
            "memory": memory.percent,
            "memory_used": memory.total - memory.available,
            "memory_total": memory.total,
            "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
            "received": _rate(before[2], network, "bytes_recv", seconds),
            "sent": _rate(before[2], network, "bytes_sent", seconds),
        }


class OwnTopics:
    """Publishes the hub's own topics: `run` for what comes by the clock, `opened` and `closed` for streams."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._machine = Machine()
        self._before: tuple[float, HubStatistics] | None = None

    async def run(self) -> None:
        """Publish once a second until cancelled."""
        while True:
            self.tick(time.monotonic())
            await asyncio.sleep(PERIOD)

    def tick(self, now: float) -> None:
        """One turn of the clock."""
        if not self._hub.listening(MACHINE):
            self._machine.forget()
        elif (figures := self._machine.sample()) is not None:
            self._hub.publish_own(MACHINE, figures)
        if not self._hub.listening(STREAMS):
            self._before = None
            return
        statistics = self._hub.statistics()
        before, self._before = self._before, (now, statistics)
        if before is not None:
            self._hub.publish_own(STREAMS, _rates(before[1], statistics, max(now - before[0], 1e-3)), event="stats")

    def opened(self, topics: int, format: str) -> None:
        """A stream began."""
        if self._hub.listening(STREAMS):
            facts = {"topics": topics, "format": format, "readers": self._hub.statistics().readers}
            self._hub.publish_own(STREAMS, facts, event="open")

    def closed(self, report: TopicReport) -> None:
        """A stream ended."""
        if not self._hub.listening(STREAMS):
            return
        facts = {
            "topics": report.topics,
            "format": report.format,
            "events": report.events,
            "bytes": report.bytes,
            "seconds": round(report.duration, 3),
            "reason": report.reason,
            "readers": self._hub.statistics().readers,
        }
        self._hub.publish_own(STREAMS, facts, event="close")


def _rates(before: HubStatistics, now: HubStatistics, seconds: float) -> dict[str, Any]:
    return {
        "readers": now.readers,
        "published": round((now.published - before.published) / seconds, 1),
        "delivered": round((now.delivered - before.delivered) / seconds, 1),
        "bytes": round((now.delivered_bytes - before.delivered_bytes) / seconds),
        "newest": str(Position(now.epoch, now.newest)),
    }


def _cpu_percent(before: Any, now: Any) -> float:
    # guest time is counted in user time already (man 5 proc), so it is left out of the total
    names = [name for name in now._fields if not name.startswith("guest")]
    spent = {name: max(getattr(now, name) - getattr(before, name), 0.0) for name in names}
    total = sum(spent.values())
    idle = spent.get("idle", 0.0) + spent.get("iowait", 0.0)
    return round(100.0 * (total - idle) / total, 1) if total else 0.0


def _rate(before: Any, now: Any, name: str, seconds: float) -> int | None:
    if before is None or now is None:
        return None
    return max(round((getattr(now, name) - getattr(before, name)) / seconds), 0)
