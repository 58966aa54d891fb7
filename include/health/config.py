"""What the rules must know about the installation, beside the playbook's thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from include.health.observations import Probe
from include.settings import Settings

# Seconds between two looks, of those probes that do not look at least every few seconds.
_SLOW_LOOKS: dict[Probe, float] = {
    Probe.KAFKA_GROUP: 10.0,
    Probe.EXCHANGE: 5.0,
    Probe.MYSQL_SCHEMA: 10.0,
    Probe.MYSQL_AUDIT: 60.0,
    Probe.MYSQL_LOCKS: 10.0,
    Probe.HOST: 10.0,
}


_START_SECONDS = 30.0  # Kafka and Spark, on a busy machine


@dataclass(frozen=True)
class DetectorConfig:
    """``gap_seconds``: two moments farther apart mean that the observer itself was away. ``start_seconds``: a process
    this young may still be starting. ``record_seconds``: how long a fault that healed itself is shown.
    ``figures_seconds``: how often the figures of a healthy verdict are refreshed. ``looks``: seconds between two looks
    of a slow probe. ``probes``: those that are installed.
    """

    micro_batch_seconds: float = 1.0
    symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT")
    brokers: int = 1
    partitions: int = 3
    retention_seconds: float = 7 * 86_400.0
    buffer_trades: int = 200_000  # that btc_producer holds while Kafka is away
    gap_seconds: float = 8.0
    start_seconds: float = 20.0
    record_seconds: float = 15.0
    figures_seconds: float = 10.0
    looks: Mapping[Probe, float] = field(default_factory=lambda: dict(_SLOW_LOOKS))
    probes: frozenset[Probe] = frozenset(Probe)

    @classmethod
    def from_settings(cls, settings: Settings) -> DetectorConfig:
        """What the settings say."""
        return cls(
            micro_batch_seconds=settings.micro_batch_seconds,
            symbols=settings.symbols,
            brokers=len(settings.bootstrap_servers.split(",")),
            partitions=settings.topic_partitions,
            retention_seconds=settings.topic_retention_hours * 3600,
            buffer_trades=settings.producer_buffer_trades,
            start_seconds=_START_SECONDS,
        )
