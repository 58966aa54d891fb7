"""The processes of the local stack: what each is called, how it is started and stopped, and which ports it needs."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from include.services.names import EXCHANGE, KAFKA, MYSQL, PROCESSOR, PRODUCER
from include.settings import PROJECT_ROOT, Feed, Settings
from include.stack import airflow

AIRFLOW_PROCESSES = tuple(f"airflow-{component}" for component in airflow.COMPONENTS)


@dataclass(frozen=True)
class Process:
    """One process as its host knows it.

    ``restart``: the host brings it back by itself when it dies (only what neither the playbook nor a supervision Dag
    looks after). ``stop_seconds``: time for a graceful end before the process group is killed.
    """

    name: str
    ports: tuple[tuple[str, int], ...] = ()  # (name of the setting, port)
    restart: bool = False
    stop_seconds: int = 10


def processes(settings: Settings) -> tuple[Process, ...]:
    """All processes, in start order. ``btc_producer`` and ``stream_processor`` are started by Airflow."""
    found = [
        Process(KAFKA, _ports(settings, "kafka_port", "kafka_controller_port"), stop_seconds=20),
        Process(MYSQL, _ports(settings, "mysql_port"), stop_seconds=20),
        Process(PRODUCER, _ports(settings, "producer_health_port"), stop_seconds=15),
        Process(PROCESSOR, _ports(settings, "processor_health_port"), stop_seconds=20),
        Process(AIRFLOW_PROCESSES[0], _ports(settings, "airflow_port"), restart=True),
        *(Process(name, restart=True) for name in AIRFLOW_PROCESSES[1:]),
    ]
    if settings.feed is not Feed.LIVE:
        found.insert(2, Process(EXCHANGE, _ports(settings, "exchange_port", "exchange_control_port"), restart=True))
    return tuple(found)


def launch_command(name: str) -> list[str]:
    """What the process host runs: the launcher, which prepares the process and then becomes it."""
    return [sys.executable, "-m", "include.stack.launch", name]


def python_command(name: str) -> list[str]:
    """Command line of the pipeline's own processes."""
    return {
        EXCHANGE: [sys.executable, "-m", "include.market.standin"],
        PRODUCER: [sys.executable, "-m", "include.producer"],
        PROCESSOR: [sys.executable, str(PROJECT_ROOT / "spark_jobs" / "stream_processor.py")],
    }[name]


def _ports(settings: Settings, *names: str) -> tuple[tuple[str, int], ...]:
    return tuple((name, getattr(settings, name)) for name in names)
