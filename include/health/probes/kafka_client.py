"""What the Kafka probes share: settings of their clients, the time of a look, and the classes of Kafka's errors."""

from __future__ import annotations

import time
from concurrent.futures import Future
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException

from include.health.observations import Code, Observation
from include.health.observations import Probe as ProbeName
from include.health.probes.base import blind, failed

T = TypeVar("T")

REFUSED_AFTER_SECONDS = 0.6  # when nobody listens a look need not use all its time, yet must not miss a restart
_USED_UP_SECONDS = 0.2
_REPORTED_AGAIN_SECONDS = 35.0  # librdkafka reports the same error of the same broker every 30 s
_NEVER = float("-inf")

_CODES: dict[int, Code] = {
    **dict.fromkeys(
        (
            KafkaError._TIMED_OUT,
            KafkaError._MSG_TIMED_OUT,
            KafkaError._TIMED_OUT_QUEUE,
            KafkaError._WAIT_COORD,
            KafkaError.REQUEST_TIMED_OUT,
        ),
        Code.TIMEOUT,
    ),
    **dict.fromkeys(
        (
            KafkaError._TRANSPORT,
            KafkaError._ALL_BROKERS_DOWN,
            KafkaError._RESOLVE,
            KafkaError._SSL,
            KafkaError.NETWORK_EXCEPTION,
            KafkaError.BROKER_NOT_AVAILABLE,
        ),
        Code.TRANSPORT,
    ),
    **dict.fromkeys(
        (
            KafkaError.LEADER_NOT_AVAILABLE,
            KafkaError.NOT_LEADER_FOR_PARTITION,
            KafkaError.FENCED_LEADER_EPOCH,
            KafkaError.UNKNOWN_LEADER_EPOCH,
            KafkaError.OFFSET_NOT_AVAILABLE,
            KafkaError._NOENT,  # no leader was found to ask
        ),
        Code.NO_LEADER,
    ),
    **dict.fromkeys(
        (KafkaError.NOT_ENOUGH_REPLICAS, KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND, KafkaError._ISR_INSUFF),
        Code.NOT_ENOUGH_REPLICAS,
    ),
    **dict.fromkeys(
        (
            KafkaError.UNKNOWN_TOPIC_OR_PART,
            KafkaError.UNKNOWN_TOPIC_ID,
            KafkaError.INCONSISTENT_TOPIC_ID,
            KafkaError._UNKNOWN_TOPIC,
            KafkaError._UNKNOWN_PARTITION,
        ),
        Code.TOPIC_MISSING,
    ),
    **dict.fromkeys((KafkaError.KAFKA_STORAGE_ERROR, KafkaError.LOG_DIR_NOT_FOUND), Code.STORAGE),
}
_OWN_FAULT = {
    KafkaError._CRIT_SYS_RESOURCE,
    KafkaError._INVALID_ARG,
    KafkaError._NOT_IMPLEMENTED,
    KafkaError._QUEUE_FULL,
    KafkaError._STATE,
}


def code_of(error: KafkaError) -> Code:
    """Class of one of Kafka's errors; what the broker refuses for another reason is ``REFUSES``."""
    return Code.OWN_FAULT if error.code() in _OWN_FAULT else _CODES.get(error.code(), Code.REFUSES)


class Look:
    """The time of one look, and what librdkafka reports about its connections.

    One instance serves a probe for good: pass :meth:`on_error` to its client as ``error_cb``, call :meth:`begin` at
    the start of each look and :meth:`good` at the end of one that succeeded.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds, self._until = seconds, 0.0
        self._refused_at = self._all_down_at = _NEVER

    def begin(self) -> None:
        """The time starts now."""
        self._until = time.monotonic() + self._seconds

    def good(self) -> None:
        """The target answered: what was reported before is over."""
        self._refused_at = self._all_down_at = _NEVER

    @property
    def left(self) -> float:
        """Seconds left; 0 when there are none."""
        return max(0.0, self._until - time.monotonic())

    @property
    def nobody_listens(self) -> bool:
        """No broker accepts connections, and a restart within this look has had its chance."""
        return self._refused and self._all_down and self.left < self._seconds - REFUSED_AFTER_SECONDS

    def on_error(self, error: KafkaError) -> None:
        """Take a report of librdkafka in."""
        now = time.monotonic()
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._all_down_at = now
        elif error.code() == KafkaError._TRANSPORT and "refused" in error.str():
            self._refused_at = now

    @property
    def _refused(self) -> bool:
        return time.monotonic() - self._refused_at < _REPORTED_AGAIN_SECONDS

    @property
    def _all_down(self) -> bool:
        return time.monotonic() - self._all_down_at < _REPORTED_AGAIN_SECONDS

    def result(self, future: Future[T]) -> T:
        """The answer of an administrative request. Raises :class:`KafkaException`, also when it does not come."""
        try:
            return future.result(self.left)
        except TimeoutError:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT)) from None

    def failure(self, name: ProbeName, error: KafkaError, what: str) -> Observation:
        """The observation of a look that ended with ``error`` while doing ``what``."""
        code = code_of(error)
        if code is Code.OWN_FAULT:
            return blind(name, code, f"{what}: {error.str()}", number=error.code())
        nobody = code is Code.TRANSPORT or (code is Code.TIMEOUT and self._all_down)
        if nobody and self._refused:
            return failed(name, Code.REFUSED, f"{what}: no broker accepts connections", number=error.code())
        if code is Code.TRANSPORT and self.left < _USED_UP_SECONDS:  # connections open, yet none becomes usable
            return failed(name, Code.TIMEOUT, f"{what}: no usable connection within the time", number=error.code())
        return failed(name, code, f"{what}: {error.str()}", number=error.code())


def client_config(bootstrap_servers: str, look: Look, **more: Any) -> dict[str, Any]:
    """librdkafka settings of a client that must notice within a look, and be back within a second after a restart."""
    return {
        "bootstrap.servers": bootstrap_servers,
        "client.id": "pipeline-probe",
        "log_level": 0,  # its reports come through error_cb
        "error_cb": look.on_error,
        "socket.timeout.ms": 2_000,
        # A hung broker accepts connections until its backlog is full: a connection that waits for it is kept, not
        # made anew, and works at once when the broker goes on.
        "socket.connection.setup.timeout.ms": 10_000,
        "api.version.request.timeout.ms": 10_000,
        "reconnect.backoff.ms": 250,
        "reconnect.backoff.max.ms": 500,
        **more,
    }
