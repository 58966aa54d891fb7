"""Finished offsets go to ``spark-group`` from a thread of their own.

They are a mirror for Kafka's tools and for lag alerts, never a position we start from: a broker that does not answer
must not hold up a batch. Only the newest offsets matter; what fails is tried again with the next ones.
"""

from __future__ import annotations

import threading

from confluent_kafka import KafkaException

from include.broker.offsets import OffsetCommitter, Offsets
from include.runtime.logging import get_logger

_RETRY_SECONDS = 1.0

log = get_logger("stream_processor")


class GroupOffsets:
    """Commits the newest offsets submitted. ``close()`` it at the end."""

    def __init__(self, committer: OffsetCommitter) -> None:
        self._committer = committer
        self._changed = threading.Condition()
        self._wanted: Offsets = {}
        self._done: Offsets = {}
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="group-offsets", daemon=True)
        self._thread.start()

    def submit(self, offsets: Offsets) -> None:
        """Everything before ``offsets`` (by partition) is committed in MySQL. Returns at once."""
        with self._changed:
            self._wanted = {**self._wanted, **offsets}
            self._changed.notify()

    def close(self, timeout: float = 2.0) -> None:
        """Commit what is left, for up to ``timeout`` seconds."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout)
        if not self._thread.is_alive():
            self._committer.close()

    def _run(self) -> None:
        failing = False
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._wanted != self._done)
                wanted = self._wanted
                if wanted == self._done or (self._closing and failing):
                    return
            failing = not self._commit(wanted, failing)
            if failing:
                with self._changed:
                    self._changed.wait_for(lambda: self._closing, _RETRY_SECONDS)
            else:
                self._done = wanted

    def _commit(self, offsets: Offsets, failed_before: bool) -> bool:
        try:
            self._committer.commit(offsets)
        except KafkaException as error:
            if not failed_before:
                log.warning("offsets not committed to spark-group, trying again", error=str(error))
            return False
        if failed_before:
            log.info("offsets committed to spark-group again")
        return True
