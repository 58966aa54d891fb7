"""The word for an error in /health."""

from __future__ import annotations

import mysql.connector
import pytest
from confluent_kafka import KafkaError, KafkaException
from sqlalchemy.exc import OperationalError

from include.health.observations import Code
from include.warehouse.error_numbers import ErrorKind
from include.warehouse.errors import MigrationError, WarehouseFailedError
from spark_jobs.lib.error_classes import KafkaTrouble, error_class
from spark_jobs.lib.errors import DeadLettersError


def jvm(text: str) -> RuntimeError:
    return RuntimeError(f"{text}\n=== Streaming Query ===\nKafkaV2 org.apache.kafka")


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (WarehouseFailedError(ErrorKind.READ_ONLY, 1290, 9, 60.0, ValueError()), (ErrorKind.READ_ONLY, 1290)),
        (OperationalError("", None, mysql.connector.Error(errno=1045)), (ErrorKind.CREDENTIALS, 1045)),
        (MigrationError("0002 was changed"), (ErrorKind.SCHEMA, None)),
        (DeadLettersError("3 not acknowledged"), (KafkaTrouble.TRANSPORT, None)),
        (KafkaException(KafkaError(KafkaError._TRANSPORT)), (KafkaTrouble.TRANSPORT, None)),
        (KafkaException(KafkaError(KafkaError._TIMED_OUT)), (KafkaTrouble.TIMEOUT, None)),
        (KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)), (KafkaTrouble.TOPIC_MISSING, None)),
        (KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)), (KafkaTrouble.REFUSES, None)),
        (jvm("org.apache.kafka.common.errors.TimeoutException: Call"), (KafkaTrouble.TIMEOUT, None)),
        (jvm("org.apache.kafka.common.errors.UnknownTopicOrPartitionException"), (KafkaTrouble.TOPIC_MISSING, None)),
        (jvm("[KAFKA_DATA_LOSS.START_OFFSET_RESET] data may have been lost"), (KafkaTrouble.REFUSES, None)),
        (jvm("org.apache.kafka.common.errors.DisconnectException"), (KafkaTrouble.TRANSPORT, None)),
        (jvm("java.lang.OutOfMemoryError"), (ErrorKind.UNKNOWN, None)),  # the plan names Kafka: that is no sign
    ],
)
def test_errors_have_classes(error: Exception, found: tuple[str, int | None]) -> None:
    assert error_class(error) == found


def test_every_word_is_one_that_probes_know() -> None:
    assert {*KafkaTrouble, *ErrorKind} <= {str(code) for code in Code}
