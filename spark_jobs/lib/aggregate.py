"""One pass over a micro-batch: sums and exact id sets per symbol, minute and bucket of ids, small enough to collect.

The id set is Spark's built-in bitmap: buckets of 32,768 ids, one bit an id, cut to the bytes that are used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import DataFrame, Row

from include.warehouse.admission import Coverage, TradeGroup
from include.warehouse.fixed_point import PRICE_PLACES, QUOTE_PLACES, to_units
from include.warehouse.minutes import MinuteKey, TradeSums
from spark_jobs.lib.trades import RECORDS_VIEW, trades_sql

_GROUPS = """
  SELECT partition, symbol, minute, trades, price_sum, quote_sum, volume, first_id, last_id, last_price, newest_time,
         first_offset, last_offset,
         SUBSTRING(bits, CAST(bitmap_bit_position(first_id) DIV 8 AS INT) + 1,
                   CAST(bitmap_bit_position(last_id) DIV 8 - bitmap_bit_position(first_id) DIV 8 AS INT) + 1) AS bits,
         CAST(bitmap_bit_position(first_id) % 8 AS INT) AS skipped_bits
  FROM (
    SELECT partition, symbol, time_ms DIV 60000 AS minute, bitmap_bucket_number(id) AS bucket,
           COUNT(*) AS trades, SUM(price) AS price_sum, SUM(price * quantity) AS quote_sum, SUM(quantity) AS volume,
           MIN(id) AS first_id, MAX(id) AS last_id, MAX_BY(price, id) AS last_price, MAX(time_ms) AS newest_time,
           MIN(offset) AS first_offset, MAX(offset) AS last_offset,
           bitmap_construct_agg(bitmap_bit_position(id)) AS bits
    FROM ({trades}) GROUP BY partition, symbol, time_ms DIV 60000, bitmap_bucket_number(id))"""

# Of several copies of a trade the first in the topic counts, and none when it is counted already.
_NEW_TRADES = """
  SELECT * FROM (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY symbol, id ORDER BY partition, offset) AS copy
    FROM ({trades}) WHERE symbol IN ({symbols})) AS trade
  LEFT ANTI JOIN (VALUES {ranges}) AS counted (counted_symbol, first_id, last_id)
    ON trade.symbol = counted_symbol AND trade.id BETWEEN counted.first_id AND counted.last_id
  WHERE copy = 1"""


@dataclass(frozen=True)
class NewTrade:
    """One trade that is not counted yet: its place in the topic, its raw value, and itself as a group."""

    partition: int
    offset: int
    value: bytes | None
    id: int
    group: TradeGroup


@dataclass
class Aggregate:
    """What is in a micro-batch. Offsets by partition: of the first record, and the next one to read."""

    groups: list[TradeGroup] = field(default_factory=list)
    start_offsets: dict[int, int] = field(default_factory=dict)
    end_offsets: dict[int, int] = field(default_factory=dict)
    input_rows: int = 0
    invalid_rows: int = 0
    newest_event_time_ms: int | None = None
    newest_event_times_ms: dict[str, int] = field(default_factory=dict)

    def left_out(self, partition: int, offset: int) -> None:
        """A record of the batch was not looked at; it is read all the same, and counts as invalid."""
        self.start_offsets[partition] = min(self.start_offsets.get(partition, offset), offset)
        self.end_offsets[partition] = max(self.end_offsets.get(partition, 0), offset + 1)
        self.input_rows += 1
        self.invalid_rows += 1


class Aggregator:
    """Runs the passes over micro-batches that are registered as :data:`~spark_jobs.lib.trades.RECORDS_VIEW`."""

    def __init__(self, symbols: Iterable[str]) -> None:
        self._trades = trades_sql(symbols)
        self._groups = _GROUPS.format(trades=self._trades)

    def aggregate(self, records: DataFrame) -> Aggregate:
        """The one pass that every batch gets. Raises Spark's errors."""
        result = Aggregate()
        for row in _collect(records, self._groups):
            _merge_offsets(result, row)
            result.input_rows += row.trades
            if row.symbol is None:
                result.invalid_rows += row.trades
                continue
            result.groups.append(_group(row))
            newest = max(row.newest_time, result.newest_event_times_ms.get(row.symbol, 0))
            result.newest_event_times_ms[row.symbol] = newest
        result.newest_event_time_ms = max(result.newest_event_times_ms.values(), default=None)
        return result

    def recount(self, records: DataFrame, coverage: Coverage) -> list[TradeGroup]:
        """Groups of the trades of the symbols in ``coverage`` that are not covered, each trade once."""
        if not coverage:
            return []
        new_trades = _new_trades(self._trades, coverage)
        return [_group(row) for row in _collect(records, _GROUPS.format(trades=new_trades))]

    def new_trades(self, records: DataFrame, coverage: Coverage, group: TradeGroup) -> list[NewTrade]:
        """The single trades of a group that :meth:`recount` gave for the same ``coverage``, by id."""
        first, last = group.sums.first_trade_id, group.sums.last_trade_id
        own = (
            f"SELECT * FROM ({_new_trades(self._trades, coverage)}) WHERE symbol = '{group.key.symbol}'"  # noqa: S608
            f" AND time_ms DIV 60000 = {group.key.minute} AND id BETWEEN {first}L AND {last}L ORDER BY id"
        )
        return [_trade(row, group.key) for row in _collect(records, own)]

    def invalid(self, records: DataFrame) -> Iterable[Row]:
        """Partition, offset and raw value of the records that are no trades; one partition in memory at a time."""
        records.createOrReplaceTempView(RECORDS_VIEW)
        rejected = f"SELECT partition, offset, value FROM ({self._trades}) WHERE symbol IS NULL"  # noqa: S608
        rows: Iterable[Row] = records.sparkSession.sql(rejected).toLocalIterator()
        return rows


def _collect(records: DataFrame, query: str) -> list[Row]:
    records.createOrReplaceTempView(RECORDS_VIEW)
    return records.sparkSession.sql(query).collect()


def _new_trades(trades: str, coverage: Coverage) -> str:
    ranges = [f"('{symbol}', {first}L, {last}L)" for symbol, ids in coverage.items() for first, last in ids]
    return _NEW_TRADES.format(
        trades=trades,
        symbols=", ".join(f"'{symbol}'" for symbol in coverage),
        ranges=", ".join(ranges or ["('', 0L, 0L)"]),
    )


def _merge_offsets(result: Aggregate, row: Any) -> None:
    start = result.start_offsets.get(row.partition, row.first_offset)
    result.start_offsets[row.partition] = min(start, row.first_offset)
    result.end_offsets[row.partition] = max(result.end_offsets.get(row.partition, 0), row.last_offset + 1)


def _group(row: Any) -> TradeGroup:
    sums = TradeSums(
        price_sum=to_units(row.price_sum, PRICE_PLACES),
        quote_sum=to_units(row.quote_sum, QUOTE_PLACES),
        volume=to_units(row.volume, PRICE_PLACES),
        trade_count=row.trades,
        first_trade_id=row.first_id,
        last_trade_id=row.last_id,
        last_price=to_units(row.last_price, PRICE_PLACES),
    )
    ids = ids_of_bitmap(bytes(row.bits), row.first_id - row.skipped_bits)
    return TradeGroup(MinuteKey(row.symbol, row.minute), sums, ids)


def _trade(row: Any, key: MinuteKey) -> NewTrade:
    price, quantity = to_units(row.price, PRICE_PLACES), to_units(row.quantity, PRICE_PLACES)
    sums = TradeSums(price, price * quantity, quantity, 1, row.id, row.id, price)  # 10⁻⁸ × 10⁻⁸ = 10⁻¹⁶
    value = None if row.value is None else bytes(row.value)
    return NewTrade(row.partition, row.offset, value, row.id, TradeGroup(key, sums, ((row.id, row.id),)))


def ids_of_bitmap(bits: bytes, base: int) -> tuple[tuple[int, int], ...]:
    """The ids whose bits are set, as ascending ranges; the lowest bit of the first byte stands for ``base``."""
    word = int.from_bytes(bits, "little")
    first = (word & -word).bit_length() - 1
    last = word.bit_length() - 1
    if word.bit_count() == last - first + 1:  # nearly always: ids come without holes
        return ((base + first, base + last),)
    text = f"{word:b}"[::-1]
    return tuple((base + run.start(), base + run.end() - 1) for run in re.finditer("1+", text))
