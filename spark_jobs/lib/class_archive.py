"""A quicker start (a third less CPU): an archive of the classes that the job loads, made once, mapped by later JVMs.

Loading and verifying some 20,000 classes is most of the work of a start. The JVM writes the archive itself (JEP 350);
it checks the class path against it, and goes on without it when they differ or the archive is of no use.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from pathlib import Path
from typing import Any

import pyspark

from include.runtime.logging import get_logger
from include.settings import Settings
from spark_jobs.lib.failures import error_text
from spark_jobs.lib.progress import Progress

_BATCHES_BEFORE = 5  # by then every class that a batch needs is loaded
_POLL_SECONDS = 1.0
_LEFTOVER_SECONDS = 3600
_COMMANDS_ACCESS = "--add-opens=java.management/com.sun.jmx.mbeanserver=ALL-UNNAMED"
_COMMANDS = "com.sun.management:type=DiagnosticCommand"

log = get_logger("stream_processor")


def archive_path(settings: Settings) -> Path:
    """Where the archive for this Java, this Spark and these jars lies."""
    java = Path(os.environ.get("JAVA_HOME", "java"))
    facts = [pyspark.__version__, str(java), *_facts(java / "release")]
    for jar in sorted(settings.spark_jars_dir.glob("*.jar")):
        facts += [jar.name, *_facts(jar)]
    digest = hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]
    # the cache that is part of an image is not written to
    folder = settings.cache if os.access(settings.cache, os.W_OK) else settings.home / "cache"
    return folder / "classes" / f"stream_processor-{digest}.jsa"


def archive_options(archive: Path) -> list[str]:
    """JVM options that use the archive if it is there, and otherwise make one possible."""
    quiet = ["-Xshare:auto", "-Xlog:disable", "-Xlog:all=error:stderr"]  # or a thousand remarks on what is left out
    if archive.is_file():
        return [f'-XX:SharedArchiveFile="{archive}"', *quiet]
    return ["-XX:+RecordDynamicDumpInfo", _COMMANDS_ACCESS, *quiet]


def make_archive_in_background(spark: Any, archive: Path, progress: Progress, stop: threading.Event) -> None:
    """Once some batches are committed, write the archive if there is none. The JVM pauses for a second or two."""

    def run() -> None:
        while progress.committed_batches < _BATCHES_BEFORE:
            if stop.wait(_POLL_SECONDS):
                return
        try:
            _dump(spark, archive)
            log.info("class archive written: the next start is quicker", path=str(archive))
        except Exception as error:  # a Java without this ability starts as it always did
            log.info("no class archive", error=error_text(error)[:300])

    if not archive.is_file():
        threading.Thread(target=run, name="class-archive", daemon=True).start()


def _dump(spark: Any, archive: Path) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(archive.parent)
    fresh = archive.with_suffix(f".{os.getpid()}")
    gateway = spark.sparkContext._gateway
    jvm = gateway.jvm
    arguments = _array(gateway, jvm.String, "dynamic_dump", str(fresh))
    jvm.java.lang.management.ManagementFactory.getPlatformMBeanServer().invoke(
        jvm.javax.management.ObjectName(_COMMANDS),
        "vmCds",
        _array(gateway, jvm.Object, arguments),
        _array(gateway, jvm.String, "[Ljava.lang.String;"),
    )
    fresh.replace(archive)


def _remove_leftovers(folder: Path) -> None:
    """Halves that a killed process left; not what another process writes now."""
    for file in folder.glob("*"):
        if file.suffix != ".jsa" and file.stat().st_mtime < time.time() - _LEFTOVER_SECONDS:
            file.unlink(missing_ok=True)


def _array(gateway: Any, kind: Any, *values: Any) -> Any:
    array = gateway.new_array(kind, len(values))
    for index, value in enumerate(values):
        array[index] = value
    return array


def _facts(file: Path) -> list[str]:
    """Size and time of a file: what the JVM compares as well."""
    if not file.is_file():
        return []
    status = file.stat()
    return [str(status.st_size), str(status.st_mtime_ns)]
