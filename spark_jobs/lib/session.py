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
_FILE_MANAGER = "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"


def session_configuration(settings: Settings) -> dict[str, str]:
    """Spark's configuration. No secrets are in it: it appears on the JVM's command line."""
    jars = sorted(str(jar) for jar in settings.spark_jars_dir.glob("*.jar"))
    local = settings.spark_master.startswith("local")
    return {
        # In local mode the class path saves copying the jars to an executor that is this very process.
        ("spark.driver.extraClassPath" if local else "spark.jars"): (os.pathsep if local else ",").join(jars),
        "spark.driver.memory": settings.spark_driver_memory,
        # On a cluster the executors must reach the driver.
        "spark.driver.host": LOOPBACK if local else settings.processor_host,
        "spark.driver.bindAddress": LOOPBACK if local else settings.listen_host,
        "spark.driver.extraJavaOptions": " ".join(_java_options(settings)),
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


def _java_options(settings: Settings) -> list[str]:
    # Deep regular expressions and plans overflow the default stack of the stream thread.
    options = ["-Xss16m", "-XX:+UseParallelGC", f'-Dlog4j2.configurationFile="{_LOGGING.as_uri()}"']
    return options + archive_options(archive_path(settings))


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
