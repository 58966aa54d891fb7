"""The simulated database: which operations it refuses, and how slowly it does the others."""

from __future__ import annotations

from dataclasses import dataclass

from include.health.observations import Code
from tests.detection.plant_processes import Process


@dataclass(frozen=True)
class Refusal:
    """``seconds``: how long the pipeline's own statement waits before it fails."""

    code: Code
    number: int
    text: str
    seconds: float = 0.0
    canary: bool = True  # whether what the canary does is hit too
    reads: bool = True  # whether the ledger can still be read, on a connection that was there before


GONE = Refusal(Code.CONNECTIVITY, 2003, "2003 CR_CONN_HOST_ERROR: Can't connect to MySQL server", reads=False)
HUNG = Refusal(Code.CONNECTIVITY, 2013, "2013 CR_SERVER_LOST: Lost connection during query", seconds=5.0, reads=False)
CREDENTIALS = Refusal(Code.CREDENTIALS, 1045, "1045 ER_ACCESS_DENIED_ERROR: Access denied for user", reads=False)
DISK_FULL = Refusal(Code.DISK_FULL, 1021, "1021 ER_DISK_FULL: Disk full; waiting for someone to free some space")
READ_ONLY = Refusal(Code.READ_ONLY, 1290, "1290 ER_OPTION_PREVENTS_STATEMENT: running with --read-only")
CONNECTIONS = Refusal(Code.CAPACITY, 1040, "1040 ER_CON_COUNT_ERROR: Too many connections")
SCHEMA = Refusal(Code.SCHEMA, 1054, "1054 ER_BAD_FIELD_ERROR: Unknown column 'last_price' in 'SET'")
WRONG_PORT = Refusal(Code.REFUSED, 2003, "2003 CR_CONN_HOST_ERROR: Can't connect to MySQL server (111)", reads=False)
NO_ROUTE = Refusal(Code.UNREACHABLE, 2003, "2003 CR_CONN_HOST_ERROR: Can't connect to MySQL server (113)", reads=False)
BAD_VALUE = Refusal(Code.DATA, 1264, "1264 ER_WARN_DATA_OUT_OF_RANGE: Out of range value for 'price'", canary=False)
TABLE_LOCKED = Refusal(Code.LOCKED, 1205, "1205 ER_LOCK_WAIT_TIMEOUT: Lock wait timeout", seconds=5.0)
ROWS_LOCKED = Refusal(Code.LOCKED, 1205, "1205 ER_LOCK_WAIT_TIMEOUT: Lock wait timeout", seconds=5.0, canary=False)

STRUCTURAL = frozenset({Code.CREDENTIALS, Code.SCHEMA, Code.DATA})  # the job does not retry these


class Database:
    """``fault``: what it refuses although its process answers. ``slow``: factor of each write.
    ``seconds_per_row``: more for each trade of a batch. ``missing``: what the audit of the rows finds.
    """

    def __init__(self, process: Process) -> None:
        self.process = process
        self.fault: Refusal | None = None
        self.slow = 1.0
        self.seconds_per_row = 0.0
        self.schema_problems: tuple[str, ...] = ()
        self.missing: tuple[str, ...] = ()
        self.lock_since: float | None = None
        self.disk_free_share = 0.6

    def refusal(self) -> Refusal | None:
        """What a transaction of the pipeline would meet now."""
        if self.process.answers:
            return self.fault
        return HUNG if self.process.alive and self.process.hung else GONE
