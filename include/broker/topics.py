"""The pipeline's topics, and how they are made and checked (playbook: "validate the topic exists")."""

from __future__ import annotations

from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from include.settings import Settings

TRADES = "crypto-trades"
DEAD_LETTERS = "crypto-trades-dlq"
CANARY = "pipeline-canary"
CONSUMER_GROUP = "spark-group"

_HOUR_MS = 3_600_000


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
        TopicSpec(CANARY, 1, {"retention.ms": str(_HOUR_MS)}),
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
    problems = []
    for spec in specs:
        if spec.name not in present:
            problems.append(f"topic {spec.name} is missing")
        elif (found := len(present[spec.name].partitions)) != spec.partitions:
            problems.append(f"topic {spec.name} has {found} partitions, expected {spec.partitions}")
    return problems
