"""What must be known before the query starts, gathered from Kafka, MySQL and the checkpoint."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from sqlalchemy import Engine

from include.runtime.logging import get_logger
from include.settings import Settings
from include.warehouse import ledger
from include.warehouse.ledger import Offsets
from include.warehouse.migrations import migrate
from include.warehouse.reader import SymbolProgress, WarehouseReader
from spark_jobs.lib.checkpoint import CheckpointState, read_checkpoint
from spark_jobs.lib.starting_point import StartingPoint, decide_starting_point
from spark_jobs.lib.topic_facts import read_topic_facts

log = get_logger("stream_processor")


@dataclass(frozen=True)
class Opening:
    """Where to start, in which life of the topic, and what is counted so far."""

    start: StartingPoint
    topic_id: str
    counted_offsets: Offsets
    symbols: list[SymbolProgress]


def find_opening(settings: Settings, engine: Engine) -> Opening:
    """Bring the schema up to date and look around.

    Raises :class:`confluent_kafka.KafkaException`, :class:`sqlalchemy.exc.SQLAlchemyError` and
    :class:`~include.warehouse.errors.WarehouseError`.
    """
    for name in migrate(settings):
        log.info("migration applied", name=name)
    facts = read_topic_facts(settings.bootstrap_servers, settings.trades_topic)
    checkpoint = _checkpoint(settings)
    with engine.connect() as connection:
        position = ledger.read_position(connection)
        committed = isinstance(checkpoint, CheckpointState) and ledger.newest_batch(connection) == (
            checkpoint.query_id,
            checkpoint.newest_committed,
        )
    start = decide_starting_point(checkpoint, committed, position, facts.topic_id, facts.log_range)
    if start.lost:
        log.error("Kafka deleted records before they were counted", by_partition=start.lost)
    counted = position.offsets if position is not None and position.topic_id == facts.topic_id else {}
    with closing(WarehouseReader(settings)) as reader:
        return Opening(start, facts.topic_id, counted, reader.progress())


def _checkpoint(settings: Settings) -> CheckpointState | ValueError | None:
    try:
        return read_checkpoint(settings.checkpoint_dir)
    except (ValueError, KeyError, OSError) as error:
        log.warning("the checkpoint is damaged and will be moved aside", error=str(error))
        return ValueError(str(error))
