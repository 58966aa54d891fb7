"""The word for an error in /health."""

from __future__ import annotations

import mysql.connector
import pytest
from confluent_kafka import KafkaError, KafkaException
from sqlalchemy.exc import OperationalError

from include.health.observations import Code
from include.warehouse.error_numbers import ErrorKind
from include.warehouse.errors import MigrationError, WarehouseFailedError
from spark_jobs.lib.error_classes import KafkaTrouble, OwnTrouble, error_class, is_data_error
from spark_jobs.lib.errors import DeadLettersError, PoisonBatchError, StopRequestedError

POISON = PoisonBatchError(3, [], False, WarehouseFailedError(ErrorKind.DATA, 1264, 1, 0.1, ValueError()))


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
        (POISON, (ErrorKind.DATA, 1264)),
        (jvm("Checksum error: file:/c/commits/4 at 0 exp: 1 got: 2"), (OwnTrouble.CHECKPOINT, None)),
        (jvm("Failed to read log file file:/c/offsets/4. [INVALID_LOG_VERSION.X]"), (OwnTrouble.CHECKPOINT, None)),
        (jvm("There are [2] sources in the checkpoint offsets and now there"), (OwnTrouble.CHECKPOINT, None)),
        (jvm('Expected e.g. {"topicA":{"0":23}}, got 12'), (OwnTrouble.CHECKPOINT, None)),
        (jvm("java.lang.OutOfMemoryError"), (ErrorKind.UNKNOWN, None)),  # the plan names Kafka: that is no sign
    ],
)
def test_errors_have_classes(error: Exception, found: tuple[str, int | None]) -> None:
    assert error_class(error) == found


def test_every_word_is_one_that_probes_know() -> None:
    assert {*KafkaTrouble, *ErrorKind, *OwnTrouble} <= {str(code) for code in Code}


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (WarehouseFailedError(ErrorKind.DATA, 1264, 1, 0.1, ValueError()), True),
        (WarehouseFailedError(ErrorKind.SCHEMA, 1054, 1, 0.1, ValueError()), False),
        (WarehouseFailedError(ErrorKind.LOCKED, 1205, 9, 60.0, ValueError()), False),
        (OperationalError("", None, mysql.connector.Error(errno=4025)), True),  # a rule of the table says no
        (OverflowError("date value out of range"), True),
        (jvm("[CAST_INVALID_INPUT] The value cannot be cast. SQLSTATE: 22018"), True),
        (jvm("java.lang.StackOverflowError"), True),
        (jvm("java.lang.OutOfMemoryError"), False),
        (jvm("[INTERNAL_ERROR] … SQLSTATE: XX000"), False),
        (jvm("org.apache.kafka.common.errors.TimeoutException"), False),
        (KafkaException(KafkaError(KafkaError._TRANSPORT)), False),
        (StopRequestedError("stopping"), False),
        (RuntimeError("a bug"), False),
    ],
)
def test_errors_that_lie_in_the_data(error: Exception, found: bool) -> None:
    assert is_data_error(error) is found
