"""``MYSQL_LEDGER``: how far the rows are, by the database's own word and clock."""

from __future__ import annotations

import json

from include.health.observations import Facts, Observation, Outcome, Probe, RowsFacts
from include.health.probes.mysql_link import CONNECT_SECONDS, STATEMENT_SECONDS, Link, Session
from include.runtime.clock import Clock
from include.settings import Settings

_NEWEST = (
    "SELECT sequence, end_offsets, TIMESTAMPDIFF(MICROSECOND, committed_at, UTC_TIMESTAMP(3)),"
    " TIMESTAMPDIFF(MICROSECOND, (SELECT MAX(updated_at) FROM moving_averages), UTC_TIMESTAMP(3))"
    " FROM batch_ledger ORDER BY sequence DESC LIMIT 1"
)
_COUNTED = "SELECT symbol, MAX(last_trade_id) FROM trade_coverage GROUP BY symbol"


class MysqlLedgerProbe:
    """Reads on a connection that stays open, so it still sees when no new one is to be had."""

    name = Probe.MYSQL_LEDGER
    every = 2.0
    deadline = CONNECT_SECONDS + STATEMENT_SECONDS
    overrun = Outcome.FAILED

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self._link = Link(settings, self.deadline, keep=True, clock=clock)

    def look(self) -> Observation:
        """``RowsFacts``."""
        return self._link.ask(self.name, read_rows)

    def close(self) -> None:
        """See ``Probe``."""
        self._link.close()


def read_rows(session: Session) -> Facts:
    """The newest row of the ledger and of the averages, and the newest trade id counted of each symbol."""
    counted = {str(symbol): int(newest) for symbol, newest in session.rows(_COUNTED)}
    newest = session.rows(_NEWEST)
    if not newest:
        return RowsFacts(counted=counted, batches=0, batch_age_seconds=None, row_age_seconds=None, offsets={})
    sequence, offsets, batch_age, row_age = newest[0]
    return RowsFacts(
        counted=counted,
        batches=int(sequence),
        batch_age_seconds=_seconds(batch_age),
        row_age_seconds=_seconds(row_age),
        offsets={int(partition): int(offset) for partition, offset in json.loads(offsets).items()},
    )


def _seconds(microseconds: int | None) -> float | None:
    """Never negative: the moments were written by another machine's clock."""
    return None if microseconds is None else max(0.0, int(microseconds) / 1e6)
