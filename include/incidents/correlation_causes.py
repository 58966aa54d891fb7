"""How exact a cause is: a diagnosis replaces another one only if it says more.

What is seen while a target comes back (no answer yet, slow) must not replace what broke it.
"""

from __future__ import annotations

from include.playbook.names import Cause

_NOTHING = frozenset({Cause.UNKNOWN, Cause.NONE, Cause.QUIET_MARKET, Cause.MONITORING_BLIND})
_EFFECTS = frozenset(  # what is seen rather than why
    {
        Cause.PROCESS_HUNG,
        Cause.PROCESS_RESTARTED,
        Cause.STOPPED_ON_REQUEST,
        Cause.NETWORK,
        Cause.PARTIAL_OUTAGE,
        Cause.COORDINATOR,
        Cause.DEGRADED,
        Cause.QUERY_FAILED,
        Cause.BATCH_HUNG,
        Cause.BATCHES_SLOW,
        Cause.NO_PROGRESS,
        Cause.KAFKA_CONNECTION,
        Cause.WRITE_FAILURE,
        Cause.FEED_SILENT,
        Cause.TRAFFIC_SURGE,
        Cause.SPARK_CAPACITY,
    }
)
_FACTS = frozenset({Cause.PROCESS_GONE, Cause.CONSUMER_STOPPED, Cause.SLOW_MYSQL_WRITES, Cause.RATE_LIMITED})


def exactness(cause: Cause) -> int:
    """0: nothing is known … 3: the cause that a person can remove."""
    if cause in _NOTHING:
        return 0
    if cause in _EFFECTS:
        return 1
    return 2 if cause in _FACTS else 3


def more_exact(new: Cause, old: Cause) -> bool:
    """Whether ``new`` says more than ``old``."""
    return exactness(new) > exactness(old)
