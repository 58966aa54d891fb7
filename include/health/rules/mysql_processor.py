"""What stream_processor tells of its writes to MySQL: the errors that it meets, and batches that wait."""

from __future__ import annotations

from collections import deque

from include.health.observations import Code, ProcessorFacts, RowsFacts
from include.health.rules.mysql_causes import LOST, PASSING, SENTENCES, STRUCTURAL
from include.playbook.names import Cause, Symptom

_NEWS_SECONDS = 15.0  # an error that is older, without a retry going on, tells of the past
_MINUTE = 60.0
_IDLE_SECONDS = 30.0  # that a job runs without a batch and without an error
_RETRYING, _RUNNING = "retrying_mysql", "running"
_IN_MYSQL = "mysql"


class ProcessorWrites:
    """Follows stream_processor's words on MySQL, without judging them.

    ``refused``: class of a structural error that no commit has followed yet. ``settled``: it has written since its
    last error, or runs without any. ``waits_since``: when it began to wait for MySQL (0: it does not).
    ``lock_errors``: moments of its lock errors within the last minute. ``offsets``: as it counted.
    """

    def __init__(self) -> None:
        self.refused: Code | None = None
        self.error: Code | None = None
        self.text = ""
        self.settled = False
        self.waits_since = 0.0
        self.lock_errors: deque[float] = deque()
        self.offsets: dict[int, int] = {}
        self.pid = 0
        self._error_at = float("-inf")

    def take(self, at: float, facts: ProcessorFacts) -> None:
        """Take what it says now."""
        last, age = facts.last_batch, facts.last_error_age_seconds
        self.offsets, self.pid = facts.offsets, facts.pid
        self._wait(at, facts)
        idle = age is None and facts.status == _RUNNING and facts.age_seconds > _IDLE_SECONDS
        self.settled, self.refused, self.error = last is not None or idle, None, None
        if age is None or (last is not None and last.committed_age_seconds < age):
            return
        self.settled = False
        retrying = facts.status == _RETRYING
        if (code := facts.last_error_code) is None or not (retrying or age < _NEWS_SECONDS):
            return
        self.error, self.text = code, facts.last_error or code.value
        if code in STRUCTURAL:
            self.refused = code
        if code is Code.LOCKED and at - age > self._error_at + 0.5:  # another one than the last time
            self._error_at = at - age
            self.lock_errors.append(at)

    def locks_within_a_minute(self, at: float) -> int:
        """How many lock errors it met."""
        while self.lock_errors and at - self.lock_errors[0] > _MINUTE:
            self.lock_errors.popleft()
        return len(self.lock_errors)

    def interrupted(self) -> None:
        """Nobody looked for a while."""
        self.waits_since = 0.0
        self.lock_errors.clear()

    def _wait(self, at: float, facts: ProcessorFacts) -> None:
        if facts.batch_running and facts.batch_phase == _IN_MYSQL:
            self.waits_since = at - facts.phase_age_seconds
        elif facts.status == _RETRYING:
            self.waits_since = self.waits_since or at
        else:
            self.waits_since = 0.0


class Expected:
    """What stream_processor says it has written must arrive in the ledger that we read."""

    def __init__(self) -> None:
        self._offsets: dict[int, int] = {}
        self._pid = 0
        self._since = 0.0

    def overdue(self, at: float, rows: RowsFacts, writes: ProcessorWrites) -> float:
        """Seconds for which something has not arrived. Looks at the two are not made at one moment, so what is expected
        is remembered until it has arrived; another process may begin anew.
        """
        if rows.offsets == self._offsets or writes.pid != self._pid or self._arrived(rows.offsets):
            self._offsets, self._pid, self._since = writes.offsets, writes.pid, at
            return 0.0
        return at - self._since

    def _arrived(self, counted: dict[int, int]) -> bool:
        return all(counted.get(partition, 0) >= offset for partition, offset in self._offsets.items())


def known_cause(code: Code | None) -> tuple[Cause, Symptom, str] | None:
    """What an error of the processor says of MySQL: cause, symptom, sentence; ``None`` if nothing."""
    if code is None:
        return None
    if code in LOST:
        return Cause.UNKNOWN, Symptom.MYSQL_CONNECTIVITY, "stream_processor loses its connection to MySQL"
    if known := PASSING.get(code) or STRUCTURAL.get(code):
        return *known, SENTENCES[code]
    return None
