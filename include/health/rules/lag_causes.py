"""Why records wait: nobody reads, one partition is late, more comes than usual, MySQL is slow, or Spark is."""

from __future__ import annotations

from include.health.baseline import Baseline
from include.health.config import DetectorConfig
from include.health.observations import ProcessorFacts
from include.health.rules.offset_rounds import OffsetRounds
from include.playbook.names import Cause
from include.playbook.thresholds import LagThresholds

_STILL_SECONDS = 10.0
_LEARN_SECONDS = 5.0
_MYSQL_SHARE, _MYSQL_FACTOR = 0.5, 2.0
_LONG_PHASE_SECONDS = 2.0
_LONG_BATCH_SECONDS, _LONG_WRITE_SECONDS = 10.0, 20.0  # a batch that is older finishes nothing, so far


class LagCauses:
    """Learns what is usual, and tells the cause of a lag when asked. ``facts``: what the processor last said, ``None``
    if it did not answer.
    """

    def __init__(self, thresholds: LagThresholds, config: DetectorConfig) -> None:
        self._thresholds = thresholds
        self._long_batch = max(_LONG_BATCH_SECONDS, 3 * config.micro_batch_seconds)
        self._still_seconds = max(_STILL_SECONDS, 4 * config.micro_batch_seconds)
        self._incoming, self._mysql = Baseline(), Baseline()
        self._learn_due = 0.0
        self.facts: ProcessorFacts | None = None

    def learn(self, at: float, rounds: OffsetRounds) -> None:
        """What is usual, from a round in which nothing was wrong."""
        if at < self._learn_due:
            return
        self._learn_due = at + _LEARN_SECONDS
        self._incoming.add(at, rounds.rates()[0])
        if self.facts is not None and self.facts.last_batch is not None:
            self._mysql.add(at, self.facts.last_batch.phase_seconds.get("mysql", 0.0))

    def stopped(self, rounds: OffsetRounds) -> bool:
        """Whether records wait, nothing has been finished for a while, and no batch is at it, or only a first one."""
        if rounds.lag == 0 or rounds.at - rounds.committed_at < self._still_seconds:
            return False
        facts = self.facts
        if facts is None or facts.last_batch is None or not facts.batch_running:
            return True
        return facts.batch_age_seconds > (_LONG_WRITE_SECONDS if facts.batch_phase == "mysql" else self._long_batch)

    def cause(self, rounds: OffsetRounds) -> Cause:
        """Why the records of the newest round wait."""
        if self.stopped(rounds):
            return Cause.CONSUMER_STOPPED
        if self._one_partition(rounds):
            return Cause.SKEWED_PARTITION
        if self._surge(rounds):
            return Cause.TRAFFIC_SURGE
        if self.facts is None or not rounds.known:
            return Cause.UNKNOWN
        return Cause.SLOW_MYSQL_WRITES if self._mysql_is_slow(self.facts) else Cause.SPARK_CAPACITY

    def _one_partition(self, rounds: OffsetRounds) -> bool:
        """One is late and has most of the lag; the others that have records are in time."""
        waiting = {partition: own.waiting_seconds or 0.0 for partition, own in rounds.partitions().items()}
        if len(waiting) < 2 or rounds.lag == 0:
            return False
        worst = max(waiting, key=waiting.__getitem__)
        others = [seconds for partition, seconds in waiting.items() if partition != worst]
        used = sum(1 for seconds in others if seconds > 0)  # an empty partition proves nothing
        own = rounds.partitions()[worst]
        share = (own.end - (own.committed or own.start)) / rounds.lag
        return used > 0 and max(others) < self._thresholds.exit_seconds and share >= self._thresholds.skew_share

    def _surge(self, rounds: OffsetRounds) -> bool:
        usual = self._incoming
        if not usual.ready or usual.median <= 0:
            return False
        incoming, finished = rounds.rates()
        more = incoming >= self._thresholds.surge_factor * usual.median
        return more and finished >= self._thresholds.slow_share * usual.median

    def _mysql_is_slow(self, facts: ProcessorFacts) -> bool:
        if facts.batch_running and facts.batch_phase == "mysql" and facts.phase_age_seconds > _LONG_PHASE_SECONDS:
            return True
        batch, usual = facts.last_batch, self._mysql
        spent = 0.0 if batch is None else batch.phase_seconds.get("mysql", 0.0)
        if batch is None or spent < _MYSQL_SHARE * batch.duration_seconds:
            return False
        return not usual.ready or spent > _MYSQL_FACTOR * usual.median
