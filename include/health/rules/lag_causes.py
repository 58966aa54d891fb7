"""Why records wait: nobody reads, one partition is late, more comes than usual, MySQL is slow, or Spark is."""

from __future__ import annotations

from include.health.baseline import Baseline
from include.health.config import DetectorConfig
from include.health.observations import ProcessorFacts
from include.health.rules.batch_history import BatchHistory
from include.health.rules.offset_rounds import OffsetRounds, Round
from include.health.signals import Signal
from include.playbook.names import Cause
from include.playbook.thresholds import LagThresholds

_STILL_SECONDS = 10.0
_MYSQL_SHARE, _MYSQL_FACTOR = 0.5, 2.0
_LONG_PHASE_SECONDS = 2.0
_LONG_BATCH_SECONDS, _LONG_WRITE_SECONDS = 10.0, 20.0  # a batch that is older finishes nothing, so far


class LagCauses:
    """Learns what is usual, and tells the cause of a lag when asked."""

    def __init__(self, thresholds: LagThresholds, config: DetectorConfig) -> None:
        self._thresholds = thresholds
        self._long_batch = max(_LONG_BATCH_SECONDS, 3 * config.micro_batch_seconds)
        self._still_seconds = max(_STILL_SECONDS, 4 * config.micro_batch_seconds)
        self._batches = BatchHistory(
            interval=config.micro_batch_seconds, seconds=1.0, deviations=6.0, slow=Signal(3, 5)
        )
        self._incoming = Baseline()
        self.facts: ProcessorFacts | None = None

    def processor(self, at: float, facts: ProcessorFacts | None) -> None:
        """What the processor says; ``None`` if it does not answer."""
        self.facts = facts
        if facts is not None:
            self._batches.take(at, facts)

    def learn(self, at: float, incoming: float) -> None:
        """The rate of a round in which nothing was wrong."""
        self._incoming.add(at, incoming)

    def stopped(self, rounds: OffsetRounds, newest: Round) -> bool:
        """Whether records wait, nothing has been finished for a while, and no batch is at it, or only a first one."""
        if newest.lag == 0 or newest.at - rounds.committed_at < self._still_seconds:
            return False
        facts = self.facts
        if facts is None or facts.last_batch is None or not facts.batch_running:
            return True
        return facts.batch_age_seconds > (_LONG_WRITE_SECONDS if facts.batch_phase == "mysql" else self._long_batch)

    def cause(self, rounds: OffsetRounds, newest: Round, incoming: float, finished: float) -> Cause:
        """Why the records of this round wait."""
        if self.stopped(rounds, newest):
            return Cause.CONSUMER_STOPPED
        if self._one_partition(newest):
            return Cause.SKEWED_PARTITION
        if self._surge(incoming, finished):
            return Cause.TRAFFIC_SURGE
        if self.facts is None or not rounds.known:
            return Cause.UNKNOWN
        return Cause.SLOW_MYSQL_WRITES if self._mysql_is_slow(self.facts) else Cause.SPARK_CAPACITY

    def surge_factor(self, incoming: float) -> float | None:
        """How many times the usual rate comes in; ``None`` while that is not known."""
        usual = self._incoming
        return incoming / usual.median if usual.ready and usual.median > 0 else None

    def interrupted(self) -> None:
        """Nobody looked for a while."""
        self._batches.interrupted()
        self.facts = None

    def _one_partition(self, newest: Round) -> bool:
        """One is late and has most of the lag; the others that have records are in time."""
        if len(newest.waiting) < 2 or newest.lag == 0:
            return False
        worst = max(newest.waiting, key=newest.waiting.__getitem__)
        others = [seconds for partition, seconds in newest.waiting.items() if partition != worst]
        used = sum(1 for seconds in others if seconds > 0)  # an empty partition proves nothing
        share = newest.lags[worst] / newest.lag
        return used > 0 and max(others) < self._thresholds.exit_seconds and share >= self._thresholds.skew_share

    def _surge(self, incoming: float, finished: float) -> bool:
        factor = self.surge_factor(incoming)
        if factor is None or factor < self._thresholds.surge_factor:
            return False
        return finished >= self._thresholds.slow_share * self._incoming.median

    def _mysql_is_slow(self, facts: ProcessorFacts) -> bool:
        if facts.batch_running and facts.batch_phase == "mysql" and facts.phase_age_seconds > _LONG_PHASE_SECONDS:
            return True
        batches = self._batches
        if batches.newest is None or batches.mysql_share < _MYSQL_SHARE:
            return False
        spent, usual = batches.newest.phase_seconds.get("mysql", 0.0), batches.mysql_usual
        return usual is None or spent > _MYSQL_FACTOR * usual
