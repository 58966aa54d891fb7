"""The batch ledger: one row per committed micro-batch, written in the batch's own transaction.

The newest row says how far every partition is in the sums (for one life of the topic: a topic that was deleted and made
again has another id), and the newest event time of all.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import Connection

from include.warehouse.moments import from_ms, to_ms

Offsets = dict[int, int]

_KEEP_ROWS = 100_000  # a bit more than a day of batches at one a second


@dataclass(frozen=True)
class BatchIdentity:
    """Which micro-batch this is: of which query, and from which life of which topic."""

    query_id: str
    batch_id: int
    topic: str
    topic_id: str


@dataclass(frozen=True)
class LedgerEntry:
    """What a batch did. ``end_offsets`` and ``newest_event_time_ms`` are cumulative."""

    identity: BatchIdentity
    start_offsets: Offsets
    end_offsets: Offsets
    input_rows: int
    invalid_rows: int
    duplicate_rows: int
    late_rows: int
    window_rows: int
    late_corrections: int
    newest_event_time_ms: int | None
    checksum: str


@dataclass(frozen=True)
class LedgerPosition:
    """Where the sums stand: next offset by partition for the topic of ``topic_id``, and the newest event time."""

    topic_id: str
    offsets: Offsets
    newest_event_time_ms: int | None


def read_position(connection: Connection, lock: bool = False) -> LedgerPosition | None:
    """The newest row, or ``None`` before the first. ``lock`` makes other writers wait until our commit."""
    row = connection.exec_driver_sql(
        "SELECT topic_id, end_offsets, newest_event_time FROM batch_ledger"  # noqa: S608
        f" ORDER BY sequence DESC LIMIT 1 {'FOR UPDATE' if lock else ''}"
    ).first()
    if row is None:
        return None
    offsets = {int(partition): offset for partition, offset in json.loads(row[1]).items()}
    return LedgerPosition(row[0], offsets, None if row[2] is None else to_ms(row[2]))


def newest_batch(connection: Connection) -> tuple[str, int] | None:
    """Query id and batch id of the newest row, or ``None`` before the first."""
    row = connection.exec_driver_sql(
        "SELECT query_id, batch_id FROM batch_ledger ORDER BY sequence DESC LIMIT 1"
    ).first()
    return None if row is None else (row[0], row[1])


def is_committed(connection: Connection, query_id: str, batch_id: int) -> bool:
    """Whether this very batch is in the ledger."""
    found = connection.exec_driver_sql(
        "SELECT 1 FROM batch_ledger WHERE query_id = %s AND batch_id = %s", (query_id, batch_id)
    )
    return found.first() is not None


def write_entry(connection: Connection, entry: LedgerEntry, now: str) -> None:
    """Add the row of a batch; now and then the oldest rows go."""
    identity, newest = entry.identity, entry.newest_event_time_ms
    values = {
        "query_id": identity.query_id,
        "batch_id": identity.batch_id,
        "topic": identity.topic,
        "topic_id": identity.topic_id,
        "start_offsets": json.dumps(entry.start_offsets, sort_keys=True),
        "end_offsets": json.dumps(entry.end_offsets, sort_keys=True),
        "input_rows": entry.input_rows,
        "invalid_rows": entry.invalid_rows,
        "duplicate_rows": entry.duplicate_rows,
        "late_rows": entry.late_rows,
        "window_rows": entry.window_rows,
        "late_corrections": entry.late_corrections,
        "newest_event_time": None if newest is None else from_ms(newest),
        "checksum": entry.checksum,
        "committed_at": now,
    }
    result = connection.exec_driver_sql(
        f"INSERT INTO batch_ledger ({', '.join(values)}) VALUES ({', '.join(['%s'] * len(values))})",  # noqa: S608
        tuple(values.values()),
    )
    if (sequence := result.lastrowid) % 1000 == 0:
        connection.exec_driver_sql("DELETE FROM batch_ledger WHERE sequence < %s", (sequence - _KEEP_ROWS,))
