"""The local broker: Kafka in KRaft mode, one node, loopback only."""

from __future__ import annotations

import base64
import subprocess
import uuid
from pathlib import Path

from include.settings import Settings
from include.stack.artifacts import jars_dir
from include.stack.errors import StartError
from include.stack.java import Java

_LOG4J = """status=warn
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{yyyy-MM-dd'T'HH:mm:ss.SSSX} [%p] %c{1}: %m%n
rootLogger.level=info
rootLogger.appenderRef.console.ref=console
"""


def server_properties(settings: Settings) -> dict[str, str]:
    """Broker configuration.

    The short session time-out lets a killed broker register again within seconds (with the default of 9 s its restart
    takes 14 s); one replica everywhere, as there is one broker.
    """
    broker, controller = f"127.0.0.1:{settings.kafka_port}", f"127.0.0.1:{settings.kafka_controller_port}"
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{controller}",
        "listeners": f"PLAINTEXT://{broker},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{broker}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(broker_data(settings)),
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "broker.session.timeout.ms": "2000",
        "broker.heartbeat.interval.ms": "500",
    }


def broker_data(settings: Settings) -> Path:
    """The broker's log directory."""
    return settings.data_dir / "kafka"


def prepare(settings: Settings, java: Java) -> list[str]:
    """Write the configuration, format the storage if it is new, and return the broker's command line.

    Raises :class:`StartError` when the storage cannot be formatted.
    """
    folder = settings.run_dir / "kafka"
    folder.mkdir(parents=True, exist_ok=True)
    properties, logging = folder / "server.properties", folder / "log4j2.properties"
    properties.write_text("".join(f"{key}={value}\n" for key, value in server_properties(settings).items()))
    logging.write_text(_LOG4J)
    base = [
        str(java.executable),
        *java.options,
        f"-Dlog4j2.configurationFile={logging}",
        *("-cp", f"{jars_dir(settings, 'kafka')}/*"),
    ]
    if not (broker_data(settings) / "meta.properties").is_file():
        _format(base, properties)
    heap = f"{settings.kafka_heap_megabytes}m"
    return [*base[:1], f"-Xms{heap}", f"-Xmx{heap}", *base[1:], "kafka.Kafka", str(properties)]


def new_cluster_id() -> str:
    """A random id in Kafka's form. One that begins with a dash would be taken for an option, so none does."""
    while (cluster_id := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return cluster_id


def _format(base: list[str], properties: Path) -> None:
    command = [
        *base,
        "kafka.tools.StorageTool",
        "format",
        "--ignore-formatted",
        "-t",
        new_cluster_id(),
        "-c",
        str(properties),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise StartError(f"Kafka's storage could not be formatted:\n{(done.stdout + done.stderr)[-2000:]}")


def tool_command(settings: Settings, java: Java, main_class: str, *arguments: str) -> list[str]:
    """Command line of one of Kafka's own tools, for example ``org.apache.kafka.tools.ProducerPerformance``."""
    logging = settings.run_dir / "kafka" / "log4j2.properties"
    jars = f"{jars_dir(settings, 'kafka')}/*"
    return [str(java.executable), f"-Dlog4j2.configurationFile={logging}", "-cp", jars, main_class, *arguments]
