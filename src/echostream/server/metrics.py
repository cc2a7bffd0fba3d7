"""Metrics for Prometheus: the hub's own figures, read when asked for, in a registry of each application's own."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ..asgi import TopicReport
from ..hub import Hub
from .limits import Slots

__all__ = ["Metrics"]

FIRST_EVENT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 30.0, 300.0)


class Metrics:
    """What `/metrics` shows."""

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self, hub: Hub, slots: Slots) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_HubCollector(hub, slots))
        self._ended = Counter(
            "echostream_streams_ended",
            "Streams that ended, by format and reason.",
            ["format", "reason"],
            registry=self._registry,
        )
        self._first_event = Histogram(
            "echostream_first_event_seconds",
            "Time from a stream's beginning to its first event.",
            buckets=FIRST_EVENT_BUCKETS,
            registry=self._registry,
        )

    def ended(self, report: TopicReport) -> None:
        """Count a stream that ended."""
        self._ended.labels(report.format, report.reason).inc()
        if report.first_event is not None:
            self._first_event.observe(report.first_event)

    def render(self) -> bytes:
        """The figures now, in Prometheus' text format."""
        return generate_latest(self._registry)


class _HubCollector(Collector):
    def __init__(self, hub: Hub, slots: Slots) -> None:
        self._hub = hub
        self._slots = slots

    def collect(self) -> Iterable[Metric]:
        statistics, slots = self._hub.statistics(), self._slots.counts()
        yield _gauge("readers", "Streams that are open.", statistics.readers)
        yield _gauge("subscriptions", "Subscriptions inside the process.", statistics.subscriptions)
        yield _gauge("readers_behind", "Readers that are catching up.", statistics.readers - statistics.live)
        yield _gauge("topics_followed", "Topics and patterns that someone follows.", statistics.topics_followed)
        yield _gauge("log_newest_offset", "Offset of the newest entry.", statistics.newest)
        yield _gauge("ring_bytes", "Bytes of the newest entries held in memory.", statistics.ring_bytes)
        yield _gauge("draining", "1 while the hub is shutting down.", int(self._hub.draining))
        yield _gauge("publications_in_flight", "Publications being taken now.", slots.publications)
        yield _gauge("client_addresses", "Addresses with something open.", slots.addresses)
        yield _counter("published_events", "Events published since the start.", statistics.published)
        yield _counter("published_bytes", "Bytes of events published since the start.", statistics.published_bytes)
        yield _counter("delivered_events", "Deliveries of events to readers since the start.", statistics.delivered)
        yield _counter("delivered_bytes", "Bytes of events delivered since the start.", statistics.delivered_bytes)
        yield _counter(
            "ephemeral_dropped_events",
            "Ephemeral events that readers missed, being behind.",
            statistics.ephemeral_dropped,
        )
        refused = CounterMetricFamily(
            "echostream_refused_requests", "Requests refused for a limit of connections.", labels=["limit"]
        )
        refused.add_metric(["hub"], slots.refused_hub)
        refused.add_metric(["address"], slots.refused_address)
        yield refused


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(f"echostream_{name}", about, value=value)


def _counter(name: str, about: str, value: float) -> Metric:
    return CounterMetricFamily(f"echostream_{name}", about, value=value)
