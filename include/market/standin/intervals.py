"""Kline intervals: names, and the span that a moment falls into."""

from __future__ import annotations

from datetime import UTC, datetime

SECOND_MS = 1000
DAY_MS = 86_400_000
_UNITS = {"s": SECOND_MS, "m": 60 * SECOND_MS, "h": 3_600 * SECOND_MS, "d": DAY_MS}
_MONDAY_MS = 4 * DAY_MS  # 5 January 1970, the first Monday of the epoch

INTERVALS = ("1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M")


def span_of(interval: str, moment_ms: int, offset_ms: int = 0) -> tuple[int, int]:
    """Start and end (exclusive) of the interval around a moment, in milliseconds since the epoch.

    ``offset_ms`` is the time zone in which days, weeks and months start. Raises ``KeyError`` for an unknown interval.
    """
    local = moment_ms + offset_ms
    if interval == "1M":
        start = datetime.fromtimestamp(local / 1000, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        year, month = (start.year + 1, 1) if start.month == 12 else (start.year, start.month + 1)
        end = start.replace(year=year, month=month)
        return _milliseconds(start) - offset_ms, _milliseconds(end) - offset_ms
    if interval == "1w":
        begin = (local - _MONDAY_MS) // (7 * DAY_MS) * 7 * DAY_MS + _MONDAY_MS
        return begin - offset_ms, begin + 7 * DAY_MS - offset_ms
    length = int(interval[:-1]) * _UNITS[interval[-1]]
    begin = local // length * length
    return begin - offset_ms, begin + length - offset_ms


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000
