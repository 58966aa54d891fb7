"""``MYSQL_LOCKS``: how many statements wait for a lock, and who holds it, in words without values.

For other accounts' connections and for locks on rows the account needs rights that the pipeline does not ask for
(``lock_rights`` of the dialect). Without them only our own waits for whole tables are seen; the observation says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import mysql.connector

from include.health.observations import Facts, LocksFacts, Observation, Outcome, Probe
from include.health.probes.mysql_link import CONNECT_SECONDS, STATEMENT_SECONDS, Link, Session
from include.runtime.clock import Clock
from include.settings import Settings
from include.warehouse.dialect import dialect_of
from include.warehouse.error_numbers import ErrorKind, classify

_MOST_NAMED = 5
_NOT_ALLOWED = "locks on rows and connections of other accounts are not visible without {rights}"

_OPEN_TRANSACTIONS = (
    "SELECT trx_mysql_thread_id, TIMESTAMPDIFF(SECOND, trx_started, NOW()) FROM information_schema.innodb_trx"
)
_CONNECTIONS = (
    "SELECT id, user, SUBSTRING_INDEX(host, ':', 1), command, time, COALESCE(state, ''),"
    " id = CONNECTION_ID(), user = SUBSTRING_INDEX(CURRENT_USER(), '@', 1), COALESCE(db, DATABASE()) = DATABASE()"
    " FROM {connections}"
)


class RowWait(NamedTuple):
    """A statement that waits for a lock on rows of ``table``, and the connection that holds it."""

    seconds: int
    blocker: int
    blocker_open_seconds: int
    table: str


class Connection(NamedTuple):
    """One connection to the server."""

    id: int
    user: str
    host: str
    command: str
    seconds: int  # in its present state
    state: str
    is_me: bool
    is_our_account: bool
    is_in_our_database: bool

    @property
    def waits_for_table(self) -> bool:
        """It waits for a lock on a whole table, or on everything."""
        return self.state.startswith("Waiting for") and ("lock" in self.state or "flush" in self.state)

    def __str__(self) -> str:
        doing = f"asleep for {self.seconds} s" if self.command == "Sleep" else f"busy for {self.seconds} s"
        return f"connection {self.id} ({self.user}@{self.host}, {doing})"


class MysqlLocksProbe:
    """Reads what the server says about waits; takes no lock itself."""

    name = Probe.MYSQL_LOCKS
    every = 10.0
    deadline = CONNECT_SECONDS + 2.0 * STATEMENT_SECONDS
    overrun = Outcome.FAILED

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self._link = Link(settings, self.deadline, keep=True, clock=clock)
        self._missing_rights = ""

    def look(self) -> Observation:
        """``LocksFacts``; the note says when the account may not see everything."""
        observation = self._link.ask(self.name, self._read)
        if observation.outcome is Outcome.OK and self._missing_rights:
            return msgspec.structs.replace(observation, error=_NOT_ALLOWED.format(rights=self._missing_rights))
        return observation

    def close(self) -> None:
        """See ``Probe``."""
        self._link.close()

    def _read(self, session: Session) -> Facts:
        dialect = dialect_of(session.rows("SELECT VERSION()")[0][0])
        listed = session.rows(_CONNECTIONS.format(connections=dialect.connections))
        connections = [Connection(*row) for row in listed]
        try:
            row_waits = [RowWait(*row) for row in session.rows(dialect.row_waits)]
            transactions = dict(session.rows(_OPEN_TRANSACTIONS)) if _table_waits(connections) else {}
        except mysql.connector.Error as error:
            if classify(error) is not ErrorKind.CREDENTIALS:
                raise
            self._missing_rights, row_waits, transactions = dialect.lock_rights, [], {}
        else:
            self._missing_rights = ""
        return locks_facts(row_waits, connections, transactions)


def locks_facts(
    row_waits: Sequence[RowWait], connections: Sequence[Connection], transactions: dict[int, int]
) -> LocksFacts:
    """``transactions``: for how many seconds each connection with an open transaction has had it."""
    table_waits = _table_waits(connections)
    waits = [wait.seconds for wait in row_waits] + [connection.seconds for connection in table_waits]
    blockers = _row_blockers(row_waits, {connection.id: connection for connection in connections})
    if table_waits:
        blockers += _table_blockers(max(c.seconds for c in table_waits), connections, transactions)
    return LocksFacts(
        waiting=len(waits), longest_wait_seconds=float(max(waits, default=0)), blockers=tuple(blockers[:_MOST_NAMED])
    )


def _table_waits(connections: Sequence[Connection]) -> list[Connection]:
    return [connection for connection in connections if connection.waits_for_table]


def _row_blockers(waits: Sequence[RowWait], connections: dict[int, Connection]) -> list[str]:
    """Who holds locks on rows: the server says so itself."""
    by_blocker: dict[int, list[RowWait]] = defaultdict(list)
    for wait in waits:
        by_blocker[wait.blocker].append(wait)
    texts = []
    for blocker, own in sorted(by_blocker.items(), key=lambda item: -len(item[1])):
        who = connections.get(blocker) or f"connection {blocker}"
        tables = ", ".join(sorted({wait.table for wait in own if wait.table})) or "a table"
        opened = max(wait.blocker_open_seconds for wait in own)
        texts.append(f"{who} with a transaction open for {opened} s blocks {len(own)} on rows of {tables}")
    return texts


def _table_blockers(waited: int, connections: Sequence[Connection], transactions: dict[int, int]) -> list[str]:
    """Who may hold a table: the server does not say, so whoever was there before the wait and waits for nothing.

    An open transaction makes one the likeliest; then comes a stranger in our database, then one of our own account.
    """
    able = [
        c
        for c in connections
        if not (c.is_me or c.waits_for_table or c.command == "Daemon") and c.is_in_our_database and c.seconds >= waited
    ]
    classes = (
        [c for c in able if c.id in transactions],
        [c for c in able if not c.is_our_account],
        able,
    )
    likely = next((found for found in classes if found), [])
    return [f"{connection} may hold a lock on a table" for connection in likely]
