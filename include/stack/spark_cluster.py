"""Spark's standalone cluster: master and worker as plain processes of ours, without Spark's daemon scripts.

Both take their address from ``spark_master`` (``spark://host:port``), so whoever submits to it and whoever serves it
cannot differ. A worker is one executor with all its cores and memory. Their pages listen on loopback only.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

from include.settings import LOOPBACK, PREFIX, PROJECT_ROOT, Settings
from include.stack.errors import StackError
from include.stack.java import Java

MASTER, WORKER = "spark-master", "spark-worker"
PROCESSES = (MASTER, WORKER)

_SILENT_WORKER_SECONDS = 15  # a killed one is missed at once; this is for a machine that is gone
_LOGGING = PROJECT_ROOT / "spark_jobs" / "log4j2.properties"
_KEEP_SECONDS = 86_400


def prepare(settings: Settings, java: Java, name: str) -> tuple[list[str], dict[str, str]]:
    """Command line and extra environment of master or worker. Raises :class:`StackError`."""
    host, port = master_address(settings)
    import pyspark

    spark_home = Path(os.fspath(pyspark.__path__[0]))
    arguments = _master(settings, host, port) if name == MASTER else _worker(settings)
    command = [
        str(java.executable),
        *java.options,
        *("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),  # they only keep the books
        f"-Dlog4j2.configurationFile={_LOGGING.as_uri()}",
        f"-Dspark.worker.timeout={_SILENT_WORKER_SECONDS}",
        "-Dspark.ui.killEnabled=false",
        *("-cp", f"{spark_home / 'jars'}/*"),
    ]
    if settings.listen_host == LOOPBACK:
        # what is bound without a host of its own, and what a machine is called that nobody else sees
        command.insert(1, "-Djava.net.preferIPv4Stack=true")
    return [*command, *arguments], {
        "JAVA_HOME": str(java.home),  # of the executors, which the worker starts
        "SPARK_HOME": str(spark_home),
        "SPARK_SCALA_VERSION": _scala_version(spark_home),  # the daemon scripts would look for it
        "SPARK_LOCAL_IP": LOOPBACK,  # where the pages listen; the rest has an address of its own
    }


def master_address(settings: Settings) -> tuple[str, int]:
    """Host and port of the master. Raises :class:`StackError` when the settings name no cluster."""
    address = urlsplit(settings.spark_master)
    if address.hostname is None or address.port is None:  # local[*]
        raise StackError(
            f"{PREFIX}SPARK_MASTER: received {settings.spark_master!r}; a cluster needs spark://host:port, for example "
            "spark://spark-master:7077."
        )
    return address.hostname, address.port


def _master(settings: Settings, host: str, port: int) -> list[str]:
    return [
        # a master that starts again knows its workers and applications; without it they would be sent away
        "-Dspark.deploy.recoveryMode=FILESYSTEM",
        f"-Dspark.deploy.recoveryDirectory={_folder(settings.data_dir / 'spark-master')}",
        "org.apache.spark.deploy.master.Master",
        *("--host", host, "--port", str(port), "--webui-port", str(settings.spark_master_ui_port)),
    ]


def _worker(settings: Settings) -> list[str]:
    # several workers may be called by one name, as the copies of a service are: each goes by its machine's own
    host = LOOPBACK if settings.listen_host == LOOPBACK else socket.gethostname()
    return [
        "-Dspark.worker.cleanup.enabled=true",
        f"-Dspark.worker.cleanup.appDataTtl={_KEEP_SECONDS}",
        "org.apache.spark.deploy.worker.Worker",
        *("--host", host, "--webui-port", str(settings.spark_worker_ui_port)),
        *("--cores", str(settings.spark_worker_cores), "--memory", settings.spark_worker_memory),
        *("--work-dir", str(_folder(settings.run_dir / "spark-work"))),
        settings.spark_master,
    ]


def _scala_version(spark_home: Path) -> str:
    """As in ``spark-core_2.13-4.2.0.jar``."""
    (core,) = (spark_home / "jars").glob("spark-core_*.jar")
    return core.name.split("_")[1].split("-")[0]


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
