"""What /health tells about the running batch, and that finished offsets reach the consumer group."""

from __future__ import annotations

import json
import threading
import time

import pytest
from confluent_kafka import KafkaError, KafkaException

from include.runtime.clock import ManualClock
from include.warehouse.error_numbers import ErrorKind
from spark_jobs.lib import group_offsets
from spark_jobs.lib.group_offsets import GroupOffsets
from spark_jobs.lib.metrics import Metrics
from spark_jobs.lib.progress import JobStatus, Phase, Progress


def test_a_batch_ages_while_it_runs() -> None:
    clock = ManualClock()
    progress = Progress(clock)
    metrics = Metrics(progress)
    with progress.batch(3):
        with progress.phase(Phase.MYSQL):
            clock.advance(2)
            with progress.phase(Phase.RECOUNT):
                clock.advance(1)
                running = progress.snapshot()["batch"]
                age = metrics.registry.get_sample_value("stream_running_batch_age_seconds")
            resumed = progress.snapshot()["batch"]
        durations = progress.durations_ms()
    assert running == {"id": 3, "running": True, "phase": "recount", "age_seconds": 3.0, "phase_age_seconds": 1.0}
    assert (resumed["phase"], resumed["phase_age_seconds"]) == ("mysql", 3.0)
    assert age == 3.0
    assert durations == {"recount": 1000, "mysql": 3000, "total": 3000}
    ages = {"age_seconds": 0.0, "phase_age_seconds": 0.0}
    assert progress.snapshot()["batch"] == {"id": None, "running": False, "phase": None, **ages}


def test_moments_can_be_told_as_ages_from_the_document_alone() -> None:
    clock = ManualClock(1_700_000_000_000)
    progress = Progress(clock)
    progress.set_error("mysql: locked", ErrorKind.LOCKED, 1205)
    clock.advance(2.5)
    document = json.loads(json.dumps(progress.snapshot()))
    assert document["now"] == "2023-11-14T22:13:22.500Z"
    at = "2023-11-14T22:13:20.000Z"
    assert document["last_error"] == {"message": "mysql: locked", "kind": "locked", "number": 1205, "at": at}


def test_stopping_is_the_last_word() -> None:
    progress = Progress(ManualClock())
    progress.set_status(JobStatus.STOPPING)
    progress.set_status(JobStatus.RETRYING_MYSQL)
    progress.record({}, {}, {})
    progress.record_query("id", "run", "name")
    assert progress.snapshot()["status"] == "stopping"


def test_waiting_for_the_batch_to_end() -> None:
    progress = Progress(ManualClock())
    assert progress.wait_idle(0)
    running, done = threading.Event(), threading.Event()

    def batch() -> None:
        with progress.batch(1):
            running.set()
            done.wait(10)

    thread = threading.Thread(target=batch)
    thread.start()
    assert running.wait(5)
    assert not progress.wait_idle(0)
    threading.Timer(0.02, done.set).start()
    started = time.monotonic()
    assert progress.wait_idle(10)
    assert time.monotonic() - started < 5  # woken by the end, not by the timeout
    thread.join()


class Committer:
    """Fails as often as told, then remembers."""

    def __init__(self, failures: int = 0) -> None:
        self.failures, self.committed, self.closed = failures, [], False
        self.seen = threading.Event()

    def commit(self, offsets: dict[int, int]) -> None:
        if self.failures:
            self.failures -= 1
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        self.committed.append(offsets)
        self.seen.set()

    def close(self) -> None:
        self.closed = True


def test_the_newest_offsets_are_committed_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_offsets, "_RETRY_SECONDS", 0.001)
    committer = Committer(failures=2)
    offsets = GroupOffsets(committer)
    offsets.submit({0: 1})
    offsets.submit({0: 2})
    offsets.submit({1: 5})
    assert committer.seen.wait(5)
    offsets.close()
    assert committer.committed[-1] == {0: 2, 1: 5}
    assert committer.closed


def test_a_broker_that_is_away_does_not_hold_up_the_end() -> None:
    committer = Committer(failures=10**9)
    offsets = GroupOffsets(committer)
    offsets.submit({0: 1})
    offsets.close(timeout=5)
    assert committer.committed == []
    assert committer.closed


def test_the_pace_compares_the_newest_batches_with_those_before() -> None:
    progress = Progress(ManualClock())
    for number in range(12):
        slow = number >= 7
        durations = {"mysql": 300 if slow else 50, "total": 400 if slow else 100}
        progress.record({"input_rows": 20, "duration_ms": durations}, {}, {})
    pace = progress.snapshot()["pace"]
    assert pace["recent"] == {"batches": 5, "rows": 100, "seconds": {"mysql": 1.5, "total": 2.0}}
    assert pace["before"] == {"batches": 6, "rows": 120, "seconds": {"mysql": 0.3, "total": 0.6}}  # not the first one
