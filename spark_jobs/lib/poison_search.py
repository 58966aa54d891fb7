"""Which records make a batch fail. Only looks: whatever is tried in MySQL is rolled back.

First the records that Spark cannot work on, by ranges of offsets; then the trades that MySQL refuses, by groups of
trades and, within a refused group, by single trades. The groups are small sums, so a try takes milliseconds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pyspark.sql import DataFrame
from sqlalchemy import Engine

from include.runtime.processor_notes import Culprit
from include.warehouse.admission import Coverage, TradeGroup
from include.warehouse.error_numbers import describe
from include.warehouse.mysql_store import MySQLStore
from include.warehouse.sink import Batch, BatchSink, bounds_of
from spark_jobs.lib.aggregate import Aggregate, Aggregator, NewTrade
from spark_jobs.lib.error_classes import is_data_error
from spark_jobs.lib.errors import StopRequestedError
from spark_jobs.lib.failures import PLAN, error_text
from spark_jobs.lib.isolation import isolate
from spark_jobs.lib.poison_row import PoisonRow

_LONGEST_ERROR = 300
_FEW, _SHARE = 3, 4  # more than a few, and more than a quarter of the trades, is no matter of single rows


@dataclass
class Poison:
    """What was found; ``more``: there are more culprits than were looked for."""

    rows: list[PoisonRow] = field(default_factory=list)
    more: bool = False


@dataclass(frozen=True)
class _Span:
    """Records of one partition, both ends included."""

    partition: int
    first: int
    last: int

    @property
    def sql(self) -> str:
        return f"(partition = {self.partition} AND offset BETWEEN {self.first} AND {self.last})"


@dataclass(frozen=True)
class _Piece:
    """A group of trades or, with ``trade``, a single one."""

    group: TradeGroup
    trade: NewTrade | None = None


def without(records: DataFrame, rows: Iterable[PoisonRow]) -> DataFrame:
    """``records`` less the ones of ``rows``."""
    places = [_Span(row.culprit.partition, row.culprit.offset, row.culprit.offset).sql for row in rows]
    return records.where(f"NOT ({' OR '.join(places)})") if places else records


class PoisonSearch:
    """Searches a micro-batch. Setting ``stop`` ends the search with :class:`StopRequestedError`."""

    def __init__(self, aggregator: Aggregator, engine: Engine, sink: BatchSink, stop: threading.Event) -> None:
        self._aggregator, self._engine, self._sink, self._stop = aggregator, engine, sink, stop

    def find(self, records: DataFrame, batch_of: Callable[[Aggregate], Batch], most: int) -> Poison:
        """At most ``most`` records at fault. ``batch_of`` makes of an aggregate what the sink takes.

        Raises the errors of Spark and MySQL that do not lie in the data.
        """
        records = records.persist()
        try:
            aggregate, poison = self._readable(records), Poison()
            if aggregate is None:
                poison = self._unreadable(records, most)
                aggregate = None if poison.more else self._readable(without(records, poison.rows))
            if aggregate is None:
                return poison
            refused = self._refused(without(records, poison.rows), batch_of(aggregate), most - len(poison.rows))
            return Poison([*poison.rows, *refused.rows], refused.more)
        finally:
            records.unpersist()

    # --- What Spark cannot work on -------------------------------------------------------------------------------
    def _readable(self, records: DataFrame) -> Aggregate | None:
        found: list[Aggregate] = []
        self._tried(lambda: found.append(self._aggregator.aggregate(records)))
        return found[0] if found else None

    def _unreadable(self, records: DataFrame, most: int) -> Poison:
        def error_of(spans: Sequence[_Span]) -> Exception | None:
            within = " OR ".join(span.sql for span in spans) or "FALSE"
            return self._tried(lambda: self._aggregator.aggregate(records.where(within)))

        rows = records.groupBy("partition").agg({"offset": "min"}).collect()
        newest = dict(records.groupBy("partition").agg({"offset": "max"}).collect())
        spans = [_Span(row["partition"], row["min(offset)"], newest[row["partition"]]) for row in rows]
        found = isolate(spans, error_of, _halves, most)
        return Poison([self._record(records, span, error) for span, error in found.culprits], found.more)

    def _record(self, records: DataFrame, span: _Span, error: Exception) -> PoisonRow:
        values = [row.value for row in records.where(span.sql).collect()]
        value = bytes(values[0]) if values and values[0] is not None else None
        return PoisonRow(Culprit(span.partition, span.first, _words(error)), value)

    # --- What MySQL refuses --------------------------------------------------------------------------------------
    def _refused(self, records: DataFrame, batch: Batch, most: int) -> Poison:
        coverage = self._coverage(batch)
        groups = self._aggregator.recount(records, coverage)  # of new trades only, each once: no try has to recount

        def error_of(pieces: Sequence[_Piece]) -> Exception | None:
            tried = replace(batch, groups=[piece.group for piece in pieces])
            return self._tried(lambda: self._try(tried))

        def split(piece: _Piece) -> Sequence[_Piece]:
            if piece.trade is not None:
                return ()
            trades = self._aggregator.new_trades(records, coverage, piece.group)
            return [_Piece(trade.group, trade) for trade in trades]

        trades = sum(group.sums.trade_count for group in groups)
        most = min(most, max(_FEW, trades // _SHARE))
        found = isolate([_Piece(group) for group in groups], error_of, split, most)
        rows = [_row(piece.trade, error) for piece, error in found.culprits if piece.trade is not None]
        return Poison(rows, found.more)

    def _coverage(self, batch: Batch) -> Coverage:
        with self._engine.begin() as connection:
            return MySQLStore(connection).coverage(bounds_of(batch.groups))

    def _try(self, batch: Batch) -> None:
        """In a transaction of its own: locks must not be held while Spark works."""
        with self._engine.connect() as connection, connection.begin() as transaction:
            self._sink.apply(MySQLStore(connection), batch, _nothing_to_recount)
            transaction.rollback()

    def _tried(self, work: Callable[[], Any]) -> Exception | None:
        if self._stop.is_set():
            raise StopRequestedError("the process is stopping")
        try:
            work()
        except Exception as error:
            if is_data_error(error):
                return error
            raise
        return None


def _halves(span: _Span) -> Sequence[_Span]:
    if span.first == span.last:
        return ()
    middle = (span.first + span.last) // 2
    return [_Span(span.partition, span.first, middle), _Span(span.partition, middle + 1, span.last)]


def _row(trade: NewTrade, error: Exception) -> PoisonRow:
    key = trade.group.key
    return PoisonRow(Culprit(trade.partition, trade.offset, _words(error), key.symbol, trade.id), trade.value)


def _words(error: Exception) -> str:
    text = describe(error) if hasattr(error, "orig") else error_text(error).split(PLAN)[0]
    return " ".join(text.split())[:_LONGEST_ERROR]


def _nothing_to_recount(coverage: Coverage) -> list[TradeGroup]:
    raise RuntimeError(f"trades of {sorted(coverage)} were counted by somebody else meanwhile")
