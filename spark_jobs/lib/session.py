"""The Spark session, from the settings."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from pyspark.sql import SparkSession

from include.settings import LOOPBACK, Settings
from spark_jobs.lib.class_archive import archive_options, archive_path

_LOGGING = Path(__file__).resolve().parents[1] / "log4j2.properties"
# Deep regular expressions and plans overflow the default stack of the stream thread.
_JAVA_OPTIONS = ["-Xss16m", "-XX:+UseParallelGC", f'-Dlog4j2.configurationFile="{_LOGGING.as_uri()}"']
_FILE_MANAGER = "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"


def session_configuration(settings: Settings) -> dict[str, str]:
    """Spark's configuration. No secrets are in it: it appears on the JVM's command line."""
    return {
        **(_local() if settings.spark_master.startswith("local") else _cluster(settings)),
        "spark.driver.extraClassPath": os.pathsep.join(_jars(settings)),
        "spark.driver.memory": settings.spark_driver_memory,
        "spark.driver.extraJavaOptions": " ".join(_JAVA_OPTIONS + archive_options(archive_path(settings))),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.ansi.enabled": "true",
        "spark.sql.caseSensitive": "true",  # the exchange sends e and E, t and T side by side
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(settings.spark_shuffle_partitions),
        # The collected result is a few rows: re-planning between the stages costs more than it can save.
        "spark.sql.adaptive.enabled": "false",
        # The default manager runs a chmod process for every file of the checkpoint. Its writer is this process alone,
        # and what the checkpoint says is checked against the ledger at start.
        "spark.sql.streaming.checkpointFileManagerClass": _FILE_MANAGER,
        "spark.sql.streaming.checkpoint.fileChecksum.enabled": "false",
        "spark.sql.streaming.minBatchesToRetain": "10",
    }


def _local() -> dict[str, str]:
    return {"spark.driver.host": LOOPBACK, "spark.driver.bindAddress": LOOPBACK}


def _cluster(settings: Settings) -> dict[str, str]:
    """What a standalone cluster needs, and what keeps a dead worker from doing harm.

    The executors do no Python and hold no state: what they had is computed again from Kafka. The checkpoint is written
    by the driver alone, so it need not be shared; the log configuration lies at the same place wherever a worker is.

    Workers are not excluded after failures: a record that fails everywhere would take the healthy ones out one by one,
    and hide its own error.
    """
    rotated = {"strategy": "size", "maxSize": f"{settings.log_rotate_megabytes * 2**20}", "maxRetainedFiles": "5"}
    return {
        "spark.driver.host": settings.processor_host,  # the executors must reach the driver
        "spark.driver.bindAddress": settings.listen_host,
        "spark.jars": ",".join(_jars(settings)),  # handed out by the driver: a worker has Spark's own only
        # a worker is one executor, so that both of two get one
        "spark.executor.cores": str(settings.spark_worker_cores),
        "spark.executor.memory": settings.spark_worker_memory,
        "spark.executor.extraJavaOptions": " ".join(_JAVA_OPTIONS),
        "spark.task.maxFailures": "8",  # a bad worker is offered the same task again and again
        "spark.stage.maxConsecutiveAttempts": "8",
        # A killed executor is missed at once. One that is silent (its machine is gone) holds a batch up for so long.
        "spark.executor.heartbeatInterval": "5s",
        "spark.network.timeout": "30s",
        "spark.network.timeoutInterval": "10s",  # how often it is looked
        "spark.shuffle.io.maxRetries": "2",
        "spark.shuffle.io.retryWait": "1s",
        **{f"spark.executor.logs.rolling.{name}": value for name, value in rotated.items()},
    }


def _jars(settings: Settings) -> list[str]:
    return sorted(str(jar) for jar in settings.spark_jars_dir.glob("*.jar"))


def create_session(settings: Settings) -> SparkSession:
    """Start the JVM and the session (some seconds)."""
    logging.getLogger("py4j").setLevel(
        logging.CRITICAL
    )  # it reports each call, and each error that we report ourselves
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    builder = SparkSession.builder.master(settings.spark_master).appName("stream_processor")
    for name, value in session_configuration(settings).items():
        builder = builder.config(name, value)
    return builder.getOrCreate()
