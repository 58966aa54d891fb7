"""``MYSQL_AUDIT``: do the tables hold what was counted? Finds rows that were lost or changed without any error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import reduce
from operator import add
from typing import Any

from include.health.observations import AuditFacts, Facts, Observation, Outcome, Probe
from include.health.probes.mysql_link import CONNECT_SECONDS, STATEMENT_SECONDS, Link, Session
from include.runtime.clock import Clock
from include.settings import Settings
from include.warehouse.fixed_point import PRICE_PLACES, QUOTE_PLACES, to_units
from include.warehouse.minutes import TradeSums
from include.warehouse.moments import from_minute, to_minute
from include.warehouse.windows import Average

SAMPLE_MINUTES = 20  # windows that begin so shortly before the newest minute are checked
_MINUTES_READ = 2 * SAMPLE_MINUTES  # as many again, to find an id behind which nothing is older than the sample
_MOST_MINUTES = 1_440  # that the sample is made longer by, for windows that were found wrong
_MOST_NAMED = 20

# One snapshot: a batch that commits between two of the queries is in all of their answers, or in none.
_SNAPSHOT = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
_MINUTES = (
    "SELECT minute_start, price_sum, quote_sum, volume, trade_count, first_trade_id, last_trade_id, last_price"
    " FROM trade_minutes WHERE symbol = %s AND minute_start >= %s ORDER BY minute_start DESC LIMIT %s"
)
_AVERAGES = (
    "SELECT window_start, sma, vwap, trade_count, volume, first_trade_id, last_trade_id, last_price"
    " FROM moving_averages WHERE symbol = %s AND window_minutes = %s AND window_start BETWEEN %s AND %s"
)
_OLDEST = "SELECT MIN(window_start) FROM moving_averages WHERE symbol = %s AND window_minutes = %s"
_IDS = "SELECT first_trade_id, last_trade_id FROM trade_coverage WHERE symbol = %s AND last_trade_id >= %s"

_COLUMNS = ("sma", "vwap", "trade_count", "volume", "first_trade_id", "last_trade_id", "last_price")
_UNITS = frozenset({"sma", "vwap", "volume", "last_price"})

Minutes = Mapping[int, TradeSums]  # of one symbol, by minute since the epoch


class MysqlAuditProbe:
    """Of each symbol, the newest windows of every length against the minutes, and the minutes against the ids.

    A window that was found wrong is looked at again until it is right: a loss does not heal by growing old.
    """

    name = Probe.MYSQL_AUDIT
    every = 60.0
    deadline = CONNECT_SECONDS + 2.0 * STATEMENT_SECONDS
    overrun = Outcome.FAILED

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self._symbols, self._lengths = settings.symbols, settings.windows
        self._link = Link(settings, self.deadline, keep=False, clock=clock)
        self._oldest: dict[tuple[str, int], int] = {}
        self._wrong_since: dict[str, int] = {}  # by symbol: the minute with which the oldest wrong window begins

    def look(self) -> Observation:
        """``AuditFacts``."""
        return self._link.ask(self.name, self._audit)

    def close(self) -> None:
        """See ``Probe``."""
        self._link.close()

    def _audit(self, session: Session) -> Facts:
        session.run(_SNAPSHOT)
        checked, problems = 0, list[str]()
        for symbol in self._symbols:
            newest = self._minutes(session, symbol, 0, _MINUTES_READ)
            if not newest:
                continue
            last, minutes = max(newest), newest
            first = last - SAMPLE_MINUTES + 1
            if (since := self._wrong_since.get(symbol)) is not None:
                minutes = newest | self._minutes(session, symbol, since, _MOST_MINUTES)
                first = max(last - _MOST_MINUTES, min(first, since))
            wrong: dict[int, str] = {}
            for length in self._lengths:
                since = max(first, self._known_since(session, symbol, length, first))
                rows = session.rows(_AVERAGES, symbol, length, from_minute(since), from_minute(last))
                expected = expected_windows(symbol, length, since, last, minutes)
                checked += len(expected)
                found = window_problems(symbol, length, expected, {to_minute(row[0]): row[1:] for row in rows})
                problems += found.values()
                wrong |= found
            problems += self._id_problems(session, symbol, newest)
            checked += 1
            self._remember(symbol, wrong)
        return AuditFacts(checked=checked, missing=_named(problems))

    def _minutes(self, session: Session, symbol: str, since: int, most: int) -> dict[int, TradeSums]:
        """The newest ones since a minute."""
        rows = session.rows(_MINUTES, symbol, from_minute(since), most)
        return {to_minute(row[0]): _sums(row[1:]) for row in rows}

    def _remember(self, symbol: str, wrong: Mapping[int, str]) -> None:
        if wrong:
            self._wrong_since[symbol] = min(wrong)
        else:
            self._wrong_since.pop(symbol, None)

    def _known_since(self, session: Session, symbol: str, length: int, first: int) -> int:
        """The minute from which on windows of this length are expected.

        A length that was added to the settings has no windows from before; length 1 has always been there.
        """
        if length == 1:
            return first
        oldest: datetime | None = session.rows(_OLDEST, symbol, length)[0][0]
        known = self._oldest.get((symbol, length))
        found = [minute for minute in (known, None if oldest is None else to_minute(oldest)) if minute is not None]
        if not found:
            return first + SAMPLE_MINUTES
        self._oldest[symbol, length] = min(found)
        return self._oldest[symbol, length]

    def _id_problems(self, session: Session, symbol: str, minutes: Minutes) -> Iterator[str]:
        """As many trades in the newest minutes as there are counted ids."""
        boundary = clean_boundary(minutes, whole=len(minutes) < _MINUTES_READ)
        if boundary is None:
            return
        minute, first_id = boundary
        trades = sum(sums.trade_count for start, sums in minutes.items() if start >= minute)
        ids = sum(last - max(first, first_id) + 1 for first, last in session.rows(_IDS, symbol, first_id))
        if ids != trades:
            yield f"{symbol} since {_moment(minute)}: {ids} ids counted, {trades} trades in trade_minutes"


def expected_windows(symbol: str, length: int, first: int, last: int, minutes: Minutes) -> dict[int, Average]:
    """The windows that begin from ``first`` to ``last``, by their beginning; ``minutes`` has all from ``first`` on."""
    windows = {}
    for start in range(first, last + 1):
        found = [minutes[minute] for minute in range(start, start + length) if minute in minutes]
        if found:
            windows[start] = Average(symbol, length, start, reduce(add, found))
    return windows


def window_problems(
    symbol: str, length: int, expected: Mapping[int, Average], rows: Mapping[int, tuple[Any, ...]]
) -> dict[int, str]:
    """How the rows of ``moving_averages`` (by beginning; columns from ``sma`` on) differ from what is expected.

    In words, by the beginning of the window.
    """
    problems = {}
    for start in sorted(expected.keys() | rows.keys()):
        if start not in rows:
            wrong = "no row"
        elif start not in expected:
            wrong = "a row without trades"
        else:
            wrong = ", ".join(_differing(expected[start], rows[start]))
            wrong = wrong and f"wrong {wrong}"
        if wrong:
            problems[start] = f"{symbol} {length} min from {_moment(start)}: {wrong}"
    return problems


def clean_boundary(minutes: Minutes, whole: bool) -> tuple[int, int] | None:
    """A minute and an id such that the ids from there on are exactly those of the trades from that minute on.

    Trades come in the order of their ids but for a few, so nearly every minute begins with such an id. ``whole``:
    nothing is older than ``minutes``. ``None`` if there is none.
    """
    starts = sorted(minutes)
    lowest_behind = [0] * len(starts)
    lowest = None
    for place in range(len(starts) - 1, -1, -1):
        first = minutes[starts[place]].first_trade_id
        lowest = first if lowest is None else min(lowest, first)
        lowest_behind[place] = lowest
    highest_before = -1
    for place, start in enumerate(starts):
        enough_known = whole or place >= SAMPLE_MINUTES // 2
        if enough_known and highest_before < lowest_behind[place]:
            return start, lowest_behind[place]
        highest_before = max(highest_before, minutes[start].last_trade_id)
    return None


def _differing(expected: Average, row: tuple[Any, ...]) -> list[str]:
    sums = expected.sums
    right = (
        *(expected.sma, expected.vwap, sums.trade_count, sums.volume),
        *(sums.first_trade_id, sums.last_trade_id, sums.last_price),
    )
    found = (to_units(v, PRICE_PLACES) if name in _UNITS else v for name, v in zip(_COLUMNS, row, strict=True))
    return [name for name, one, other in zip(_COLUMNS, right, found, strict=True) if one != other]


def _sums(row: tuple[Any, ...]) -> TradeSums:
    price, quote, volume, count, first, last, last_price = row
    return TradeSums(
        *(to_units(price, PRICE_PLACES), to_units(quote, QUOTE_PLACES), to_units(volume, PRICE_PLACES)),
        *(count, first, last, to_units(last_price, PRICE_PLACES)),
    )


def _moment(minute: int) -> str:
    return f"{from_minute(minute)[:16].replace(' ', 'T')}Z"


def _named(problems: list[str]) -> tuple[str, ...]:
    more = len(problems) - _MOST_NAMED
    return (*problems[:_MOST_NAMED], *([f"and {more} more"] if more > 0 else []))
