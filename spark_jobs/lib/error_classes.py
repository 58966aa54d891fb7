"""The class of an error in one word, for ``/health``: what stands in the way, not what is done about it."""

from __future__ import annotations

import re
from enum import StrEnum

from confluent_kafka import KafkaError, KafkaException
from sqlalchemy.exc import SQLAlchemyError

from include.warehouse.error_numbers import ErrorKind, classify, error_number
from include.warehouse.errors import MigrationError, WarehouseError, WarehouseFailedError
from spark_jobs.lib.errors import DeadLettersError, PoisonBatchError, StreamError
from spark_jobs.lib.failures import PLAN, Failure, classify_failure, error_text


class KafkaTrouble(StrEnum):
    """What Kafka may do to us."""

    TRANSPORT = "transport"  # no connection, no leader
    TIMEOUT = "timeout"
    TOPIC_MISSING = "topic_missing"
    REFUSES = "refuses"  # rights, or offsets that it does not have any more


class OwnTrouble(StrEnum):
    """What is wrong in the job's own house."""

    CHECKPOINT = "checkpoint"  # Spark cannot go on from it


# MySQL's numbers have the words of ErrorKind (DATA for data that Spark cannot work on); UNKNOWN for everything else
ErrorClass = ErrorKind | KafkaTrouble | OwnTrouble

_NOT_SPARKS = (KafkaException, StreamError, WarehouseError)

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


# Spark ends the message of an error in the data with its SQL state of class 22.
_DATA_SIGNS = re.compile(
    r"SQLSTATE: 22[0-9A-Z]{3}"
    r"|java\.lang\.(StackOverflowError|NumberFormatException|ArithmeticException|StringIndexOutOfBoundsException)"
    r"|java\.time\.DateTimeException"
)


def is_data_error(error: BaseException) -> bool:
    """Whether ``error``, raised while a batch was worked on, lies in its data: it comes whenever it is tried."""
    if isinstance(error, WarehouseFailedError):
        return error.kind is ErrorKind.DATA
    if isinstance(error, SQLAlchemyError):
        return classify(error) is ErrorKind.DATA
    if isinstance(error, ValueError | ArithmeticError):  # of our own sums and moments
        return True
    return not isinstance(error, _NOT_SPARKS) and bool(_DATA_SIGNS.search(error_text(error).split(PLAN)[0]))


def error_class(error: BaseException) -> tuple[ErrorClass, int | None]:
    """The class of ``error`` and, if it is one of MySQL, its number."""
    if isinstance(error, WarehouseFailedError):
        return error.kind, error.number
    if isinstance(error, PoisonBatchError):
        return ErrorKind.DATA, error_class(error.cause)[1]
    if isinstance(error, SQLAlchemyError):
        return classify(error), error_number(error)
    return _class_without_number(error), None


def _class_without_number(error: BaseException) -> ErrorClass:
    if isinstance(error, MigrationError):
        return ErrorKind.SCHEMA
    if isinstance(error, DeadLettersError):
        return KafkaTrouble.TRANSPORT
    if isinstance(error, KafkaException):
        return _KAFKA_CODES.get(error.args[0].code(), KafkaTrouble.TRANSPORT)
    if classify_failure(error) is Failure.CHECKPOINT:
        return OwnTrouble.CHECKPOINT
    text = error_text(error).split(PLAN)[0]
    found = (trouble for trouble, signs in _SIGNS if any(sign in text for sign in signs))
    return next(found, ErrorKind.UNKNOWN)
