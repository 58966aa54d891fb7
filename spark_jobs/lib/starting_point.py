"""Where the query starts reading.

The ledger in MySQL decides: it is written in the transaction of the sums, so it cannot differ from them. Spark's
checkpoint is followed only if its newest batch is the ledger's newest: behind it Spark would plan other batches under
ids that the ledger has already. ``spark-group`` is a mirror and is never read. When in doubt we start too early: a
trade that is counted already changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from include.warehouse.ledger import LedgerPosition, Offsets
from spark_jobs.lib.checkpoint import CheckpointState


class StartReason(StrEnum):
    """Why the query starts where it does."""

    CHECKPOINT = "checkpoint"  # goes on where Spark left off
    EMPTY_LEDGER = "empty_ledger"  # nothing is counted: from the first record
    NEW_TOPIC = "new_topic"  # the topic was made anew: from its first record
    NO_CHECKPOINT = "no_checkpoint"  # from the ledger's position
    UNUSED_CHECKPOINT = "unused_checkpoint"  # it has finished no batch: the ledger's position is as good, and checked
    # its newest batch is not the ledger's: killed between the two commits, database restored or emptied, disk lost
    UNKNOWN_CHECKPOINT = "unknown_checkpoint"
    DAMAGED_CHECKPOINT = "damaged_checkpoint"
    LOG_CHANGED = "log_changed"  # the topic no longer reaches to the ledger's position, or not back to it


@dataclass(frozen=True)
class StartingPoint:
    """``offsets`` by partition, ``None`` to follow the checkpoint. ``lost``: records that Kafka deleted uncounted."""

    reason: StartReason
    offsets: Offsets | None = None
    lost: Offsets = field(default_factory=dict)


def decide_starting_point(
    checkpoint: CheckpointState | ValueError | None,
    committed: bool,
    position: LedgerPosition | None,
    topic_id: str,
    log_range: Mapping[int, tuple[int, int]],
) -> StartingPoint:
    """Where to start.

    ``checkpoint``: its state, what is wrong with it, or ``None``; ``committed``: whether its newest batch is
    the ledger's; ``position``: the ledger's; ``log_range``: first and next offset of each partition of the topic.
    """
    beginning = {partition: low for partition, (low, _) in log_range.items()}
    if position is None:
        return StartingPoint(StartReason.EMPTY_LEDGER, beginning)
    if position.topic_id != topic_id:
        return StartingPoint(StartReason.NEW_TOPIC, beginning)
    known = {partition: position.offsets.get(partition, low) for partition, low in beginning.items()}
    inside = {partition for partition, (low, high) in log_range.items() if low <= known[partition] <= high}
    if inside != known.keys():
        # Beyond the end the log was cut, and may have grown again: what is there is read anew.
        offsets = {partition: known[partition] if partition in inside else low for partition, low in beginning.items()}
        lost = {partition: low - known[partition] for partition, low in beginning.items() if known[partition] < low}
        return StartingPoint(StartReason.LOG_CHANGED, offsets, lost)
    reason = _about_checkpoint(checkpoint, committed)
    return StartingPoint(reason, None if reason is StartReason.CHECKPOINT else known)


def _about_checkpoint(checkpoint: CheckpointState | ValueError | None, committed: bool) -> StartReason:
    if checkpoint is None:
        return StartReason.NO_CHECKPOINT
    if isinstance(checkpoint, ValueError):
        return StartReason.DAMAGED_CHECKPOINT
    if checkpoint.newest_committed is None:
        return StartReason.UNUSED_CHECKPOINT
    return StartReason.CHECKPOINT if committed else StartReason.UNKNOWN_CHECKPOINT
