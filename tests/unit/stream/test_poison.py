"""A batch that fails at its data: who is at fault, when rows are set aside, and what the ledger then says."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy.exc import DataError

from include.runtime.clock import ManualClock
from include.runtime.processor_notes import Culprit, IsolationOrder, ProcessorNotes
from include.settings import Settings
from include.warehouse.error_numbers import ErrorKind
from include.warehouse.errors import WarehouseFailedError
from include.warehouse.sink import Batch, Outcome, Receipt
from spark_jobs.lib import poison_search
from spark_jobs.lib.aggregate import Aggregate
from spark_jobs.lib.batch import BatchProcessor, QueryIdentity
from spark_jobs.lib.errors import PoisonBatchError, StopRequestedError
from spark_jobs.lib.metrics import Metrics
from spark_jobs.lib.poison import PoisonHandler
from spark_jobs.lib.poison_row import PoisonRow
from spark_jobs.lib.poison_search import Poison, PoisonSearch
from spark_jobs.lib.progress import Progress

REFUSED = WarehouseFailedError(ErrorKind.DATA, 1264, 1, 0.1, ValueError("out of range"))
ROW = PoisonRow(Culprit(0, 7, "1264: out of range", "BTCUSDT", 70), b"raw")


class Frame:
    """A micro-batch of records ``(partition, offset, value)``."""

    def __init__(self, rows: list[tuple[int, int, bytes]]) -> None:
        self.rows = rows

    def persist(self) -> Frame:
        return self

    def unpersist(self) -> None:
        """Nothing was kept."""

    def where(self, text: str) -> Frame:
        spans = [
            tuple(map(int, found))
            for found in re.findall(r"partition = (\d+) AND offset BETWEEN (\d+) AND (\d+)", text)
        ]

        def inside(row: tuple[int, int, bytes]) -> bool:
            return any(row[0] == partition and first <= row[1] <= last for partition, first, last in spans)

        return Frame([row for row in self.rows if inside(row) is not text.startswith("NOT")])

    def groupBy(self, _: str) -> Frame:  # noqa: N802 - Spark's name
        return self

    def agg(self, what: dict[str, str]) -> SimpleNamespace:
        ((_, name),) = what.items()
        pick = min if name == "min" else max
        partitions = {row[0] for row in self.rows}
        return SimpleNamespace(
            collect=lambda: [_Row(p, pick(row[1] for row in self.rows if row[0] == p), name) for p in partitions]
        )

    def collect(self) -> list[Any]:
        return [SimpleNamespace(partition=p, offset=o, value=v) for p, o, v in self.rows]


class _Row(tuple[int, int]):
    """As Spark's: by position and by name."""

    def __new__(cls, partition: int, offset: int, name: str) -> _Row:
        row = super().__new__(cls, (partition, offset))
        row.name = name  # type: ignore[attr-defined]
        return row

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__({"partition": 0}.get(key, 1) if isinstance(key, str) else key)


class Broken:
    """An aggregator that Spark ends with an error in the data for the values named."""

    def __init__(self, *values: bytes) -> None:
        self.values, self.passes = values, 0

    def aggregate(self, records: Frame) -> Aggregate:
        self.passes += 1
        if any(value in self.values for _, _, value in records.rows):
            raise RuntimeError("[ARITHMETIC_OVERFLOW] long overflow. SQLSTATE: 22003")
        return Aggregate(input_rows=len(records.rows))


def search(aggregator: Broken, stop: threading.Event | None = None) -> PoisonSearch:
    return PoisonSearch(cast(Any, aggregator), cast(Any, None), cast(Any, None), stop or threading.Event())


def test_records_that_spark_cannot_work_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PoisonSearch, "_refused", lambda *_: Poison())
    rows = [(p, offset, b"%d" % offset) for p in (0, 2) for offset in range(100, 400)]
    rows[40], rows[500] = (0, 140, b"bad"), (2, 300, b"worse")
    aggregator = Broken(b"bad", b"worse")
    found = search(aggregator).find(cast(Any, Frame(rows)), lambda _: cast(Batch, None), 5)
    assert sorted((row.culprit.partition, row.culprit.offset, row.value) for row in found.rows) == [
        (0, 140, b"bad"),
        (2, 300, b"worse"),
    ]
    assert all("22003" in row.culprit.error and row.culprit.symbol is None for row in found.rows)
    assert aggregator.passes < 60


def test_a_stop_ends_the_search() -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(StopRequestedError):
        search(Broken(), stop).find(cast(Any, Frame([])), lambda _: cast(Batch, None), 5)


def test_words_of_an_error_of_mysql_begin_with_its_number() -> None:
    error = DataError("INSERT …", None, Exception("Out of range"))
    error.orig.errno = 1264  # type: ignore[union-attr]
    assert poison_search._words(error).startswith("1264 ER_WARN_DATA_OUT_OF_RANGE")


@pytest.fixture
def notes(tmp_path: Path) -> ProcessorNotes:
    return ProcessorNotes(Settings(_env_file=None, home=tmp_path))


class Letters:
    """Remembers what was written."""

    def __init__(self) -> None:
        self.rows: list[PoisonRow] = []

    def write_refused(self, rows: list[PoisonRow]) -> None:
        self.rows += rows


def handler(notes: ProcessorNotes, found: Poison) -> tuple[PoisonHandler, Letters, list[int]]:
    letters, clock, limits = Letters(), ManualClock(), list[int]()

    def find(_records: object, _batch: object, most: int) -> Poison:
        limits.append(most)
        return found

    made = PoisonHandler(
        search=cast(Any, SimpleNamespace(find=find)),
        dead_letters=cast(Any, letters),
        notes=notes,
        progress=Progress(clock),
        clock=clock,
    )
    return made, letters, limits


def give_order(notes: ProcessorNotes, seconds: float = 60) -> None:
    notes.give_order(IsolationOrder("health", "INC-1", ManualClock().time_ms() + round(seconds * 1000), most=40))


@pytest.mark.parametrize(
    ("ordered", "known", "found", "done"),
    [
        (True, False, Poison([ROW]), True),
        (False, True, Poison([ROW]), True),  # an earlier order was about this very trade
        (False, False, Poison([ROW]), False),
        (True, False, Poison([ROW], more=True), False),  # not a matter of single rows
        (True, False, Poison([]), False),  # nobody is at fault
        (False, True, Poison([]), False),
        (False, True, Poison([ROW, PoisonRow(Culprit(0, 8, "1264", "BTCUSDT", 71), b"")]), False),
        (False, True, Poison([PoisonRow(Culprit(0, 9, "22003"), b"")]), False),
    ],
)
def test_rows_are_set_aside_only_when_told(
    notes: ProcessorNotes, ordered: bool, known: bool, found: Poison, done: bool
) -> None:
    if ordered:
        give_order(notes)
    if known:
        notes.remember_set_aside([ROW.culprit])
    made, letters, limits = handler(notes, found)
    if done:
        assert made.set_aside(cast(Any, None), cast(Any, None), 3, REFUSED) == found.rows
        assert notes.set_aside().knows([ROW.culprit])
    else:
        with pytest.raises(PoisonBatchError, match="batch 3 cannot be counted") as raised:
            made.set_aside(cast(Any, None), cast(Any, None), 3, REFUSED)
        assert raised.value.__cause__ is REFUSED
    assert letters.rows == (found.rows if done else [])
    assert limits == [40 if ordered else 20]


def test_an_old_order_is_void(notes: ProcessorNotes) -> None:
    give_order(notes, seconds=-1)
    made, letters, _ = handler(notes, Poison([ROW]))
    with pytest.raises(PoisonBatchError):
        made.set_aside(cast(Any, None), cast(Any, None), 3, REFUSED)
    assert letters.rows == []


class Sink:
    """Refuses a batch as long as it holds the record at partition 0, offset 7; remembers the one it takes."""

    def __init__(self) -> None:
        self.taken: list[Batch] = []

    def run(self, work: Callable[[Any], Receipt]) -> Receipt:
        return work(None)

    def apply(self, _store: object, batch: Batch, _recount: object) -> Receipt:
        if batch.input_rows - batch.invalid_rows == 3:
            raise REFUSED
        self.taken.append(batch)
        return Receipt(Outcome.COMMITTED, batch.end_offsets)


class Rows:
    """Counts records and nothing else."""

    def aggregate(self, records: Frame) -> Aggregate:
        found = Aggregate(input_rows=len(records.rows))
        for partition, offset, _ in records.rows:
            found.start_offsets[partition] = min(found.start_offsets.get(partition, offset), offset)
            found.end_offsets[partition] = max(found.end_offsets.get(partition, 0), offset + 1)
        return found


@contextmanager
def processor(set_aside: Callable[..., list[PoisonRow]]) -> Iterator[tuple[BatchProcessor, Sink, list[str]]]:
    sink, clock, said = Sink(), ManualClock(), list[str]()
    progress = Progress(clock)
    made = BatchProcessor(
        aggregator=cast(Any, Rows()),
        dead_letters=cast(Any, None),
        transactions=cast(Any, sink),
        sink=cast(Any, sink),
        poison=cast(Any, SimpleNamespace(set_aside=set_aside)),
        group_offsets=cast(Any, SimpleNamespace(submit=lambda offsets: None)),
        progress=progress,
        metrics=Metrics(progress),
        clock=clock,
        stop=threading.Event(),
        on_commit=lambda: said.append("committed"),
    )
    made.serve(QueryIdentity(lambda: "query", "topic", "life"))
    yield made, sink, said


RECORDS = Frame([(0, 5, b"a"), (0, 6, b"b"), (0, 7, b"poison")])


def test_a_batch_goes_on_without_the_rows_set_aside() -> None:
    tried: list[int] = []

    def set_aside(records: Frame, *_: object) -> list[PoisonRow]:
        tried.append(len(records.rows))
        return [ROW]

    with processor(set_aside) as (made, sink, said):
        made(cast(Any, RECORDS), 3)
    (batch,) = sink.taken
    assert tried == [3]
    assert (batch.input_rows, batch.invalid_rows) == (3, 1)
    assert (batch.start_offsets, batch.end_offsets) == ({0: 5}, {0: 8})  # the row is read: it must not come again
    assert said == ["committed"]


def test_a_batch_with_rows_at_fault_fails_by_its_number() -> None:
    def set_aside(*_: object) -> list[PoisonRow]:
        raise PoisonBatchError(3, [ROW.culprit], False, REFUSED)

    with processor(set_aside) as (made, sink, said):
        with pytest.raises(PoisonBatchError, match="BTCUSDT 70"):
            made(cast(Any, RECORDS), 3)
        assert (made.failed_batch, sink.taken, said) == (3, [], [])
        assert isinstance(made.failure, PoisonBatchError)
