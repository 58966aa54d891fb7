"""The streaming query: Kafka source, trigger, checkpoint."""

from __future__ import annotations

import json

from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from include.settings import Settings
from spark_jobs.lib.batch import BatchProcessor
from spark_jobs.lib.checkpoint import discard_checkpoint
from spark_jobs.lib.starting_point import StartingPoint

QUERY_NAME = "stream_processor"

# With Kafka's defaults a dead broker leaves the query silent for three minutes. With these it fails within seconds, and
# is started again by its supervisor until the broker is back.
_KAFKA = {
    "kafka.default.api.timeout.ms": "6000",
    "kafka.request.timeout.ms": "4000",
    "kafka.reconnect.backoff.max.ms": "500",
    "fetchOffset.numRetries": "1",
    "kafkaConsumer.pollTimeoutMs": "10000",
}


def start_query(
    spark: SparkSession, settings: Settings, processor: BatchProcessor, start: StartingPoint
) -> StreamingQuery:
    """Start reading at ``start``; a checkpoint that is not to be followed is moved aside first."""
    settings.checkpoint_dir.parent.mkdir(parents=True, exist_ok=True)
    reader = spark.readStream.format("kafka").options(
        **_KAFKA,
        subscribe=settings.trades_topic,
        failOnDataLoss="true",
        maxOffsetsPerTrigger=str(settings.max_offsets_per_trigger),
        **{"kafka.bootstrap.servers": settings.bootstrap_servers},
    )
    if start.offsets is not None:
        discard_checkpoint(settings.checkpoint_dir)
        positions = {str(partition): offset for partition, offset in start.offsets.items()}
        reader = reader.option("startingOffsets", json.dumps({settings.trades_topic: positions}))
    return (
        reader.load()
        .select("partition", "offset", "value", "timestamp")
        .writeStream.queryName(QUERY_NAME)
        .foreachBatch(processor)
        .option("checkpointLocation", str(settings.checkpoint_dir))
        .trigger(processingTime=f"{round(settings.micro_batch_seconds * 1000)} milliseconds")
        .start()
    )
