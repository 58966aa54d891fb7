"""What Kafka says about the topic before the query starts."""

from __future__ import annotations

from dataclasses import dataclass

from confluent_kafka import Consumer, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class TopicFacts:
    """``topic_id`` changes when a topic is made anew; ``log_range``: first and next offset by partition."""

    topic_id: str
    log_range: dict[int, tuple[int, int]]


def read_topic_facts(bootstrap_servers: str, topic: str) -> TopicFacts:
    """Ask the broker. Raises :class:`confluent_kafka.KafkaException` when it does not answer or has no such topic."""
    client: dict[str, str | int | float | bool] = {"bootstrap.servers": bootstrap_servers, "log_level": 2}
    admin = AdminClient(client)
    future = admin.describe_topics(TopicCollection([topic]), request_timeout=_TIMEOUT_SECONDS)[topic]
    description = future.result(_TIMEOUT_SECONDS + 1)
    consumer = Consumer({**client, "group.id": "stream-processor-start", "enable.auto.commit": False})
    try:
        log_range = {
            found.id: consumer.get_watermark_offsets(TopicPartition(topic, found.id), timeout=_TIMEOUT_SECONDS)
            for found in description.partitions
        }
    finally:
        consumer.close()
    return TopicFacts(str(description.topic_id), log_range)
