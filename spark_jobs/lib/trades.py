"""From raw Kafka records to trades, in the JVM.

A record that is not a trade keeps its place with every trade column null, so one pass over a batch sees all of it.
"""

from __future__ import annotations

from collections.abc import Iterable

RECORDS_VIEW = "records"  # partition, offset, value (binary), timestamp (of production) of one micro-batch

# Prices and quantities are text on the wire. As text they can be told exact or not before they become decimals:
# a cast alone would round a ninth decimal in silence, would take "1e3" and " 1", and dies of "1e-1000000000".
_PLAIN_DECIMAL = r"^[0-9]{1,10}([.][0-9]{1,8})?\\z"
_FIELDS = "e STRING, s STRING, t BIGINT, p STRING, q STRING, T BIGINT"
# A trade is not made after it was produced, but for clocks that differ. One time far ahead would move the watermark,
# and the newest event time of the ledger, for good.
_AHEAD_MS = 600_000
_LARGEST_QUOTE = "100000000000000BD"  # price × quantity; keeps the sum of any batch within DECIMAL(38,16)

# Spark's reader is more lenient than JSON is: it takes a number where text is declared, single quotes, and whatever
# follows the first object. The cheap test comes first in each pair; the exchange's own layout passes it.
_OPTIONS = "map('allowSingleQuotes', 'false')"
_ONE_OBJECT = r"(ENDSWITH(text, '}') OR text RLIKE '[}]\\s*$') AND NOT CONTAINS(text, '}{')"
_QUOTED = r"""(CONTAINS(text, '"{0}":"') OR text RLIKE '"{0}"\\s*:\\s*"')"""
_WELL_FORMED = " AND ".join([_ONE_OBJECT, _QUOTED.format("p"), _QUOTED.format("q")])


def trades_sql(symbols: Iterable[str]) -> str:
    """Query over :data:`RECORDS_VIEW`: partition, offset, value, and symbol, id, price, quantity, time_ms or nulls.

    ``symbols``: the ones that count; a trade of another symbol is not one of ours.
    """
    names = ", ".join(f"'{symbol}'" for symbol in symbols)
    return f"""
      SELECT partition, offset, value,
             IF(valid, s, NULL) AS symbol, IF(valid, t, NULL) AS id, IF(valid, T, NULL) AS time_ms,
             IF(valid, price, NULL) AS price, IF(valid, quantity, NULL) AS quantity
      FROM (
        SELECT *, COALESCE(
            e = 'trade' AND s IN ({names}) AND t >= 0 AND T > 0
            AND T <= UNIX_MILLIS(timestamp) + {_AHEAD_MS} AND price > 0 AND quantity > 0
            AND price * quantity <= {_LARGEST_QUOTE} AND {_WELL_FORMED}, FALSE) AS valid
        FROM (
          SELECT partition, offset, value, timestamp, text, json.*,
                 {_decimal("p")} AS price, {_decimal("q")} AS quantity
          FROM (
            SELECT partition, offset, value, timestamp, text, FROM_JSON(text, '{_FIELDS}', {_OPTIONS}) AS json
            FROM (SELECT partition, offset, value, timestamp, CAST(value AS STRING) AS text FROM {RECORDS_VIEW}))))"""  # noqa: S608


def _decimal(field: str) -> str:
    """The exact value of a text, or null."""
    return f"TRY_CAST(IF(json.{field} RLIKE '{_PLAIN_DECIMAL}', json.{field}, NULL) AS DECIMAL(18, 8))"
