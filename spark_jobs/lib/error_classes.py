"""The class of an error in one word, for ``/health``: what stands in the way, not what is done about it."""

from __future__ import annotations

from enum import StrEnum

from confluent_kafka import KafkaError, KafkaException
from sqlalchemy.exc import SQLAlchemyError

from include.warehouse.error_numbers import ErrorKind, classify, error_number
from include.warehouse.errors import MigrationError, WarehouseFailedError
from spark_jobs.lib.errors import DeadLettersError
from spark_jobs.lib.failures import PLAN, error_text


class KafkaTrouble(StrEnum):
    """What Kafka may do to us."""

    TRANSPORT = "transport"  # no connection, no leader
    TIMEOUT = "timeout"
    TOPIC_MISSING = "topic_missing"
    REFUSES = "refuses"  # rights, or offsets that it does not have any more


ErrorClass = ErrorKind | KafkaTrouble  # MySQL's numbers have the words of ErrorKind; UNKNOWN for everything else

_KAFKA_CODES: dict[int, KafkaTrouble] = {
    KafkaError.UNKNOWN_TOPIC_OR_PART: KafkaTrouble.TOPIC_MISSING,
    KafkaError._UNKNOWN_TOPIC: KafkaTrouble.TOPIC_MISSING,
    KafkaError._UNKNOWN_PARTITION: KafkaTrouble.TOPIC_MISSING,
    KafkaError.OFFSET_OUT_OF_RANGE: KafkaTrouble.REFUSES,
    KafkaError.TOPIC_AUTHORIZATION_FAILED: KafkaTrouble.REFUSES,
    KafkaError.GROUP_AUTHORIZATION_FAILED: KafkaTrouble.REFUSES,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: KafkaTrouble.REFUSES,
    KafkaError._AUTHENTICATION: KafkaTrouble.REFUSES,
    KafkaError._TIMED_OUT: KafkaTrouble.TIMEOUT,
    KafkaError._MSG_TIMED_OUT: KafkaTrouble.TIMEOUT,
    KafkaError.REQUEST_TIMED_OUT: KafkaTrouble.TIMEOUT,
}

# Spark passes on what happened in the JVM as text; the first sign found counts.
_SIGNS: tuple[tuple[KafkaTrouble, tuple[str, ...]], ...] = (
    (KafkaTrouble.TOPIC_MISSING, ("UnknownTopicOrPartition", "UnknownTopicId")),
    (
        KafkaTrouble.REFUSES,
        ("OffsetOutOfRange", "KAFKA_DATA_LOSS", "KAFKA_START_OFFSET_DOES_NOT_MATCH", "data may have been lost"),
    ),
    (KafkaTrouble.REFUSES, ("AuthorizationException", "AuthenticationException")),
    (KafkaTrouble.TIMEOUT, ("org.apache.kafka.common.errors.TimeoutException", "Timeout of Kafka")),
    (KafkaTrouble.TRANSPORT, ("org.apache.kafka", "KafkaOffsetReader", "Cannot fetch record")),
)


def error_class(error: BaseException) -> tuple[ErrorClass, int | None]:
    """The class of ``error`` and, if it is one of MySQL, its number."""
    if isinstance(error, WarehouseFailedError):
        return error.kind, error.number
    if isinstance(error, SQLAlchemyError):
        return classify(error), error_number(error)
    if isinstance(error, MigrationError):
        return ErrorKind.SCHEMA, None
    if isinstance(error, DeadLettersError):
        return KafkaTrouble.TRANSPORT, None
    if isinstance(error, KafkaException):
        return _KAFKA_CODES.get(error.args[0].code(), KafkaTrouble.TRANSPORT), None
    text = error_text(error).split(PLAN)[0]
    found = (trouble for trouble, signs in _SIGNS if any(sign in text for sign in signs))
    return next(found, ErrorKind.UNKNOWN), None
