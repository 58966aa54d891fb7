"""The embedded servers come up, take faults and come back with their data."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import pytest
from confluent_kafka import Producer
from mysql.connector import connect
from mysql.connector.errors import ProgrammingError

from include.broker.offsets import OffsetReader
from include.broker.topics import ensure_topics, expected_topics, topic_problems
from include.settings import Settings
from tests.support.servers import KafkaServer, MySQLServer
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration


def test_a_killed_broker_comes_back_with_its_records(kafka: KafkaServer, fresh_topic: Callable[..., str]) -> None:
    topic = fresh_topic()
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "acks": "all"})
    for number in range(100):
        producer.produce(topic, str(number).encode(), partition=number % 3)
    assert producer.flush(20) == 0
    kafka.kill()
    kafka.start()
    with closing(OffsetReader(kafka.bootstrap, timeout=10, topic=topic)) as reader:
        wait_for(
            lambda: reader.end_offsets() == {0: 34, 1: 33, 2: 33}, 15, "every partition has its leader and records"
        )
        wait_for(lambda: reader.lag() == {0: 34, 1: 33, 2: 33}, 15, "the group coordinator is back")


def test_topics_are_created_once_and_checked(kafka: KafkaServer, stack_settings: Settings) -> None:
    specs = expected_topics(stack_settings)
    ensure_topics(kafka.bootstrap, specs)
    assert ensure_topics(kafka.bootstrap, specs) == []
    wait_for(lambda: topic_problems(kafka.bootstrap, specs) == [], 15, "no problems, once all metadata is there")
    wrong = (specs[0].__class__(specs[0].name, 7), specs[0].__class__("absent", 1))
    assert topic_problems(kafka.bootstrap, wrong) == [
        "topic crypto-trades has 3 partitions, expected 7",
        "topic absent is missing",
    ]


def test_the_pipeline_account_reaches_its_own_database_only(mysql: MySQLServer, fresh_database: Settings) -> None:
    login = {
        "host": fresh_database.mysql_host,
        "port": fresh_database.mysql_port,
        "user": fresh_database.mysql_user,
        "password": fresh_database.mysql_password.get_secret_value(),
    }
    with closing(connect(**login, database=fresh_database.mysql_database)) as connection:
        connection.cursor().execute("CREATE TABLE t (x INT)")
    with pytest.raises(ProgrammingError) as refused:
        connect(**login, database="mysql")
    assert refused.value.errno == 1044
