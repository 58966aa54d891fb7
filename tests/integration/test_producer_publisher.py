"""The real publisher where only the real broker can tell."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from include.producer.errors import LastError
from include.producer.kafka_publisher import KafkaPublisher, KafkaTarget
from include.producer.publisher import Origin, PublisherState
from include.runtime.clock import SystemClock
from tests.support.producing import read_topic
from tests.support.servers import KafkaServer

pytestmark = pytest.mark.integration


def test_nothing_is_written_after_a_trade_that_was_refused(kafka: KafkaServer, fresh_topic: Callable[..., str]) -> None:
    """Or the newest id in the topic would hide the hole before it."""
    topic = f"{fresh_topic()}-small"
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.create_topics([NewTopic(topic, 1, config={"max.message.bytes": "1000"})])[topic].result(10)
    errors = LastError()
    publisher = KafkaPublisher(KafkaTarget(kafka.bootstrap, topic, topic, 1000), SystemClock(), errors)
    channel = publisher.channel("BTCUSDT")
    for trade_id, size in enumerate([10, 10, 10, 3000, 10, 10, 10]):
        channel.send(trade_id, b"%d %s" % (trade_id, os.urandom(size).hex().encode()), Origin.STREAM)
        if trade_id == 0:
            assert publisher.flush(10) == 0  # connected
        time.sleep(0.05)  # a batch of its own, and no poll in between: the refusal is not known here yet
    publisher.flush(5)
    assert publisher.state is PublisherState.BROKEN
    assert channel.acknowledged == 2
    publisher.abandon()
    assert [int(record.value.split()[0]) for record in read_topic(kafka.bootstrap, topic)] == [0, 1, 2]
    assert "too large" in (errors.text or "")
