"""The note that a process leaves when it gives up, and what takes it away."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from include.runtime.clock import ManualClock
from include.runtime.processor_notes import Culprit, IsolationOrder, ProcessorNotes
from include.settings import Settings
from include.warehouse.error_numbers import ErrorKind
from include.warehouse.errors import WarehouseFailedError
from spark_jobs.lib.errors import PoisonBatchError
from spark_jobs.lib.giving_up import LastWords

CULPRIT = Culprit(0, 7, "1264 (22003): out of range", "BTCUSDT", 70)
POISON = PoisonBatchError(
    12, [CULPRIT], False, WarehouseFailedError(ErrorKind.DATA, 1264, 1, 0.1, ValueError("out of range"))
)
TORN = RuntimeError("Checksum error: file:/c/offsets/4 at 0 exp: 1 got: 2\n=== Streaming Query ===\nKafka")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(_env_file=None, home=tmp_path)
    made.checkpoint_dir.mkdir(parents=True)
    (made.checkpoint_dir / "metadata").write_text('{"id":"query-1"}')
    return made


def words(settings: Settings) -> LastWords:
    return LastWords(ProcessorNotes(settings), settings.checkpoint_dir, ManualClock())


def test_a_poison_batch_is_named(settings: Settings) -> None:
    words(settings).give_up(POISON, 12)
    failure = ProcessorNotes(settings).failure()
    assert failure is not None
    assert (failure.kind, failure.number, failure.batch_id, failure.query_id) == ("data", 1264, 12, "query-1")
    assert (failure.culprits, failure.more_culprits, failure.times) == ((CULPRIT,), False, 1)
    assert "BTCUSDT 70 (partition 0 offset 7)" in failure.message


def test_a_checkpoint_that_cannot_be_used(settings: Settings) -> None:
    words(settings).give_up(TORN, None)
    failure = ProcessorNotes(settings).failure()
    assert failure is not None
    assert (failure.kind, failure.batch_id, failure.culprits) == ("checkpoint", None, ())
    assert "Streaming Query" not in failure.message


def test_the_same_trouble_again_is_counted(settings: Settings) -> None:
    times = []
    for error, batch in ((POISON, 12), (POISON, 12), (POISON, 13), (TORN, None), (TORN, None), (TORN, None)):
        words(settings).give_up(error, batch)
        failure = ProcessorNotes(settings).failure()
        times.append(failure and failure.times)
    assert times == [1, 2, 1, 1, 2, 3]


def test_a_committed_batch_takes_note_and_order_away(settings: Settings) -> None:
    notes = ProcessorNotes(settings)
    words(settings).give_up(POISON, 12)
    notes.give_order(IsolationOrder("health", "INC-1", 2_000_000_000_000))
    notes.remember_set_aside([CULPRIT])
    assert notes.order(0) == IsolationOrder("health", "INC-1", 2_000_000_000_000)
    process = words(settings)
    process.committed()
    assert (notes.failure(), notes.order(0)) == (None, None)
    assert notes.set_aside().knows([CULPRIT])  # this must outlive it

    notes.give_order(IsolationOrder("health", "INC-2", 2_000_000_000_000))
    process.committed()  # an order is for the next start
    assert notes.order(0) is not None


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"kind": "data"}', '{"unknown": 1, "culprits": []}'])
def test_files_that_cannot_be_read_count_as_absent(settings: Settings, text: str) -> None:
    folder = settings.data_dir / "stream_processor"
    folder.mkdir(parents=True)
    for name in ("last_failure", "isolation_order", "set_aside"):
        (folder / f"{name}.json").write_text(text)
    notes = ProcessorNotes(settings)
    assert (notes.failure(), notes.order(0), notes.set_aside().trades) == (None, None, frozenset())


def test_only_so_many_rows_are_remembered(settings: Settings) -> None:
    notes = ProcessorNotes(settings)
    notes.remember_set_aside([Culprit(0, i, "", "BTCUSDT", i) for i in range(1500)])
    notes.remember_set_aside([CULPRIT, Culprit(0, 3, "unreadable")])
    kept = json.loads((settings.data_dir / "stream_processor" / "set_aside.json").read_text())["trades"]
    assert (len(kept), kept[0], kept[-1]) == (1000, ["BTCUSDT", 501], ["BTCUSDT", 70])
