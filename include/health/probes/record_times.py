"""What a consumer is needed for: a group's offsets, and when single records were written (fetched one by one, and
remembered until another one is asked for).
"""

from __future__ import annotations

import contextlib
import time

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Consumer, KafkaException, TopicPartition

from include.broker.topics import CONSUMER_GROUP
from include.health.probes.kafka_client import Look, client_config

_Key = tuple[int, int | None]  # offset and leader epoch: in a topic made anew the same offset is another record


class RecordTimes:
    """Timestamps of records of one topic. Between two questions nothing is fetched."""

    def __init__(self, bootstrap_servers: str, topic: str, group: str = CONSUMER_GROUP) -> None:
        self._topic = topic
        self._known: dict[int, tuple[_Key, int]] = {}
        self._warm = False
        self._consumer = Consumer(
            client_config(
                bootstrap_servers,
                Look(0),
                **{
                    "group.id": group,  # never joined, nothing is committed: partitions are assigned
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "auto.offset.reset": "earliest",  # the record has been deleted: the next one there is
                    "fetch.message.max.bytes": 4_096,  # one batch comes in any case
                    "fetch.wait.max.ms": 20,
                    "fetch.error.backoff.ms": 100,
                    "queued.min.messages": 1,
                    "fetch.queue.backoff.ms": 5,  # else the next question may have to wait for the last one's pause
                    "queued.max.messages.kbytes": 1_024,
                },
            )
        )

    def at(self, offsets: dict[int, int], epochs: dict[int, int | None], seconds: float) -> dict[int, int]:
        """Milliseconds since the epoch by partition, for the first record at or behind each offset.

        Partitions whose record did not come within ``seconds``, or has no timestamp, are left out.
        """
        keys: dict[int, _Key] = {p: (offset, epochs.get(p)) for p, offset in offsets.items()}
        self._known = {p: entry for p, entry in self._known.items() if entry[0] == keys.get(p)}
        if missing := {p: offset for p, offset in offsets.items() if p not in self._known}:
            for partition, moment in self._fetch(missing, seconds).items():
                self._known[partition] = keys[partition], moment
        return {partition: moment for partition, (_, moment) in self._known.items()}

    def committed(self, partitions: list[int], seconds: float) -> list[TopicPartition]:
        """What the group has committed. Raises :class:`KafkaException` when its coordinator does not answer in time."""
        return self._consumer.committed([TopicPartition(self._topic, p) for p in partitions], timeout=seconds)

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()

    def _fetch(self, offsets: dict[int, int], seconds: float) -> dict[int, int]:
        until, found = time.monotonic() + seconds, dict[int, int]()
        with contextlib.suppress(KafkaException):  # what did not come is left out
            if not self._warm:  # a client that knows no leaders yet waits a second before it asks again
                self._consumer.list_topics(self._topic, timeout=seconds)
                self._warm = True
            self._consumer.assign([TopicPartition(self._topic, p, offset) for p, offset in offsets.items()])
            while len(found) < len(offsets) and (left := until - time.monotonic()) > 0:
                message = self._consumer.poll(left)
                if message is None or message.error() is not None:
                    break
                kind, moment = message.timestamp()
                partition = message.partition()
                if partition is not None and kind != TIMESTAMP_NOT_AVAILABLE:
                    found.setdefault(partition, moment)
            self._consumer.unassign()
        return found
