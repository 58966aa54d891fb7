"""All probes of a pipeline, made from its settings."""

from __future__ import annotations

from include.broker.topics import expected_topics
from include.health.probes.base import Probe
from include.health.probes.exchange import ExchangeOracle
from include.health.probes.kafka_canary import KafkaCanary
from include.health.probes.kafka_group import KafkaGroup
from include.health.probes.kafka_metadata import KafkaMetadata
from include.health.probes.kafka_tcp import KafkaTcp
from include.health.probes.offsets import KafkaOffsets
from include.health.probes.process_probes import process_probes
from include.health.probes.producer import ProducerHealth
from include.health.probes.warehouse import warehouse_probes
from include.market.weight import RetryAfterGate
from include.runtime.clock import SystemClock
from include.services.controller import ServiceController
from include.settings import Settings

_HOUR_SECONDS = 3_600


def all_probes(settings: Settings, controller: ServiceController) -> tuple[Probe, ...]:
    """Every probe once; nothing waits for a target. The prober closes them."""
    return (
        *process_probes(settings, controller),
        *kafka_probes(settings),
        *feed_probes(settings),
        *warehouse_probes(settings),
    )


def kafka_probes(settings: Settings) -> tuple[Probe, ...]:
    """The broker, and the pipeline's positions in it."""
    servers = settings.bootstrap_servers
    return (
        KafkaTcp(servers),
        KafkaCanary(servers),
        KafkaMetadata(servers, expected_topics(settings)),
        KafkaGroup(servers),
        KafkaOffsets(servers, settings.topic_retention_hours * _HOUR_SECONDS, settings.trades_topic),
    )


def feed_probes(settings: Settings) -> tuple[Probe, ...]:
    """The producer and the exchange. What the exchange forbids the one, it forbids the other."""
    gate = RetryAfterGate(SystemClock())
    return (
        ProducerHealth(settings.producer_health_port, gate, host=settings.producer_host),
        ExchangeOracle(settings.rest_endpoints, settings.symbols, gate),
    )
