"""Every metric of btc_producer, by name. Values are read when Prometheus asks: the hot path pays nothing for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class MetricKind(StrEnum):
    """Prometheus types that are used."""

    COUNTER = "counter"
    GAUGE = "gauge"


@dataclass(frozen=True)
class MetricSpec:
    """Name (without ``_total``), type, help text and label of one metric."""

    name: str
    kind: MetricKind
    text: str
    label: str | None = None


C, G = MetricKind.COUNTER, MetricKind.GAUGE
TRADES_RECEIVED = MetricSpec("producer_trades_received", C, "Trades received from the stream.", "symbol")
DUPLICATES = MetricSpec("producer_duplicates_dropped", C, "Trades dropped because their id was published.", "symbol")
RECEIVED_ID = MetricSpec("producer_received_trade_id", G, "Newest trade id known to exist.", "symbol")
ACKNOWLEDGED_ID = MetricSpec("producer_acknowledged_trade_id", G, "Newest trade id in the topic.", "symbol")
EVENT_TIME = MetricSpec("producer_newest_event_time_seconds", G, "Time of the newest trade.", "symbol")
HELD = MetricSpec("producer_held_trades", G, "Trades held behind a gap.", "symbol")
SKIPPED = MetricSpec("producer_trades_skipped", C, "Trades left out by the backfill limit.", "symbol")
HOLES = MetricSpec("producer_exchange_hole_ids", C, "Ids that the exchange has no trade for.", "symbol")
UNUSABLE = MetricSpec("producer_unusable_trades", C, "Trades passed over because they fail validation.", "symbol")
LEFT_OUT = MetricSpec("producer_trades_left_out", C, "Trades left out by reduced frequency.", "symbol")
SAMPLING = MetricSpec("producer_sampling", G, "Of so many blocks of trades one is published; 1: all are.")
UNACKNOWLEDGED = MetricSpec("producer_unacknowledged_trades", G, "Trades handed to Kafka and not acknowledged.")
UNACKNOWLEDGED_AGE = MetricSpec("producer_oldest_unacknowledged_seconds", G, "Age of the oldest of them.")
ROUND_TRIP = MetricSpec("producer_kafka_round_trip_seconds", G, "Broker round trip, 99th percentile.")
REPLACED = MetricSpec("producer_publisher_replacements", C, "Times the Kafka producer had to be replaced.")
INVALID = MetricSpec("producer_invalid_frames", C, "Frames that failed validation.", "reason")
NOT_STORED = MetricSpec("producer_invalid_frames_not_stored", C, "Invalid frames that were counted only.")
CONNECTIONS = MetricSpec("producer_stream_connections", C, "Stream connections opened.")
ROTATIONS = MetricSpec("producer_stream_rotations", C, "Connections replaced by overlap.")
FETCHED = MetricSpec("producer_trades_fetched", C, "Trades fetched by REST.")
GAPS = MetricSpec("producer_gaps_repaired", C, "Gaps closed by fetching trades by id.")
WEIGHT = MetricSpec("producer_request_weight_used", G, "REST weight used in this minute.")
RATE_LIMITED = MetricSpec("producer_rate_limited", C, "Times the exchange asked to wait.")
REQUESTED = MetricSpec("producer_stream_reconnects_on_request", C, "Connections replaced on request (SIGHUP).")
STATUS = MetricSpec("producer_status", G, "1 for the status that applies.", "status")

Samples = Mapping[MetricSpec, float | Mapping[str, float]]
"""Value of each metric; by label value for those with a label."""


class ProducerCollector(Collector):
    """Turns ``samples()`` into Prometheus metrics."""

    def __init__(self, samples: Callable[[], Samples]) -> None:
        self._samples = samples

    def collect(self) -> Iterator[Metric]:
        """Called by prometheus_client at each scrape."""
        for spec, value in self._samples().items():
            family = CounterMetricFamily if spec.kind is MetricKind.COUNTER else GaugeMetricFamily
            metric = family(spec.name, spec.text, labels=[spec.label] if spec.label else None)
            for label, number in value.items() if isinstance(value, Mapping) else [("", value)]:
                metric.add_metric([label] if spec.label else [], number)
            yield metric


def registry(samples: Callable[[], Samples]) -> CollectorRegistry:
    """A registry with all metrics of this process."""
    result = CollectorRegistry()
    result.register(ProducerCollector(samples))
    return result
