"""Why a query died, and whether starting it again in this process can help."""

from __future__ import annotations

from enum import StrEnum

from confluent_kafka import KafkaException
from sqlalchemy.exc import SQLAlchemyError

from include.warehouse.error_numbers import TRANSIENT, classify
from include.warehouse.errors import RetryInterruptedError, WarehouseError
from spark_jobs.lib.errors import DeadLettersError, PoisonBatchError, StopRequestedError


class Failure(StrEnum):
    """Classes of failures that call for different reactions."""

    STOPPING = "stopping"  # no failure: the batch was given up because the process is stopping
    KAFKA = "kafka"  # the broker is away or has changed its mind
    MYSQL_AWAY = "mysql_away"  # before a batch; within a batch the transaction itself is retried
    MYSQL = "mysql"  # retried for as long as allowed, or not worth retrying
    DATA = "data"  # a row that cannot be worked on or written: the batch fails whenever it is tried
    CHECKPOINT = "checkpoint"  # Spark cannot go on from its checkpoint: damaged, of another version or another query
    PROGRAM = "program"  # anything else


RESTARTABLE = frozenset({Failure.KAFKA, Failure.MYSQL_AWAY})

# Spark passes on what happened in the JVM as text.
_KAFKA_SIGNS = (
    "org.apache.kafka",
    "KafkaOffsetReader",
    "KAFKA_DATA_LOSS",
    "KAFKA_START_OFFSET_DOES_NOT_MATCH",
    "data may have been lost",
    "Cannot fetch record",
    "Timeout of Kafka",
)
_BY_KIND: tuple[tuple[tuple[type[Exception], ...], Failure], ...] = (
    ((StopRequestedError, RetryInterruptedError), Failure.STOPPING),
    ((KafkaException, DeadLettersError), Failure.KAFKA),
    ((PoisonBatchError,), Failure.DATA),
    ((WarehouseError,), Failure.MYSQL),
)

# Damaged, of another version, or of another query: what Spark 4 says of a checkpoint that it cannot use.
_CHECKPOINT_SIGNS = (
    "Checksum error: file:",
    "Failed to read log file",
    "INVALID_LOG_VERSION",
    "MALFORMED_LOG_FILE",
    "sources in the checkpoint offsets",
    'Expected e.g. {"topicA"',  # the offsets of another kind of source
    "STREAMING_CHECKPOINT_MISSING_METADATA_FILE",
    "does not support recovering from checkpoint location",
    "STATE_STORE_CHECKPOINT_LOCATION_NOT_EMPTY",
)
PLAN = "=== Streaming Query ==="  # from here on it is the query's own description, which always names Kafka


def error_text(error: BaseException) -> str:
    """The error in words; those of the JVM are fetched from it, which fails once it is gone."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return f"{type(error).__name__} (its JVM is gone)"


def classify_failure(error: BaseException) -> Failure:
    """``error``: what the batch raised if it was the batch, else what Spark or a library raised."""
    for kinds, failure in _BY_KIND:
        if isinstance(error, kinds):
            return failure
    if isinstance(error, SQLAlchemyError):
        return Failure.MYSQL_AWAY if classify(error) in TRANSIENT else Failure.MYSQL
    text = error_text(error).split(PLAN)[0]
    if any(sign in text for sign in _CHECKPOINT_SIGNS):
        return Failure.CHECKPOINT
    return Failure.KAFKA if any(sign in text for sign in _KAFKA_SIGNS) else Failure.PROGRAM
