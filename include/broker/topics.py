"""The pipeline's topics, and how they are made and checked (playbook: "validate the topic exists")."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._metadata import TopicMetadata
from confluent_kafka.cimpl import NewTopic

from include.settings import Settings

TRADES = "crypto-trades"
DEAD_LETTERS = "crypto-trades-dlq"
CANARY = "pipeline-canary"
CONSUMER_GROUP = "spark-group"

_HOUR_MS = 3_600_000
_NO_LEADER = -1


@dataclass(frozen=True)
class TopicSpec:
    """What a topic must look like."""

    name: str
    partitions: int
    config: dict[str, str] = field(default_factory=dict)


def expected_topics(settings: Settings) -> tuple[TopicSpec, ...]:
    """Every topic of the pipeline."""
    retention = str(round(settings.topic_retention_hours * _HOUR_MS))
    return (
        TopicSpec(TRADES, settings.topic_partitions, {"retention.ms": retention}),
        TopicSpec(DEAD_LETTERS, 1, {"retention.ms": retention}),
        # Only closed segments are deleted, so without a short segment the canary would grow for a week.
        TopicSpec(CANARY, 1, {"retention.ms": str(_HOUR_MS), "segment.ms": str(_HOUR_MS)}),
    )


def ensure_topics(bootstrap_servers: str, specs: tuple[TopicSpec, ...], timeout: float = 10.0) -> list[str]:
    """Create what is missing and return the names created; topics that exist are left as they are.

    Raises :class:`confluent_kafka.KafkaException` when the broker cannot be reached or refuses.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    present = admin.list_topics(timeout=timeout).topics
    missing = [NewTopic(s.name, s.partitions, config=s.config) for s in specs if s.name not in present]
    created = []
    for name, future in admin.create_topics(missing, operation_timeout=timeout).items() if missing else ():
        try:
            future.result(timeout)
            created.append(name)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
    return created


def topic_problems(bootstrap_servers: str, specs: tuple[TopicSpec, ...], timeout: float = 5.0) -> list[str]:
    """What is wrong with the topics, in words; empty when all are there with the expected partitions."""
    present = AdminClient({"bootstrap.servers": bootstrap_servers}).list_topics(timeout=timeout).topics
    return [f"topic {name} {problem}" for name, problem in differences(present, specs).items()]


def differences(present: Mapping[str, TopicMetadata], specs: Iterable[TopicSpec]) -> dict[str, str]:
    """What differs from the specification, by topic: it is missing, or its partitions are not the expected ones."""
    found = {spec.name: _difference(present.get(spec.name), spec) for spec in specs}
    return {name: problem for name, problem in found.items() if problem is not None}


def _difference(topic: TopicMetadata | None, spec: TopicSpec) -> str | None:
    if topic is None:
        return "is missing"
    if topic.error is not None:
        return f"is not usable: {topic.error.str()}"
    if (count := len(topic.partitions)) != spec.partitions:
        return f"has {count} partitions, expected {spec.partitions}"
    if led_by_nobody := [number for number, p in sorted(topic.partitions.items()) if p.leader == _NO_LEADER]:
        return f"has no leader for partition {', '.join(map(str, led_by_nobody))}"
    if behind := [number for number, p in sorted(topic.partitions.items()) if len(p.isrs) < len(p.replicas)]:
        return f"has replicas out of sync in partition {', '.join(map(str, behind))}"
    return None
